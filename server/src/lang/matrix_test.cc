#include "lang/matrix.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
// The cells that `matrix` (YAML) has when `inputs.v` is `given` (JSON), or what is wrong.
std::string cells_of(const std::string& matrix, const std::string& given = "null") {
  const Parsed parsed =
      parse_workflow("inputs: {v: {}}\njobs:\n  a: {matrix: " + matrix + ", steps: [{run: x}]}\n");
  if (!parsed.ok()) return "refused: " + parsed.errors.at(0).message;
  Value inputs{Object{}};
  inputs.set("v", *parse_json(given));
  Scope scope;
  scope.context = [&](std::string_view root) { return root == "inputs" ? &inputs : nullptr; };
  const auto cells = expand_matrix(*parsed.spec.jobs.at(0).matrix, scope);
  if (!cells.ok()) return "wrong: " + cells.error().message;
  std::string labels;
  for (const Cell& cell : *cells) labels += (labels.empty() ? "" : " ") + to_json(cell.values);
  return labels;
}

TEST(MatrixCells, AreTheProductLessWhatIsExcludedAndWhatIsIncluded) {
  EXPECT_EQ(cells_of("{a: [1, 2], b: [x, y], exclude: [{a: 1, b: y}]}"),
            R"({"a":1,"b":"x"} {"a":2,"b":"x"} {"a":2,"b":"y"})");
  // An include joins the cells that it fits, and is a cell of its own when it fits none.
  EXPECT_EQ(cells_of("{a: [1, 2], include: [{a: 2, more: z}, {a: 3, more: w}]}"),
            R"({"a":1} {"a":2,"more":"z"} {"a":3,"more":"w"})");
  EXPECT_EQ(cells_of("{include: [{a: 1}, {b: [2, {c: 3}]}]}"), R"({"a":1} {"b":[2,{"c":3}]})");
}

TEST(MatrixCells, MayComeFromOneExpression) {
  const std::string whole = "\"${{ inputs.v }}\"";
  EXPECT_EQ(cells_of(whole, R"({"a":[1,2],"exclude":[{"a":1}],"include":[{"a":7}]})"),
            R"({"a":2} {"a":7})");
  EXPECT_EQ(cells_of(whole, R"([{"a":1},{"b":2}])"), R"({"a":1} {"b":2})");
  EXPECT_EQ(cells_of(whole, "[]"), "");
  EXPECT_EQ(
      cells_of(whole, "5"),
      "wrong: `matrix` must be an object of lists or a list of objects, and is of type number");
  EXPECT_EQ(cells_of(whole, R"({"a":1})"), "wrong: `matrix.a` must be a list");
  EXPECT_EQ(cells_of(whole, "[1]"), "wrong: `include` and `exclude` must hold objects");
  EXPECT_EQ(cells_of(whole, R"([{"a":1},{"a":1}])").rfind("wrong: the matrix has the cell", 0), 0U);
  std::string axes;
  for (int i = 0; i < 33; ++i)
    axes += (i == 0 ? "{" : ",") + std::string("\"a") + std::to_string(i) + "\":[1]";
  EXPECT_EQ(cells_of(whole, axes + "}"), "wrong: a matrix has at most 32 axes");
}

TEST(MatrixCells, MayHavePartsFromExpressions) {
  EXPECT_EQ(cells_of("{a: \"${{ inputs.v }}\", b: [\"${{ 1 + 1 }}\"]}", "[1]"),
            "refused: unexpected `+ 1 ` in `1 + 1`");
  EXPECT_EQ(cells_of("{a: \"${{ inputs.v }}\", b: [{c: [\"x${{ length(inputs.v) }}\"]}]}", "[1]"),
            R"({"a":1,"b":{"c":["x1"]}})");
  EXPECT_EQ(cells_of("{a: \"${{ inputs.v }}\"}", "{}"),
            "wrong: `matrix.a` must be a list, and is of type object");
  EXPECT_EQ(cells_of("{a: [1], include: \"${{ inputs.v }}\"}", "5"),
            "wrong: `include` and `exclude` must be lists of objects");
  EXPECT_EQ(cells_of("{a: [1, 2], exclude: \"${{ inputs.v }}\"}", R"([{"a":2}])"), R"({"a":1})");
  EXPECT_EQ(cells_of("{a: [1], include: [{b: \"${{ from_json('x') }}\"}]}").rfind("wrong: ", 0),
            0U);
  EXPECT_EQ(cells_of("{a: [\"${{ from_json('x') }}\"]}").rfind("wrong: ", 0), 0U);
  EXPECT_EQ(cells_of("{a: \"${{ from_json('x') }}\"}").rfind("wrong: ", 0), 0U);
  EXPECT_EQ(cells_of("{a: [1], include: \"${{ from_json('x') }}\"}").rfind("wrong: ", 0), 0U);
  EXPECT_EQ(cells_of("\"${{ from_json('x') }}\"").rfind("wrong: ", 0), 0U);
}

TEST(MatrixCells, AreBoundedInNumberAndInSize) {
  std::string many = "[0";
  for (int i = 1; i < 300; ++i) many += "," + std::to_string(i);
  many += "]";
  EXPECT_EQ(cells_of("{a: \"${{ inputs.v }}\", b: \"${{ inputs.v }}\"}", many),
            "wrong: the matrix has 90000 cells, more than 256 (`max_cells` raises that)");
  std::string rows = "[{\"a\":0}";
  for (int i = 1; i < 300; ++i) rows += ",{\"a\":" + std::to_string(i) + "}";
  EXPECT_EQ(cells_of("\"${{ inputs.v }}\"", rows + "]"),
            "wrong: the matrix has 300 cells, more than 256 (`max_cells` raises that)");
  std::string numbers = "[0";
  for (int i = 1; i < 256; ++i) numbers += "," + std::to_string(i);
  EXPECT_EQ(cells_of("{a: " + numbers + "], b: \"${{ inputs.v }}\"}",
                     "[\"" + std::string(100'000, 'x') + "\"]"),
            "wrong: the matrix's values are too large or too many in all");
}
}  // namespace
}  // namespace mc::lang
