#include "http/client.h"

#include <atomic>
#include <cstring>

#include "http/rig_test.h"

namespace mc::http {
namespace {

TEST(Client, SendsAndReceivesOverOneConnection) {
  Rig rig;
  Client client;
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.send({.method = "POST", .url = rig.url("/a?b=c"), .body = "body"});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "POST /a body");
    ASSERT_NE(answer->header("content-type"), nullptr);
    EXPECT_EQ(*answer->header("content-type"), "text/plain");
    EXPECT_EQ(rig.server().connections(), 1);
  }
  const auto refused = client.send({.url = rig.url("/refuse")});
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->status, 401);
}

TEST(Client, SendsBodiesFromFilesAndSources) {
  Rig rig;
  Client client;
  const std::string path = ::testing::TempDir() + "http_client_" + std::to_string(::getpid());
  const std::string bytes(300'000, 'f');
  ASSERT_TRUE(write_file(path, bytes).ok());
  auto answer = client.send({.method = "PUT", .url = rig.url("/f"), .body_file = path});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "PUT /f " + bytes);
  ASSERT_TRUE(write_file(path, "0123456789" + bytes).ok());
  answer = client.send({.method = "PATCH",
                        .url = rig.url("/p"),
                        .body_file = path,
                        .body_offset = 3,
                        .body_size = 100'000});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "PATCH /p 3456789" + bytes.substr(0, 100'000 - 7));
  ASSERT_TRUE(write_file(path, bytes).ok());
  std::string_view rest = bytes;
  answer = client.send(
      {.method = "PUT", .url = rig.url("/s"), .body_source = [&rest](char* into, std::size_t size) {
         const std::size_t taken = std::min({size, rest.size(), std::size_t{1000}});
         std::memcpy(into, rest.data(), taken);
         rest.remove_prefix(taken);
         return taken;
       }});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, "PUT /s " + bytes);
  rig.file = FileBody{path, 0, 300'000};
  answer = client.send({.url = rig.url("/file"), .save_to = path + ".copy"});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(*read_file(path + ".copy", 1 << 20), bytes);
  ::unlink(path.c_str());
  ::unlink((path + ".copy").c_str());
}

TEST(Client, GivesUpOnAnswersThatAreTooLarge) {
  Rig rig;
  Client client;
  const auto answer = client.send({.url = rig.url("/abcdefgh"), .body_max = 8});
  ASSERT_FALSE(answer.ok());
  EXPECT_NE(answer.error().message.find("larger than 8 bytes"), std::string::npos);
}

TEST(Client, SaysWhatItCannotReachAndKeepsSecretsOut) {
  int port = 0;
  { port = Rig().port(); }
  Client client;
  const std::string at = "127.0.0.1:" + std::to_string(port);
  const auto answer = client.send({.url = "http://user:pass@" + at + "/path?token=t0k",
                                   .headers = {{"Authorization", "Bearer s3cret"}}});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::unreachable);
  EXPECT_NE(answer.error().message.find("cannot reach http://" + at + "/path: "), std::string::npos)
      << answer.error().message;
  for (const char* secret : {"s3cret", "pass", "t0k"})
    EXPECT_EQ(answer.error().message.find(secret), std::string::npos) << answer.error().message;
}

TEST(Client, SpeaksNothingButHttp) {
  Client client;
  for (const char* url :
       {"file:///etc/hosts", "ftp://127.0.0.1/", "gopher://127.0.0.1:1/", "", "http://"})
    EXPECT_FALSE(client.send({.url = url}).ok()) << url;
}

TEST(Client, EndsSoonAfterItIsCancelled) {
  Rig rig;
  Client client;
  bool at_once = false;  // unless the machine is busy; curl alone would take a second each time
  for (int attempt = 0; attempt < 20 && !at_once; ++attempt) {
    std::stop_source stop;
    std::chrono::steady_clock::time_point cancelled_at;
    std::thread other([&] {
      rig.wait_kept();
      cancelled_at = std::chrono::steady_clock::now();
      stop.request_stop();
    });
    const auto answer = client.send({.url = rig.url("/never"), .stop = stop.get_token()});
    const auto ended_at = std::chrono::steady_clock::now();
    other.join();
    ASSERT_FALSE(answer.ok());
    EXPECT_NE(answer.error().message.find("cancelled"), std::string::npos);
    at_once = ended_at - cancelled_at < std::chrono::milliseconds(700);
  }
  EXPECT_TRUE(at_once);
}

TEST(Client, TimesOut) {
  Rig rig;
  Client client;
  const auto answer = client.send({.url = rig.url("/never"), .timeout = Millis(50)});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::unreachable);
}

TEST(Client, RefusesPrivateAddressesAlsoBehindOpenConnections) {
  Rig rig;
  Client client;
  ASSERT_TRUE(client.send({.url = rig.url("/")}).ok());
  const std::string port = ":" + std::to_string(rig.port()) + "/";
  for (const char* host :
       {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1", "2130706433",
        "10.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1"}) {
    const auto answer = client.send({.url = "http://" + std::string(host) + port,
                                     .timeout = Millis(20'000),
                                     .block_private_addresses = true});
    ASSERT_FALSE(answer.ok()) << host;
    EXPECT_NE(answer.error().message.find("not a public one"), std::string::npos)
        << host << ": " << answer.error().message;
  }
}

TEST(Client, FollowsAStreamUntilTheReaderHasEnough) {
  constexpr int kEnough = 5;
  Rig rig;
  std::atomic<int> heard = 0;
  std::thread server_side([&] {
    const auto writer = rig.wait_writer();
    // A reader that is behind by too much would be cut off.
    for (int i = 0; writer->write("id: " + std::to_string(i) + "\ndata: x\n\n"); ++i)
      i < kEnough ? heard.wait(i) : std::this_thread::yield();
  });
  Client client;
  SseParser parser;
  std::vector<SseEvent> events;
  const auto answer =
      client.send({.url = rig.url("/stream"), .timeout = Millis(0), .on_data = [&](auto piece) {
                     for (SseEvent& each : parser.feed(piece)) events.push_back(each);
                     heard = static_cast<int>(events.size());
                     heard.notify_all();
                     return std::ssize(events) < kEnough;
                   }});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  ASSERT_GE(std::ssize(events), kEnough);
  EXPECT_EQ(events[4].id, "4");
  server_side.join();
}

}  // namespace
}  // namespace mc::http
