// Definitions that are wrong, against what is said of each: testdata/bad_definitions.txt. A change
// of words shows there, where a reader can judge it.
#include <gtest/gtest.h>

#include "base/text.h"
#include "lang/parse.h"
#include "lang/project_files_test.h"

namespace mc::lang {
namespace {
struct Case {
  std::string name, text, said;
};

std::vector<Case> read_cases() {
  std::vector<Case> cases;
  const std::string all = "\n" + project_file("server/src/lang/testdata/bad_definitions.txt");
  std::size_t at = all.find("\n### ");
  while (at != std::string::npos) {
    const std::size_t next = all.find("\n### ", at + 1);
    const std::string part = all.substr(at + 5, next == std::string::npos ? next : next - at - 4);
    const std::size_t name_end = part.find('\n');
    const std::size_t text_end = part.find("\n===\n", name_end);
    Case one{.name = part.substr(0, name_end)};
    one.text = part.substr(name_end + 1, text_end - name_end);
    one.said = part.substr(text_end + 5);
    cases.push_back(std::move(one));
    at = next;
  }
  return cases;
}

TEST(BadDefinitions, AreToldWhereWhatAndHowToMend) {
  const std::vector<Case> cases = read_cases();
  ASSERT_GT(cases.size(), 80U);
  for (const Case& one : cases) {
    const Parsed parsed = parse_workflow(one.text, {.default_name = "t"});
    EXPECT_EQ(render_problems("t.yaml", one.text, parsed.errors, "error", false) +
                  render_problems("t.yaml", one.text, parsed.warnings, "warning", false),
              one.said)
        << one.name;
  }
}
}  // namespace
}  // namespace mc::lang
