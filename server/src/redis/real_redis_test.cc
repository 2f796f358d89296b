// Against a real redis-server that each test starts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <set>
#include <thread>

#include "redis/rate_script.h"
#include "redis/server_rig_test.h"

namespace mc::redis {
namespace {
using testing::HasSubstr;
using testing::Not;
constexpr Millis kLong{10'000};
constexpr Millis kShort{200};
constexpr Millis kSilence{5'000};  // enough for what comes before it

class RealRedis : public testing::Test {
 protected:
  void SetUp() override {
    if (!ServerRig::missing().empty()) GTEST_SKIP() << ServerRig::missing();
  }
};

// What opening a connection there gives; no message may hold a password.
Status opened(const std::string& url, Millis time = kLong) {
  const auto place = parse_url(url);
  if (!place) return place.error();
  Connection connection(*place, "test");
  Status status = connection.open(time);
  if (!status) EXPECT_THAT(status.error().message, Not(HasSubstr("s3cret")));
  return status;
}

void expect_refused(const std::string& url, Code code, const std::string& told) {
  const Status status = opened(url);
  ASSERT_FALSE(status) << url;
  EXPECT_EQ(status.error().code, code) << status.error().message;
  EXPECT_THAT(status.error().message, HasSubstr(told));
}

TEST_F(RealRedis, AnswersInOrderOverTcpAndASocketInItsDatabase) {
  ServerRig rig;
  for (const std::string& url : {rig.url("", "/3"), rig.socket_url("", "?db=3")}) {
    Connection connection(*parse_url(url), "a name\n");
    ASSERT_TRUE(connection.open(kLong));
    std::vector<Command> commands;
    for (int i = 0; i < 250; ++i) commands.push_back({"ECHO", std::to_string(i)});
    const auto echoes = connection.exchange(commands, kLong);
    ASSERT_TRUE(echoes);
    for (std::size_t i = 0; i < commands.size(); ++i)
      EXPECT_EQ((*echoes)[i].text, std::to_string(i));
    const auto info = connection.exchange({{"CLIENT", "INFO"}, {"CONFIG", "GET", "port"}}, kLong);
    EXPECT_THAT((*info)[0].text, HasSubstr(" name=maestro-a-name- "));
    EXPECT_THAT((*info)[0].text, HasSubstr(" db=3 "));
    EXPECT_THAT((*info)[0].text, HasSubstr(" resp=3"));
    EXPECT_EQ((*info)[1].kind, Reply::Kind::map);
  }
}

TEST_F(RealRedis, PasswordsUsersAndDatabasesAreCheckedWhenItIsOpened) {
  ServerRig rig({"--requirepass", "s3cret", "--user", "maestro", "on", ">s3cret/2", "~maestro:*",
                 "+select", "+eval", "+evalsha", "+get", "+set", "+time", "--user", "other", "on",
                 ">s3cret", "~*", "+get"},
                ":s3cret@");
  EXPECT_TRUE(opened(rig.url(":s3cret@")));
  EXPECT_TRUE(opened(rig.url("default:s3cret@", "/15")));
  EXPECT_TRUE(opened(rig.url("maestro:s3cret%2F2@", "/1")));
  expect_refused(rig.url(), Code::invalid_setting, "redis://:PASSWORD@HOST");
  expect_refused(rig.url(":s3cret2@"), Code::invalid_setting, "WRONGPASS");
  expect_refused(rig.url("nobody:s3cret@"), Code::invalid_setting, "WRONGPASS");
  expect_refused(rig.url(":s3cret@", "/16"), Code::invalid_setting, "no database 16");
  Connection mine(*parse_url(rig.url("maestro:s3cret%2F2@")), "test");
  ASSERT_TRUE(mine.open(kLong));
  EXPECT_TRUE(probe(mine, kLong)) << "the access list of the documentation is enough";
  Connection others(*parse_url(rig.url("other:s3cret@")), "test");
  ASSERT_TRUE(others.open(kLong));
  const Status probed = probe(others, kLong);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, Code::invalid_setting);
  EXPECT_THAT(probed.error().message, HasSubstr("ACL SETUSER"));
}

TEST_F(RealRedis, TlsVerifiesTheServerAndShowsOurCertificate) {
  Certificates certificates;
  ServerRig rig(certificates.options("no"));
  const std::string& port = rig.tls_port();
  const std::string ca = "?ca=" + certificates.file("ca.pem");
  EXPECT_TRUE(opened("rediss://localhost:" + port + ca));
  expect_refused("rediss://localhost:" + port, Code::invalid_setting, "not trusted");
  expect_refused("rediss://localhost:" + port + "?ca=" + certificates.file("stranger.pem"),
                 Code::invalid_setting, "not trusted");
  expect_refused("rediss://127.0.0.1:" + port + ca, Code::invalid_setting, "another host");
  expect_refused("rediss://localhost:" + port + "?ca=/none.pem", Code::invalid_setting,
                 "/none.pem");
  const Status silent = opened("rediss" + rig.url().substr(5) + ca, kSilence);
  ASSERT_FALSE(silent) << "a port without TLS";
  EXPECT_THAT(silent.error().message, HasSubstr("write redis://"));
  EXPECT_FALSE(opened("redis://localhost:" + port)) << "a port that wants TLS";

  ServerRig wants_ours(certificates.options("yes"));
  const std::string& strict = wants_ours.tls_port();
  const std::string ours = "&cert=" + certificates.file("client.pem") + "&key=";
  EXPECT_TRUE(opened("rediss://localhost:" + strict + ca + ours + certificates.file("client.key")));
  const Status without = opened("rediss://localhost:" + strict + ca);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("cert=FILE"));
  expect_refused("rediss://localhost:" + strict + ca + ours + certificates.file("server.key"),
                 Code::invalid_setting, "server.key");
}

TEST_F(RealRedis, ACertificateForAnotherNameIsRefused) {
  Certificates certificates("redis.example");
  ServerRig rig(certificates.options("no"));
  expect_refused("rediss://localhost:" + rig.tls_port() + "?ca=" + certificates.file("ca.pem"),
                 Code::invalid_setting, "another host");
}

TEST_F(RealRedis, OneThatIsNotThereOrStandsStillIsNotWaitedFor) {
  expect_refused(kNowhere, Code::unreachable, "cannot connect");
  expect_refused("redis+unix:///none/socket", Code::unreachable, "cannot connect");
  expect_refused("redis+unix:///" + std::string(200, 'x'), Code::invalid_setting, "107");
  expect_refused("redis://no-such-host.invalid", Code::unreachable, "not found");
  ServerRig rig;
  Connection connection(*parse_url(rig.url()), "test");
  ASSERT_TRUE(connection.open(kLong));
  rig.signal(SIGSTOP);
  const auto late = connection.exchange({{"PING"}}, kShort);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::unreachable);
  EXPECT_FALSE(connection.is_open()) << "an answer that comes later is nobody's";
  EXPECT_FALSE(opened(rig.url(), kShort));
  rig.signal(SIGCONT);
  ASSERT_TRUE(connection.open(kLong));
  EXPECT_EQ(connection.exchange({{"ECHO", "x"}}, kLong)->front().text, "x");
  rig.kill();
  EXPECT_FALSE(connection.exchange({{"PING"}}, kLong));
  EXPECT_FALSE(connection.is_open());
}

// Sockets of this process that a program would inherit which it starts or becomes.
std::set<int> heirlooms() {
  constexpr int kDescriptorsMax = 1024;
  std::set<int> found;
  for (int each = 0; each < kDescriptorsMax; ++each) {
    struct stat status{};
    if (::fstat(each, &status) == 0 && S_ISSOCK(status.st_mode) &&
        (::fcntl(each, F_GETFD) & FD_CLOEXEC) == 0)
      found.insert(each);
  }
  return found;
}

TEST_F(RealRedis, ItsSocketsAreNotInherited) {
  const std::set<int> before = heirlooms();
  ServerRig rig;
  for (const std::string& url : {rig.url(), rig.socket_url("")}) {
    Connection connection(*parse_url(url), "test");
    ASSERT_TRUE(connection.open(kLong));
    EXPECT_EQ(heirlooms(), before) << url;
  }
}

TEST_F(RealRedis, ACallThatIsInterruptedEndsAtOnceAndSoDoLaterOnes) {
  Certificates certificates;
  ServerRig rig(certificates.options("no"));
  const std::string ca = "?ca=" + certificates.file("ca.pem");
  for (const std::string& url : {rig.url(), "rediss://localhost:" + rig.tls_port() + ca}) {
    Connection connection(*parse_url(url), "waits");
    ASSERT_TRUE(connection.open(kLong));
    const auto began = std::chrono::steady_clock::now();
    std::thread other([&] {
      EXPECT_TRUE(eventually(
          [&] { return rig.ask({"CLIENT", "LIST"}).text.find("cmd=blpop") != std::string::npos; }));
      connection.interrupt();
    });
    EXPECT_FALSE(connection.exchange({{"BLPOP", "nothing", "0"}}, 6 * kLong));
    other.join();
    EXPECT_FALSE(connection.open(6 * kLong));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3 * kLong) << url;
  }
}

TEST_F(RealRedis, TheScriptChargesOnceAndRefillsByTheRate) {
  ServerRig rig;
  Connection connection(*parse_url(rig.url()), "test");
  ASSERT_TRUE(connection.open(kLong));
  const RateTerms slow{.per_second = 0.001, .burst = 10};
  const auto used = [&](const std::string& who, double taken, double level) {
    const RateCharge one{.who = who, .taken = taken, .used = level};
    const auto charged = charge(connection, slow, std::span(&one, 1), kLong);
    EXPECT_TRUE(charged && charged->first_refusal);
    return charged ? charged->used.front().value_or(-1) : -1;
  };
  EXPECT_NEAR(used("a", 1, 4), 4, 0.1) << "what it has lost comes from who asks";
  EXPECT_NEAR(used("a", 3, 1), 7, 0.1) << "what it has is more than one server knows";
  EXPECT_NEAR(used("b", 1, 1), 1, 0.1);
  rig.ask({"SCRIPT", "FLUSH"});
  EXPECT_NEAR(used("a", 2, 2), 9, 0.1);
  for (int i = 0; i < 30; ++i) used("a", 3, 3);
  EXPECT_NEAR(used("a", 1, 1), 20, 0.1) << "a debt is one burst at most";
  EXPECT_NEAR(static_cast<double>(rig.ask({"PTTL", "maestro:rate:a"}).integer), 20e6, 1e6);
  rig.ask({"SET", "maestro:rate:b", "nonsense"});
  EXPECT_NEAR(used("b", 1, 1), 1, 0.1) << "what is no number counts as none";
  rig.ask({"DEL", "maestro:rate:b"});
  rig.ask({"LPUSH", "maestro:rate:b", "nonsense"});
  EXPECT_NEAR(used("b", 1, 1), 1, 0.1);
  EXPECT_TRUE(eventually([&] {
    const RateCharge quick{.who = "c", .taken = 1, .used = 1};
    return charge(connection, {.per_second = 100, .burst = 5}, std::span(&quick, 1), kLong).ok() &&
           eventually([&] { return !rig.has("maestro:rate:c"); });
  })) << "a full bucket needs no key";
}

TEST_F(RealRedis, AFullOneAndAReplicaRefuse) {
  ServerRig rig;
  Connection connection(*parse_url(rig.url()), "test");
  ASSERT_TRUE(connection.open(kLong));
  EXPECT_TRUE(probe(connection, kLong));
  rig.ask({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_THAT(probe(connection, kLong).error().message, HasSubstr("maxmemory"));
  rig.ask({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(probe(connection, kLong));
  ServerRig primary;
  rig.ask({"REPLICAOF", "127.0.0.1", parse_url(primary.url())->port});
  const Status refused = probe(connection, kLong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_failed);
  EXPECT_THAT(refused.error().message, HasSubstr("primary"));
}

}  // namespace
}  // namespace mc::redis
