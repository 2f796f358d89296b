// docs/reference/expressions.md is the specification: every row of its table is evaluated here.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.h"
#include "base/text.h"
#include "lang/expression.h"

namespace mc::lang {
namespace {
constexpr std::string_view kInputs =
    R"({"n": 4, "s": "abc", "flag": true, "list": [1, 2], "obj": {"a": {"b": "deep"}}})";

std::string read_page(const std::string& name) {
  for (auto folder = std::filesystem::current_path(); folder != folder.parent_path();
       folder = folder.parent_path()) {
    std::ifstream file(folder / name);
    if (file) return (std::stringstream() << file.rdbuf()).str();
  }
  return {};
}

// The text between the first pair of backticks of a cell; the whole cell when there is none.
std::string cell_text(std::string_view cell) {
  cell = trim(cell);
  if (!cell.starts_with('`') || !cell.ends_with('`')) return std::string(cell);
  return std::string(cell.substr(1, cell.size() - 2));
}

TEST(Specification, EveryRowHolds) {
  const Value inputs = *parse_json(kInputs);
  Scope scope;
  scope.context = [&](std::string_view root) { return root == "inputs" ? &inputs : nullptr; };
  int rows = 0;
  for (const std::string& line : split(read_page("docs/reference/expressions.md"), '\n')) {
    const std::vector<std::string> cells = split(line, '|');
    if (cells.size() != 4 || !trim(cells[1]).starts_with('`')) continue;
    ++rows;
    const std::string wanted = cell_text(cells[2]);
    const Result<Value> value = evaluate(cell_text(cells[1]), scope);
    if (wanted.starts_with("error: ")) {
      ASSERT_FALSE(value.ok()) << line << " gave " << to_json(*value);
      EXPECT_NE(value.error().message.find(wanted.substr(7)), std::string::npos)
          << line << " said " << value.error().message;
    } else {
      ASSERT_TRUE(value.ok()) << line << ": " << value.error().message;
      EXPECT_EQ(to_json(*value), wanted) << line;
    }
  }
  EXPECT_GE(rows, 60);
}
}  // namespace
}  // namespace mc::lang
