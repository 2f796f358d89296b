#include "http/range.h"

#include <gtest/gtest.h>

namespace mc::http {
namespace {

TEST(Range, IsReadAsTheRfcSays) {
  struct Case {
    const char* header;
    std::int64_t size;
    RangeKind kind;
    std::int64_t offset = 0, length = 0;
  };
  const Case table[] = {
      {"bytes=0-0", 10, RangeKind::range, 0, 1},
      {"bytes=0-9", 10, RangeKind::range, 0, 10},
      {"bytes=5-", 10, RangeKind::range, 5, 5},
      {"bytes=-3", 10, RangeKind::range, 7, 3},
      {"bytes=-30", 10, RangeKind::range, 0, 10},
      {"bytes=8-99", 10, RangeKind::range, 8, 2},
      {"bytes=10-", 10, RangeKind::unsatisfiable},
      {"bytes=10-12", 10, RangeKind::unsatisfiable},
      {"bytes=-0", 10, RangeKind::unsatisfiable},
      {"bytes=0-", 0, RangeKind::unsatisfiable},
      {"bytes=-5", 0, RangeKind::unsatisfiable},
      {"", 10, RangeKind::none},
      {"bytes=", 10, RangeKind::none},
      {"bytes=-", 10, RangeKind::none},
      {"bytes=5-4", 10, RangeKind::none},
      {"bytes=a-b", 10, RangeKind::none},
      {"bytes=1-2,4-5", 10, RangeKind::none},
      {"bytes=+1-2", 10, RangeKind::none},
      {"bytes= 1-2", 10, RangeKind::none},
      {"items=1-2", 10, RangeKind::none},
      {"bytes=99999999999999999999-", 10, RangeKind::none},
  };
  for (const Case& each : table) {
    ByteRange range;
    EXPECT_EQ(parse_range(each.header, each.size, range), each.kind) << each.header;
    if (each.kind != RangeKind::range) continue;
    EXPECT_EQ(range.offset, each.offset) << each.header;
    EXPECT_EQ(range.length, each.length) << each.header;
  }
}

}  // namespace
}  // namespace mc::http
