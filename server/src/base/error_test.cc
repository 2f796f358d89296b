#include "base/error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace mc {
namespace {
// The repository's root, from wherever the test runs in its build folder.
std::string read_page(const std::string& name) {
  for (auto folder = std::filesystem::current_path(); !folder.empty();
       folder = folder.parent_path()) {
    std::ifstream file(folder / name);
    if (file) return (std::stringstream() << file.rdbuf()).str();
    if (folder == folder.parent_path()) break;
  }
  return {};
}

TEST(ErrorCodes, EachHasASectionAndEachSectionACode) {
  const std::string page = read_page("docs/reference/errors.md");
  ASSERT_FALSE(page.empty());
  std::set<std::string> sections;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) sections.insert(line.substr(3));
  }
  std::set<std::string> codes;
#define X(code, status, exit, title) \
  codes.insert(#code);               \
  EXPECT_NE(page.find("HTTP " #status ", exit code " #exit), std::string::npos) << #code;
  MC_ERROR_CODES(X)
#undef X
  EXPECT_EQ(sections, codes);
}

TEST(ErrorCodes, NamesReadBack) {
#define X(code, status, exit, title)                            \
  EXPECT_EQ(code_from_name(#code, Code::internal), Code::code); \
  EXPECT_EQ(http_status(Code::code), status);
  MC_ERROR_CODES(X)
#undef X
  EXPECT_EQ(code_from_name("nonsense", Code::internal), Code::internal);
}
}  // namespace
}  // namespace mc
