// A fixed piece of work for counting instructions: runs of ten jobs through the conductor, the
// memory store and the wire codecs, with a fixed seed and its own time (scripts/instructions).
#include <cstdio>

#include "base/check.h"
#include "base/json.h"
#include "base/sha256.h"
#include "conductor/core.h"
#include "db/memory/memory_store.h"
#include "lang/parse.h"
#include "wire/task_codec.h"

namespace mc::bench {
namespace {
constexpr int kRuns = 200;
constexpr int kAtOnce = 64;
constexpr Instant kBegin{1'700'000'000'000};

std::string ten_jobs() {
  std::string text = "name: ten\njobs:\n  first: {steps: [{uses: noop}]}\n";
  std::string needs;
  for (int i = 0; i < 8; ++i) {
    const std::string name = "m" + std::to_string(i);
    text += "  " + name + ": {needs: first, steps: [{uses: noop}]}\n";
    needs += (i == 0 ? "" : ", ") + name;
  }
  return text + "  last: {needs: [" + needs + "], steps: [{uses: noop}]}\n";
}

// The loop of the server without its threads, clock and sockets.
class World {
 public:
  World() : store_(db::make_memory_store()), core_(*store_, options()) {
    MC_CHECK(core_.recover(now_).ok());
    core_.put_workflow(by_, "ten", ten_jobs(), now_, [](const auto& done) { MC_CHECK(done.ok()); });
    core_.register_worker(by_, {"bench", {}, kAtOnce, "1"}, now_,
                          [this](const auto& reply) { worker_ = reply->worker_id; });
    commit();
  }

  void run() {
    for (int i = 0; i < kRuns; ++i) {
      conductor::StartRun request;
      request.principal = by_;
      request.workflow = "ten";
      core_.start_run(std::move(request), now_, [](const auto& view) { MC_CHECK(view.ok()); });
      if (i % kAtOnce == 0) commit();
    }
    commit();
    core_.poll({worker_, kAtOnce, 0}, now_, [this](const auto& tasks) { take(*tasks); });
    while (done_ < kRuns * 10) {
      commit();
      complete();
    }
  }

 private:
  static conductor::Options options() {
    conductor::Options options;
    options.seed = 1;
    options.watchdog = false;
    return options;
  }

  // As it goes over the wire.
  void take(const std::vector<Task>& tasks) {
    const auto body = parse_json(wire::encode_tasks(tasks));
    MC_CHECK(body.ok());
    tasks_ = *wire::decode_tasks(*body);
  }

  void complete() {
    wire::CompleteRequest request{worker_, {}, kAtOnce};
    for (const Task& task : tasks_) {
      TaskResult& result = request.results.emplace_back();
      result.task_id = task.task_id;
      result.fence = task.fence;
    }
    MC_CHECK(!request.results.empty());
    done_ += static_cast<int>(request.results.size());
    const auto body = parse_json(wire::encode(request));
    MC_CHECK(body.ok());
    core_.complete(*wire::decode_complete_request(*body), now_, [this](const auto& reply) {
      MC_CHECK(reply.ok() && reply->rejected.empty());
      take(reply->tasks);
    });
  }

  void commit() {
    now_ = now_ + Millis(1);
    core_.tick(now_);
    while (core_.has_commit()) {
      conductor::Commit commit = core_.take_commit();
      const Status stored = store_->commit(commit.batch);
      MC_CHECK(stored.ok());
      core_.finish_commit(std::move(commit), stored, now_);
    }
  }

  const auth::Principal by_{.role = auth::Role::admin};
  Instant now_ = kBegin;
  std::unique_ptr<db::Store> store_;
  conductor::Core core_;
  std::string worker_;
  std::vector<Task> tasks_;
  int done_ = 0;
};
}  // namespace
}  // namespace mc::bench

int main() {
  mc::bench::World().run();
  std::puts("done");
}
