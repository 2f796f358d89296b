#include <gtest/gtest.h>

#include "base/json.h"
#include "base/rng.h"
#include "base/text.h"

namespace mc {
namespace {

// Texts of all lengths with what must be escaped at all places: eight bytes are looked at at once.
TEST(JsonText, EveryTextComesBackAsItself) {
  const std::string odd = "\"\\\n\t\x01\x1f\x7f/";
  Rng rng(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::uint64_t size = rng.below(40); size > 0; --size) {
      const std::uint64_t kind = rng.below(8);
      if (kind == 0) text += odd[rng.below(odd.size())];
      if (kind == 1) text += "\xc3\xa9";
      if (kind > 1) text += static_cast<char>('a' + rng.below(26));
    }
    const Result<Value> back = parse_json(to_json(Value(text)));
    ASSERT_TRUE(back.ok()) << text;
    ASSERT_EQ(back->as_string(), text);
  }
}

TEST(JsonText, EscapesWhatMustBeAndNothingElse) {
  EXPECT_EQ(to_json(Value(std::string("plain text, longer than eight"))),
            "\"plain text, longer than eight\"");
  EXPECT_EQ(to_json(Value(std::string("1234567\"\n\x01 x"))), "\"1234567\\\"\\n\\u0001 x\"");
}

TEST(JsonText, AZeroByteEndsNothing) {
  using namespace std::string_literals;
  for (const std::string& text : {"1\0"s, "{}\0{}"s, "\"a\0b\""s, "\0"s, "[1,\0 2]"s})
    EXPECT_FALSE(parse_json(text).ok()) << text;
}

TEST(JsonText, HalfAPairIsNoCharacter) {
  EXPECT_EQ(parse_json(R"("\ud83d\ude00")")->as_string(), "\xf0\x9f\x98\x80");
  for (const char* text :
       {R"("\ude00")", R"("\ud83d")", R"("\ud41d\ude00")", R"({"\udfff":1})", R"("\ude00\ud83d")"})
    EXPECT_FALSE(parse_json(text).ok()) << text;
}

TEST(JsonText, TextAfterTheValueIsRefused) {
  for (const char* text : {"1 2", "{} x", "[1]]", "\"a\"b"}) EXPECT_FALSE(parse_json(text).ok());
}

// Every place of the first bad byte, behind any number of good ones.
TEST(JsonText, InvalidUtf8IsFoundWhereItIs) {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'x');
    EXPECT_EQ(find_invalid_utf8(text), std::nullopt);
    text[at] = '\xff';
    EXPECT_EQ(find_invalid_utf8(text), at);
  }
}

}  // namespace
}  // namespace mc
