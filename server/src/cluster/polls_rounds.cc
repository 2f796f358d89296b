#include "cluster/polls.h"

// Rounds: what a shard's news lead to, and what others are told of it.

namespace mc::cluster {

bool Polls::is_away(const Shard& shard) const {
  return shard.away_since && shard.away_since + options_.keep_alive > now_;
}

// Asks that shard for the next poll that waits, or ends the round.
void Polls::advance(int shard) {
  const auto at = static_cast<std::size_t>(shard);
  while (shards_[at].is_open && !shards_[at].is_asking && !stopped_) {
    if (is_away(shards_[at])) {
      shards_[at].is_open = shards_[at].is_ours = false;
      return;
    }
    std::uint64_t next = 0;
    for (auto front = fronts_.lower_bound(shards_[at].from); front != fronts_.end(); ++front) {
      shards_[at].from = front->first;
      if (is_known(front->second->second, at)) continue;
      next = front->first;
      break;
    }
    if (next == 0) {
      // Others of those kinds are asked just now, and come here, or wait, next.
      if (shards_[at].unknown == 0) close_round(shard);
      return;
    }
    Poll& poll = polls_.at(next);
    wake(next, poll);
    poll.in_round = true;
    poll.shard = shard;
    ask(next, poll, {.shard = shard, .max = poll.wish.max});
  }
}

void Polls::close_round(int shard) {
  Shard& at = shards_[static_cast<std::size_t>(shard)];
  at.is_open = false;
  if (!std::exchange(at.is_ours, false)) return;
  at.tell_unseen |= !at.was_asked;
  if (at.tell_at) return;
  const Instant next = at.told_at + options_.tell_every;
  if (at.told_at && next > now_) {
    at.tell_at = next;
  } else {
    send_tell(shard);
  }
}

void Polls::send_tell(int shard) {
  Shard& at = shards_[static_cast<std::size_t>(shard)];
  at.tell_at = {};
  at.told_at = now_;
  calls_.push_back(
      [self = shared_from_this(), shard, unseen = std::exchange(at.tell_unseen, false)] {
        const Shards& shards = self->outside_.shards;
        if (shards.is_here(shard) && (unseen || shards.may_have_ready(shard)))
          self->outside_.tell_ready(shard);
      });
}

}  // namespace mc::cluster
