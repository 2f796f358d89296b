#include "bin/seats.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>

namespace mc::bin {

Seats::Moves Seats::learn(const db::Cluster& cluster, const std::string& own, Deadline until) {
  Moves moves;
  std::set<std::string> before, after;
  const std::unique_lock lock(mutex_);
  for (const db::ShardLease& lease : cluster.shards) {
    if (lease.shard < 0 || lease.shard >= db::kShardsMax) continue;
    Place& place = places_.at(static_cast<std::size_t>(lease.shard));
    // One's own address is that of an earlier life, until its lease lapses.
    std::string address = lease.mine || lease.address == own ? "" : lease.address;
    moves.any = moves.any || place.address != address || place.mine != lease.mine;
    before.insert(place.address);
    after.insert(address);
    place.name = lease.address.empty() && !lease.mine ? "" : lease.name;
    place.address = std::move(address);
    place.mine = lease.mine;
    if (!place.address.empty()) place.trouble.clear();
  }
  if (!shut_) leads_until_ = until;
  std::ranges::set_difference(before, after, std::back_inserter(moves.left));
  std::erase(moves.left, "");
  return moves;
}

void Seats::shut() {
  const std::unique_lock lock(mutex_);
  shut_ = true;
  leads_until_ = Deadline::min();
  for (Place& place : places_) place.address = place.name = {};
}

void Seats::open(int shard, std::shared_ptr<Stack> stack) {
  const std::unique_lock lock(mutex_);
  Place& place = places_.at(static_cast<std::size_t>(shard));
  if (stack) place.trouble.clear();
  place.stack = std::move(stack);
}

void Seats::close(int shard) { open(shard, nullptr); }

void Seats::trouble(int shard, std::string why) {
  const std::unique_lock lock(mutex_);
  places_.at(static_cast<std::size_t>(shard)).trouble = std::move(why);
}

Seats::Seat Seats::seat_of(int shard) const {
  if (shard < 0 || shard >= count_) return {};
  const Place& place = places_.at(static_cast<std::size_t>(shard));
  if (place.stack && leads()) return {place.stack, {}};
  return {nullptr, place.address};
}

Seats::Seat Seats::find(int shard) const {
  const std::shared_lock lock(mutex_);
  return seat_of(shard);
}

Seats::Seat Seats::any() const {
  const std::shared_lock lock(mutex_);
  Seat elsewhere;
  for (int shard = 0; shard < count_; ++shard) {
    Seat seat = seat_of(shard);
    if (seat.stack) return seat;
    if (elsewhere.address.empty()) elsewhere = std::move(seat);
  }
  return elsewhere;
}

std::vector<std::shared_ptr<Stack>> Seats::here() const {
  std::vector<std::shared_ptr<Stack>> stacks;
  const std::shared_lock lock(mutex_);
  for (const Place& place : places_) {
    if (place.stack) stacks.push_back(place.stack);
  }
  return stacks;
}

std::vector<Seats::Standing> Seats::standings() const {
  std::vector<Standing> all;
  const std::shared_lock lock(mutex_);
  for (int shard = 0; shard < count_; ++shard) {
    const Place& place = places_.at(static_cast<std::size_t>(shard));
    const bool served_here = place.stack && leads();
    all.push_back(
        {shard, place.name, served_here || !place.address.empty(), place.mine, place.trouble});
  }
  return all;
}

}  // namespace mc::bin
