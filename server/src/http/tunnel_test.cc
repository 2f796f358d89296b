// A server that passes connections on to another one.
#include <mutex>
#include <optional>

#include "http/rig_test.h"

namespace mc::http {
namespace {
using namespace std::chrono_literals;

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"; }
const std::string kGet = get("/");

// Serves what begins with /here itself, passes the rest on.
class Relay final : public Handler {
 public:
  explicit Relay(std::string to) : to_(std::move(to)) {}
  Admission admit(const Request&) override { return {}; }
  void handle(Request request, Reply reply) override { reply({.body = "here " + request.path}); }
  std::optional<std::string> elsewhere(std::string_view start) override {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (start.find(" /here") != std::string_view::npos) return std::nullopt;
    return to_;
  }
  void aim(std::string to) {
    const std::lock_guard lock(mutex_);
    to_ = std::move(to);
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::string to_;
  int asked_ = 0;
};

class TunnelTest : public testing::Test {
 protected:
  void relay_to(std::string to, ServerOptions options = {}) {
    relay = std::make_unique<Relay>(std::move(to));
    options.listen = "127.0.0.1:0";
    options.tunnels = true;
    auto made = Server::start(std::move(options), *relay);
    ASSERT_TRUE(made.ok());
    server = std::move(*made);
  }
  void relay_to_rig() { relay_to("127.0.0.1:" + std::to_string(rig.port())); }
  RawSocket connect() { return RawSocket(server->port()); }

  Rig rig;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<Server> server;
};

TEST_F(TunnelTest, PassesRequestsOnOneAfterTheOther) {
  relay_to_rig();
  RawSocket socket = connect();
  for (int i = 0; i < 3; ++i) {
    socket.send(kGet);
    const RawAnswer answer = socket.read_answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.complete);
  }
}

TEST_F(TunnelTest, SaysThatTheRequestWasPassedOn) {
  relay_to_rig();
  RawSocket socket = connect();
  socket.send(get("/never"));
  auto [request, reply] = rig.wait_kept();
  EXPECT_NE(request.header(kPassedOn), nullptr);
  reply({.body = "now"});
  EXPECT_EQ(socket.read_answer().body, "now");
}

TEST_F(TunnelTest, ServesItselfWhatIsNotElsewhere) {
  relay_to("127.0.0.1:1");
  RawSocket socket = connect();
  for (const char* path : {"/here", "/here/too"}) {
    socket.send(get(path));
    EXPECT_EQ(socket.read_answer().body, std::string("here ") + path);
  }
}

TEST_F(TunnelTest, JudgesEachRequestUntilOneIsPassedOn) {
  relay_to_rig();
  RawSocket socket = connect();
  socket.send(get("/here"));
  EXPECT_EQ(socket.read_answer().body, "here /here");
  socket.send(kGet);
  EXPECT_EQ(socket.read_answer().status, 200);
  socket.send(get("/here"));  // the connection is the other server's now
  EXPECT_NE(socket.read_answer().body, "here /here");
}

TEST_F(TunnelTest, WaitsForTwoLinesHoweverTheyCome) {
  relay_to_rig();
  RawSocket socket = connect();
  for (const char byte : kGet) socket.send({&byte, 1});
  EXPECT_EQ(socket.read_answer().status, 200);
}

TEST_F(TunnelTest, CarriesALargeBodyBothWays) {
  relay_to_rig();
  RawSocket socket = connect();
  const std::string body(900'000, 'b');
  std::thread sender([&] {
    socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
  });
  const RawAnswer answer = socket.read_answer();
  sender.join();
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == "POST /echo " + body);
}

TEST_F(TunnelTest, EndsWhileASlowReaderIsBehind) {
  relay_to_rig();
  const std::string body(900'000, 'b');
  for (int i = 0; i < 100; ++i) {
    RawSocket socket(server->port(), 4096);
    socket.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
    ASSERT_TRUE(socket.wait_for("200 OK"));
    server->cut_tunnels();
    if (i % 2 == 0) ASSERT_TRUE(socket.wait_closed());
  }
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
}

TEST_F(TunnelTest, WaitsForAServerThatTakesIt) {
  relay_to("");  // nobody is known
  RawSocket socket = connect();
  socket.send(kGet);
  EXPECT_TRUE(eventually([&] { return relay->asked() > 1; }));
  relay->aim("127.0.0.1:1");  // nobody is there
  const int asked = relay->asked();
  EXPECT_TRUE(eventually([&] { return relay->asked() > asked + 2; }));
  relay->aim("127.0.0.1:" + std::to_string(rig.port()));
  EXPECT_EQ(socket.read_answer().status, 200);
}

TEST_F(TunnelTest, GivesUpWaitingWithTheServer) {
  relay_to("");
  RawSocket socket = connect();
  socket.send(kGet);
  EXPECT_TRUE(eventually([&] { return relay->asked() > 1; }));
  server->stop();
  EXPECT_TRUE(socket.wait_closed());
}

TEST_F(TunnelTest, AnswersWhenTheOtherServerIsNotThere) {
  int port = 0;
  {
    Rig gone;
    port = gone.port();
  }
  relay_to("127.0.0.1:" + std::to_string(port), {.tunnel_time = 200ms});
  RawSocket socket = connect();
  socket.send(kGet);
  EXPECT_EQ(socket.read_answer().status, 503);
  EXPECT_TRUE(socket.wait_closed());
  relay_to("nowhere", {.tunnel_time = 200ms});
  RawSocket other = connect();
  other.send(kGet);
  EXPECT_EQ(other.read_answer().status, 503);
}

TEST_F(TunnelTest, EndsWithTheClientAndWithACut) {
  relay_to_rig();
  {
    RawSocket socket = connect();
    socket.send(kGet);
    EXPECT_EQ(socket.read_answer().status, 200);
  }
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
  RawSocket socket = connect();
  socket.send(kGet);
  EXPECT_EQ(socket.read_answer().status, 200);
  server->cut_tunnels();
  EXPECT_TRUE(socket.wait_closed());
  EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
  EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
}

}  // namespace
}  // namespace mc::http
