#include "redis/keeper.h"

#include <algorithm>

#include "base/log.h"

namespace mc::redis {
namespace {
using Steady = std::chrono::steady_clock;
constexpr int kDoublingsMax = 20;
}  // namespace

Keeper::Keeper(Place place, const std::string& name, KeeperTimes times)
    : times_(times),
      connection_(std::move(place), name),
      rng_(random_seed()),
      thread_([this] { keep(); }) {}

Keeper::~Keeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  connection_.interrupt();
  thread_.join();
}

Status Keeper::first_outcome() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return asked_ || stopping_; });
  return outcome_;
}

void Keeper::share(RateBook* book) {
  const std::lock_guard lock(mutex_);
  book_ = book;
  taken_ = book != nullptr;
}

void Keeper::wake() {
  {
    const std::lock_guard lock(mutex_);
    taken_ = true;
  }
  changed_.notify_all();
}

std::string Keeper::state() const {
  const std::lock_guard lock(mutex_);
  if (!asked_) return "away: not asked yet";
  return outcome_ ? "ok" : "away: " + outcome_.error().message;
}

Keeper::Figures Keeper::figures() const {
  const std::lock_guard lock(mutex_);
  return {.up = asked_ && outcome_.ok(), .calls = calls_, .failures = failures_};
}

void Keeper::keep() {
  for (;;) {
    const Status outcome = attempt();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    note(outcome);
    failures_in_a_row_ = outcome ? 0 : failures_in_a_row_ + 1;
    const TimePoint now = Steady::now();
    if (outcome) {
      await_turn(now + times_.settle_every, now + times_.probe_every);
    } else {
      const TimePoint next = now + pause();
      await_turn(next, next);
    }
  }
}

// Not before `earliest`; then as soon as there is something to do, at `latest` in any case.
void Keeper::await_turn(TimePoint earliest, TimePoint latest) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, earliest, [&] { return stopping_; });
  changed_.wait_until(lock, latest, [&] { return stopping_ || taken_; });
}

Millis Keeper::pause() {
  const int doublings = std::min(failures_in_a_row_ - 1, kDoublingsMax);
  const Millis whole = std::min(times_.pause_max, times_.first_pause * (1 << doublings));
  const auto part =
      static_cast<std::int64_t>(static_cast<double>(whole.count()) * (1 - rng_.unit() / 2));
  return Millis(std::max<std::int64_t>(1, part));
}

// One batch when there is one, else a probe. After a refusal the connection is made anew: another
// server may stand behind the name by then, one that takes writes.
Status Keeper::attempt() {
  if (!connection_.is_open()) {
    if (Status opened = connection_.open(times_.connect); !opened) return opened;
  }
  const Batch batch = collect();
  Status outcome = batch.charges.empty() ? probe(connection_, times_.call) : charge_batch(batch);
  if (!outcome) connection_.close();
  return outcome;
}

Keeper::Batch Keeper::collect() {
  const std::lock_guard lock(mutex_);
  Batch batch{.book = book_};
  taken_ = false;
  if (book_ == nullptr) return batch;
  batch.terms = book_->terms();
  batch.charges = book_->collect(Connection::kCommandsMax);
  taken_ = batch.charges.size() == Connection::kCommandsMax;  // there may be more
  return batch;
}

// What was sent and not answered is forgotten: rather too much passes than that somebody is refused
// what was theirs.
Status Keeper::charge_batch(const Batch& batch) {
  const Result<Charged> charged = charge(connection_, batch.terms, batch.charges, times_.call);
  if (!charged) return charged.error();
  const std::lock_guard lock(mutex_);
  if (book_ == batch.book) book_->settle(charged->used);
  return charged->first_refusal;
}

void Keeper::note(const Status& outcome) {
  bool told = false;
  {
    const std::lock_guard lock(mutex_);
    // A change of state is told once; so is another kind of trouble. What is wrong from the start
    // is for whoever asks for the first outcome: they may not go on at all.
    told = asked_ ? outcome_.ok() != outcome.ok() ||
                        (!outcome && outcome.error().code != outcome_.error().code)
                  : outcome.ok() || outcome.error().code != Code::invalid_setting;
  }
  // Before it is shown: who sees the state finds the line.
  if (told && outcome) {
    log_info("Redis carries the rate limits", {{"at", connection_.place().shown()}});
  } else if (told) {
    log_warn("Redis is away: this server counts rate limits alone until it is back",
             {{"reason", outcome.error().message}});
  }
  {
    const std::lock_guard lock(mutex_);
    ++(outcome ? calls_ : failures_);
    asked_ = true;
    outcome_ = outcome;
  }
  changed_.notify_all();
}

}  // namespace mc::redis
