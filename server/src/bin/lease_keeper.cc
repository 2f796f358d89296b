#include "bin/lease_keeper.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/log.h"

namespace mc::bin {
using Steady = std::chrono::steady_clock;
namespace {
// Claims that follow one another because each showed something more to take.
constexpr int kRoundsMax = 4;
// Far longer than it takes the one that is due, so that nobody is forestalled.
constexpr Millis kUntakenMax{5'000};
// What is taken out of turn opens, or is given back, before something else moves for it; then it
// stays for so long where it can be opened.
constexpr Millis kTrial{5'000}, kStay{600'000};
}  // namespace

LeaseKeeper::LeaseKeeper(std::unique_ptr<db::Leases> leases, Listeners listeners)
    : leases_(std::move(leases)), self_(leases_->self()), listeners_(std::move(listeners)) {
  thread_ = std::thread([this] { keep(); });
}

LeaseKeeper::~LeaseKeeper() { stop(); }

// --- what any thread says and asks ---

void LeaseKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  leases_->wake();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::give_back() {
  stop();
  if (const Status given = leases_->leave(); !given)
    log_warn("the leases were not given back: others wait until they lapse",
             {{"reason", given.error().message}});
}

void LeaseKeeper::doubt() {
  log_warn("a commit was given up that may be made all the same");
  lose();
  leases_->wake();
}

void LeaseKeeper::gave(int shard, Deadline again) {
  {
    const std::lock_guard lock(mutex_);
    ended_.insert(shard);
    spared_[shard] = again;
    due_ = true;
  }
  leases_->wake();
}

void LeaseKeeper::retire() {
  {
    const std::lock_guard lock(mutex_);
    retires_ = due_ = true;
  }
  leases_->wake();
}

void LeaseKeeper::tell_ready(int shard) {
  {
    const std::lock_guard lock(mutex_);
    if (!ready_.insert(shard).second) return;
  }
  leases_->wake();
}

LeaseKeeper::Keeping LeaseKeeper::look() const {
  const std::lock_guard lock(mutex_);
  return keeping_;
}

LeaseKeeper::Keeping LeaseKeeper::wait_for_change(std::uint64_t version, Millis patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return keeping_.version != version; });
  return keeping_;
}

bool LeaseKeeper::hears() const {
  const std::lock_guard lock(mutex_);
  return hears_;
}

bool LeaseKeeper::is_over() const {
  const std::lock_guard lock(mutex_);
  return stopping_ || loses_;
}

void LeaseKeeper::lose() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(loses_, true)) return;
  }
  listeners_.lost();
  {
    const std::lock_guard lock(mutex_);
    keeping_ = {.lost = true, .held = {}, .give = {}, .version = keeping_.version + 1};
  }
  changed_.notify_all();
}

// --- the thread ---

void LeaseKeeper::keep() {
  while (!is_over()) {
    const auto asked = Steady::now();
    give_what_ended();
    for (int round = 0; round < kRoundsMax && claim(); ++round) {}
    listen(asked + (troubled_ ? db::Tenure::kAgain : db::Tenure::kEvery));
  }
}

// Of what the plan says. It may be older than what this replica was told since.
std::set<int> LeaseKeeper::takes() {
  const std::lock_guard lock(mutex_);
  if (retires_) return {};
  const auto now = Steady::now();
  std::erase_if(spared_, [now](const auto& spared) { return spared.second <= now; });
  std::set<int> shards = plan_.take;
  std::erase_if(shards, [this](int shard) { return spared_.contains(shard); });
  return shards;
}

// Asks once. Whether it should again, at once: there is something to take that was not asked for.
bool LeaseKeeper::claim() {
  if (is_over()) return false;
  const std::set<int> wanted = takes();
  const auto asked = Steady::now();
  const Result<db::Cluster> found = leases_->claim(wanted);
  listeners_.database(found.ok() ? Status() : found.error());
  if (!found.ok()) {
    if (!std::exchange(troubled_, true))
      log_warn("the database does not answer", {{"reason", found.error().message}});
    tenure_.missed(Steady::now());
    if (tenure_.lost()) lose();
    return false;
  }
  if (std::exchange(troubled_, false)) log_info("the database answers again");
  take(*found, asked);
  return !std::ranges::includes(wanted, takes());
}

void LeaseKeeper::take(const db::Cluster& found, Deadline asked) {
  tenure_.answered(found, asked);
  if (tenure_.lost()) return lose();
  plan_ = db::plan(found, self_.holder);
  const auto now = Steady::now();
  note_untaken(found, now);
  plan_out_of_turn(found, now);
  warn_of_namesakes(found);
  db::Cluster shown = found;
  for (db::ShardLease& lease : shown.shards) {
    const bool leads = lease.mine && tenure_.held().contains(lease.shard);
    // One's own address is that of what was just given up, or of an earlier life.
    if (!leads && lease.address == self_.address) lease.address.clear();
    lease.mine = leads;
  }
  publish(shown);
}

void LeaseKeeper::note_untaken(const db::Cluster& found, Deadline now) {
  for (const db::ShardLease& lease : found.shards) {
    if (lease.address.empty()) {
      untaken_.try_emplace(lease.shard, now);
      continue;
    }
    const auto since = untaken_.find(lease.shard);
    const bool waited = since != untaken_.end() && now - since->second >= kUntakenMax;
    if (waited && lease.mine) out_of_turn_[lease.shard] = now;
    if (since != untaken_.end()) untaken_.erase(since);
  }
  std::erase_if(out_of_turn_, [&](const auto& taken) {
    const auto is_it = [&](const db::ShardLease& lease) {
      return lease.shard == taken.first && lease.mine;
    };
    return now - taken.second >= kStay || std::ranges::none_of(found.shards, is_it);
  });
}

void LeaseKeeper::plan_out_of_turn(const db::Cluster& found, Deadline now) {
  // One that is about to stop gives all.
  if (std::ranges::find(found.members, self_.holder, &db::Member::holder) == found.members.end())
    return;
  for (const auto& [shard, since] : untaken_)
    if (now - since >= kUntakenMax) plan_.take.insert(shard);
  for (const auto& [shard, since] : out_of_turn_)
    if (now - since < kTrial) return plan_.give.clear();
  for (const auto& [shard, since] : out_of_turn_) {
    if (plan_.give.erase(shard) == 0) continue;
    for (const auto& [other, lease] : std::views::reverse(tenure_.held())) {
      if (!out_of_turn_.contains(other) && plan_.give.insert(other).second) break;
    }
  }
}

// What it leads is to be seen by look() before the gate sends requests to it.
void LeaseKeeper::publish(const db::Cluster& found) {
  std::set<int> give;
  for (const int shard : plan_.give)
    if (tenure_.held().contains(shard)) give.insert(shard);
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    hears_ = leases_->hears();
    if (loses_) return;  // doubt() came
    changed = keeping_.held != tenure_.held() || keeping_.give != give;
    if (changed) {
      keeping_.held = tenure_.held();
      keeping_.give = std::move(give);
      ++keeping_.version;
    }
  }
  if (changed) changed_.notify_all();
  listeners_.claimed(found, tenure_.until());
}

// Until it is time for the next claim.
void LeaseKeeper::listen(Deadline until) {
  while (!is_over()) {
    tell_what_is_ready(until);
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(due_, false)) return;
    }
    const db::Leases::News news = leases_->wait(until);
    if (news.tokens || !news.ready.empty()) listeners_.news(news);
    if (news.leases || Steady::now() >= until) return;
  }
}

void LeaseKeeper::give_what_ended() {
  std::set<int> ended;
  {
    const std::lock_guard lock(mutex_);
    std::swap(ended, ended_);
    if (retires_) leases_->retire();
  }
  // What was given though the answer was lost may have been taken anew.
  for (const auto& [shard, lease] : tenure_.held()) owed_.erase(shard);
  for (const int shard : ended) tenure_.gave(shard);
  owed_.merge(ended);
  if (owed_.empty()) return;
  if (const Status given = leases_->give(owed_); given) owed_.clear();
}

void LeaseKeeper::tell_what_is_ready(Deadline until) {
  std::set<int> ready;
  {
    const std::lock_guard lock(mutex_);
    ready = std::exchange(ready_, {});
  }
  while (!ready.empty()) {
    if (!leases_->tell_ready(*ready.begin()).ok()) return;  // who asks in vain asks again
    ready.erase(ready.begin());
    // Where the database is slow the leases come first.
    if (Steady::now() >= until) break;
  }
  const std::lock_guard lock(mutex_);
  ready_.merge(ready);
}

void LeaseKeeper::warn_of_namesakes(const db::Cluster& found) {
  for (const db::Member& member : found.members) {
    if (member.address != self_.address || member.name == self_.name || member.name == namesake_)
      continue;
    namesake_ = member.name;
    log_warn("another replica says that it is reached where this one is: set MAESTRO_ADVERTISE",
             {{"replica", member.name}, {"address", member.address}});
  }
}

}  // namespace mc::bin
