#include "http/pass_on.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "http/request_reader.h"

namespace mc::http {
namespace {

TEST(PassOn, AddsHeadersAtTheFrontAndTakesTheConnectionsAway) {
  EXPECT_EQ(pass_on("POST /a?b=c HTTP/1.0\r\nHost: x\r\ncOnnEction: keep-alive\r\nShard: 9\r\n"
                    "Connection:close\r\nConnection-Of: y\r\nConnectio: z\r\n\r\n",
                    {{"Passed-On", "1"}, {"Shard", "3"}}),
            "POST /a?b=c HTTP/1.0\r\nPassed-On: 1\r\nShard: 3\r\nConnection: close\r\nHost: x\r\n"
            "Shard: 9\r\nConnection-Of: y\r\nConnectio: z\r\n\r\n");
  EXPECT_EQ(pass_on("GET / HTTP/1.1\r\nHost: x\r\n\r\n", {}),
            "GET / HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n");
}

TEST(PassOn, LetsNoValueBeginAHeader) {
  EXPECT_EQ(pass_on("GET / HTTP/1.0\r\n\r\n", {{"A", "b\r\nC: d"}}),
            "GET / HTTP/1.0\r\nA: b  C: d\r\nConnection: close\r\n\r\n");
}

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields but_connection(const Request& request) {
  Fields fields;
  for (const Header& header : request.headers) {
    if (!same_name(header.name, "connection")) fields.emplace_back(header.name, header.value);
  }
  return fields;
}

// What the other server reads is what came, but for what was added.
TEST(PassOn, SaysTheSameToTheOtherServer) {
  const std::vector<Header> pool = {
      {"Connection", "keep-alive"}, {"CONNECTION", "close, x"}, {"Accept", ""}, {"A", "1"},
      {"Maestro-Shard", "9"},       {"Expect", "100-continue"}, {"a", " 2\t"},
  };
  Rng rng(1);
  for (int i = 0; i < 2'000; ++i) {
    std::string head = rng.below(2) == 0 ? "HEAD /x?y=%20 HTTP/1.1\r\n" : "PUT / HTTP/1.1\r\n";
    head += "Host: h\r\n";
    if (rng.below(2) == 0)
      head += rng.below(2) == 0 ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 7\r\n";
    for (std::uint64_t n = rng.below(8); n > 0; --n) {
      const Header& header = pool[rng.below(pool.size())];
      head += header.name + ":" + header.value + "\r\n";
    }
    head += "\r\n";
    RequestReader came(4096), goes(4096);
    ASSERT_EQ(came.feed(head), head.size()) << head;
    const std::string passed = pass_on(head, {{"Maestro-Shard", "3"}});
    ASSERT_EQ(goes.feed(passed), passed.size()) << passed;
    ASSERT_EQ(goes.state(), came.state());
    Fields expected = but_connection(came.request());
    expected.insert(expected.begin(), {"Maestro-Shard", "3"});
    EXPECT_EQ(but_connection(goes.request()), expected);
    EXPECT_EQ(*goes.request().header("maestro-shard"), "3");
    EXPECT_EQ(goes.request().target, came.request().target);
    EXPECT_EQ(goes.framing().content_length, came.framing().content_length);
    EXPECT_EQ(goes.framing().expects_continue, came.framing().expects_continue);
    EXPECT_EQ(goes.framing().head_only, came.framing().head_only);
    EXPECT_FALSE(goes.framing().keep_alive);
  }
}

}  // namespace
}  // namespace mc::http
