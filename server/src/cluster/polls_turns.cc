#include <algorithm>

#include "cluster/polls.h"
#include "model/workflow.h"

// Whose turn it is: which shard a poll asks next, and for how much.

namespace mc::cluster {
namespace {
// Beyond that, turns that matter no more are forgotten.
constexpr std::size_t kTurnsMax = 1'000;
// Beyond that, all offers are: they count for a moment only.
constexpr std::size_t kOffersMax = 10'000;
}  // namespace

// Whether a shard that is not away may have something for that kind.
bool Polls::may_have(const Kind& kind, int shard) const {
  const auto at = static_cast<std::size_t>(shard);
  const bool is_fresh = is_known(kind, at) && kind.notes[at].at + options_.keep_alive > now_;
  return !is_fresh && !is_away(shards_[at]);
}

// Shards take turns at being asked first, among those that may have something. When there is none,
// one is asked nevertheless: it knows whether the worker may ask at all.
void Polls::plan_first(Poll& poll) {
  const Kind& kind = poll.kind->second;
  int first = -1, fallback = -1;
  for (int i = 1; i <= count_; ++i) {
    const int shard = (first_ + i) % count_;
    const auto at = static_cast<std::size_t>(shard);
    if (is_away(shards_[at])) continue;
    if (fallback < 0) fallback = shard;
    const bool has_news = at < poll.wish.ended.size() && poll.wish.ended[at];
    if (!has_news && !may_have(kind, shard)) continue;
    poll.unasked[at] = true;
    if (first < 0) first = shard;
  }
  if (first < 0) first = fallback < 0 ? (first_ + 1) % count_ : fallback;
  poll.unasked[static_cast<std::size_t>(first)] = true;
  poll.shard = poll.at_first = first_ = first;
}

// In turn, from the one that was asked last; those that are away only when all are.
std::vector<int> Polls::unasked_of(const Poll& poll) const {
  std::vector<int> here, away;
  for (int i = 0; i < count_; ++i) {
    const int shard = (poll.shard + i) % count_;
    const auto at = static_cast<std::size_t>(shard);
    if (poll.unasked[at]) (is_away(shards_[at]) ? away : here).push_back(shard);
  }
  return here.empty() ? away : here;
}

// Others wait for it already to say what it has.
bool Polls::is_slow(const Shard& shard) const {
  return shard.looked_since && shard.looked_since + options_.looks_max <= now_;
}

std::vector<Polls::Offered>& Polls::offers_of(const Poll& poll) {
  if (offers_.size() >= kOffersMax && !offers_.contains(poll.wish.alike)) offers_.clear();
  std::vector<Offered>& offers = offers_[poll.wish.alike];
  offers.resize(shards_.size());
  return offers;
}

bool Polls::has_said(const Poll& poll, int shard) {
  const auto at = static_cast<std::size_t>(shard);
  const Instant said = offers_of(poll)[at].at;
  return said && (poll.looked[at] || said + options_.offers_good > now_);
}

// nullopt: the pass is over. Requires: fewer tasks than wish.max.
std::optional<Polls::Ask> Polls::next_ask(const Poll& poll) {
  const std::vector<int> shards = unasked_of(poll);
  if (shards.empty()) return std::nullopt;
  const int left = poll.wish.max - static_cast<int>(poll.tasks.size());
  const Ask any{.shard = shards.front(), .max = left};
  if (shards.size() == 1 || poll.stage != Stage::first) return any;
  const bool looks = now_ < poll.began + options_.looks_max;
  std::vector<int> said;
  for (const int shard : shards) {
    if (has_said(poll, shard)) {
      said.push_back(shard);
    } else if (looks && !is_slow(shards_[static_cast<std::size_t>(shard)])) {
      return Ask{.shard = shard, .max = 0};
    }
  }
  return said.empty() ? any : best_of(said, poll, left);
}

// Requires: there are some, each has said what it would give next, and left > 0.
Polls::Ask Polls::best_of(const std::vector<int>& shards, const Poll& poll, int left) {
  std::vector<Offered>& offers = offers_of(poll);
  const auto offer_of = [&](int shard) -> wire::Offer& {
    return offers[static_cast<std::size_t>(shard)].offer;
  };
  const auto passed_of = [&](int shard) -> std::uint64_t& {
    return shards_[static_cast<std::size_t>(shard)].passed;
  };
  const auto priority_of = [&](int shard) { return offer_of(shard).priority; };
  const int highest = priority_of(std::ranges::max(shards, {}, priority_of));
  std::vector<int> first;
  std::vector<Contender> contenders;
  for (const int shard : shards) {
    if (priority_of(shard) < highest) continue;
    const int order = (shard - poll.at_first + count_) % count_;
    first.push_back(shard);
    contenders.push_back({offer_of(shard).share, static_cast<std::uint64_t>(order)});
    contenders.back().share.turn = turn_of(offer_of(shard).project);
  }
  turn_ = lowest_turn(contenders);
  const std::size_t next = next_in_turn(contenders);
  Ask ask{.shard = first[next], .max = 0};
  const int most_passed = std::ranges::max(shards, {}, passed_of);
  if (passed_of(most_passed) >= kPassedOver * shards.size()) {
    ask = {.shard = most_passed, .max = 1};
  } else {
    // As many as are its turns, were all that is left given by turns.
    for (int i = std::min(left, kAskedMax); i > 0; --i) {
      const std::size_t turn = next_in_turn(contenders);
      give_piece(contenders[turn].share);
      if (turn == next) ++ask.max;
    }
    for (const int shard : shards) {
      if (shard != ask.shard)
        ask.priority_min = std::max(ask.priority_min.value_or(kPriorityMin), priority_of(shard));
    }
  }
  for (const int shard : shards) passed_of(shard) += static_cast<std::uint64_t>(ask.max);
  passed_of(ask.shard) = 0;
  ask.charged = offer_of(ask.shard);
  // Others that choose before it has answered see what this one is about to have.
  offer_of(ask.shard).share.running += static_cast<std::size_t>(ask.max);
  return ask;
}

// The call under way, if it is one, has ended.
void Polls::end_look(const Poll& poll) {
  Shard& shard = shards_[static_cast<std::size_t>(poll.shard)];
  if (poll.asked_for == 0 && --shard.looks == 0) shard.looked_since = {};
}

std::uint64_t Polls::turn_of(const std::string& project) const {
  const auto known = turns_.find(project);
  return known == turns_.end() ? turn_ : std::max(known->second, turn_);
}

void Polls::charge(const wire::Offer& offer, std::size_t tasks) {
  if (tasks == 0) return;
  turns_[offer.project] =
      turn_of(offer.project) + tasks * (kStride / static_cast<std::uint64_t>(offer.share.weight));
  if (turns_.size() <= kTurnsMax) return;
  std::erase_if(turns_, [&](const auto& entry) { return entry.second <= turn_; });
  if (turns_.size() > kTurnsMax) turns_.clear();
}

// What a shard that answers says of what it would give next. One that says nothing of it counts as
// one that has a job like any other.
void Polls::take_offer(Poll& poll, const std::optional<wire::Next>& next, std::size_t given) {
  if (poll.charged) charge(*poll.charged, given);
  const auto at = static_cast<std::size_t>(poll.shard);
  poll.looked[at] = true;
  const bool has_none = next && !next->offer;
  offers_of(poll)[at] = {.offer = next && next->offer ? *next->offer : wire::Offer{},
                         .at = has_none ? Instant{} : poll.asked_at};
}

}  // namespace mc::cluster
