#include "http/request_reader.h"

#include <gtest/gtest.h>

#include "http/target.h"

namespace mc::http {
namespace {
using State = RequestReader::State;

// The status that a server would answer with for these bytes; 200: a whole request; 0: more is
// wanted.
int verdict(std::string_view bytes, std::size_t step, std::uint64_t body_max = 1 << 20) {
  RequestReader reader(16 << 10);
  std::string pending;
  bool limited = false;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    pending += bytes.substr(at, step);
    while (!pending.empty()) {
      const State before = reader.state();
      const std::size_t used = reader.feed(pending);
      pending.erase(0, used);
      if (reader.state() == State::failed) return http_status(reader.error().code);
      if (!limited && reader.state() != State::head) {
        limited = true;
        reader.limit_body(body_max);
        if (reader.state() == State::failed) return http_status(reader.error().code);
      }
      if (reader.state() == State::done) return 200;
      if (used == 0 && reader.state() == before) break;
    }
  }
  return 0;
}

struct Case {
  const char* name;
  std::string bytes;
  int status;
};

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";

std::vector<Case> fine_and_framing_cases() {
  return {
      {"plain", kGet + "\r\n", 200},
      {"1.0 without a host", "GET / HTTP/1.0\r\n\r\n", 200},
      {"a body", kPost + "Content-Length: 3\r\n\r\nabc", 200},
      {"chunks", kPost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200},
      {"chunks, upper case", kPost + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200},
      {"trailers", kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n\r\n", 200},
      {"half a head", kGet, 0},
      {"half a body", kPost + "Content-Length: 3\r\n\r\nab", 0},
      // Smuggling.
      {"length and chunks", kPost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"chunks and length", kPost + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
      {"xchunked", kPost + "Transfer-Encoding: xchunked\r\n\r\n", 400},
      {"chunked, gzip", kPost + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
      {"gzip, chunked", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
      {"identity", kPost + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"no coding", kPost + "Transfer-Encoding: \r\n\r\n", 400},
      {"chunked twice", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"chunked with 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"two lengths", kPost + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
      {"one length twice", kPost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"a list of lengths", kPost + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {"a signed length", kPost + "Content-Length: +3\r\n\r\nabc", 400},
      {"a negative length", kPost + "Content-Length: -1\r\n\r\n", 400},
      {"a hex length", kPost + "Content-Length: 0x3\r\n\r\nabc", 400},
      {"no length", kPost + "Content-Length: \r\n\r\n", 400},
      {"an endless length", kPost + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"space before the colon", kPost + "Content-Length : 3\r\n\r\nabc", 400},
      {"a folded header", kGet + "X-A: b\r\n c\r\n\r\n", 400},
      {"a folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400},
      {"NUL in a header", kGet + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"a bad chunk size", kPost + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", 400},
      {"a long chunk", kPost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400},
      {"an overflowing chunk size",
       kPost + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n", 400},
      {"a long chunk extension",
       kPost + "Transfer-Encoding: chunked\r\n\r\n3;a=" + std::string(300, 'x') + "\r\nabc\r\n",
       400},
      {"an endless chunk extension",
       kPost + "Transfer-Encoding: chunked\r\n\r\n3;a=" + std::string(20'000, 'x'), 400},
  };
}

std::vector<Case> head_cases() {
  return {
      // Host.
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", kGet + "Host: a\r\n\r\n", 400},
      {"two different hosts", kGet + "host: b\r\n\r\n", 400},
      {"an empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400},
      {"an odd host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"two tokens", kGet + "Authorization: a\r\nAuthorization: b\r\n\r\n", 400},
      // The request line.
      {"absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"authority form", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400},
      {"lower-case http", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"a tab", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"a bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"an empty line first", "\r\n" + kGet + "\r\n", 400},
      {"TLS", std::string("\x16\x03\x01\x02", 4), 400},
      {"raw UTF-8", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"a control byte", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"bad percent", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"an encoded NUL", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"above the root", "GET /../a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"a header without a colon", kGet + "X\r\n\r\n", 400},
      {"a header without a name", kGet + ": b\r\n\r\n", 400},
      // Sizes.
      {"a large header", kGet + "X: " + std::string(17'000, 'x') + "\r\n\r\n", 431},
      {"a large head without an end", kGet + "X: " + std::string(20'000, 'x'), 431},
      {"a long target", "GET /" + std::string(17'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
      {"a large body", kPost + "Content-Length: 1048577\r\n\r\n", 413},
      {"a large chunk", kPost + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413},
  };
}

TEST(RequestReader, AnswersEachOddRequestWithItsStatusHoweverItIsCut) {
  std::vector<Case> cases = fine_and_framing_cases();
  for (Case& each : head_cases()) cases.push_back(std::move(each));
  for (const Case& each : cases) {
    EXPECT_EQ(verdict(each.bytes, each.bytes.size()), each.status) << each.name;
    EXPECT_EQ(verdict(each.bytes, 1), each.status) << each.name << ", byte by byte";
    EXPECT_EQ(verdict(each.bytes, 7), each.status) << each.name << ", by seven bytes";
  }
}

TEST(RequestReader, RefusesTooManyHeaders) {
  std::string head = kGet;
  for (int i = 0; i < 250; ++i) head += "X: y\r\n";
  EXPECT_EQ(verdict(head + "\r\n", head.size() + 2), 431);
}

TEST(RequestReader, CountsSmallChunksAgainstTheLimitOfTheBody) {
  std::string bytes = kPost + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) bytes += "1\r\nx\r\n";
  EXPECT_EQ(verdict(bytes + "0\r\n\r\n", bytes.size() + 5, 11), 200);
  EXPECT_EQ(verdict(bytes + "0\r\n\r\n", bytes.size() + 5, 10), 413);
}

TEST(RequestReader, ReadsAHeadIntoPlainValues) {
  RequestReader reader(16 << 10);
  const std::string bytes =
      "HEAD /a%20b/./c/../d?x=1&y=a+b%26&z HTTP/1.1\r\nHost: h:1\r\nX-Key:  v w \r\n\r\nGET /next";
  EXPECT_EQ(reader.feed(bytes), bytes.size() - 9);
  ASSERT_EQ(reader.state(), State::done);
  const Request& request = reader.request();
  EXPECT_EQ(request.method, "GET");
  EXPECT_TRUE(reader.framing().head_only);
  EXPECT_EQ(request.path, "/a b/d");
  ASSERT_NE(request.header("x-key"), nullptr);
  EXPECT_EQ(*request.header("x-key"), "v w");
  ASSERT_EQ(request.query.size(), 3u);
  EXPECT_EQ(*request.query_value("y"), "a b&");
  EXPECT_EQ(*request.query_value("z"), "");
  EXPECT_EQ(request.query_value("w"), nullptr);
}

TEST(RequestReader, PutsTheBodyTogetherAndDropsTrailers) {
  RequestReader reader(16 << 10);
  std::string bytes = kPost +
                      "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n"
                      "X-Late: 1\r\n\r\nGET";
  bytes.erase(0, reader.feed(bytes));
  ASSERT_EQ(reader.state(), State::body);
  reader.limit_body(100);
  bytes.erase(0, reader.feed(bytes));
  ASSERT_EQ(reader.state(), State::done);
  EXPECT_EQ(reader.request().body, "abcde");
  EXPECT_EQ(reader.request().header("x-late"), nullptr);
  EXPECT_EQ(bytes, "GET");
}

TEST(Target, IsDecodedBeforeDotSegmentsAreDropped) {
  const std::pair<const char*, const char*> fine[] = {
      {"/", "/"},
      {"/a/", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/.", "/a/"},
      {"/./a", "/a"},
      {"/a/./b", "/a/b"},
      {"/a/%2e%2e/b", "/b"},
      {"/a%2F..%2Fb", "/b"},
      {"/a//b", "/a//b"},
      {"/.a/..b", "/.a/..b"},
      {"/t[x=1,y=2]", "/t[x=1,y=2]"},
      {"/%C3%A4", "/\xc3\xa4"},
      {"/a+b", "/a+b"},
  };
  for (const auto& [target, path] : fine) {
    Request request;
    ASSERT_TRUE(read_target(target, request).ok()) << target;
    EXPECT_EQ(request.path, path) << target;
  }
  for (const char* target :
       {"", "a", "/..", "/a/../..", "/%2e%2e", "/a%2f..%2f..%2fb", "/%", "/%g0", "/%0a", "/%7f",
        "/%c3", "/%ff", "/?a=%", "/?a=%00", "/?%ff=1", "/a b"}) {
    Request request;
    EXPECT_FALSE(read_target(target, request).ok()) << target;
  }
}

TEST(Target, TakesALimitedNumberOfPairs) {
  std::string target = "/?";
  for (std::size_t i = 0; i < kQueryPairsMax; ++i) target += "a=b&";
  Request request;
  EXPECT_TRUE(read_target(target, request).ok());
  EXPECT_FALSE(read_target(target + "a", request).ok());
}

}  // namespace
}  // namespace mc::http
