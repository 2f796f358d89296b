#include "cluster/polls.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/error.h"
#include "cluster/gather.h"
#include "cluster/paths.h"
#include "cluster/split.h"
#include "http/problem.h"
#include "wire/task_codec.h"

namespace mc::cluster {
namespace {
// Whose calls this thread is making: calls that end at once must not make the stack deeper.
thread_local const void* making_calls_of = nullptr;

// Whether a shard that gave `given` tasks of those asked for may have more for that worker: as it
// says; one that does not, if it gave all.
// One that has only jobs below `priority_min` comes after others, and is asked again then.
bool may_have_more(int asked_for, std::size_t given, const std::optional<wire::Next>& next,
                   std::optional<int> priority_min) {
  const bool is_look = asked_for == 0;
  if (next && !next->offer) return false;
  if (next) return is_look || given > 0 || (priority_min && next->offer->priority < *priority_min);
  return is_look || given == static_cast<std::size_t>(asked_for);
}
}  // namespace

std::shared_ptr<Polls> Polls::make(Outside outside, PollOptions options) {
  // tidy: allow banned: the constructor is private
  return std::shared_ptr<Polls>(new Polls(std::move(outside), options));
}

Polls::Polls(Outside outside, PollOptions options)
    : outside_(std::move(outside)), options_(options), count_(outside_.shards.count()) {
  MC_CHECK(count_ >= 1);
  shards_.resize(static_cast<std::size_t>(count_));
}

// --- from outside ---

bool Polls::add(PollWish wish) { return take_in(std::move(wish), false) != 0; }

std::uint64_t Polls::announce(PollWish wish) { return take_in(std::move(wish), true); }

std::uint64_t Polls::take_in(PollWish wish, bool waits_for_go) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    if (stopped_ || polls_.size() >= options_.polls_max) return 0;
    sweep_kinds();
    id = ++last_id_;
    Poll& poll = polls_[id];
    enter_kind(poll, wish.kind);
    poll.until = now_ + std::max(Millis(0), wish.wait);
    by_worker_[wish.worker_id].insert(id);
    poll.wish = std::move(wish);
    poll.stage = Stage::announced;
    poll.is_busy = true;
    if (!waits_for_go) begin(id, poll, Stage::first);
    settle();
  }
  flush();
  return id;
}

void Polls::go(std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    const auto found = polls_.find(ticket);
    if (found == polls_.end() || found->second.stage != Stage::announced) return;
    begin(ticket, found->second, Stage::first);
    settle();
  }
  flush();
}

void Polls::drop(std::uint64_t ticket) {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    const auto found = polls_.find(ticket);
    if (found == polls_.end() || found->second.stage != Stage::announced) return;
    leave(ticket, found->second);
    settle();
  }
  flush();
}

void Polls::end_polls_of(const std::string& worker_id) {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    for (const std::uint64_t id : polls_of(worker_id)) {
      Poll& poll = polls_.at(id);
      if (poll.stage == Stage::announced) continue;
      // One that is asked just now ends with the answer.
      poll.is_busy ? void(poll.is_ended = true) : finish(id, poll);
    }
    settle();
  }
  flush();
}

std::vector<std::uint64_t> Polls::polls_of(const std::string& worker_id) const {
  const auto found = by_worker_.find(worker_id);
  if (found == by_worker_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

bool Polls::is_only(const std::string& kind, int shard) {
  const std::lock_guard lock(mutex_);
  look_at_clock();
  if (count_ == 1) return true;
  const auto known = kinds_.find(kind);
  if (known == kinds_.end()) return false;
  for (int i = 0; i < count_; ++i) {
    if (i != shard && may_have(known->second, i)) return false;
  }
  return true;
}

void Polls::set_kind(const std::string& worker_id, const std::string& kind) {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    for (const std::uint64_t id : polls_of(worker_id)) {
      Poll& poll = polls_.at(id);
      const bool is_idle = poll.kind->second.idle.contains(id);
      set_idle(poll.kind, id, false);
      leave_kind(poll);
      enter_kind(poll, kind);
      if (is_idle) rest(id, poll);
    }
    settle();
  }
  flush();
}

void Polls::ready(int shard, bool here) {
  if (shard < 0 || shard >= count_) return;
  std::unique_lock lock(mutex_);
  look_at_clock();
  Shard& at = shards_[static_cast<std::size_t>(shard)];
  note_news(at);
  at.is_ours |= here;
  wake_soon(lock);
}

void Polls::shards_changed() {
  std::unique_lock lock(mutex_);
  look_at_clock();
  for (Shard& shard : shards_) note_news(shard);
  // One of a kind finds out about jobs; whether a shard knows the worker each finds out itself.
  beats_.clear();
  for (auto& [id, poll] : polls_) {
    poll.beat = now_;
    if (poll.stage == Stage::waiting && !poll.is_busy) beats_.insert({poll.beat, id});
  }
  wake_soon(lock);
}

void Polls::tick() {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    armed_ = {};
    if (stopped_) return;
    is_ticking_ = true;
    while (!ends_.empty() && ends_.begin()->first <= now_) {
      const std::uint64_t id = ends_.begin()->second;
      finish(id, polls_.at(id));
    }
    if (look_at_ && look_at_ <= now_) end_the_gone();
    for (int shard = 0; shard < count_; ++shard) {
      Shard& at = shards_[static_cast<std::size_t>(shard)];
      if (at.is_open && !at.is_asking && at.close_by <= now_) {
        advance(shard);
        if (at.is_open && !at.is_asking) close_round(shard);
      }
      if (at.tell_at && at.tell_at <= now_) send_tell(shard);
    }
    settle();
  }
  flush(true);
}

void Polls::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    std::vector<std::uint64_t> idle;
    for (const auto& [id, poll] : polls_) {
      if (!poll.is_busy) idle.push_back(id);
    }
    for (const std::uint64_t id : idle) finish(id, polls_.at(id));
    say_farewells();
    farewells_.clear();
    // Nobody may tick any more, and their polls end with the answers.
    std::ranges::move(round_calls_, std::back_inserter(calls_));
    round_calls_.clear();
  }
  flush();
  std::unique_lock lock(mutex_);
  calm_.wait(lock, [this] { return calling_ == 0 && calls_.empty(); });
}

std::size_t Polls::size() const {
  const std::lock_guard lock(mutex_);
  return polls_.size();
}

// --- one poll ---

// Not any more once it is stopped: the clock may end then.
void Polls::look_at_clock() {
  if (!stopped_) now_ = outside_.clock.now();
}

void Polls::enter_kind(Poll& poll, const std::string& kind) {
  const auto [entry, is_new] = kinds_.try_emplace(kind);
  if (is_new) entry->second.notes.resize(shards_.size());
  entry->second.used = now_;
  poll.kind = &*entry;
  if (++entry->second.polls > 1) return;
  ++used_kinds_;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!is_known(entry->second, i)) ++shards_[i].unknown;
  }
}

void Polls::begin(std::uint64_t id, Poll& poll, Stage stage) {
  poll.stage = stage;
  poll.beat = {};
  poll.unasked.assign(shards_.size(), false);
  poll.looked.assign(shards_.size(), false);
  poll.began = now_;
  if (stage == Stage::keeping) {
    ++keeping_;
    for (std::size_t i = 0; i < shards_.size(); ++i) poll.unasked[i] = !is_away(shards_[i]);
    poll.shard = static_cast<int>(id % shards_.size());
  } else {
    plan_first(poll);
  }
  poll.is_busy = true;
  go_on(id, poll);
}

// Asks the next shard of the pass, or ends the pass.
void Polls::go_on(std::uint64_t id, Poll& poll) {
  const int left = poll.wish.max - static_cast<int>(poll.tasks.size());
  const bool is_late = poll.is_ended || (poll.stage == Stage::keeping && poll.until <= now_);
  const bool is_enough = left <= 0 || (poll.wish.is_counted && poll.weighs);
  if (!is_enough && !is_late && !stopped_) {
    if (const auto next = next_ask(poll)) return ask(id, poll, *next);
  }
  if (!poll.tasks.empty()) return finish(id, poll);
  if (poll.stage == Stage::first && !poll.was_answered && poll.trouble)
    return finish(id, poll, std::move(poll.trouble));
  if (poll.stage == Stage::keeping) --keeping_;
  poll.stage = Stage::waiting;
  poll.unasked.assign(shards_.size(), false);
  // It may have been set while the pass was under way: then there is news of shards.
  if (!poll.beat) poll.beat = now_ + options_.keep_alive;
  rest(id, poll);
}

void Polls::ask(std::uint64_t id, Poll& poll, Ask call) {
  const int shard = call.shard;
  const auto at = static_cast<std::size_t>(shard);
  if (poll.wish.head.client_gone()) return finish(id, poll);
  if (poll.in_round) shards_[at].is_asking = true;
  shards_[at].was_asked = true;
  poll.unasked[at] = false;
  poll.is_busy = true;
  poll.shard = shard;
  poll.news = shards_[at].news;
  poll.asked_at = now_;
  poll.asked_for = std::min(kAskedMax, call.max);
  poll.charged = std::move(call.charged);
  poll.priority_min = call.priority_min;
  if (poll.asked_for == 0 && shards_[at].looks++ == 0) shards_[at].looked_since = now_;
  std::string body = "{" + poll.wish.members + ",\"max\":" + std::to_string(poll.asked_for);
  body += ",\"wait_ms\":0";
  if (count_ > 1) body += ",\"wants_next\":true";
  if (call.priority_min) body += ",\"priority_min\":" + std::to_string(*call.priority_min);
  if (poll.until > now_) {
    const Millis parks = options_.keep_alive + options_.parks_beyond;
    body += ",\"parks_ms\":" + std::to_string(parks.count());
    poll.parks = true;
  } else if (poll.asked_for == 0) {
    body += ",\"parks_ms\":1";  // without it nothing would be noted of what the worker holds
  }
  body += '}';
  http::Request request = request_like(poll.wish.head, std::string(kPoll), std::move(body));
  // Shared with the answer, which may come when everybody else has let go.
  auto& calls = poll.in_round ? round_calls_ : calls_;
  calls.push_back([self = shared_from_this(), id, shard, request = std::move(request)] {
    if (request.client_gone()) return self->give_up(id);
    self->outside_.shards.call(shard, request, [self, id](http::Response response) {
      self->answered(id, std::move(response));
    });
  });
}

void Polls::answered(std::uint64_t id, http::Response response) {
  const bool drains = says_draining(response);
  // Read before the lock is taken.
  std::optional<std::vector<std::string_view>> tasks;
  if (is_good(response)) tasks = items_of(response.body, "tasks");
  const std::optional<wire::Next> next = next_of(response);
  if (is_good(response) && !tasks) {
    response = http::problem({Code::internal, "a shard gave an answer that is none", {}}, "");
  }
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    Poll& poll = polls_.at(id);
    Shard& shard = shards_[static_cast<std::size_t>(poll.shard)];
    end_look(poll);
    if (tasks && !stopped_ && drains != std::exchange(poll.wish.drains, drains)) {
      calls_.push_back([self = shared_from_this(), worker = poll.wish.worker_id, drains] {
        self->outside_.note_draining(worker, drains);
      });
    }
    if (drains) {
      leave_kind(poll);
      enter_kind(poll, "drains " + poll.wish.worker_id);
    }
    const bool in_round = std::exchange(poll.in_round, false);
    if (in_round) shard.is_asking = false;
    // The turn was this shard's, if those before it had nothing.
    const bool is_first = poll.stage == Stage::first && poll.tasks.empty();
    if (is_first && tasks && !tasks->empty()) first_ = poll.shard;
    if (tasks) take_offer(poll, next, tasks->size());
    for (const std::string_view task : tasks.value_or(std::vector<std::string_view>())) {
      poll.tasks.emplace_back(task);
      poll.weighs |= task.find("\"resources\"") != std::string_view::npos;
    }
    const bool has_failed = is_failure(response);
    const bool has_more =
        tasks && may_have_more(poll.asked_for, tasks->size(), next, poll.priority_min);
    // What was given changed what its worker has, and with it the kind that it is next.
    const bool is_of_before = poll.wish.is_counted && tasks && !tasks->empty();
    const bool says_nothing = tasks && !has_more && !poll.wish.head.client_gone();
    // It may have come back since.
    if (has_failed && shard.news == poll.news) shard.away_since = now_;
    if (has_failed || (says_nothing && !is_of_before)) note_nothing(poll);
    if (has_failed) {
      poll.trouble = std::move(response);
      go_on(id, poll);
    } else if (!tasks) {
      // Refused. What it was given before it keeps, and hears of this next time.
      poll.tasks.empty() ? finish(id, poll, std::move(response)) : finish(id, poll);
    } else {
      poll.was_answered = true;
      if (has_more && poll.stage == Stage::first)
        poll.unasked[static_cast<std::size_t>(poll.shard)] = true;
      go_on(id, poll);
    }
    settle();
  }
  flush();
}

void Polls::note_nothing(Poll& poll) {
  Note& note = poll.kind->second.notes[static_cast<std::size_t>(poll.shard)];
  if (note.news > poll.news) return;
  Shard& shard = shards_[static_cast<std::size_t>(poll.shard)];
  if (poll.news == shard.news && note.news < poll.news) --shard.unknown;
  note = {.news = poll.news, .at = poll.asked_at};
}

// Waits, and sees to it that a shard that may have something for its kind is asked.
void Polls::rest(std::uint64_t id, Poll& poll) {
  poll.is_busy = false;
  if (stopped_ || poll.is_ended || poll.until <= now_) return finish(id, poll);
  ends_.insert({poll.until, id});
  beats_.insert({poll.beat, id});
  const Kind& kind = poll.kind->second;
  set_idle(poll.kind, id, true);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (is_known(kind, i) || shards_[i].is_open) continue;
    shards_[i].is_open = true;
    shards_[i].close_by = now_ + options_.round_max;
  }
}

void Polls::wake(std::uint64_t id, Poll& poll) {
  ends_.erase({poll.until, id});
  beats_.erase({poll.beat, id});
  set_idle(poll.kind, id, false);
}

void Polls::finish(std::uint64_t id, Poll& poll, std::optional<http::Response> refusal) {
  PollEnd end{std::move(poll.tasks), std::move(refusal)};
  calls_.push_back(
      [done = std::move(poll.wish.done), end = std::move(end)]() mutable { done(std::move(end)); });
  if (poll.parks && (stopped_ || poll.wish.head.client_gone())) {
    http::Request request =
        request_like(poll.wish.head, std::string(kPoll),
                     "{" + poll.wish.members + R"(,"max":0,"wait_ms":0,"parks_ms":0})");
    request.gone = nullptr;  // it is for others that this is said
    farewells_.push_back({poll.wish.worker_id, std::move(request)});
  }
  leave(id, poll);
}

void Polls::leave(std::uint64_t id, Poll& poll) {
  wake(id, poll);
  if (poll.stage == Stage::keeping) --keeping_;
  if (poll.in_round) shards_[static_cast<std::size_t>(poll.shard)].is_asking = false;
  leave_kind(poll);
  const auto mine = by_worker_.find(poll.wish.worker_id);
  mine->second.erase(id);
  if (mine->second.empty()) by_worker_.erase(mine);
  polls_.erase(id);
}

// --- what follows ---

// What follows from any change: polls that are due are kept alive, rounds go on, the clock is set.
void Polls::settle() {
  if (stopped_) return;
  while (!beats_.empty() && beats_.begin()->first <= now_ && keeping_ < options_.keeping_max) {
    const std::uint64_t id = beats_.begin()->second;
    Poll& poll = polls_.at(id);
    wake(id, poll);
    begin(id, poll, Stage::keeping);
  }
  for (int shard = 0; shard < count_; ++shard) advance(shard);
  say_farewells();
  if (ends_.empty()) {
    look_at_ = {};
  } else if (!look_at_) {
    look_at_ = now_ + options_.look_every;
  }
  const Instant wake = next();
  if (!wake || (armed_ && armed_ <= wake)) return;
  armed_ = wake;
  calls_.push_back([self = shared_from_this(), wake] { self->outside_.wake_at(wake); });
}

Instant Polls::next() const {
  Instant next;
  const auto consider = [&](Instant at) {
    if (at && (!next || at < next)) next = at;
  };
  if (!round_calls_.empty() && !is_ticking_) consider(now_);
  if (!ends_.empty()) consider(std::min(look_at_, ends_.begin()->first));
  if (!beats_.empty() && keeping_ < options_.keeping_max) consider(beats_.begin()->first);
  for (const Shard& shard : shards_) {
    if (shard.is_open && !shard.is_asking) consider(shard.close_by);
    consider(shard.tell_at);
  }
  return next;
}

void Polls::flush(bool ticks) {
  if (making_calls_of == this) return;
  const void* outer = std::exchange(making_calls_of, this);
  std::unique_lock lock(mutex_);
  while (!calls_.empty() || (ticks && !round_calls_.empty()))
    make_call(lock, calls_.empty() ? round_calls_ : calls_);
  if (ticks) is_ticking_ = false;
  calm_.notify_all();
  making_calls_of = outer;
}

// Opens the lock for the first of `calls`.
void Polls::make_call(std::unique_lock<std::mutex>& lock, Calls& calls) {
  std::function<void()> call = std::move(calls.front());
  calls.pop_front();
  ++calling_;
  lock.unlock();
  call();
  call = nullptr;  // what it holds ends outside of the lock
  lock.lock();
  --calling_;
}

// Tells who ticks that there is something to do; the lock is open meanwhile.
void Polls::wake_soon(std::unique_lock<std::mutex>& lock) {
  if (stopped_ || (armed_ && armed_ <= now_)) return;
  armed_ = now_;
  const Instant now = now_;
  ++calling_;
  lock.unlock();
  outside_.wake_at(now);
  lock.lock();
  --calling_;
  calm_.notify_all();
}

}  // namespace mc::cluster
