#include "cli/manual.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "cli/io.h"
#include "cli/verb.h"
#include "cli/version.h"

namespace mc::cli {
namespace {

// Tests run somewhere below the repository.
std::string repository_file(const std::string& name) {
  for (std::filesystem::path at = std::filesystem::current_path();; at = at.parent_path()) {
    if (std::filesystem::exists(at / "server/src/cli/verb.h"))
      return read_file((at / name).string()).ok() ? *read_file((at / name).string()) : "";
    if (at == at.root_path()) return "";
  }
}

TEST(Manual, TheDocumentsAreThoseOfTheTable) {
  EXPECT_TRUE(repository_file("docs/reference/cli.md") == reference_markdown())
      << "write it again: maestro man --markdown > docs/reference/cli.md";
  EXPECT_TRUE(repository_file("docs/man/maestro.1") == manual_page())
      << "write it again: maestro man > docs/man/maestro.1";
}

TEST(Manual, TheVersionIsTheBuilds) {
  EXPECT_NE(repository_file("CMakeLists.txt").find(std::string("VERSION ") + kVersion),
            std::string::npos);
}

TEST(Completion, KnowsEveryVerbAndOption) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell);
    for (const std::string& first : first_words()) {
      EXPECT_NE(script.find(first), std::string::npos) << shell << " " << first;
      for (const std::string& second : second_words(first))
        EXPECT_NE(script.find(second), std::string::npos) << shell << " " << second;
    }
    for (const Verb& verb : all_verbs()) {
      for (const Option& option : verb.options)
        EXPECT_NE(script.find(option.name.substr(2)), std::string::npos)
            << shell << " " << option.name;
    }
  }
  EXPECT_EQ(completion_script("tcsh"), "");
}

TEST(Manual, RoffNeverStartsALineWithAControlByAccident) {
  const std::string page = manual_page();
  EXPECT_EQ(page.find("\n.\n"), std::string::npos);
  EXPECT_NE(page.find(".SS maestro runs list"), std::string::npos);
}

}  // namespace
}  // namespace mc::cli
