#include "redis/reader.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "redis/written_test.h"

namespace mc::redis {
namespace {
using Kind = Reply::Kind;

Result<std::vector<Reply>> read_in_pieces(std::string_view bytes, Rng* rng,
                                          ReplyLimits limits = {}) {
  ReplyReader reader(limits);
  std::vector<Reply> out;
  while (!bytes.empty()) {
    const std::size_t piece =
        rng == nullptr ? bytes.size() : 1 + rng->below(std::min<std::size_t>(bytes.size(), 9));
    reader.feed(bytes.substr(0, piece));
    bytes.remove_prefix(piece);
    for (;;) {
      auto reply = reader.next();
      if (!reply) return reply.error();
      if (!*reply) break;
      out.push_back(std::move(**reply));
    }
  }
  return out;
}

Reply only(std::string_view bytes) {
  const auto replies = read_in_pieces(bytes, nullptr);
  if (!replies || replies->size() != 1) {
    ADD_FAILURE() << bytes << ": " << (replies ? "not one reply" : replies.error().message);
    return {};
  }
  return replies->front();
}

Reply random_reply(Rng& rng, int depth) {
  const auto text = [&] {
    std::string out;
    for (std::uint64_t left = rng.below(12); left > 0; --left)
      out += std::string_view("ab\r\n$*:\0 -", 10)[rng.below(10)];
    return out;
  };
  const auto kind = static_cast<Kind>(rng.below(depth > 0 ? 9 : 6));
  Reply reply{.kind = kind};
  switch (kind) {
    case Kind::null: break;
    case Kind::text:
    case Kind::error: reply.text = text(); break;
    case Kind::integer: reply.integer = static_cast<std::int64_t>(rng.next()); break;
    case Kind::boolean: reply.integer = rng.chance(0.5) ? 1 : 0; break;
    case Kind::number: reply.number = rng.unit() * 1e6 - 5e5; break;
    case Kind::list:
    case Kind::map:
    case Kind::push:
      for (std::uint64_t left = rng.below(4) * 2; left > 0; --left)
        reply.items.push_back(random_reply(rng, depth - 1));
      break;
  }
  return reply;
}

TEST(ReplyReader, ReadsEveryTypeOfBothVersions) {
  EXPECT_EQ(only("+OK\r\n"), (Reply{.kind = Kind::text, .text = "OK"}));
  EXPECT_EQ(only("-ERR no\r\n"), (Reply{.kind = Kind::error, .text = "ERR no"}));
  EXPECT_EQ(only(":-12\r\n"), (Reply{.kind = Kind::integer, .integer = -12}));
  EXPECT_EQ(only(":+12\r\n"), (Reply{.kind = Kind::integer, .integer = 12}));
  EXPECT_EQ(only("$4\r\na\r\nb\r\n"), (Reply{.kind = Kind::text, .text = "a\r\nb"}));
  EXPECT_EQ(only("$0\r\n\r\n"), (Reply{.kind = Kind::text}));
  for (const char* null : {"$-1\r\n", "*-1\r\n", "_\r\n"}) EXPECT_EQ(only(null), Reply{}) << null;
  EXPECT_EQ(only("#t\r\n"), (Reply{.kind = Kind::boolean, .integer = 1}));
  EXPECT_EQ(only(",-1.5e3\r\n"), (Reply{.kind = Kind::number, .number = -1500}));
  EXPECT_GT(only(",inf\r\n").number, 1e300);
  EXPECT_EQ(only("(-123456789012345678901\r\n").text, "-123456789012345678901");
  EXPECT_EQ(only("=7\r\ntxt:abc\r\n"), (Reply{.kind = Kind::text, .text = "abc"}));
  EXPECT_EQ(only("!5\r\nERR a\r\n"), (Reply{.kind = Kind::error, .text = "ERR a"}));
  EXPECT_EQ(only("*0\r\n"), (Reply{.kind = Kind::list}));
  EXPECT_EQ(only("~2\r\n:1\r\n:2\r\n").items.size(), 2U);
  EXPECT_EQ(only("%1\r\n+a\r\n*1\r\n:1\r\n").items[1].items[0].integer, 1);
  EXPECT_EQ(only(">2\r\n+pubsub\r\n+x\r\n").kind, Kind::push);
}

TEST(ReplyReader, AttributesAreDropped) {
  EXPECT_EQ(only("|1\r\n+ttl\r\n:3600\r\n:7\r\n").integer, 7);
  const Reply list = only("*2\r\n:1\r\n|1\r\n+a\r\n*1\r\n:9\r\n:2\r\n");
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[1].integer, 2);
}

TEST(ReplyReader, WhatIsNoRespIsRefusedForGood) {
  for (const char* wrong : {"\r\n",
                            "HTTP/1.1 400 Bad Request\r\n",
                            ":\r\n",
                            ":1x\r\n",
                            ":99999999999999999999\r\n",
                            "$x\r\n",
                            "$-2\r\n",
                            "$1\r\nab\r\n",
                            "*-2\r\n",
                            "%-1\r\n",
                            "$?\r\n",
                            "*?\r\n",
                            ",\r\n",
                            ",1e999\r\n",
                            "#x\r\n",
                            "_x\r\n",
                            "(\r\n",
                            "(-\r\n",
                            "(1a\r\n",
                            "=2\r\nab\r\n",
                            "=4\r\ntxt.\r\n",
                            "\x15\x03\x01\r\n"}) {
    ReplyReader reader;
    reader.feed(wrong);
    const auto read = reader.next();
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().code, Code::malformed_request);
    reader.feed("+OK\r\n");
    EXPECT_FALSE(reader.next()) << wrong;
  }
}

TEST(ReplyReader, LimitsHoldBeforeWhatIsAnnouncedHasCome) {
  const ReplyLimits limits{.bytes_max = 64, .depth_max = 3, .items_max = 10};
  for (const std::string& wrong :
       {std::string("$65\r\n"), std::string("$9223372036854775807\r\n"), "+" + std::string(70, 'x'),
        std::string("*11\r\n"), std::string("%9223372036854775807\r\n"),
        std::string("*1\r\n*1\r\n*1\r\n*1\r\n"),
        std::string("*4\r\n*3\r\n:1\r\n:2\r\n:3\r\n*3\r\n:1\r\n:2\r\n:3\r\n*3\r\n:1\r\n"),
        "*2\r\n$40\r\n" + std::string(40, 'x') + "\r\n$20\r\n"}) {
    Rng rng(1);
    EXPECT_FALSE(read_in_pieces(wrong, nullptr, limits)) << wrong;
    EXPECT_FALSE(read_in_pieces(wrong, &rng, limits)) << wrong;
  }
  std::string many;
  for (int i = 0; i < 100; ++i) many += "*2\r\n:1\r\n:2\r\n";
  EXPECT_EQ(read_in_pieces(many, nullptr, limits)->size(), 100U) << "they are of one reply";
}

TEST(ReplyReader, RepliesReadTheSameHoweverTheyAreCut) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<Reply> replies;
    std::string bytes;
    for (std::uint64_t left = 1 + rng.below(5); left > 0; --left) {
      replies.push_back(random_reply(rng, 4));
      bytes += written(replies.back());
    }
    EXPECT_EQ(*read_in_pieces(bytes, nullptr), replies);
    EXPECT_EQ(*read_in_pieces(bytes, &rng), replies);
    const std::string cut = bytes.substr(0, rng.below(bytes.size()));
    const auto some = read_in_pieces(cut, &rng);
    ASSERT_TRUE(some);
    ASSERT_LE(some->size(), replies.size());
    for (std::size_t i = 0; i < some->size(); ++i) EXPECT_EQ((*some)[i], replies[i]);
  }
}

TEST(ReplyReader, AnyBytesAreReadOrRefused) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::string bytes;
    for (std::uint64_t left = rng.below(40); left > 0; --left)
      bytes += std::string_view("+-:$*%~|>!=(,#_12\r\n\r\n", 21)[rng.below(21)];
    Rng cuts(seed);
    const auto whole = read_in_pieces(bytes, nullptr);
    const auto pieces = read_in_pieces(bytes, &cuts);
    ASSERT_EQ(whole.ok(), pieces.ok());
    if (whole) EXPECT_EQ(*whole, *pieces);
  }
}

TEST(WriteCommand, IsAnArrayOfStrings) {
  std::string out;
  write_command({"SET", "a\r\nb", ""}, out);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
}

TEST(Reply, OnlyTheCodeOfAnErrorMayBeShown) {
  const auto code = [](std::string text) {
    const Reply reply{.kind = Kind::error, .text = std::move(text)};
    return std::string(reply.error_code());
  };
  EXPECT_EQ(code("WRONGPASS invalid"), "WRONGPASS");
  EXPECT_EQ(code("ERR unknown command, with args beginning with: hunter2"), "ERR");
  EXPECT_EQ(code("hunter2"), "");
  EXPECT_EQ(code(std::string(30, 'A')), "");
}

}  // namespace
}  // namespace mc::redis
