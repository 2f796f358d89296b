#include "sim/soak.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "blob/blob_store.h"
#include "conductor/core.h"
#include "conductor/housekeep.h"
#include "db/sqlite/sqlite_store.h"
#include "sim/workload.h"

namespace mc::sim {
namespace {
namespace fs = std::filesystem;
constexpr Instant kBegin{1'767'225'600'000};  // 2026-01-01T00:00:00Z
constexpr Millis kDay = std::chrono::hours(24);
constexpr Millis kKeep = std::chrono::hours(12);  // a run is deleted that long after its start,
constexpr Millis kKeepDeleted = std::chrono::hours(6);  // and gone for good after as long again
constexpr Millis kHousekeepEvery = std::chrono::minutes(1);
constexpr int kSlots = 8;
// How many different definitions come with runs: each that ever came is kept.
constexpr int kDefinitions = 200;
// Among which runs that hold a concurrency group are spread: fewer could not serve the load, and
// what waits would grow without end.
constexpr std::uint64_t kGroups = 100;
constexpr double kGrowthMax = 1.1;

struct Row {
  int day = 0;
  std::int64_t runs = 0, open = 0;
  double rss_mib = 0, heap_mib = 0, store_mib = 0;
  std::int64_t stored_runs = 0, stored_events = 0, receipts = 0, log_files = 0, handles = 0;
};

double mib(double bytes) { return bytes / (1 << 20); }

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  std::int64_t all = 0, resident = 0;
  file >> all >> resident;
  return mib(static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
}

template <class Walk>
std::int64_t count_files(const fs::path& folder) {
  std::int64_t count = 0;
  std::error_code gone;
  for (const auto& entry : Walk(folder, gone)) count += entry.is_directory(gone) ? 0 : 1;
  return count;
}

class Soak {
 public:
  Soak(const SoakRequest& request, db::Store& store, blob::BlobStore& blobs)
      : request_(request),
        store_(store),
        blobs_(blobs),
        options_(choose_options()),
        rng_(1),
        core_(store, options_) {}

  bool run() {
    if (!core_.recover(now_)) return wrong("the empty store cannot be read");
    for (int i = 0; i < kDefinitions; ++i) definitions_.push_back(random_definition(rng_));
    put_workflows();
    enlist();
    // Also child runs, which nobody asked for here.
    core_.subscribe(1, who_, {}, [this](const conductor::FeedEvent& event) {
      if (std::holds_alternative<RunQueued>(event.event.body)) begun_.push_back({now_, event.run});
    });
    fmt::print(
        "day   runs  open  RSS MiB  heap MiB  store MiB  runs kept  events kept  receipts  "
        "log files  handles\n");
    const Millis apart(request_.days * kDay.count() / std::max<std::int64_t>(request_.runs, 1));
    for (std::int64_t i = 1; i <= request_.runs && trouble_.empty(); ++i) {
      start(i);
      pass_until(now_ + apart);
      const int day = static_cast<int>((now_ - kBegin) / kDay);
      if (day > static_cast<int>(rows_.size())) measure(day, i);
    }
    return trouble_.empty() ? judge() : wrong(trouble_);
  }

 private:
  conductor::Options choose_options() {
    conductor::Options options;
    options.seed = 1;
    options.keep_receipts = kKeep;
    options.keep_deleted_runs = kKeepDeleted;
    options.report = [this](const std::string& line) { trouble_ = "the watchdog: " + line; };
    return options;
  }
  static bool wrong(const std::string& what) {
    fmt::print("soak: {}\n", what);
    return false;
  }

  // Everything decided becomes durable at once.
  void commit() {
    while (core_.has_commit()) {
      conductor::Commit batch = core_.take_commit();
      const Status written = batch.batch.empty() ? Status{} : store_.commit(batch.batch);
      if (!written) trouble_ = "a commit failed: " + written.error().message;
      core_.finish_commit(std::move(batch), written, now_);
    }
  }

  void put_workflows() {
    for (int i = 0; i < kStoredWorkflows; ++i) {
      const bool child = i < kChildWorkflows;
      core_.put_workflow(who_, child ? fmt::format("child{}", i) : fmt::format("w{}", i),
                         child ? random_child_definition(rng_) : random_definition(rng_), now_,
                         [](const auto&) {});
    }
    commit();
  }

  void enlist() {
    core_.register_worker(who_, {"soak", {"linux", "gpu"}, kSlots, "sim"}, now_,
                          [this](const Result<wire::RegisterReply>& reply) {
                            if (reply) worker_id_ = reply->worker_id;
                          });
  }

  void start(std::int64_t number) {
    conductor::StartRun request{.principal = who_};
    request.definition = kUsual;
    if (number % 4 == 0) {
      request.definition = definitions_[rng_.below(kDefinitions)];
      request.inputs = Value(Object{{"text", Value(std::to_string(rng_.below(kGroups)))}});
    }
    const std::string key = std::to_string(number);
    request.idempotency = conductor::Idempotency{"default/soak", key, key};
    core_.start_run(std::move(request), now_, [](const Result<conductor::RunView>&) {});
    commit();
    work();
  }

  // The worker takes what is ready, writes a line of log for each and reports it.
  void work() {
    std::vector<Task> tasks;
    core_.poll({worker_id_, kSlots, 0}, now_, [&](const Result<std::vector<Task>>& taken) {
      if (taken) tasks = *taken;
    });
    commit();
    while (!tasks.empty() && trouble_.empty()) {
      wire::CompleteRequest done{.worker_id = worker_id_, .results = {}, .max = kSlots};
      for (const Task& task : tasks) done.results.push_back(carry_out(task));
      tasks.clear();
      core_.complete(done, now_, [&](const Result<wire::CompleteReply>& reply) {
        if (reply) tasks = reply->tasks;
      });
      commit();
    }
  }

  TaskResult carry_out(const Task& task) {
    core_.check_hold(task.task_id, task.fence, [&](const Result<conductor::LogTarget>& target) {
      if (!target) return;
      const auto logged = blobs_.append_log(target->run, target->node, target->attempt, 0,
                                            {{now_.ms, "s", "stdout", "made " + task.job + "\n"}});
      if (!logged) trouble_ = "a log cannot be written: " + logged.error().message;
    });
    TaskResult result{.task_id = task.task_id, .fence = task.fence};
    if (rng_.chance(0.05)) {
      result.outcome = Outcome::failed;
      result.failure_kind = FailureKind::user;
      result.exit_code = 1;
    }
    return result;
  }

  // Timers, votes and deletions on the way.
  void pass_until(Instant then) {
    for (Instant wake = core_.next_wake(); wake && wake <= then; wake = core_.next_wake()) {
      now_ = std::max(now_, wake);
      core_.tick(now_);
      commit();
      work();
    }
    now_ = then;
    if (now_ - last_housekeep_ < kHousekeepEvery) return;
    last_housekeep_ = now_;
    vote();
    drop_old();
    while (conductor::housekeep(store_, blobs_, options_, now_)) {}
    store_.idle();
  }

  void vote() {
    std::vector<Uuid> waiting;
    core_.approvals(who_, "waiting", [&](const Result<std::string>& list) {
      const auto body = list ? parse_json(*list) : Result<Value>(Value());
      const Value* items = body ? body->find("items") : nullptr;
      if (items == nullptr) return;
      for (const Value& item : items->as_list()) {
        if (const auto id = parse_uuid(item.string_or("id", ""))) waiting.push_back(*id);
      }
    });
    commit();
    for (const Uuid id : waiting) {
      core_.decide({.principal = who_, .approval = id, .run = {}, .job = {}, .approve = true}, now_,
                   [](const Result<std::string>&) {});
    }
    commit();
    work();
  }

  void drop_old() {
    while (!begun_.empty() && begun_.front().first + kKeep <= now_) {
      const Uuid id = begun_.front().second;
      begun_.pop_front();
      core_.delete_run(who_, id, now_, [this, id](const Result<bool>& deleted) {
        if (!deleted && deleted.error().code == Code::run_not_final) begun_.push_back({now_, id});
      });
    }
    commit();
  }

  void measure(int day, std::int64_t runs) {
    ::malloc_trim(0);
    Row row{.day = day, .runs = runs, .open = core_.health().open_runs};
    row.rss_mib = resident_mib();
    row.heap_mib = mib(static_cast<double>(::mallinfo2().uordblks));
    for (const char* name : {"maestro.db", "maestro.db-wal", "maestro.db-shm"}) {
      std::error_code none;
      const auto size = fs::file_size(fs::path(request_.folder) / name, none);
      if (!none) row.store_mib += mib(static_cast<double>(size));
    }
    const auto sizes = db::table_sizes(request_.folder);
    if (!sizes) trouble_ = sizes.error().message;
    for (const auto& [table, rows] : sizes ? *sizes : std::vector<db::TableSize>{}) {
      if (table == "runs") row.stored_runs = rows;
      if (table == "events") row.stored_events = rows;
      if (table == "receipts") row.receipts = rows;
    }
    row.log_files =
        count_files<fs::recursive_directory_iterator>(fs::path(request_.folder) / "logs");
    row.handles = count_files<fs::directory_iterator>("/proc/self/fd");
    fmt::print("{:3}{:7}{:6}{:9.1f}{:10.1f}{:11.1f}{:11}{:13}{:10}{:11}{:9}\n", row.day, row.runs,
               row.open, row.rss_mib, row.heap_mib, row.store_mib, row.stored_runs,
               row.stored_events, row.receipts, row.log_files, row.handles);
    std::fflush(stdout);
    rows_.push_back(row);
  }

  bool judge() const {
    if (rows_.size() < 3) return wrong("fewer than three days: too short to tell");
    const Row& middle = rows_[rows_.size() / 2 - 1];
    const Row& last = rows_.back();
    bool bounded = true;
    const auto compare = [&](const char* what, double before, double after) {
      if (after <= before * kGrowthMax) return;
      bounded = wrong(fmt::format("{} grew from {:.1f} to {:.1f}", what, before, after));
    };
    const auto count = [](std::int64_t n) { return static_cast<double>(n); };
    compare("RSS", middle.rss_mib, last.rss_mib);
    compare("the heap", middle.heap_mib, last.heap_mib);
    compare("the store", middle.store_mib, last.store_mib);
    compare("the number of runs", count(middle.stored_runs), count(last.stored_runs));
    compare("the number of events", count(middle.stored_events), count(last.stored_events));
    compare("the number of receipts", count(middle.receipts), count(last.receipts));
    compare("the number of logs", count(middle.log_files), count(last.log_files));
    compare("the number of handles", count(middle.handles), count(last.handles));
    if (bounded) fmt::print("soak: nothing grew by more than a tenth since day {}\n", middle.day);
    return bounded;
  }

  static constexpr const char* kUsual =
      "jobs:\n"
      "  build: {steps: [{run: make}]}\n"
      "  test: {needs: build, matrix: {n: [1, 2, 3]}, steps: [{run: make test}]}\n"
      "  cool: {needs: test, wait: 30s}\n"
      "  ship: {needs: cool, retry: {attempts: 2, on: [any]}, steps: [{run: make ship}]}\n";

  const SoakRequest& request_;
  db::Store& store_;
  blob::BlobStore& blobs_;
  std::string trouble_;
  const conductor::Options options_;
  Rng rng_;
  Instant now_ = kBegin;
  Instant last_housekeep_ = kBegin;
  conductor::Core core_;
  const auth::Principal who_{"soak", auth::Role::admin, "default", {}, "soak"};
  std::string worker_id_;
  std::vector<std::string> definitions_;
  std::deque<std::pair<Instant, Uuid>> begun_;  // oldest first
  std::vector<Row> rows_;
};
}  // namespace

bool soak(const SoakRequest& request) {
  auto store = db::open_sqlite({.folder = request.folder});
  auto blobs = store ? blob::open_disk(request.folder) : store.error();
  if (!blobs) {
    fmt::print("soak: {}\n", blobs.error().message);
    return false;
  }
  return Soak(request, **store, **blobs).run();
}

}  // namespace mc::sim
