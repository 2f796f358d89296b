#include "cli/follow.h"

#include <algorithm>
#include <map>

#include "cli/log_tail.h"
#include "cli/reference.h"
#include "cli/run_tree.h"

namespace mc::cli {
namespace {

// Between two looks: short after something came, longer while nothing does.
constexpr Millis kPauseLeast{15};
constexpr Millis kPauseMost{300};

class Follower {
 public:
  Follower(Session& session, Server& server, const FollowOptions& options)
      : session_(session),
        server_(server),
        options_(options),
        paint_(options.to_err ? session.err_paint() : session.paint()),
        began_(system_clock().now()),
        heard_(began_) {}

  Result<Followed> run();

 private:
  Status load();
  Result<bool> take_events();
  Result<bool> take_logs();
  Status take_approvals();
  Status look();
  void note_change(const Value& event);
  bool retry_later(const Error& error);
  std::optional<Followed> interrupted();
  void print(std::string_view text) const {
    options_.to_err ? session_.err(text) : session_.out(text);
  }
  void print_line(const std::string& line);
  void erase();
  void draw();
  void pause();

  Session& session_;
  Server& server_;
  const FollowOptions& options_;
  const Paint& paint_;
  RunTree tree_;
  Value run_;
  std::map<std::string, LogTail> tails_;
  std::map<std::string, bool> asked_;
  Instant began_, heard_;
  Millis pause_ = kPauseLeast;
  std::size_t drawn_ = 0;  // lines of the tree on the screen
  std::string above_;      // what is to be printed above the tree
  int interrupts_seen_ = 0;
  bool stale_ = true;
  bool late_ = false;
  bool moved_ = false;  // something came with the last look
};

Status Follower::load() {
  Result<Value> run = server_.get(run_path(options_.run));
  if (!run.ok()) return run.error();
  Result<Value> jobs = server_.get(run_path(options_.run) + "/jobs");
  if (!jobs.ok()) return jobs.error();
  run_ = *run;
  tree_.load(*run, *jobs);
  stale_ = false;
  return {};
}

void Follower::print_line(const std::string& line) {
  if (options_.live) {
    above_ += line + "\n";
  } else {
    print(line + "\n");
  }
}

void Follower::note_change(const Value& event) {
  const std::string type = event.string_or("type", "");
  const Value* data = event.find("data");
  if (data == nullptr) return;
  if (type == "job.started" && options_.logs) {
    const std::string job = data->string_or("job", "");
    const int attempt = static_cast<int>(data->int_or("attempt", 1));
    tails_.insert_or_assign(job, LogTail(options_.run, job, attempt));
  }
  if (type == "job.finished" || type == "job.retrying") {
    const auto tail = tails_.find(data->string_or("job", ""));
    // All that a job wrote comes before the word that it has ended.
    if (tail != tails_.end()) {
      (void)tail->second.read(
          server_, [this](const std::string& line) { print_line(line); }, paint_);
      tail->second.finish([this](const std::string& line) { print_line(line); }, paint_);
      tails_.erase(tail);
    }
  }
}

Result<bool> Follower::take_events() {
  bool some = false;
  for (;;) {
    Result<Value> page =
        server_.get(run_path(options_.run) + "/events?after=" + std::to_string(tree_.last_seq()));
    if (!page.ok()) return page.error();
    const Value* items = page->find("items");
    if (items == nullptr || !items->is_list() || items->as_list().empty()) return some;
    some = true;
    for (const Value& event : items->as_list()) {
      note_change(event);
      stale_ = !tree_.apply(event) || stale_;
      if (!options_.live) {
        const std::string line = change_line(tree_, event, paint_);
        if (!line.empty()) print_line(line);
      }
    }
  }
}

Result<bool> Follower::take_logs() {
  bool some = false;
  for (auto& [job, tail] : tails_) {
    Result<bool> more =
        tail.read(server_, [this](const std::string& line) { print_line(line); }, paint_);
    if (!more.ok()) return more.error();
    some = some || *more;
  }
  return some;
}

Status Follower::take_approvals() {
  if (!options_.on_approval) return {};
  const bool any = std::any_of(tree_.jobs().begin(), tree_.jobs().end(), [](const TreeJob& job) {
    // A child run may hold an approval of its own.
    return job.status == "waiting" && (job.reason == "approval" || job.reason == "child");
  });
  if (!any) return {};
  Result<Value> waiting = server_.get_all("/api/v1/approvals?status=waiting");
  if (!waiting.ok()) return waiting.error();
  const Value* items = waiting->find("items");
  if (items == nullptr || !items->is_list()) return {};
  for (const Value& approval : items->as_list()) {
    const std::string id = approval.string_or("id", "");
    if (asked_[id]) continue;
    asked_[id] = true;
    erase();
    Result<bool> go_on = options_.on_approval(approval);
    if (!go_on.ok()) return go_on.error();
  }
  return {};
}

Status Follower::look() {
  if (stale_) {
    if (Status loaded = load(); !loaded.ok()) return loaded;
  }
  Result<bool> events = take_events();
  if (!events.ok()) return events.error();
  Result<bool> logs = take_logs();
  if (!logs.ok()) return logs.error();
  if (Status asked = take_approvals(); !asked.ok()) return asked;
  moved_ = *events || *logs;
  heard_ = system_clock().now();
  return {};
}

bool Follower::retry_later(const Error& error) {
  moved_ = false;
  return is_passing(error) && system_clock().now() - heard_ < kFollowRetryFor;
}

std::optional<Followed> Follower::interrupted() {
  const int count = session_.io().interrupts->count.load();
  if (count == interrupts_seen_) return std::nullopt;
  interrupts_seen_ = count;
  if (options_.on_interrupt) {
    options_.on_interrupt(count);
    return std::nullopt;
  }
  return Followed{Followed::End::detached, run_};
}

void Follower::erase() {
  if (drawn_ > 0) print("\x1b[" + std::to_string(drawn_) + "A\x1b[J");
  drawn_ = 0;
}

void Follower::draw() {
  if (!options_.live) return;
  const auto rows = static_cast<std::size_t>(std::max(4, session_.io().rows * 2 / 3));
  const auto columns = static_cast<std::size_t>(session_.io().columns);
  const std::vector<std::string> lines = tree_.lines(system_clock().now(), columns, rows, paint_);
  std::string text;
  if (drawn_ > 0) text += "\x1b[" + std::to_string(drawn_) + "A\x1b[J";
  text += above_;
  above_.clear();
  for (const std::string& line : lines) text += line + "\n";
  drawn_ = lines.size();
  print(text);
}

// Until the run is over or there may be something new to see.
void Follower::pause() {
  pause_ = moved_ ? kPauseLeast : std::min(kPauseMost, pause_ * 2);
  const Result<Value> seen =
      server_.get(run_path(options_.run) + "?wait=" + std::to_string(pause_.count()) + "ms");
  if (!seen.ok()) session_.io().interrupts->wait(interrupts_seen_ + 1, pause_);
}

Result<Followed> Follower::run() {
  session_.io().interrupts->handled = true;
  interrupts_seen_ = session_.io().interrupts->count.load();
  for (;;) {
    const Status looked = look();
    if (!looked.ok() && !retry_later(looked.error())) return looked.error();
    draw();
    if (looked.ok() && is_final_status(tree_.status())) break;
    if (std::optional<Followed> end = interrupted()) return *end;
    const Instant now = system_clock().now();
    if (options_.timeout.count() > 0 && now - began_ >= options_.timeout && !late_) {
      if (!options_.on_timeout) return Followed{Followed::End::timed_out, run_};
      late_ = true;
      options_.on_timeout();
    }
    pause();
  }
  if (Status loaded = load(); !loaded.ok()) return loaded.error();
  draw();
  return Followed{Followed::End::finished, run_, late_};
}

}  // namespace

Result<Followed> follow_run(Session& session, const FollowOptions& options) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  return Follower(session, **server, options).run();
}

Result<Followed> wait_for_run(Session& session, const std::string& run, Millis timeout) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Interrupts& interrupts = *session.io().interrupts;
  interrupts.handled = true;
  const Instant began = system_clock().now();
  Instant heard = began;
  Value last;
  for (;;) {
    if (interrupts.count.load() > 0) return Followed{Followed::End::detached, last};
    const Instant now = system_clock().now();
    const Millis left = timeout.count() > 0 ? timeout - (now - began) : Millis(10'000);
    if (left.count() <= 0) return Followed{Followed::End::timed_out, last};
    // Short waits: an interrupt must not hang on a quiet run.
    const Millis wait = std::min(left, Millis(2'000));
    Result<Value> seen =
        (*server)->get(run_path(run) + "?wait=" + std::to_string(wait.count()) + "ms");
    if (seen.ok()) {
      last = *seen;
      heard = now;
      if (is_final_status(seen->string_or("status", "")))
        return Followed{Followed::End::finished, last};
    } else if (!is_passing(seen.error()) || now - heard > kFollowRetryFor) {
      return seen.error();
    } else {
      interrupts.wait(1, kPauseMost);
    }
  }
}

int exit_code_of_run(std::string_view status) {
  if (status == "succeeded") return 0;
  return status == "cancelled" || status == "denied" ? 3 : 1;
}

bool is_final_status(std::string_view status) {
  for (const char* one : {"succeeded", "failed", "cancelled", "timed_out", "denied"})
    if (status == one) return true;
  return false;
}

}  // namespace mc::cli
