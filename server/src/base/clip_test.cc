#include "base/clip.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace mc {
namespace {

TEST(Clip, KeepsShortTextsAndCutsLongOnesBetweenCharacters) {
  EXPECT_EQ(clip("", 3), "");
  EXPECT_EQ(clip("abcd", 4), "abcd");
  EXPECT_EQ(clip("abcde", 4), "a…");
  EXPECT_EQ(head_of("aé", 2), "a");
  EXPECT_EQ(head_of("aé", 3), "aé");
}

TEST(Clip, NeverGrowsAndNeverBreaksACharacter) {
  const std::string text = "aé€😀bé€😀";
  for (std::size_t size = 3; size <= text.size() + 1; ++size) {
    const std::string cut = clip(text, size);
    EXPECT_LE(cut.size(), size);
    EXPECT_FALSE(find_invalid_utf8(cut)) << size;
    EXPECT_TRUE(text.starts_with(head_of(text, size)));
  }
}

}  // namespace
}  // namespace mc
