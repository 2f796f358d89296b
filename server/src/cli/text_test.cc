// Tables, YAML, colours: what is printed.
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/paint.h"
#include "cli/script_test.h"
#include "cli/table.h"
#include "cli/yaml_text.h"

namespace mc::cli {
namespace {

TEST(Table, IsAsWideAsItsContents) {
  const Table table{{"RUN", "STATUS"}, {{{"#1"}, {"✔ succeeded"}}, {{"#1234"}, {"✘"}}}};
  EXPECT_EQ(render_table(table, Paint{}, 0),
            "RUN    STATUS\n"
            "#1     ✔ succeeded\n"
            "#1234  ✘\n");
}

TEST(Table, TheWidestColumnGivesWay) {
  const Table table{{"A", "B"}, {{{"short"}, {"a text that is far too long for this"}}}};
  const std::string text = render_table(table, Paint{}, 20);
  EXPECT_EQ(text, "A      B\nshort  a text that …\n");
}

TEST(Table, ColoursDoNotChangeTheLayout) {
  const Table table{{}, {{{"a", Tone::good}, {"b"}}, {{"long", Tone::bad}, {"c"}}}};
  EXPECT_EQ(render_table(table, Paint{.on = true}, 0),
            "\x1b[32ma\x1b[0m     b\n\x1b[31mlong\x1b[0m  c\n");
}

TEST(Paint, IsOnOnlyWhereItIsWelcome) {
  test::Desk desk;
  EXPECT_TRUE(paint_for(desk.io, false, true).on);
  EXPECT_FALSE(paint_for(desk.io, false, false).on);
  EXPECT_FALSE(paint_for(desk.io, true, true).on);
  desk.variables["NO_COLOR"] = "1";
  EXPECT_FALSE(paint_for(desk.io, false, true).on);
  desk.variables = {{"TERM", "dumb"}};
  EXPECT_FALSE(paint_for(desk.io, false, true).on);
}

TEST(Paint, NamesCannotCarryEscapeSequences) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\td"), "a[2Jbc d");
}

TEST(Cut, CountsCodePoints) {
  EXPECT_EQ(cut("äöü", 3), "äöü");
  EXPECT_EQ(cut("äöüß", 3), "äö…");
  EXPECT_EQ(cut("abc", 0), "");
}

TEST(Yaml, WritesBlocksAndQuotesWhatCouldBeMisread) {
  const Value value = *parse_json(
      R"({"a":1,"list":[{"x":"y","z":[]},["in"],"no"],"empty":{},"time":"2026-01-01T00:00:00Z",
          "text":"two\nlines","word":"plain","truth":true,"none":null})");
  EXPECT_EQ(to_yaml(value),
            "a: 1\n"
            "list:\n"
            "  - x: \"y\"\n"
            "    z: []\n"
            "  - - in\n"
            "  - \"no\"\n"
            "empty: {}\n"
            "time: \"2026-01-01T00:00:00Z\"\n"
            "text: \"two\\nlines\"\n"
            "word: plain\n"
            "truth: true\n"
            "none: null\n");
}

TEST(Yaml, ReadsBackMapsOfTexts) {
  const Result<Value> value = read_plain_yaml(
      "# c\ncurrent: a\ncontexts:\n  a:\n    url: \"x: y\"\n  b:\n    url: z\nlast: q\n", "f");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(to_json(*value),
            R"({"current":"a","contexts":{"a":{"url":"x: y"},"b":{"url":"z"}},"last":"q"})");
  EXPECT_FALSE(read_plain_yaml("a: 1\na: 2\n", "f").ok());
}

}  // namespace
}  // namespace mc::cli
