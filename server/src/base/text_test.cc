#include "base/text.h"

#include <gtest/gtest.h>

namespace mc {
namespace {

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ9-._~"), "aZ9-._~");
  EXPECT_EQ(percent_encode("a b/\xC3\xA9%"), "a%20b%2F%C3%A9%25");
}

// Ways to match grow with the power of the stars; the time must not.
TEST(Glob, ManyStarsTakeNoLongerThanTheProductOfBothLengths) {
  std::string pattern, path(4'000, 'a');
  for (int i = 0; i < 500; ++i) pattern += i % 2 == 0 ? "*a" : "**[ab]";
  EXPECT_TRUE(glob_match(pattern, path));
  EXPECT_FALSE(glob_match(pattern + "c", path));
}

TEST(Glob, AClassWithoutAnEndMatchesNothing) {
  EXPECT_FALSE(glob_match("[a", "a"));
  EXPECT_FALSE(glob_match("[!", "a"));
  EXPECT_TRUE(glob_match("[]a]", "]"));
}

}  // namespace
}  // namespace mc
