// A server that passes requests on to another one.
#include <sys/ioctl.h>

#include <mutex>
#include <optional>

#include "base/rng.h"
#include "http/rig_test.h"
#include "http/tunnel.h"

namespace mc::http {
namespace {
using namespace std::chrono_literals;

std::string request(const std::string& line, const std::string& headers = "",
                    const std::string& body = "") {
  return line + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}
std::string post(const std::string& path, const std::string& body, std::string headers = "") {
  headers += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return request("POST " + path, headers, body);
}
// The last line of the head decides, so that all of it must have been read.
const std::string kHere = "Here: 1\r\n";
const std::string kGet = request("GET /");

ServerOptions with_tunnels(ServerOptions options) {
  options.tunnels = true;
  return options;
}

// Serves what says so itself, and passes the rest on.
class Relay final : public Rig {
 public:
  explicit Relay(std::string to, ServerOptions options = {})
      : Rig(with_tunnels(std::move(options))), to_(std::move(to)) {}
  ~Relay() override { server().stop(); }

  void handle(Request request, Reply reply) override {
    Rig::handle(std::move(request), [reply = std::move(reply)](Response response) {
      response.headers.push_back({"X-Served", "here"});
      reply(std::move(response));
    });
  }
  std::optional<Elsewhere> elsewhere(const Request& head) override {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (here_ || head.header("here") != nullptr) return std::nullopt;
    return Elsewhere{.address = to_,
                     .headers = {{std::string(kPassedOn), "1"}, {"Maestro-Shard", "3"}}};
  }
  void aim(std::string to) {
    const std::lock_guard lock(mutex_);
    to_ = std::move(to);
  }
  void stay_here() {
    const std::lock_guard lock(mutex_);
    here_ = true;
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::string to_;
  bool here_ = false;
  int asked_ = 0;
};

std::string at(const Rig& rig) { return "127.0.0.1:" + std::to_string(rig.port()); }

bool served_here(const RawAnswer& answer) { return answer.headers.contains("x-served"); }

class TunnelTest : public testing::Test {
 protected:
  Rig rig;
  Relay relay{at(rig)};
};

TEST_F(TunnelTest, PassesARequestOnAndEndsWithTheAnswer) {
  RawSocket socket = relay.connect();
  socket.send(kGet);
  const RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.complete);
  EXPECT_FALSE(served_here(answer));
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_EQ(socket.unread(), "");
  socket.close();
  EXPECT_TRUE(eventually([&] { return relay.server().connections() == 0; }));
  EXPECT_EQ(relay.asked(), 1);
}

TEST_F(TunnelTest, JudgesEachRequestOfAConnection) {
  RawSocket socket = relay.connect();
  for (const char* path : {"/a", "/later", "/b"}) {
    socket.send(post(path, "body", kHere));
    EXPECT_TRUE(served_here(socket.read_answer())) << path;
  }
  socket.send(post("/c", "body"));
  const RawAnswer answer = socket.read_answer();
  EXPECT_FALSE(served_here(answer));
  EXPECT_EQ(answer.body, "POST /c body");
  EXPECT_TRUE(socket.wait_closed());
}

TEST_F(TunnelTest, SaysItsHeadersBeforeTheClients) {
  RawSocket socket = relay.connect();
  socket.send(request("GET /never", "Maestro-Shard: 9\r\nConnection: keep-alive\r\nX: y\r\n"));
  auto [passed, reply] = rig.wait_kept();
  ASSERT_EQ(passed.headers.size(), 6u);
  EXPECT_EQ(passed.headers[0].name, kPassedOn);
  EXPECT_EQ(*passed.header("maestro-shard"), "3");
  EXPECT_EQ(*passed.header("connection"), "close");
  EXPECT_EQ(*passed.header("x"), "y");
  reply({.body = "now"});
  EXPECT_EQ(socket.read_answer().body, "now");
}

TEST_F(TunnelTest, RefusesItselfWhatIsMalformedOrTooLong) {
  for (const auto& [bytes, status] :
       {std::pair{request("GET /", "Host: y\r\n"), 400}, std::pair{std::string("?"), 400},
        std::pair{request("GET /", "A: " + std::string(17'000, 'a') + "\r\n"), 431}}) {
    RawSocket socket = relay.connect();
    socket.send(bytes);
    EXPECT_EQ(socket.read_answer().status, status);
    EXPECT_TRUE(socket.wait_closed());
  }
  EXPECT_EQ(relay.asked(), 0);
}

// Whole requests and any first part of them, whatever they are made of.
TEST_F(TunnelTest, CarriesARequestThatIsSplitAnywhere) {
  Rng rng(7);
  for (int round = 0; round < 4; ++round) {
    std::string body(rng.below(16) + 1, '\0');
    for (char& byte : body) byte = static_cast<char>(rng.below(256));
    const std::string path = "/r" + std::to_string(round);
    // A chunk of one byte for each.
    std::string chunks;
    for (const char byte : body) chunks.append("1;x=y\r\n").append(1, byte).append("\r\n");
    const std::string bytes =
        round % 2 == 0
            ? post(path, body, "X: y\r\n")
            : request("PUT " + path, "Transfer-Encoding: chunked\r\n", chunks + "0\r\n\r\n");
    const std::size_t head = bytes.find("\r\n\r\n") + 4;
    for (std::size_t split = 1; split < bytes.size(); ++split) {
      RawSocket socket = relay.connect();
      const int asked = relay.asked();
      socket.send(std::string_view(bytes).substr(0, split));
      if (split >= head) ASSERT_TRUE(eventually([&] { return relay.asked() > asked; }));
      socket.send(std::string_view(bytes).substr(split));
      const RawAnswer answer = socket.read_answer();
      ASSERT_EQ(answer.status, 200) << split;
      ASSERT_TRUE(answer.body.ends_with(" " + path + " " + body)) << split;
    }
  }
}

TEST_F(TunnelTest, WaitsForTheWholeHeadByteByByte) {
  RawSocket socket = relay.connect();
  const std::string here = request("GET /", kHere);
  for (const char byte : here) socket.send({&byte, 1});
  EXPECT_TRUE(served_here(socket.read_answer()));
  for (const char byte : kGet) socket.send({&byte, 1});
  EXPECT_FALSE(served_here(socket.read_answer()));
  EXPECT_EQ(relay.asked(), 2);
}

// The connection reads on while a request is handled: nothing of the next one may be lost.
TEST_F(TunnelTest, CarriesWhatCameWhileTheRequestBeforeWasHandled) {
  const std::string bytes = post("/next", "0123456789");
  for (std::size_t split = 0; split <= bytes.size(); ++split) {
    RawSocket socket = relay.connect();
    socket.send(request("GET /never", kHere));
    auto [kept, reply] = relay.wait_kept();
    socket.send(std::string_view(bytes).substr(0, split));
    reply({.body = "first"});
    ASSERT_EQ(socket.read_answer().body, "first");
    socket.send(std::string_view(bytes).substr(split));
    ASSERT_EQ(socket.read_answer().body, "POST /next 0123456789") << split;
  }
}

TEST_F(TunnelTest, AnswersNothingThatComesBehind) {
  for (int i = 0; i < 50; ++i) {
    RawSocket socket = relay.connect();
    socket.send(i % 2 == 0 ? post("/first", "body") + kGet + kGet : post("/first", "body"));
    if (i % 2 != 0) socket.send(kGet);
    const RawAnswer answer = socket.read_answer();
    ASSERT_EQ(answer.body, "POST /first body");
    ASSERT_EQ(answer.headers.at("connection"), "close");
    ASSERT_TRUE(socket.wait_closed());
    ASSERT_EQ(socket.unread(), "");
  }
}

TEST_F(TunnelTest, CarriesTheWaitForABody) {
  RawSocket socket = relay.connect();
  socket.send(request("POST /p", "Expect: 100-continue\r\nContent-Length: 4\r\n"));
  ASSERT_TRUE(socket.wait_for("\r\n\r\n"));
  EXPECT_EQ(socket.unread(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(socket.read_answer(false).status, 100);
  socket.send("body");
  EXPECT_EQ(socket.read_answer().body, "POST /p body");
}

TEST_F(TunnelTest, CarriesALargeBodyBothWays) {
  const std::string body(1 << 20, 'b');
  for (const bool chunked : {false, true}) {
    RawSocket socket = relay.connect();
    std::thread sender([&] {
      if (!chunked) {
        socket.send(post("/echo", body));
        return;
      }
      socket.send(request("POST /echo", "Transfer-Encoding: chunked\r\n"));
      for (std::size_t from = 0; from < body.size(); from += 4096)
        socket.send("1000\r\n" + body.substr(from, 4096) + "\r\n");
      socket.send("0\r\n\r\n");
    });
    const RawAnswer answer = socket.read_answer();
    sender.join();
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == "POST /echo " + body);
  }
}

// Answers the first request before it has come whole, reads no further, and closes as soon as the
// answer has left it.
class Curt {
 public:
  explicit Curt(std::string answer) : answer_(std::move(answer)) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* name = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(::bind(listener_.get(), name, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener_.get(), name, &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::jthread([this] { serve(); });
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void wait_closed() { thread_.join(); }

 private:
  void serve() {
    const Fd taken(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char bytes[100];
    EXPECT_GT(::recv(taken.get(), bytes, sizeof bytes, 0), 0);
    EXPECT_EQ(::send(taken.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer_.size()));
    int left = 1;
    EXPECT_TRUE(
        eventually([&] { return ::ioctl(taken.get(), TIOCOUTQ, &left) == 0 && left == 0; }));
  }

  std::string answer_;
  Fd listener_;
  int port_ = 0;
  std::jthread thread_;
};

TEST_F(TunnelTest, CarriesAnAnswerThatDoesNotWaitForTheBody) {
  const std::string said(200'000, 's');
  const Curt curt("HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n" + said);
  relay.aim(curt.address());
  RawSocket socket(relay.port(), 4096);
  // Reads nothing before it has said everything: the answer waits while the body goes nowhere.
  EXPECT_TRUE(socket.send(post("/p", std::string(16 << 20, 'b'))));
  const RawAnswer answer = socket.read_answer();
  EXPECT_EQ(answer.status, 401);
  EXPECT_TRUE(answer.body == said);
}

// What is left unread resets the connection, and here it is a read that finds out.
TEST_F(TunnelTest, CarriesTheAnswerOfAServerThatResetsTheConnection) {
  Curt curt("HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
  relay.aim(curt.address());
  RawSocket socket = relay.connect();
  const std::string bytes = post("/p", std::string(16 << 20, 'b'));
  EXPECT_TRUE(socket.send(std::string_view(bytes).substr(0, 1'000)));
  EXPECT_TRUE(socket.wait_for("no"));
  curt.wait_closed();
  EXPECT_TRUE(socket.send(std::string_view(bytes).substr(1'000)));
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_EQ(socket.read_answer().status, 401);
}

TEST_F(TunnelTest, TakesInWhatAClientStillSendsWhileItSends) {
  Curt curt("HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
  relay.aim(curt.address());
  RawSocket socket = relay.connect();
  const std::string piece(64 << 10, 'b');
  EXPECT_TRUE(socket.send(request("POST /p", "Content-Length: 1000000000000\r\n") + piece));
  EXPECT_TRUE(socket.wait_for("no"));
  const auto end = std::chrono::steady_clock::now() + Tunnel::kLingerTime + 200ms;
  while (std::chrono::steady_clock::now() < end) ASSERT_TRUE(socket.send(piece));
  EXPECT_EQ(socket.read_answer().status, 401);
}

TEST_F(TunnelTest, CarriesAStreamAsItComes) {
  RawSocket socket = relay.connect();
  socket.send(request("GET /stream"));
  const auto writer = rig.wait_writer();
  ASSERT_NE(writer, nullptr);
  ASSERT_TRUE(socket.wait_for("\r\n\r\n"));
  std::atomic<bool> closed = false;
  writer->on_close([&] { closed = true; });
  for (const std::string event : {"data: 1\n\n", "data: 2\n\n"}) {
    EXPECT_TRUE(writer->write(event));
    EXPECT_TRUE(socket.wait_for(event));
  }
  socket.close();
  EXPECT_TRUE(eventually([&] { return closed.load(); }));
  EXPECT_TRUE(eventually([&] { return relay.server().connections() == 0; }));
}

TEST_F(TunnelTest, CarriesHeadAndOldRequests) {
  RawSocket head = relay.connect();
  head.send(request("HEAD /h"));
  EXPECT_EQ(head.read_answer(false).headers.at("content-length"), "7");
  EXPECT_TRUE(head.wait_closed());
  EXPECT_EQ(head.unread(), "");
  RawSocket old = relay.connect();
  old.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(old.read_answer().body, "GET /old ");
  EXPECT_TRUE(old.wait_closed());
}

TEST_F(TunnelTest, AnswersAClientThatHasSaidItsLastByte) {
  RawSocket socket = relay.connect();
  socket.send(kGet);
  socket.shut_write();
  EXPECT_EQ(socket.read_answer().status, 200);
}

TEST_F(TunnelTest, AnswersAClientThatSaysItsLastByteWhileItWaits) {
  relay.aim("");
  for (const bool while_it_waits : {false, true}) {
    RawSocket socket = relay.connect();
    socket.send(request("GET /never", kHere) + kGet);
    if (!while_it_waits) socket.shut_write();
    auto [kept, reply] = relay.wait_kept();
    const auto gone = [&there = kept] { return there.client_gone(); };
    if (!while_it_waits) EXPECT_TRUE(eventually(gone));
    const int asked = relay.asked();
    reply({.body = "first"});
    EXPECT_EQ(socket.read_answer().body, "first");
    EXPECT_TRUE(eventually([&] { return relay.asked() > asked; }));
    if (while_it_waits) socket.shut_write();
    EXPECT_TRUE(eventually(gone));
    relay.aim(at(rig));
    EXPECT_EQ(socket.read_answer().status, 200);
    relay.aim("");
  }
}

TEST_F(TunnelTest, EndsWhileASlowReaderIsBehind) {
  const std::string body(900'000, 'b');
  for (int i = 0; i < 100; ++i) {
    RawSocket socket(relay.port(), 4096);
    socket.send(post("/echo", body));
    ASSERT_TRUE(socket.wait_for("200 OK"));
    relay.server().cut_tunnels();
    if (i % 2 == 0) ASSERT_TRUE(socket.wait_closed());
  }
  EXPECT_TRUE(eventually([&] { return relay.server().connections() == 0; }));
}

TEST_F(TunnelTest, WaitsForAServerThatTakesIt) {
  relay.aim("");  // nobody is known
  RawSocket socket = relay.connect();
  socket.send(post("/p", "body"));
  EXPECT_TRUE(eventually([&] { return relay.asked() > 1; }));
  relay.aim("127.0.0.1:1");  // nobody is there
  const int asked = relay.asked();
  EXPECT_TRUE(eventually([&] { return relay.asked() > asked + 2; }));
  relay.aim(at(rig));
  EXPECT_EQ(socket.read_answer().body, "POST /p body");
}

TEST_F(TunnelTest, ServesItselfWhatTurnsOutToBeHere) {
  relay.aim("");
  RawSocket socket = relay.connect();
  socket.send(post("/p", "bo"));
  EXPECT_TRUE(eventually([&] { return relay.asked() > 1; }));
  relay.stay_here();
  const RawAnswer answer = socket.read_answer();
  EXPECT_TRUE(served_here(answer));
  EXPECT_EQ(answer.body, "POST /p bo");
  socket.send(kGet);  // the connection is kept
  EXPECT_TRUE(served_here(socket.read_answer()));
}

TEST_F(TunnelTest, GivesUpWaitingWithTheServer) {
  relay.aim("");
  RawSocket socket = relay.connect();
  socket.send(kGet);
  EXPECT_TRUE(eventually([&] { return relay.asked() > 1; }));
  relay.server().stop();
  EXPECT_TRUE(socket.wait_closed());
}

TEST_F(TunnelTest, AnswersWhenTheOtherServerIsNotThere) {
  const ServerOptions brief_options{.linger_time = 20ms, .tunnel_time = 200ms};
  std::string gone;
  { gone = at(Rig()); }
  for (const std::string& to : {gone, std::string("nowhere"), std::string()}) {
    Relay brief(to, brief_options);
    RawSocket socket = brief.connect();
    socket.send(post("/p", "body"));
    const RawAnswer answer = socket.read_answer();
    EXPECT_EQ(answer.status, 503);
    EXPECT_TRUE(answer.headers.contains("retry-after"));
    EXPECT_TRUE(socket.wait_closed());
  }
  Relay brief("", brief_options);
  RawSocket socket = brief.connect();
  socket.send(request("HEAD /h"));
  EXPECT_EQ(socket.read_answer(false).status, 503);
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_EQ(socket.unread(), "");
}

TEST_F(TunnelTest, CutsThoseThatGoToAnAddress) {
  Rig other;
  RawSocket one = relay.connect();
  one.send(request("GET /never"));
  auto [kept_one, reply_one] = rig.wait_kept();
  relay.aim(at(other));
  RawSocket two = relay.connect();
  two.send(request("GET /never"));
  auto [kept_two, reply_two] = other.wait_kept();
  relay.server().cut_tunnels("127.0.0.1:1");
  relay.server().cut_tunnels(at(other));
  EXPECT_TRUE(two.wait_closed());
  reply_one({.body = "still there"});
  EXPECT_EQ(one.read_answer().body, "still there");
  RawSocket three = relay.connect();
  three.send(request("GET /never"));
  auto [kept_three, reply_three] = other.wait_kept();
  relay.server().cut_tunnels();
  EXPECT_TRUE(three.wait_closed());
  EXPECT_TRUE(eventually([&] { return relay.server().connections() == 0; }));
  for (const auto& kept : {kept_two, kept_three})
    EXPECT_TRUE(eventually([&] { return kept.client_gone(); }));
}

TEST_F(TunnelTest, TellsTheOtherServerThatTheClientHasGone) {
  RawSocket socket = relay.connect();
  socket.send(request("GET /never"));
  auto [kept, reply] = rig.wait_kept();
  EXPECT_FALSE(kept.client_gone());
  socket.close();
  EXPECT_TRUE(eventually([&there = kept] { return there.client_gone(); }));
  reply({.body = "nobody reads it"});
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
  EXPECT_TRUE(eventually([&] { return relay.server().connections() == 0; }));
}

}  // namespace
}  // namespace mc::http
