#include "blob/s3/logs.h"

#include <algorithm>

#include "base/log.h"
#include "blob/s3/segments.h"

namespace mc::blob {
namespace {
constexpr std::size_t kLogsMax = 10'000;       // remembered; one that was forgotten is listed again
constexpr std::size_t kSegmentMax = 64 << 20;  // none is written that is nearly as large
constexpr int kListMax = 1'000'000;
constexpr std::chrono::seconds kCloseMax{15};
constexpr std::size_t kRemovedAtOnce = 20;  // runs; then what was written meanwhile has its turn

std::string name_of(Uuid run, std::uint32_t node, int attempt) {
  return to_string(run) + "/" + std::to_string(node) + "." + std::to_string(attempt);
}
}  // namespace

S3Logs::S3Logs(S3Client& client, BlobStore& local, S3LogSettings settings)
    : client_(client),
      local_(local),
      settings_(settings),
      thread_([this](const std::stop_token& stop) { loop(stop); }) {}

S3Logs::~S3Logs() { static_cast<void>(close()); }

Status S3Logs::close() {
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return {};
    closed_ = true;
  }
  // Nobody serves the projects of this shard meanwhile: jobs wait no longer than that for a bucket
  // that does not answer.
  std::jthread limit([this](const std::stop_token& done) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any over;
    over.wait_for(lock, done, kCloseMax, [] { return false; });
    if (!done.stop_requested()) client_.stop();
  });
  thread_.request_stop();
  thread_.join();
  Status rest = flush();
  if (!rest) log_warn("the end of a log is not in S3", {{"reason", rest.error().message}});
  // Nobody remembers these any more, and there may be many.
  for (const Uuid run : removing_)
    log_warn("logs of a removed run may stay in S3", {{"run", to_string(run)}});
  return rest;
}

S3Logs::LogRef S3Logs::find(Uuid run, std::uint32_t node, int attempt) {
  const std::string name = name_of(run, node, attempt);
  const std::scoped_lock lock(mutex_);
  LogRef& log = logs_[name];
  if (log) return log;
  log = std::make_shared<Log>();
  log->run = run;
  log->node = node;
  log->attempt = attempt;
  const LogRef found = log;
  if (logs_.size() > kLogsMax) {
    std::erase_if(logs_, [&](const auto& each) {
      return each.second.use_count() == 1 && !unsent_.contains(each.first);
    });
  }
  return found;
}

Result<std::int64_t> S3Logs::append(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                                    const std::vector<LogPiece>& pieces) {
  const LogRef log = find(run, node, attempt);
  const std::int64_t before = local_.log_size(run, node, attempt);
  // A log that is known is not kept waiting for S3.
  if (!log->loaded) {
    const std::scoped_lock lock(log->mutex);
    // From its beginning on a log is what its worker says: nothing has to be known of it.
    if (!log->loaded && before == 0 && offset == 0 && !pieces.empty()) log->loaded = true;
    if (!log->loaded && (offset > before || before == 0)) {
      if (const Status loaded = load(*log); !loaded) return loaded.error();
    }
  }
  auto end = local_.append_log(run, node, attempt, offset, pieces);
  if (end && *end > before) mark(log, *end - log->in_s3 >= settings_.segment_bytes);
  return end;
}

void S3Logs::mark(const LogRef& log, bool full) {
  const std::scoped_lock lock(mutex_);
  unsent_[name_of(log->run, log->node, log->attempt)] = log;
  if (!full) return;
  hurry_ = true;
  woken_.notify_all();
}

Status S3Logs::load(Uuid run, std::uint32_t node, int attempt) {
  const LogRef log = find(run, node, attempt);
  if (log->loaded) return {};
  const std::scoped_lock lock(log->mutex);
  if (log->loaded) return {};
  const Status loaded = load(*log);
  return loaded || local_.log_size(run, node, attempt) > 0 ? Status() : loaded;
}

// Requires: log.mutex is held.
Status S3Logs::load(Log& log) {
  const std::string prefix = "logs/" + name_of(log.run, log.node, log.attempt) + "/";
  const auto listed = client_.list(prefix, "", kListMax);
  if (!listed) return listed.error();
  std::vector<std::string> keys;
  for (const S3Object& object : *listed) keys.push_back(object.key);
  const std::vector<Segment> segments = pick_segments(keys);
  log.in_s3 = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::int64_t have = local_.log_size(log.run, log.node, log.attempt);
    if (i + 1 < segments.size() && segments[i + 1].offset <= have) continue;
    const Segment& next = segments[i];
    if (const Status fetched = fetch(next.key, next.offset, next.end_max, log); !fetched)
      return fetched;
  }
  log.loaded = true;
  return {};
}

Status S3Logs::fetch(const std::string& key, std::int64_t offset, std::int64_t end_max, Log& log) {
  std::string bytes;
  const Status got = client_.get(key, [&](std::string_view piece) {
    bytes += piece;
    return bytes.size() <= kSegmentMax;
  });
  if (!got) return got;
  auto pieces = read_segment(bytes);
  if (!pieces) {
    log_warn("a segment of a log in S3 is damaged: the log ends before it", {{"segment", key}});
    return {};
  }
  cut_pieces(*pieces, end_max - offset);
  const auto end = local_.append_log(log.run, log.node, log.attempt, offset, *pieces);
  if (end) {
    std::int64_t length = 0;
    for (const LogPiece& piece : *pieces) length += static_cast<std::int64_t>(piece.text.size());
    log.in_s3 = offset + length;
    return {};
  }
  // A gap: somebody removed a segment. What follows has no place any more.
  if (end.error().code != Code::invalid_field) return end.error();
  log_warn("a log in S3 lacks a segment: it ends before it", {{"segment", key}});
  return {};
}

// Requires: log.mutex is held.
Status S3Logs::flush(Log& log) {
  if (log.removed) return {};
  if (!log.loaded) {
    if (const Status loaded = load(log); !loaded) return loaded;
  }
  const std::string name = name_of(log.run, log.node, log.attempt);
  while (log.in_s3 < local_.log_size(log.run, log.node, log.attempt)) {
    const auto read =
        local_.read_log(log.run, log.node, log.attempt, log.in_s3, settings_.segment_bytes);
    if (!read) return read.error();
    if (read->next_offset <= log.in_s3) return {};
    const std::string key = segment_key(name, log.in_s3, settings_.epoch);
    if (const Status sent = client_.put(key, write_segment(read->pieces)); !sent) return sent;
    log.in_s3 = read->next_offset;
  }
  return {};
}

Status S3Logs::flush() {
  std::unordered_map<std::string, LogRef> unsent;
  {
    const std::scoped_lock lock(mutex_);
    unsent.swap(unsent_);
  }
  Status failed;
  for (const auto& [name, log] : unsent) {
    // What comes in the meantime marks the log anew.
    const std::unique_lock lock(log->mutex);
    // One that fails for a reason of its own keeps no other back.
    const bool away = !failed && failed.error().code == Code::unreachable;
    if (const Status flushed = away ? failed : flush(*log); !flushed) {
      failed = flushed;
      mark(log, false);
    }
  }
  return failed;
}

Status S3Logs::remove(Uuid run) {
  std::vector<LogRef> logs;
  {
    const std::scoped_lock lock(mutex_);
    const std::string prefix = to_string(run) + "/";
    for (const auto& [name, log] : logs_) {
      if (name.starts_with(prefix)) logs.push_back(log);
    }
    std::erase_if(logs_, [&](const auto& each) { return each.first.starts_with(prefix); });
    std::erase_if(unsent_, [&](const auto& each) { return each.first.starts_with(prefix); });
  }
  // Not under their locks, which are held while S3 is asked: the store waits for this call.
  for (const LogRef& log : logs) log->removed = true;
  if (const Status gone = local_.remove_logs(run); !gone) return gone;
  const std::scoped_lock lock(mutex_);
  removing_.push_back(run);
  hurry_ = true;
  woken_.notify_all();
  return {};
}

Status S3Logs::remove_objects(Uuid run, const std::stop_token& stop) {
  const auto listed = client_.list("logs/" + to_string(run) + "/", "", kListMax);
  if (!listed) return listed.error();
  for (const S3Object& object : *listed) {
    if (stop.stop_requested()) return Error{Code::shutting_down, "the shard goes", {}};
    if (const Status gone = client_.remove(object.key); !gone) return gone;
  }
  return {};
}

// True: S3 took all of it.
bool S3Logs::work_off(bool& failing, const std::stop_token& stop) {
  std::vector<Uuid> removing;
  {
    const std::scoped_lock lock(mutex_);
    const std::size_t some = std::min(removing_.size(), kRemovedAtOnce);
    const auto end = removing_.begin() + static_cast<std::ptrdiff_t>(some);
    removing.assign(removing_.begin(), end);
    removing_.erase(removing_.begin(), end);
    hurry_ = hurry_ || !removing_.empty();
  }
  const auto is_away = [](const Status& of) { return !of && of.error().code == Code::unreachable; };
  Status done = flush();
  for (const Uuid run : removing) {
    const bool skipped = is_away(done) || stop.stop_requested();
    const Status gone = skipped ? done : remove_objects(run, stop);
    if (gone && !skipped) continue;
    if (!stop.stop_requested()) done = gone;
    const std::scoped_lock lock(mutex_);
    removing_.push_back(run);
  }
  if (!done && !failing) log_warn("logs wait for S3", {{"reason", done.error().message}});
  if (done && failing) log_info("logs are in S3 again");
  failing = !done;
  return done.ok();
}

void S3Logs::loop(const std::stop_token& stop) {
  bool failing = false;
  while (!stop.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      woken_.wait_for(lock, stop, settings_.interval, [&] { return hurry_ && !failing; });
      hurry_ = false;
    }
    if (!stop.stop_requested()) work_off(failing, stop);
  }
}

}  // namespace mc::blob
