#include "http/peers.h"

#include <atomic>
#include <future>

#include "http/rig_test.h"

namespace mc::http {
namespace {
using namespace std::chrono_literals;

std::string at(const Rig& rig) { return "127.0.0.1:" + std::to_string(rig.port()); }

std::string nobody() {
  const Rig gone;
  return at(gone);
}

// The answer, once it is there.
std::future<Result<ClientResponse>> send(Peers& peers, Peers::Call call) {
  auto promise = std::make_shared<std::promise<Result<ClientResponse>>>();
  peers.send(std::move(call),
             [promise](Result<ClientResponse> answer) { promise->set_value(std::move(answer)); });
  return promise->get_future();
}

Peers::Call get(const std::string& address, const std::string& target = "/") {
  return {.address = address, .method = "GET", .target = target, .timeout = 60s};
}

Code failure(std::future<Result<ClientResponse>> answer) {
  const Result<ClientResponse> got = answer.get();
  EXPECT_FALSE(got.ok());
  return got.ok() ? Code::internal : got.error().code;
}

TEST(Peers, CarriesOutCallsOverConnectionsThatStayOpen) {
  Rig rig;
  Peers peers({.threads_max = 2});  // the one that answered may not wait yet
  for (int i = 0; i < 20; ++i) {
    const auto answer = send(peers, {.address = at(rig),
                                     .method = "POST",
                                     .target = "/p?q=1",
                                     .headers = {{"X-Request-Id", "r" + std::to_string(i)}},
                                     .body = "body"})
                            .get();
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->body, "POST /p body");
    EXPECT_EQ(*answer->header("x-request-id"), "r" + std::to_string(i));
  }
  EXPECT_LE(rig.server().connections(), 2);
  EXPECT_LE(peers.threads(), 2);
  const auto refused = send(peers, get(at(rig), "/refuse")).get();
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->status, 401);
}

TEST(Peers, HasSoManyCallsUnderWayToEachAddress) {
  Rig one, two;
  Peers peers({.threads_max = 2});
  std::vector<std::future<Result<ClientResponse>>> answers;
  for (int i = 0; i < 3; ++i) {
    for (const Rig* rig : {&one, &two}) answers.push_back(send(peers, get(at(*rig), "/never")));
  }
  std::vector<std::pair<Request, Reply>> kept;
  for (int i = 0; i < 2; ++i) {
    kept.push_back(one.wait_kept());
    kept.push_back(two.wait_kept());
  }
  EXPECT_EQ(one.server().connections(), 2);
  EXPECT_EQ(two.server().connections(), 2);
  EXPECT_EQ(peers.threads(), 4);
  for (auto& [request, reply] : kept) reply({.body = "now"});
  one.wait_kept().second({.body = "now"});
  two.wait_kept().second({.body = "now"});
  for (auto& answer : answers) EXPECT_EQ(answer.get()->body, "now");
}

// Answers come after commits: what is under way at once is what a commit can hold.
TEST(Peers, HasAsManyCallsUnderWayAsACommitCanUse) {
  Rig rig;
  Peers peers;
  std::vector<std::future<Result<ClientResponse>>> answers;
  std::vector<std::pair<Request, Reply>> kept;
  for (int i = 0; i < 16; ++i) answers.push_back(send(peers, get(at(rig), "/never")));
  for (int i = 0; i < 16; ++i) kept.push_back(rig.wait_kept());
  for (auto& [request, reply] : kept) reply({.body = "now"});
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
}

TEST(Peers, AnswersManyFromManyThreads) {
  Rig one, two;
  Peers peers;
  std::atomic<int> answered = 0, good = 0;
  {
    std::vector<std::jthread> senders;
    for (int sender = 0; sender < 4; ++sender) {
      senders.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          peers.send(get(at(i % 2 == 0 ? one : two)), [&](const Result<ClientResponse>& answer) {
            good += answer.ok() ? 1 : 0;
            ++answered;
          });
        }
      });
    }
  }
  EXPECT_TRUE(eventually([&] { return answered == 800; }));
  EXPECT_EQ(good, 800);
}

TEST(Peers, FailsAtOnceWhatGoesWhereNobodyWas) {
  Rig rig;
  Peers peers({.shun_time = 60s});
  const std::string dead = nobody();
  EXPECT_EQ(failure(send(peers, get(dead))), Code::unreachable);
  EXPECT_EQ(peers.threads(), 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(failure(send(peers, get(dead))), Code::unreachable);
  EXPECT_EQ(peers.threads(), 1);  // nobody tried
  EXPECT_TRUE(send(peers, get(at(rig))).get().ok());
}

TEST(Peers, TriesAgainAfterAWhile) {
  Rig rig;
  Peers peers({.shun_time = 1ms});
  const std::string address = nobody();
  EXPECT_EQ(failure(send(peers, get(address))), Code::unreachable);
  Rig back;
  Result<std::unique_ptr<Server>> server = Server::start({.listen = address}, back);
  ASSERT_TRUE(server.ok()) << server.error().message;
  EXPECT_TRUE(eventually([&] { return send(peers, get(address)).get().ok(); }));
}

TEST(Peers, NoticesThatAServerHasGone) {
  auto rig = std::make_unique<Rig>();
  const std::string address = at(*rig);
  Peers peers({.shun_time = 60s});
  EXPECT_TRUE(send(peers, get(address)).get().ok());
  rig.reset();
  EXPECT_EQ(failure(send(peers, get(address))), Code::unreachable);
  EXPECT_EQ(failure(send(peers, get(address))), Code::unreachable);
}

TEST(Peers, RefusesWhatTheQueueCannotHold) {
  Rig rig;
  Peers peers({.threads_max = 1, .queue_max = 3});
  auto first = send(peers, get(at(rig), "/never"));
  auto [request, reply] = rig.wait_kept();
  std::vector<std::future<Result<ClientResponse>>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(send(peers, get(at(rig))));
  EXPECT_EQ(failure(send(peers, get(at(rig)))), Code::overloaded);
  reply({.body = "now"});
  EXPECT_TRUE(first.get().ok());
  for (auto& answer : waiting) EXPECT_TRUE(answer.get().ok());
}

// Also of what waits for a thread: the time counts from the start.
TEST(Peers, EndsCallsInTheirTime) {
  Rig rig;
  Peers peers({.threads_max = 1});
  auto first = send(peers, get(at(rig), "/never"));
  auto [request, reply] = rig.wait_kept();
  Peers::Call brief = get(at(rig));
  brief.timeout = 20ms;
  EXPECT_EQ(failure(send(peers, brief)), Code::overloaded) << "nothing was sent";
  reply({.body = "now"});
  EXPECT_TRUE(first.get().ok());
  brief.target = "/never";
  brief.timeout = 1s;
  EXPECT_EQ(failure(send(peers, brief)), Code::unreachable);
  EXPECT_TRUE(send(peers, get(at(rig))).get().ok()) << "slow is not gone";
}

TEST(Peers, SendsNothingForWhichLittleTimeIsLeft) {
  Rig rig;
  Peers peers({.threads_max = 1, .left_min = 60s});
  auto first = send(peers, get(at(rig), "/never"));
  auto [request, reply] = rig.wait_kept();
  Peers::Call call = get(at(rig));
  call.timeout = 60'001ms;
  // The server still has the only thread: it is refused, though nearly all of its time is left.
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(failure(send(peers, call)), Code::overloaded);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 30s);
  reply({.body = "now"});
  EXPECT_TRUE(first.get().ok());
}

// By that the other side knows: a poll, say, is given nothing any more.
TEST(Peers, ClosesTheConnectionOfACallThatIsOver) {
  Rig rig;
  Peers peers;
  Peers::Call call = get(at(rig), "/never");
  call.timeout = 3s;
  auto answer = send(peers, call);
  auto [request, reply] = rig.wait_kept();
  EXPECT_FALSE(request.client_gone());
  EXPECT_EQ(failure(std::move(answer)), Code::unreachable);
  EXPECT_TRUE(eventually([&, &asked = request] { return asked.client_gone(); }));
}

TEST(Peers, EndsThreadsThatNobodyNeeds) {
  Rig rig;
  Peers peers({.idle_time = 1ms});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(send(peers, get(at(rig))).get().ok());
    EXPECT_TRUE(eventually([&] { return peers.threads() == 0; }));
    EXPECT_TRUE(eventually([&] { return rig.server().connections() == 0; }));
  }
}

TEST(Peers, NeverAnswersFromWithinSend) {
  Peers peers({.queue_max = 0});
  std::mutex mutex;
  std::promise<std::thread::id> answered;
  {
    const std::lock_guard lock(mutex);
    peers.send(get("127.0.0.1:1"), [&](const Result<ClientResponse>& answer) {
      const std::lock_guard own(mutex);
      EXPECT_EQ(answer.error().code, Code::overloaded);
      answered.set_value(std::this_thread::get_id());
    });
  }
  EXPECT_NE(answered.get_future().get(), std::this_thread::get_id());
}

TEST(Peers, AnswersEverythingBeforeItEnds) {
  Rig rig;
  std::map<Code, int> codes;
  int resent = 0;
  std::mutex mutex;
  {
    Peers peers;
    for (int i = 0; i < 10; ++i) {
      peers.send(get(at(rig), "/never"), [&](const Result<ClientResponse>& answer) {
        peers.send(get(at(rig)), [&](const Result<ClientResponse>&) {
          const std::lock_guard lock(mutex);
          ++resent;
        });
        const std::lock_guard lock(mutex);
        ++codes[answer.ok() ? Code::internal : answer.error().code];
      });
    }
    rig.wait_kept();
    rig.wait_kept();
  }
  EXPECT_EQ(codes, (std::map<Code, int>{{Code::shutting_down, 10}}));
  EXPECT_EQ(resent, 10);
}

}  // namespace
}  // namespace mc::http
