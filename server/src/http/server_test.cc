#include "http/server.h"

#include "http/rig_test.h"

namespace mc::http {
namespace {
using namespace std::chrono_literals;

const std::string kHost = "Host: a\r\n";

std::string get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\n" + kHost + more + "\r\n";
}
std::string post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\n" + kHost + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A large file with known bytes, gone at the end of the test.
class SampleFile {
 public:
  explicit SampleFile(std::size_t size)
      : path_(::testing::TempDir() + "http_sample_" + std::to_string(::getpid())) {
    bytes_.reserve(size);
    for (std::size_t i = 0; i < size; ++i) bytes_.push_back(static_cast<char>(i * 31 % 251));
    EXPECT_TRUE(write_file(path_, bytes_).ok());
  }
  ~SampleFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string path_;
  std::string bytes_;
};

TEST(Server, AnswersWithTheHeadersThatEveryAnswerCarries) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(get("/a", "X-Request-Id: my.id-1_2\r\n"));
  RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a ");
  EXPECT_EQ(answer.headers["x-request-id"], "my.id-1_2");
  EXPECT_EQ(answer.headers["x-content-type-options"], "nosniff");
  EXPECT_EQ(answer.headers["cache-control"], "no-store");
  EXPECT_EQ(answer.headers.count("server"), 0u);
  EXPECT_EQ(answer.headers["date"].size(), 29u);
  socket.send(get("/a", "X-Request-Id: bad id\r\n"));
  answer = socket.read_answer();
  EXPECT_EQ(answer.headers["x-request-id"].size(), 16u);
}

TEST(Server, LetsNoHeaderValueBeginAnotherHeader) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(get("/split"));
  RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.headers.count("set-cookie"), 0u);
  EXPECT_EQ(answer.headers["x-split"], "a  Set-Cookie: b");
}

TEST(Server, AnswersMalformedRequestsWithAProblemAndCloses) {
  Rig rig;
  const std::pair<std::string, int> table[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400},
      {"GET /" + std::string(17'000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n" + std::string(3000, 'x'),
       413},
  };
  for (const auto& [bytes, status] : table) {
    RawSocket socket = rig.connect();
    socket.send(bytes);
    RawAnswer answer = socket.read_answer();
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.headers["content-type"], "application/problem+json");
    EXPECT_EQ(answer.headers["connection"], "close");
    EXPECT_NE(answer.body.find("\"request_id\":\"" + answer.headers["x-request-id"]),
              std::string::npos);
    socket.shut_write();
    EXPECT_TRUE(socket.wait_closed());
  }
}

TEST(Server, TakesBodiesUpToTheLimit) {
  Rig rig;
  RawSocket socket = rig.connect();
  const std::string body(1 << 20, 'b');
  socket.send(post("/echo", body));
  const RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "POST /echo " + body);
  socket.send(post("/echo", body + "b"));
  EXPECT_EQ(socket.read_answer().status, 413);
}

TEST(Server, AnswersPipelinedRequestsInOrderWhoeverIsQuicker) {
  Rig rig;
  RawSocket socket = rig.connect();
  std::string bytes;
  for (int i = 0; i < 200; ++i) {
    bytes += get("/" + std::to_string(i));
    bytes += post(i % 20 == 0 ? "/later" : "/p", "x" + std::to_string(i));
  }
  socket.send(bytes);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(socket.read_answer().body, "GET /" + std::to_string(i) + " ");
    EXPECT_EQ(socket.read_answer().body, i % 20 == 0 ? "later" : "POST /p x" + std::to_string(i));
  }
}

TEST(Server, TakesARequestByteByByte) {
  Rig rig;
  RawSocket socket = rig.connect();
  for (const char c : post("/slow", "abc")) socket.send({&c, 1});
  EXPECT_EQ(socket.read_answer().body, "POST /slow abc");
}

TEST(Server, SendsNoBodyForHeadAndNoContent) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n");
  RawAnswer answer = socket.read_answer(false);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers["content-length"], "9");
  socket.send(get("/nothing"));
  answer = socket.read_answer();
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.headers.count("content-length"), 0u);
  socket.send(get("/next"));
  EXPECT_EQ(socket.read_answer().body, "GET /next ");
}

TEST(Server, RefusesBeforeTheBodyIsSent) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(
      "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.headers["connection"], "close");
  RawSocket asked = rig.connect();
  asked.send("POST /yes HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(asked.read_answer(false).status, 100);
  asked.send("ab");
  EXPECT_EQ(asked.read_answer().body, "POST /yes ab");
  // Without a body a refusal does not cost the connection.
  asked.send(get("/refuse") + get("/on"));
  EXPECT_EQ(asked.read_answer().status, 401);
  EXPECT_EQ(asked.read_answer().status, 200);
}

TEST(Server, ClosesAfterHttp10AndConnectionClose) {
  Rig rig;
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.0\r\n\r\n"), get("/", "Connection: close\r\n")}) {
    RawSocket socket = rig.connect();
    socket.send(bytes);
    RawAnswer answer = socket.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers["connection"], "close");
    EXPECT_TRUE(socket.wait_closed());
  }
}

TEST(Server, AnswersAClientThatHasShutItsSide) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(get("/1") + get("/later") + get("/3"));
  socket.shut_write();
  EXPECT_EQ(socket.read_answer().body, "GET /1 ");
  EXPECT_EQ(socket.read_answer().body, "later");
  EXPECT_EQ(socket.read_answer().body, "GET /3 ");
  EXPECT_TRUE(socket.wait_closed());
}

TEST(Server, EndsSlowHeadsAndBodiesAtAnAbsoluteDeadline) {
  Rig rig({.header_time = 1s, .body_time = 1s});
  const std::string heads[] = {"GET / HTTP/1.1\r\n",
                               "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"};
  for (const std::string& head : heads) {
    RawSocket socket = rig.connect();
    socket.send(head);
    // A byte now and then must not help.
    while (!socket.wait_readable(20) && socket.send(head.starts_with("GET") ? "X: y\r\n" : "x")) {}
    EXPECT_EQ(socket.read_answer().status, 408);
  }
  RawSocket silent = rig.connect();
  EXPECT_TRUE(silent.wait_closed());
  EXPECT_EQ(silent.unread(), "");
}

TEST(Server, ClosesIdleConnectionsWithoutAWord) {
  Rig rig({.idle_time = 100ms});
  RawSocket socket = rig.connect();
  socket.send(get("/"));
  EXPECT_EQ(socket.read_answer().status, 200);
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_EQ(socket.unread(), "");
}

TEST(Server, AnswersForAHandlerThatDoesNot) {
  Rig rig({.handle_time = 100ms});
  RawSocket socket = rig.connect();
  socket.send(get("/never"));
  RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers["retry-after"], "1");
  rig.wait_kept().second(Response{.body = "too late"});
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_EQ(socket.unread(), "");
}

TEST(Server, TakesOnlyTheFirstReply) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(get("/never"));
  const Reply reply = rig.wait_kept().second;
  reply(Response{.body = "one"});
  reply(Response{.body = "two"});
  EXPECT_EQ(socket.read_answer().body, "one");
  reply(Response{.body = "three"});
  socket.send(get("/four"));
  EXPECT_EQ(socket.read_answer().body, "GET /four ");
}

TEST(Server, TellsAHandlerThatTheClientHasGone) {
  Rig rig;
  RawSocket socket = rig.connect();
  socket.send(get("/never"));
  const auto [request, reply] = rig.wait_kept();
  EXPECT_FALSE(request.client_gone());
  socket.close();
  EXPECT_TRUE(eventually([&] { return request.client_gone(); }));
  reply(Response{});
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
}

TEST(Server, TellsWhoeverSendsHalfARequest) {
  Rig rig;
  for (const std::string& bytes :
       {std::string("GET / HT"),
        std::string("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")}) {
    RawSocket socket = rig.connect();
    socket.send(bytes);
    socket.shut_write();
    EXPECT_EQ(socket.read_answer().status, 400) << bytes;
    EXPECT_TRUE(socket.wait_closed());
  }
  RawSocket silent = rig.connect();
  silent.shut_write();
  EXPECT_TRUE(silent.wait_closed());
  EXPECT_EQ(silent.unread(), "");
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
}

TEST(Server, SendsPartsOfFiles) {
  const SampleFile sample(700'000);
  Rig rig;
  RawSocket socket = rig.connect();
  const std::pair<std::int64_t, std::int64_t> parts[] = {
      {0, 700'000}, {1, 699'999}, {262'143, 2}, {699'999, 1}, {5, 0}};
  for (const auto& [offset, length] : parts) {
    rig.file = FileBody{sample.path(), offset, length};
    socket.send(get("/file"));
    const RawAnswer answer = socket.read_answer();
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(answer.body, sample.bytes().substr(static_cast<std::size_t>(offset),
                                                 static_cast<std::size_t>(length)));
  }
  socket.send("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(socket.read_answer(false).headers["content-length"], "0");
  rig.file = FileBody{sample.path(), 1, 700'000};
  socket.send(get("/file"));
  EXPECT_EQ(socket.read_answer().status, 500);
  rig.file = FileBody{"/does/not/exist", 0, 1};
  socket.send(get("/file"));
  EXPECT_EQ(socket.read_answer().status, 500);
}

TEST(Server, ServesFiveHundredKeepAliveConnections) {
  Rig rig;
  std::vector<RawSocket> sockets;
  for (int i = 0; i < 500; ++i) sockets.push_back(rig.connect());
  for (int round = 0; round < 3; ++round) {
    for (RawSocket& socket : sockets) ASSERT_TRUE(socket.send(get("/r" + std::to_string(round))));
    for (RawSocket& socket : sockets)
      ASSERT_EQ(socket.read_answer().body, "GET /r" + std::to_string(round) + " ");
  }
  EXPECT_EQ(rig.server().connections(), 500);
  sockets.clear();
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
}

TEST(Server, TurnsAwayMoreConnectionsThanItsLimit) {
  Rig rig({.connections_max = 2});
  RawSocket first = rig.connect(), second = rig.connect();
  first.send(get("/"));
  second.send(get("/"));
  EXPECT_EQ(first.read_answer().status, 200);
  EXPECT_EQ(second.read_answer().status, 200);
  RawSocket third = rig.connect();
  EXPECT_EQ(third.read_answer().status, 503);
  first.close();
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 1; }));
  RawSocket fourth = rig.connect();
  fourth.send(get("/"));
  EXPECT_EQ(fourth.read_answer().status, 200);
}

TEST(Server, SaysWhichAddressIsInUse) {
  Rig rig;
  Rig* handler = &rig;
  const std::string address = rig.server().address();
  const auto second = Server::start({.listen = address}, *handler);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::unreachable);
  EXPECT_NE(second.error().message.find(address), std::string::npos);
  EXPECT_NE(second.error().message.find("--listen"), std::string::npos);
  for (const char* wrong :
       {"", "4000", "nohost:1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:1x"}) {
    const auto bad = Server::start({.listen = wrong}, *handler);
    ASSERT_FALSE(bad.ok()) << wrong;
    EXPECT_EQ(bad.error().code, Code::invalid_setting);
  }
}

TEST(Server, DrainsWhatIsOpenAndTakesNothingNew) {
  Rig rig;
  RawSocket idle = rig.connect(), busy = rig.connect();
  idle.send(get("/"));
  EXPECT_EQ(idle.read_answer().status, 200);
  busy.send(get("/never"));
  const Reply reply = rig.wait_kept().second;
  EXPECT_FALSE(rig.server().drain(50ms));  // someone is still waiting for an answer
  EXPECT_TRUE(idle.wait_closed());
  EXPECT_FALSE(rig.connect().connected());
  reply(Response{.body = "done"});
  RawAnswer answer = busy.read_answer();
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.headers["connection"], "close");
  EXPECT_TRUE(rig.server().drain(20s));
}

TEST(Server, IgnoresRepliesAfterItHasStopped) {
  Reply reply;
  Request request;
  {
    Rig rig;
    RawSocket socket = rig.connect();
    socket.send(get("/never"));
    std::tie(request, reply) = rig.wait_kept();
  }
  EXPECT_TRUE(request.client_gone());
  reply(Response{.body = "nobody listens"});
}

}  // namespace
}  // namespace mc::http
