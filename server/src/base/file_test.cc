#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace mc {
namespace {
TEST(File, PiecesAreWrittenWholeAndInOrderHoweverMany) {
  const std::string path = testing::TempDir() + "/pieces-" + std::to_string(::getpid());
  // More than one call takes (IOV_MAX), with empty ones among them.
  std::vector<std::string> texts;
  std::string whole;
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(i % 7 == 0 ? "" : std::to_string(i) + ",");
    whole += texts.back();
  }
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_TRUE(write_all(fd.get(), {texts.begin(), texts.end()}));
  ASSERT_TRUE(write_all(fd.get(), std::vector<std::string_view>{}));
  ASSERT_TRUE(write_all(fd.get(), "end"));
  const auto read = read_file(path, 1 << 20);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, whole + "end");
  EXPECT_EQ(read_file(path, whole.size()).error().code, Code::too_large);
  std::filesystem::remove(path);
}
}  // namespace
}  // namespace mc
