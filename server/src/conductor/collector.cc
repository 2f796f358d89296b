#include "conductor/collector.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <variant>

#include "base/json.h"
#include "base/log.h"
#include "conductor/records.h"
#include "model/event.h"
#include "wire/event_codec.h"

namespace mc::conductor {
namespace {
constexpr int kPage = 500;
constexpr int kBlobPage = 1000;
constexpr std::string_view kPositionKey = "feed";
constexpr Millis kPruneEvery{24 * 3'600'000};

using Uses = std::map<std::string, Instant>;  // key of the record: until when it counts

// Collects what events say of artifacts.
struct UseReader {
  Uses& uses;
  const CollectorOptions& options;
  Uuid run;
  Instant time;

  void add(const std::vector<ArtifactRef>& artifacts, std::string_view by) {
    for (const ArtifactRef& artifact : artifacts) {
      const Instant until =
          time + (artifact.keep_ms > 0 ? Millis(artifact.keep_ms) : options.keep_artifacts);
      Instant& known = uses[blob_use_key(artifact.digest, to_string(run), by)];
      known = std::max(known, until);
    }
  }
  void operator()(const RunQueued& event) {
    for (const KeptJob& job : event.kept) add(job.artifacts, "kept");
  }
  void operator()(const JobFinished& event) { add(event.artifacts, std::to_string(event.node)); }
  template <typename Other>
  void operator()(const Other& /*event*/) {}
};

Status read_group(const db::FeedGroup& group, const CollectorOptions& options, Uses& uses) {
  const Result<std::vector<Event>> events = wire::decode_events(group.events.payload);
  if (!events) return events.error();
  UseReader reader{uses, options, group.run, group.events.time};
  for (const Event& event : *events) std::visit(reader, event.body);
  return {};
}

std::vector<db::RecordPut> puts_of(const Uses& uses) {
  std::vector<db::RecordPut> puts;
  for (const auto& [key, until] : uses) {
    JsonWriter json;
    json.open('{').field("until", until.ms).close('}');
    puts.push_back({std::string(kBlobUseKind), key, json.take(), {}});
  }
  return puts;
}
}  // namespace

Collector::Collector(db::Store& store, blob::BlobStore& blobs, CollectorOptions options, Put put)
    : store_(store), blobs_(blobs), options_(options), put_(std::move(put)) {}

Status Collector::follow(const std::stop_token& stop) {
  if (position_ < 0) {
    const auto kept = store_.get_record(kCollectorKind, kPositionKey);
    if (!kept) return kept.error();
    const Result<Value> json = *kept ? parse_json((*kept)->json) : Result<Value>(Value());
    if (!json) return json.error();
    position_ = json->is_object() ? json->int_or("position", 0) : 0;
  }
  while (!stop.stop_requested()) {
    const auto groups = store_.read_feed(position_, kPage);
    if (!groups) return groups.error();
    if (groups->empty()) return {};
    Uses uses;
    for (const db::FeedGroup& group : *groups) {
      if (const Status read = read_group(group, options_, uses); !read) return read;
    }
    std::vector<db::RecordPut> puts = puts_of(uses);
    JsonWriter json;
    json.open('{').field("position", groups->back().position).close('}');
    puts.push_back({std::string(kCollectorKind), std::string(kPositionKey), json.take(), {}});
    if (const Status done = put_in_slices(std::move(puts)); !done) return done;
    position_ = groups->back().position;
  }
  return {};
}

// Others' decisions travel in the same commits: none may be large. What comes last is the position.
Status Collector::put_in_slices(std::vector<db::RecordPut> puts) {
  for (auto from = puts.begin(); from != puts.end();) {
    const auto to = puts.end() - from > kPage ? from + kPage : puts.end();
    if (const Status done = put_({std::move_iterator(from), std::move_iterator(to)}); !done)
      return done;
    from = to;
  }
  return {};
}

Status Collector::read_caches() {
  caches_.clear();
  std::string after;
  for (;;) {
    const auto page = store_.list_records(kCacheKind, "", after, kPage);
    if (!page) return page.error();
    for (const db::Record& record : *page) {
      after = record.key;
      const Result<Value> entry = parse_json(record.json);
      if (!entry || !entry->is_object()) continue;
      caches_[entry->string_or("digest", "")].push_back(record.key);
      const Value* artifacts = entry->find("artifacts");
      if (artifacts == nullptr || !artifacts->is_list()) continue;
      for (const Value& artifact : artifacts->as_list())
        caches_[artifact.string_or("digest", "")].push_back(record.key);
    }
    if (page->size() < kPage) return {};
  }
}

Result<bool> Collector::counts(const db::Record& use, Instant now) {
  const Result<Value> json = parse_json(use.json);
  if (!json || !json->is_object()) return true;  // not ours to judge
  const bool is_over = json->int_or("until", 0) <= now.ms;
  const auto run = run_of_blob_use(use.key);
  if (!run) return !is_over;
  if (is_over) return is_open(*run);
  const auto events = store_.read_events(*run, 0, 1);
  if (!events) return events.error();
  return !events->empty();
}

// Its jobs may need what earlier ones made, however long an approval has been waited for.
Result<bool> Collector::is_open(Uuid id) {
  const auto run = store_.load_run(id);
  if (!run) return run.error();
  return *run && !is_final((*run)->row.status);
}

Result<bool> Collector::is_used(const std::string& digest, Instant now) {
  std::vector<db::RecordPut> gone;
  bool used = false;
  std::string after;
  for (bool more = true; more && !used;) {
    const auto page = store_.list_records(kBlobUseKind, digest + "/", after, kPage);
    if (!page) return page.error();
    for (const db::Record& use : *page) {
      after = use.key;
      const Result<bool> counted = counts(use, now);
      if (!counted) return counted.error();
      used = *counted;
      if (used) break;
      gone.push_back({std::string(kBlobUseKind), use.key, std::nullopt, {}});
    }
    more = page->size() == kPage;
  }
  if (const Status dropped = put_in_slices(std::move(gone)); !dropped) return dropped.error();
  return used;
}

// The blob goes first: an entry without it is as good as none.
Status Collector::drop_caches(const std::string& digest) {
  const auto found = caches_.find(digest);
  if (found == caches_.end()) return {};
  std::vector<db::RecordPut> gone;
  for (const std::string& key : found->second)
    gone.push_back({std::string(kCacheKind), key, std::nullopt, {}});
  return put_(std::move(gone));
}

Status Collector::consider(const std::string& digest, Instant now) {
  const Result<bool> used = is_used(digest, now);
  if (!used) return used.error();
  if (*used) return {};
  const bool cached = caches_.contains(digest);
  const Millis unused =
      cached ? std::max(options_.keep_caches, options_.blob_grace) : options_.blob_grace;
  if (!options_.may_remove()) return Error{Code::unavailable, "another server leads", {}};
  const Result<bool> gone = blobs_.remove_unused(digest, now - unused);
  if (!gone) return gone.error();
  if (!*gone) return {};
  ++removed_;
  return drop_caches(digest);
}

// A blob that is used all the time is never looked at above, yet its old uses must go.
Status Collector::prune(Instant now, const std::stop_token& stop) {
  std::string after;
  for (bool more = true; more && !stop.stop_requested();) {
    const auto page = store_.list_records(kBlobUseKind, "", after, kPage);
    if (!page) return page.error();
    std::vector<db::RecordPut> gone;
    for (const db::Record& use : *page) {
      after = use.key;
      const Result<Value> json = parse_json(use.json);
      if (!json || !json->is_object() || json->int_or("until", 0) > now.ms) continue;
      const Result<bool> counted = counts(use, now);
      if (!counted) return counted.error();
      if (!*counted) gone.push_back({std::string(kBlobUseKind), use.key, std::nullopt, {}});
    }
    if (!gone.empty()) {
      if (const Status dropped = put_(std::move(gone)); !dropped) return dropped;
    }
    more = page->size() == kPage;
  }
  if (!stop.stop_requested()) pruned_ = now;
  return {};
}

Status Collector::sweep(Instant now, const std::stop_token& stop) {
  if (const Status followed = follow(stop); !followed) return followed;
  if (const Status read = read_caches(); !read) return read;
  std::string after;
  for (bool more = true; more && !stop.stop_requested();) {
    const auto page = blobs_.list_unused(now - options_.blob_grace, after, kBlobPage);
    if (!page) return page.error();
    // What was referred to since the sweep began counts.
    if (const Status followed = follow(stop); !followed) return followed;
    for (const std::string& digest : *page) {
      if (stop.stop_requested()) return {};
      after = digest;
      if (const Status done = consider(digest, now); !done) return done;
    }
    more = page->size() == kBlobPage;
  }
  caches_.clear();
  if (stop.stop_requested()) return {};
  if (now - pruned_ >= kPruneEvery) {
    if (const Status done = prune(now, stop); !done) return done;
  }
  return blobs_.drop_uploads(now - options_.blob_grace);
}

class CollectorThread::Loop {
 public:
  Loop(Service& service, Clock& clock, CollectorOptions options)
      : service_(service),
        clock_(clock),
        interval_(std::clamp(options.blob_grace / kSweepsAGrace, kIntervalMin, kIntervalMax)),
        collector_(service.store(), service.blobs(), options,
                   [this](std::vector<db::RecordPut> puts) { return put(std::move(puts)); }),
        thread_([this] { run(); }) {}
  ~Loop() { stop_.request_stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

 private:
  static constexpr int kSweepsAGrace = 24;
  static constexpr Millis kIntervalMin{1'000};
  static constexpr Millis kIntervalMax{3'600'000};
  static constexpr Millis kFirst{60'000};
  static constexpr int kRest =
      20;  // so many times as long as a sweep took: at most 5 % of the time

  struct Answer {
    std::mutex mutex;
    std::condition_variable_any given;
    std::optional<Status> status;
  };

  // The store has one writer: this takes its turn among all commits. A store that is away answers
  // when it is back, which an end does not wait for.
  Status put(std::vector<db::RecordPut> puts) {
    const auto answer = std::make_shared<Answer>();
    service_.put_records(std::move(puts), std::nullopt, [answer](const Result<bool>& done) {
      const std::scoped_lock lock(answer->mutex);
      answer->status = done ? Status() : Status(done.error());
      answer->given.notify_all();
    });
    std::unique_lock lock(answer->mutex);
    answer->given.wait(lock, stop_.get_token(), [&] { return answer->status.has_value(); });
    return answer->status.value_or(Error{Code::unavailable, "the server ends", {}});
  }

  void run() {
    Millis pause = std::min(interval_, kFirst);
    for (;;) {
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, stop_.get_token(), pause, [] { return false; });
      if (stop_.stop_requested()) return;
      const Instant began = clock_.now();
      sweep(began);
      pause = std::max(interval_, kRest * (clock_.now() - began));
    }
  }

  void sweep(Instant now) {
    const std::int64_t before = collector_.removed();
    const Status swept = collector_.sweep(now, stop_.get_token());
    if (!swept && !stop_.stop_requested())
      log_warn("blobs wait for the next sweep", {{"reason", swept.error().message}});
    if (const std::int64_t removed = collector_.removed() - before; removed > 0)
      log_info("blobs that nobody uses were removed", {{"count", std::to_string(removed)}});
  }

  Service& service_;
  Clock& clock_;
  const Millis interval_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  Collector collector_;
  std::jthread thread_;  // the last: uses all of the above
};

CollectorThread::CollectorThread(Service& service, Clock& clock, CollectorOptions options)
    : loop_(std::make_unique<Loop>(service, clock, options)) {}
CollectorThread::~CollectorThread() = default;

}  // namespace mc::conductor
