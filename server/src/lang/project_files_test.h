// For tests that hold the code against files of the project.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace mc::lang {

// The text of a file, named from the project's root, which is found from the working folder
// upwards (tests run somewhere below build/).
inline std::string project_file(const std::string& name) {
  std::filesystem::path folder = std::filesystem::current_path();
  while (!std::filesystem::exists(folder / "docs" / "reference") && folder.has_relative_path())
    folder = folder.parent_path();
  std::ifstream file(folder / name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name << " is not there; run the tests from within the project";
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace mc::lang
