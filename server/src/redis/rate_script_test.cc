// Against a server that says what the test has written.
#include "redis/rate_script.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "base/file.h"

namespace mc::redis {
namespace {
constexpr Millis kLong{10'000};

// Takes one client; waits for so many commands, answers, and so on.
class Scripted {
 public:
  struct Turn {
    std::size_t commands = 0;
    std::string answer;
  };
  explicit Scripted(std::vector<Turn> turns)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), turns_(std::move(turns)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    MC_CHECK(::bind(listener_.get(), any, size) == 0 && ::listen(listener_.get(), 1) == 0);
    MC_CHECK(::getsockname(listener_.get(), any, &size) == 0);
    url_ = "redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this] { talk(); });
  }

  const std::string& url() const { return url_; }
  // The name and the key of each command. Requires: its client has closed.
  std::vector<std::string> asked() {
    thread_.join();
    return asked_;
  }

 private:
  void talk() {
    const Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ReplyReader commands;  // a command is a list of texts
    std::array<char, 4096> bytes{};
    for (const Turn& turn : turns_) {
      for (std::size_t read = 0; read < turn.commands;) {
        const auto command = commands.next();
        if (!command) return;
        if (*command) {
          asked_.push_back((*command)->items.at(0).text + " " + (*command)->items.at(3).text);
          ++read;
          continue;
        }
        const ssize_t got = ::recv(peer.get(), bytes.data(), bytes.size(), 0);
        if (got <= 0) return;
        commands.feed({bytes.data(), static_cast<std::size_t>(got)});
      }
      (void)::send(peer.get(), turn.answer.data(), turn.answer.size(), MSG_NOSIGNAL);
    }
  }

  Fd listener_;
  std::vector<Turn> turns_;
  std::string url_;
  std::vector<std::string> asked_;
  std::jthread thread_;
};

// Another server's client may bring the script while ours are on their way.
TEST(RateScript, OnlyWhatWasNotRunIsSentAgain) {
  Scripted server({{1, "%1\r\n+server\r\n+redis\r\n"},
                   {3, "-NOSCRIPT none\r\n:2000000\r\n-NOSCRIPT none\r\n"},
                   {2, ":1000000\r\n:3000000\r\n"}});
  Connection connection(*parse_url(server.url()), "test");
  ASSERT_TRUE(connection.open(kLong));
  const std::vector<RateCharge> charges = {{"a", 1, 1}, {"b", 2, 2}, {"c", 3, 3}};
  const auto charged = charge(connection, {.per_second = 1, .burst = 10}, charges, kLong);
  connection.close();
  ASSERT_TRUE(charged && charged->first_refusal);
  EXPECT_THAT(charged->used, testing::ElementsAre(1.0, 2.0, 3.0));
  EXPECT_THAT(server.asked(),
              testing::ElementsAre("HELLO maestro-test", "EVALSHA maestro:rate:a",
                                   "EVALSHA maestro:rate:b", "EVALSHA maestro:rate:c",
                                   "EVAL maestro:rate:a", "EVALSHA maestro:rate:c"));
}

}  // namespace
}  // namespace mc::redis
