#include <algorithm>

#include "cluster/polls.h"

// Kinds of workers, what is known of them, and polls whose callers are gone.

namespace mc::cluster {
namespace {
constexpr std::size_t kKindsMax = 30'000;
constexpr Millis kForgetKinds{60'000};
}  // namespace

bool Polls::is_known(const Kind& kind, std::size_t shard) const {
  return kind.notes[shard].news == shards_[shard].news;
}

void Polls::note_news(Shard& shard) {
  ++shard.news;
  shard.unknown = used_kinds_;
  shard.from = 0;
  shard.away_since = {};
  shard.is_open = true;
  shard.was_asked = false;
  shard.close_by = now_ + options_.round_max;
}

void Polls::set_idle(KindEntry* kind, std::uint64_t id, bool is_idle) {
  std::set<std::uint64_t>& idle = kind->second.idle;
  if (idle.contains(id) == is_idle) return;
  if (!idle.empty()) fronts_.erase(*idle.begin());
  is_idle ? void(idle.insert(id)) : void(idle.erase(id));
  if (!idle.empty()) fronts_[*idle.begin()] = kind;
  if (!is_idle) return;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!is_known(kind->second, i)) shards_[i].from = std::min(shards_[i].from, id);
  }
}

void Polls::leave_kind(Poll& poll) {
  Kind& kind = poll.kind->second;
  kind.used = now_;
  if (--kind.polls > 0) return;
  --used_kinds_;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!is_known(kind, i)) --shards_[i].unknown;
  }
}

void Polls::sweep_kinds() {
  if (kinds_.size() < kKindsMax && now_ < next_sweep_) return;
  next_sweep_ = now_ + kForgetKinds;
  const bool too_many = kinds_.size() >= kKindsMax;
  std::erase_if(kinds_, [&](const auto& entry) {
    return entry.second.polls == 0 && (too_many || entry.second.used + kForgetKinds <= now_);
  });
}

void Polls::end_the_gone() {
  look_at_ = {};
  std::vector<std::uint64_t> gone;
  for (const auto& [until, id] : ends_) {
    if (polls_.at(id).wish.head.client_gone()) gone.push_back(id);
  }
  for (const std::uint64_t id : gone) finish(id, polls_.at(id));
}

// The caller of one that was to be asked for has gone meanwhile.
void Polls::give_up(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    look_at_clock();
    Poll& poll = polls_.at(id);
    end_look(poll);
    finish(id, poll);
    settle();
  }
  flush();
}

void Polls::say_farewells() {
  while (!farewells_.empty() && saying_ < options_.keeping_max) {
    Farewell& farewell = farewells_.front();
    // Who asks again waits.
    if (farewell.next == count_ || by_worker_.contains(farewell.worker_id)) {
      farewells_.pop_front();
      continue;
    }
    // Where it was parked last nobody knows: by this poll, or the one before.
    const int shard = farewell.next++;
    if (is_away(shards_[static_cast<std::size_t>(shard)])) continue;
    ++saying_;
    calls_.push_back([self = shared_from_this(), shard, request = farewell.request] {
      self->outside_.shards.call(shard, request, [self](const http::Response&) {
        {
          const std::lock_guard lock(self->mutex_);
          self->look_at_clock();
          --self->saying_;
          self->settle();
        }
        self->flush();
      });
    });
  }
}

}  // namespace mc::cluster
