// docs/reference/expressions.md, row by row, and what cannot be said in a row.
#include "lang/expression.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/text.h"
#include "lang/project_files_test.h"

namespace mc::lang {
namespace {

struct World {
  Value contexts;
  Scope scope;
  explicit World(Value value) : contexts(std::move(value)) {
    scope.context = [this](std::string_view root) { return contexts.find(root); };
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
};

Value parse(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(*value) : Value();
}

// The text between backticks, with \| as the | it stands for in a table.
std::string cell(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '`' || text.back() != '`') return std::string(text);
  std::string out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && text[i + 1] == '|') continue;
    out.push_back(text[i]);
  }
  return out;
}

struct Row {
  int line;
  std::string expression;
  std::string result;
};

std::vector<Row> read_rows(const std::string& text) {
  std::vector<Row> rows;
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (!line.starts_with("| `")) continue;
    const std::size_t middle = line.rfind(" | ");
    rows.push_back({number, cell(line.substr(2, middle - 2)),
                    cell(line.substr(middle + 3, line.size() - middle - 5))});
  }
  return rows;
}

TEST(Expression, EveryRowOfTheReference) {
  const std::string text = project_file("docs/reference/expressions.md");
  const std::size_t open = text.find("```json\n") + 8;
  World world(parse(text.substr(open, text.find("```", open) - open)));
  const std::vector<Row> rows = read_rows(text);
  ASSERT_GT(rows.size(), 130U);
  for (const Row& row : rows) {
    const auto value = evaluate(row.expression, world.scope);
    if (row.result.starts_with("error")) {
      ASSERT_FALSE(value.ok()) << "line " << row.line << ": " << row.expression;
      const std::string word = row.result.size() > 7 ? row.result.substr(7) : "";
      EXPECT_NE(value.error().message.find(word), std::string::npos)
          << "line " << row.line << " said " << value.error().message;
      continue;
    }
    ASSERT_TRUE(value.ok()) << "line " << row.line << ": " << row.expression << ": "
                            << value.error().message;
    EXPECT_EQ(to_json(*value), to_json(parse(row.result))) << "line " << row.line;
  }
}

TEST(Expression, TemplatesKeepTypesOrBecomeText) {
  World world(parse(R"({"inputs":{"n":4,"s":"x","none":null,"l":[1,"a"]}})"));
  const std::pair<const char*, const char*> rows[] = {
      {"plain", "\"plain\""},
      {"", "\"\""},
      {"${{ inputs.n }}", "4"},
      {"${{inputs.l}}", "[1,\"a\"]"},
      {" ${{ inputs.n }}", "\" 4\""},
      {"a${{ inputs.n }}b${{ inputs.s }}", "\"a4bx\""},
      {"<${{ inputs.none }}>", "\"<>\""},
      {"${{ inputs.l }}!", "\"[1,\\\"a\\\"]!\""},
      {"${{ '}}' }}", "\"}}\""},
      {"$${{ inputs.s }}", "\"$x\""},
      {"$x {{ y }}", "\"$x {{ y }}\""}};
  for (const auto& [text, result] : rows) {
    const auto value = evaluate_template(text, world.scope);
    ASSERT_TRUE(value.ok()) << text;
    EXPECT_EQ(to_json(*value), result) << text;
  }
  EXPECT_FALSE(evaluate_template("${{ inputs.n", world.scope).ok());
  EXPECT_EQ(*evaluate_text("${{ inputs.n }}", world.scope), "4");
}

TEST(Expression, ConditionsMeanSuccessUnlessTheyNameAStatus) {
  World world(parse(R"({"inputs":{"yes":true,"text":"x"}})"));
  struct Case {
    const char* condition;
    bool after_success, after_failure, after_cancel;
  };
  const Case cases[] = {{"", true, false, false},
                        {"inputs.yes", true, false, false},
                        {"!inputs.yes", false, false, false},
                        {"success()", true, false, false},
                        {"always()", true, true, true},
                        {"failure()", false, true, false},
                        {"cancelled()", false, false, true},
                        {"failure() || inputs.yes", true, true, true},
                        {"inputs.text == 'success()'", false, false, false},
                        {"always() && !inputs.yes", false, false, false}};
  for (const Case& c : cases) {
    world.scope.status = {.success = true, .failure = false, .cancelled = false};
    EXPECT_EQ(*evaluate_condition(c.condition, world.scope), c.after_success) << c.condition;
    world.scope.status = {.success = false, .failure = true, .cancelled = false};
    EXPECT_EQ(*evaluate_condition(c.condition, world.scope), c.after_failure) << c.condition;
    world.scope.status = {.success = false, .failure = false, .cancelled = true};
    EXPECT_EQ(*evaluate_condition(c.condition, world.scope), c.after_cancel) << c.condition;
  }
  world.scope.status = {};
  EXPECT_FALSE(evaluate_condition("inputs.text", world.scope).ok());
  EXPECT_FALSE(evaluate_condition("1", world.scope).ok());
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Expression, NestingIsTakenToSixtyFourLevels) {
  const Scope scope;
  EXPECT_TRUE(evaluate(repeat("(", 64) + "1" + repeat(")", 64), scope).ok());
  EXPECT_FALSE(evaluate(repeat("(", 66) + "1" + repeat(")", 66), scope).ok());
  EXPECT_TRUE(evaluate(repeat("!", 64) + "true", scope).ok());
  for (const char* open : {"(", "!", "[", "a[", "lower(", "true ? 1 : ", "1 == ", "a."}) {
    EXPECT_FALSE(evaluate(repeat(open, 20'000) + "1", scope).ok()) << open;
  }
  EXPECT_TRUE(*evaluate_condition("true" + repeat(" && true", 500), scope));
  EXPECT_FALSE(evaluate("true" + repeat(" == true", 500), scope).ok());
}

TEST(Expression, WorkIsBounded) {
  Object inputs;
  inputs.emplace_back("text", Value(std::string(60'000, 'a')));
  List many(20'000, Value(1));
  inputs.emplace_back("many", Value(std::move(many)));
  World world(Value(Object{{"inputs", Value(std::move(inputs))}}));
  // Operations: each small, too many of them.
  EXPECT_FALSE(evaluate("[" + repeat("1,", 20'000) + "1]", world.scope).ok());
  // Doubling text, copying large values, a pattern that is slow on a long text.
  EXPECT_FALSE(evaluate("replace(inputs.text, 'a', inputs.text)", world.scope).ok());
  EXPECT_FALSE(evaluate("[" + repeat("inputs.text,", 60) + "1]", world.scope).ok());
  EXPECT_FALSE(evaluate("matches(inputs.text, '(a?){500}(a?){500}(b|c){900}$')", world.scope).ok());
  EXPECT_TRUE(evaluate("matches(inputs.text, '^a+$')", world.scope).ok());
  EXPECT_TRUE(evaluate("length(inputs.text)", world.scope).ok());
  EXPECT_FALSE(evaluate("join(inputs.many, inputs.text)", world.scope).ok());
}

TEST(Expression, MessagesNameThePlaceAndTheMend) {
  const Scope scope;
  const auto bad = evaluate("1 == == 2", scope);
  ASSERT_FALSE(bad.ok());
  ASSERT_FALSE(bad.error().problems.empty());
  EXPECT_EQ(bad.error().problems[0].column, 6);
  EXPECT_NE(evaluate("lowre('x')", scope).error().message.find("`lower`"), std::string::npos);
  EXPECT_NE(evaluate("1 < 'x'", scope).error().message.find("a number and a string"),
            std::string::npos);
}

TEST(Expression, HashFilesAsksTheScope) {
  Scope scope;
  EXPECT_FALSE(evaluate("hash_files('a')", scope).ok());
  scope.hash_files = [](const std::vector<std::string>& globs) -> Result<std::string> {
    return join(globs, "+");
  };
  EXPECT_EQ(to_json(*evaluate("hash_files('a', 'b/**')", scope)), "\"a+b/**\"");
  EXPECT_FALSE(evaluate("hash_files(1)", scope).ok());
}

}  // namespace
}  // namespace mc::lang
