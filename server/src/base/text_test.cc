#include "base/text.h"

#include <gtest/gtest.h>

namespace mc {
namespace {

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ9-._~"), "aZ9-._~");
  EXPECT_EQ(percent_encode("a b/\xC3\xA9%"), "a%20b%2F%C3%A9%25");
}

}  // namespace
}  // namespace mc
