#include "cli/parse.h"

#include <gtest/gtest.h>

#include <set>

namespace mc::cli {
namespace {

Result<CommandLine> parse(std::vector<std::string> words) { return parse_command_line(words); }

TEST(ParseCommandLine, FindsVerbsOfOneAndOfTwoWords) {
  EXPECT_EQ(parse({"version"})->verb->path, "version");
  EXPECT_EQ(parse({"runs", "list"})->verb->path, "runs list");
  EXPECT_EQ(parse({"-o", "json", "runs", "list"})->args.get("--output"), "json");
  EXPECT_EQ(parse({"runs", "list", "--output=yaml"})->args.get("--output"), "yaml");
}

TEST(ParseCommandLine, RepeatsWhatMayBeRepeated) {
  const Result<CommandLine> line =
      parse({"run", "-i", "a=1", "ci", "--input", "b=2 3", "--follow"});
  ASSERT_TRUE(line.ok()) << line.error().message;
  EXPECT_EQ(line->args.get("WORKFLOW"), "ci");
  EXPECT_EQ(line->args.all("--input"), (std::vector<std::string>{"a=1", "b=2 3"}));
  EXPECT_TRUE(line->args.has("--follow"));
  EXPECT_FALSE(line->args.has("--wait"));
}

TEST(ParseCommandLine, TakesNamesThatAreVerbs) {
  EXPECT_EQ(parse({"run", "version"})->args.get("WORKFLOW"), "version");
  EXPECT_EQ(parse({"runs", "show", "list"})->args.get("RUN"), "list");
}

TEST(ParseCommandLine, TakesValuesThatLookLikeNothingElse) {
  EXPECT_EQ(parse({"run", "ci", "-i", "a=-1"})->args.get("--input"), "a=-1");
  EXPECT_EQ(parse({"run", "ci", "-i", "a=[1,2]"})->args.get("--input"), "a=[1,2]");
  EXPECT_EQ(parse({"run", "-"})->args.get("WORKFLOW"), "-");
  EXPECT_EQ(parse({"vars", "set", "N", "[1,2]"})->args.get("VALUE"), "[1,2]");
  EXPECT_EQ(parse({"vars", "set", "N", "--", "-5"})->args.get("VALUE"), "-5");
  EXPECT_EQ(parse({"signal", "#12", "go", "--data", "{\"a\":1}"})->args.get("--data"), "{\"a\":1}");
}

TEST(ParseCommandLine, SaysWhatWasMeant) {
  const std::pair<std::vector<std::string>, std::string> rows[] = {
      {{"rum"}, "did you mean `run"},
      {{"runs", "lst"}, "did you mean `runs list`"},
      {{"run", "ci", "--folow"}, "did you mean `--follow`"},
      {{"run"}, "WORKFLOW is missing"},
      {{"runs", "list", "-o", "xml"}, "table, json, yaml, ndjson"},
      {{"runs", "show", "a", "b"}, "`b` is not understood"},
      {{"runs", "list", "--limit", "1", "--limit", "2"}, "--limit stands twice"},
  };
  for (const auto& [words, wanted] : rows) {
    const Result<CommandLine> line = parse(words);
    ASSERT_FALSE(line.ok()) << wanted;
    EXPECT_EQ(line.error().code, Code::usage);
    EXPECT_NE(line.error().message.find(wanted), std::string::npos) << line.error().message;
  }
}

TEST(ParseCommandLine, HelpsEverywhere) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {"-h"},
                                                {"help"},
                                                {"runs"},
                                                {"runs", "-h"},
                                                {"help", "runs", "list"},
                                                {"run", "--help"},
                                                {"runs", "list", "-h"}}) {
    const Result<CommandLine> line = parse(words);
    ASSERT_TRUE(line.ok()) << line.error().message;
    EXPECT_EQ(line->verb, nullptr);
    EXPECT_NE(line->text.find("Usage: maestro"), std::string::npos);
  }
}

TEST(Verbs, HaveOnePathAndEveryOptionOnce) {
  std::set<std::string> paths;
  for (const Verb& verb : all_verbs()) {
    EXPECT_TRUE(paths.insert(verb.path).second) << verb.path;
    std::set<std::string> names;
    for (const auto& options : {verb.options, global_options()}) {
      for (const Option& option : options) {
        EXPECT_TRUE(names.insert(option.name).second) << verb.path << " " << option.name;
        if (!option.letter.empty()) {
          EXPECT_TRUE(names.insert(option.letter).second) << verb.path << " " << option.letter;
        }
      }
    }
    EXPECT_TRUE(verb.run) << verb.path;
    EXPECT_FALSE(verb.summary.empty() || verb.summary.back() == '.') << verb.path;
  }
}

TEST(Args, ReadNumbersAndDurationsStrictly) {
  Args args;
  args.add("--limit", "12x");
  args.add("--timeout", "10");
  EXPECT_EQ(args.number("--limit", 1, 1, 100).error().code, Code::usage);
  EXPECT_EQ(args.duration("--timeout", Millis(0)).error().code, Code::usage);
  EXPECT_EQ(*args.number("--other", 7, 1, 100), 7);
}

}  // namespace
}  // namespace mc::cli
