// Two replicas in one process, each with a lobby; three shards, each a whole API over a store in
// memory. Calls between replicas are calls.
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "api/api.h"
#include "auth/token.h"
#include "base/rng.h"
#include "cluster/lobby.h"
#include "db/memory/memory_store.h"
#include "http/problem.h"
#include "http/target.h"

namespace mc::cluster {
namespace {
constexpr int kShards = 3;
constexpr auto kPatience = std::chrono::seconds(30);
constexpr const char* kJob = "name: one\njobs:\n  a:\n    steps: [{run: 'true'}]\n";
constexpr const char* kChain =
    "name: two\njobs:\n  a:\n    steps: [{run: 'true'}]\n"
    "  b:\n    needs: [a]\n    steps: [{run: 'true'}]\n";

std::string project_of(int shard) { return "p" + std::to_string(shard); }

// One shard's stack.
class Stack {
 public:
  struct Tokens {
    std::string worker = auth::mint_token(), admin = auth::mint_token();
  };
  Stack(int shard, const Tokens& all, std::function<void()> on_ready)
      : folder_(std::filesystem::temp_directory_path() /
                ("mc-cluster-" + std::to_string(random_seed()))) {
    std::filesystem::create_directories(folder_);
    blobs_ = std::move(*blob::open_disk(folder_.string()));
    const std::shared_ptr<api::TokenTable> tokens = std::move(*api::TokenTable::load(*store_));
    put(*tokens, all.worker, auth::Role::worker, "default");
    put(*tokens, all.admin, auth::Role::admin, "default");
    put(*tokens, admin, auth::Role::admin, project_of(shard));
    secrets_ =
        *api::SecretTable::load(*store_, *auth::SecretBox::open(auth::SecretBox::make_key()));
    conductor::Options options;
    options.task_prefix = "s" + std::to_string(shard) + ".";
    options.on_ready = std::move(on_ready);
    service_ = std::move(*conductor::Service::start(*store_, *blobs_, system_clock(), options));
    api_ = std::make_unique<api::Api>(
        api::Deps{.service = *service_, .tokens = tokens, .secrets = secrets_});
  }
  ~Stack() {
    api_->stop();
    service_->stop();
    std::filesystem::remove_all(folder_);
  }
  void call(http::Request request, http::Reply reply) {
    const http::Admission admission = api_->admit(request);
    if (admission.refusal) return reply(*admission.refusal);
    api_->handle(std::move(request), std::move(reply));
  }
  conductor::Service& service() { return *service_; }

  const std::string admin = auth::mint_token();

 private:
  static void put(api::TokenTable& tokens, const std::string& token, auth::Role role,
                  const std::string& project) {
    tokens.put({.id = token.substr(0, 12),
                .name = "t",
                .role = role,
                .project = project,
                .hash = auth::hash_token(token)});
  }
  std::filesystem::path folder_;
  std::unique_ptr<db::Store> store_ = db::make_memory_store();
  std::unique_ptr<blob::BlobStore> blobs_;
  std::shared_ptr<api::SecretTable> secrets_;
  std::unique_ptr<conductor::Service> service_;
  std::unique_ptr<api::Api> api_;
};

class Replicas : public testing::Test {
 protected:
  // Replica 0 leads shards 0 and 1, replica 1 leads shard 2.
  static int leader_of(int shard) { return shard < 2 ? 0 : 1; }

  class View final : public Shards {
   public:
    View(Replicas& all, int self) : all_(all), self_(self) {}
    int count() const override { return kShards; }
    void call(int shard, http::Request request, std::function<void(http::Response)> done) override {
      const auto& stack = all_.stacks.at(static_cast<std::size_t>(shard));
      stack ? stack->call(std::move(request), std::move(done))
            : done(http::problem({Code::unavailable, "nobody leads", {}}, ""));
    }
    bool is_here(int shard) const override { return leader_of(shard) == self_; }
    bool may_have_ready(int shard) const override {
      const auto& stack = all_.stacks.at(static_cast<std::size_t>(shard));
      return stack == nullptr || stack->service().health().ready_jobs > 0;
    }

   private:
    Replicas& all_;
    int self_;
  };

  Replicas() {
    // Too long to be waited for: what works does so because shards say what they have.
    LobbyOptions options;
    options.polls.keep_alive = Millis(50'000);
    options.polls.looks_max = Millis(20'000);  // a busy machine changes nobody's turn
    for (int i = 0; i < 2; ++i) {
      views.push_back(std::make_unique<View>(*this, i));
      lobbies.push_back(
          std::make_unique<Lobby>(*views.back(), system_clock(), options, [this, i](int shard) {
            lobbies.at(static_cast<std::size_t>(1 - i))->ready(shard, false);
          }));
    }
    for (int shard = 0; shard < kShards; ++shard) begin(shard);
  }
  // As a new leader that knows nothing, where there was one.
  void begin(int shard) {
    auto& stack = stacks.at(static_cast<std::size_t>(shard));
    stack = nullptr;
    stack = std::make_unique<Stack>(shard, tokens, [this, shard] {
      lobbies.at(static_cast<std::size_t>(leader_of(shard)))->ready(shard, true);
    });
  }
  ~Replicas() override {
    for (const auto& lobby : lobbies) lobby->stop();
    for (auto& stack : stacks) stack.reset();
    lobbies.clear();
  }

  static http::Request make(const std::string& method, const std::string& target,
                            const std::string& body, const std::string& token) {
    http::Request request;
    request.method = method;
    EXPECT_TRUE(http::read_target(target, request).ok());
    request.headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}};
    request.body = body;
    return request;
  }
  using Answer = std::future<http::Response>;
  Answer send(int replica, const std::string& method, const std::string& target,
              const std::string& body, const std::string& token) {
    auto answered = std::make_shared<std::promise<http::Response>>();
    Answer answer = answered->get_future();
    lobbies.at(static_cast<std::size_t>(replica))
        ->handle(make(method, target, body, token),
                 [answered](http::Response response) { answered->set_value(std::move(response)); });
    return answer;
  }
  static Value json(Answer answer) {
    if (answer.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    const http::Response response = answer.get();
    EXPECT_EQ(response.status, 200) << response.body;
    const Result<Value> body = parse_json(response.body);
    return body ? *body : Value();
  }
  Answer say(int replica, const std::string& what, const std::string& body) {
    return send(replica, "POST", "/api/v1/worker/" + what, body, worker_token);
  }
  std::string join(int replica, const std::string& name) {
    const Value body =
        json(say(replica, "register", R"({"name":")" + name + R"(","labels":[],"slots":1})"));
    return body.string_or("worker_id", "");
  }
  Answer poll(int replica, const std::string& worker, int max, int wait_ms = 20'000) {
    return say(replica, "poll",
               R"({"worker_id":")" + worker + R"(","max":)" + std::to_string(max) +
                   R"(,"wait_ms":)" + std::to_string(wait_ms) + "}");
  }
  static std::string id_of(const Value& task) { return task.string_or("task_id", ""); }
  static std::string hold(const Value& task) {
    return R"({"task_id":")" + id_of(task) + R"(","fence":)" +
           std::to_string(task.int_or("fence", 0));
  }
  Answer complete(int replica, const std::string& worker, const List& tasks, int max = 0) {
    std::string results;
    for (const Value& task : tasks)
      results += (results.empty() ? "" : ",") + hold(task) + R"(,"outcome":"succeeded"})";
    return say(replica, "complete",
               R"({"worker_id":")" + worker + R"(","results":[)" + results + R"(],"max":)" +
                   std::to_string(max) + "}");
  }
  static List tasks_of(const Value& body) {
    const Value* tasks = body.find("tasks");
    return tasks != nullptr && tasks->is_list() ? tasks->as_list() : List{};
  }
  http::Response ask(int shard, const std::string& method, const std::string& target,
                     const std::string& body = {}) {
    std::promise<http::Response> answered;
    Stack& stack = *stacks.at(static_cast<std::size_t>(shard));
    stack.call(make(method, target, body, stack.admin),
               [&](http::Response response) { answered.set_value(std::move(response)); });
    return answered.get_future().get();
  }
  std::string start(int shard, const std::string& definition = kJob) {
    const auto made =
        ask(shard, "POST", "/api/v1/runs", to_json(Value(Object{{"definition", definition}})));
    EXPECT_EQ(made.status, 201) << made.body;
    return parse_json(made.body)->string_or("id", "");
  }
  std::string status(int shard, const std::string& run) {
    return parse_json(ask(shard, "GET", "/api/v1/runs/" + run + "?wait=20s").body)
        ->string_or("status", "");
  }

  const Stack::Tokens tokens;
  const std::string& worker_token = tokens.worker;
  const std::string& admin_token = tokens.admin;
  std::vector<std::unique_ptr<View>> views;
  std::vector<std::unique_ptr<Lobby>> lobbies;
  std::array<std::unique_ptr<Stack>, kShards> stacks;
};

TEST_F(Replicas, AWorkerThatWaitsAnywhereIsGivenWhatBecomesReadyAnywhere) {
  for (int replica = 0; replica < 2; ++replica) {
    const std::string worker = join(replica, "w" + std::to_string(replica));
    for (int shard = 0; shard < kShards; ++shard) {
      Answer waits = poll(replica, worker, 4);
      const std::string run = start(shard);
      const List tasks = tasks_of(json(std::move(waits)));
      ASSERT_EQ(tasks.size(), 1u) << "replica " << replica << ", shard " << shard;
      EXPECT_EQ(shard_of_task(id_of(tasks[0])), shard);
      const Value done = json(complete(1 - replica, worker, tasks));
      EXPECT_EQ(done.find("accepted")->as_list().size(), 1u);
      EXPECT_EQ(status(shard, run), "succeeded");
    }
  }
}

// Workers as they are: polls wait, completions take new tasks.
TEST_F(Replicas, WorkersOfOneAndOfFourSlotsDoAllThatThereIs) {
  constexpr int kRuns = 25;
  std::atomic<int> left = kShards * kRuns * 2;
  std::mutex mutex;
  std::set<std::string> seen;
  const auto work = [&](int replica, int slots) {
    const std::string worker = join(replica, "worker" + std::to_string(slots));
    List held;
    while (left > 0) {
      const int done_count = static_cast<int>(held.size());
      const List tasks = held.empty() ? tasks_of(json(poll(replica, worker, slots, 500)))
                                      : tasks_of(json(complete(replica, worker, held, slots)));
      EXPECT_LE(tasks.size(), static_cast<std::size_t>(slots));
      held = tasks;
      left -= done_count;
      const std::lock_guard lock(mutex);
      for (const Value& task : tasks) EXPECT_TRUE(seen.insert(id_of(task)).second);
    }
  };
  std::thread one([&] { work(0, 1); });
  std::thread four([&] { work(1, 4); });
  std::vector<std::pair<int, std::string>> runs;
  for (int i = 0; i < kRuns; ++i) {
    for (int shard = 0; shard < kShards; ++shard) runs.emplace_back(shard, start(shard, kChain));
  }
  one.join();
  four.join();
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kShards * kRuns * 2));
  for (const auto& [shard, run] : runs) EXPECT_EQ(status(shard, run), "succeeded");
}

TEST_F(Replicas, ALargeResultIsReadAsideAndArrives) {
  const std::string run = start(2);
  const std::string worker = join(0, "w");
  const List tasks = tasks_of(json(poll(0, worker, 1)));
  ASSERT_EQ(tasks.size(), 1u);
  const Value done = json(say(0, "complete",
                              R"({"worker_id":")" + worker + R"(","results":[)" + hold(tasks[0]) +
                                  R"(,"outcome":"succeeded","summary":")" +
                                  std::string(300'000, 'x') + R"("}]})"));
  EXPECT_EQ(done.find("accepted")->as_list().size(), 1u);
  EXPECT_EQ(status(2, run), "succeeded");
}

TEST_F(Replicas, AWorkerTakesFromEachShardInTurn) {
  for (int i = 0; i < 4; ++i) {
    for (int shard = 0; shard < kShards; ++shard) start(shard);
  }
  const std::string worker = join(0, "w");
  std::map<int, int> given;
  List held = tasks_of(json(poll(0, worker, 1)));
  for (int i = 0; i < 6 && !held.empty(); ++i) {
    ++given[*shard_of_task(id_of(held[0]))];
    held = tasks_of(json(complete(0, worker, held, 1)));
  }
  EXPECT_EQ(given, (std::map<int, int>{{0, 2}, {1, 2}, {2, 2}}));
}

TEST_F(Replicas, HeartbeatsReachEachTasksShard) {
  std::vector<std::string> runs;
  for (int shard = 0; shard < kShards; ++shard) runs.push_back(start(shard));
  const std::string worker = join(0, "w");
  List tasks = tasks_of(json(poll(0, worker, 8)));
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(ask(2, "POST", "/api/v1/runs/" + runs[2] + "/cancel").status, 202);
  std::string holds, cancelled;
  for (const Value& task : tasks) {
    holds += (holds.empty() ? "" : ",") + hold(task) + "}";
    if (shard_of_task(id_of(task)) == 2) cancelled = id_of(task);
  }
  const Value reply = json(say(1, "heartbeat",
                               R"({"worker_id":")" + worker + R"(","tasks":[)" + holds +
                                   R"(,{"task_id":"s1.x","fence":1},)"
                                   R"({"task_id":"old.y","fence":1}]})"));
  EXPECT_EQ(to_json(*reply.find("cancel")), "[\"" + cancelled + "\"]");
  EXPECT_EQ(to_json(*reply.find("lost")), R"(["old.y","s1.x"])");
}

TEST_F(Replicas, ADrainedWorkerIsGivenNothingByAnyShard) {
  const std::string worker = join(0, "w");
  json(send(1, "POST", "/api/v1/workers/" + worker + "/drain", "", admin_token));
  const Value list = json(send(1, "GET", "/api/v1/workers", "", admin_token));
  ASSERT_EQ(list.find("items")->as_list().size(), 1u);
  EXPECT_EQ(list.find("items")->as_list()[0].string_or("status", ""), "draining");
  for (int shard = 0; shard < kShards; ++shard) start(shard);
  EXPECT_TRUE(tasks_of(json(poll(0, worker, 8, 0))).empty());
  const std::string other = join(1, "v");
  EXPECT_EQ(tasks_of(json(poll(1, other, 8))).size(), 3u);
  Answer waits = poll(0, worker, 8);
  json(send(1, "POST", "/api/v1/workers/" + worker + "/resume", "", admin_token));
  start(2);
  EXPECT_EQ(tasks_of(json(std::move(waits))).size(), 1u);
}

// Its lobby was not told. Nothing here asks again by itself in time.
TEST_F(Replicas, AWorkerDrainedElsewhereHidesNothingFromItsKind) {
  const std::string drained = join(0, "w"), other = join(0, "v");
  json(send(1, "POST", "/api/v1/workers/" + drained + "/drain", "", admin_token));
  Answer idle = poll(0, drained, 1);
  for (int shard = 0; shard < kShards; ++shard) {
    Answer waits = poll(0, other, 1);
    start(shard);
    const List tasks = tasks_of(json(std::move(waits)));
    ASSERT_EQ(tasks.size(), 1u) << shard;
    EXPECT_EQ(shard_of_task(id_of(tasks[0])), shard);
  }
}

// A name is free once nobody waits under it, and what had it was silent for the time of a lease.
TEST_F(Replicas, TheNameOfWhoIsGoneIsNotTakenForGood) {
  const auto enter = [this](const std::string& instance) {
    return say(0, "register",
               R"({"name":"w","labels":[],"slots":1,"life":"1","instance":")" + instance + "\"}");
  };
  const std::string worker = json(enter("i1")).string_or("worker_id", "");
  http::Request request =
      make("POST", "/api/v1/worker/poll", R"({"worker_id":")" + worker + R"(","wait_ms":60000})",
           worker_token);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  request.gone = gone;
  std::promise<void> ended;
  lobbies[0]->handle(std::move(request), [&](const http::Response&) { ended.set_value(); });
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  const auto until = [&](int status) {
    while (enter("i2").get().status != status)
      ASSERT_LT(std::chrono::steady_clock::now(), patience) << status;
  };
  until(409);  // it waits
  *gone = true;
  EXPECT_EQ(ended.get_future().wait_for(kPatience), std::future_status::ready);
  until(503);  // it was here a moment ago
}

TEST_F(Replicas, AnUnknownTokenOrWorkerIsRefused) {
  const auto poll_as = [&](const std::string& token) {
    return send(0, "POST", "/api/v1/worker/poll", R"({"worker_id":"w","wait_ms":20000})", token)
        .get()
        .status;
  };
  EXPECT_EQ(poll_as("mst_none"), 401);
  EXPECT_EQ(poll_as(worker_token), 404);
}

TEST_F(Replicas, ANewLeaderIsToldOfAWorkerByItsLobby) {
  const std::string worker = join(0, "w");
  const Value none = json(say(1, "poll", R"({"worker_id":")" + worker + R"("})"));
  EXPECT_TRUE(tasks_of(none).empty());
  begin(2);
  const std::string run = start(2);
  const List tasks = tasks_of(json(poll(0, worker, 1)));
  ASSERT_EQ(tasks.size(), 1u);
  begin(0);  // another one, which does not matter to its task
  EXPECT_EQ(tasks_of(json(complete(0, worker, tasks, 1))).size(), 0u);
  EXPECT_EQ(status(2, run), "succeeded");
}

TEST_F(Replicas, AShardThatGoesHoldsUpNothingOfTheOthers) {
  const std::string worker = join(0, "w");
  start(0);
  start(1);
  const List tasks = tasks_of(json(poll(0, worker, 8)));
  ASSERT_EQ(tasks.size(), 2u);
  stacks[2].reset();
  for (const auto& lobby : lobbies) lobby->shards_changed();
  EXPECT_EQ(json(complete(0, worker, tasks)).find("accepted")->as_list().size(), 2u);
  Answer waits = poll(0, worker, 1);
  start(1);
  EXPECT_EQ(tasks_of(json(std::move(waits))).size(), 1u);
  EXPECT_EQ(say(0, "register", R"({"name":"v"})").get().status, 503);
}
}  // namespace
}  // namespace mc::cluster
