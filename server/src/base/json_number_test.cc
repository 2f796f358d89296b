#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/json.h"
#include "base/rng.h"

namespace mc {
namespace {

TEST(JsonNumber, IsReadAsWhatItWasWrittenAs) {
  const auto read = [](const char* text) { return parse_json(text); };
  EXPECT_EQ(*read("0"), Value(0));
  EXPECT_EQ(*read("-0"), Value(0));
  EXPECT_EQ(*read("9223372036854775807"), Value(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(*read("-9223372036854775808"), Value(std::numeric_limits<std::int64_t>::min()));
  EXPECT_EQ(*read("9223372036854775808"), Value(9223372036854775808.0));
  EXPECT_EQ(*read("123456789012345678901234567890"), Value(123456789012345678901234567890.0));
  EXPECT_EQ(*read("1.0"), Value(1.0));
  EXPECT_EQ(*read("1e2"), Value(100.0));
  EXPECT_EQ(*read("5e-324"), Value(5e-324));
}

// RapidJSON's own conversion is undefined here.
TEST(JsonNumber, AZeroMayHaveAnyExponent) {
  for (const char* text : {"0E200", "0e300", "-0.0e250", "0.000e-300", "0e-400"}) {
    const Result<Value> read = parse_json(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(read->as_double(), 0.0) << text;
  }
}

TEST(JsonNumber, TooSmallIsZeroAndTooLargeIsRefused) {
  EXPECT_EQ(parse_json("1e-400")->as_double(), 0.0);
  for (const char* text : {"1e400", "-1e400", "1e999999999999"})
    EXPECT_FALSE(parse_json(text).ok()) << text;
}

TEST(JsonNumber, EveryDoubleComesBackAsItself) {
  Rng rng(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = rng.next();
    double number = 0;
    std::memcpy(&number, &bits, sizeof number);
    if (!std::isfinite(number)) continue;
    const Result<Value> back = parse_json(to_json(Value(number)));
    ASSERT_TRUE(back.ok()) << to_json(Value(number));
    ASSERT_EQ(back->as_double(), number) << to_json(Value(number));
  }
}

}  // namespace
}  // namespace mc
