#include "db/postgres/plan.h"

#include <algorithm>

namespace mc::db {
namespace {
struct Share {
  std::string_view holder;
  std::vector<int> has;
};

// In the order in which larger shares are handed out.
std::vector<Share> shares(const Cluster& cluster) {
  std::vector<Share> out;
  for (const Member& member : cluster.members) out.push_back({member.holder, {}});
  for (const ShardLease& lease : cluster.shards) {
    const auto found = std::ranges::find(out, lease.holder, &Share::holder);
    if (found != out.end() && !lease.address.empty()) found->has.push_back(lease.shard);
  }
  std::ranges::sort(out, [](const Share& a, const Share& b) {
    return a.has.size() != b.has.size() ? a.has.size() > b.has.size() : a.holder < b.holder;
  });
  return out;
}

std::vector<int> nobodys(const Cluster& cluster) {
  std::vector<int> out;
  for (const ShardLease& lease : cluster.shards)
    if (lease.address.empty()) out.push_back(lease.shard);
  std::ranges::sort(out);
  return out;
}

std::set<int> all_of(const Cluster& cluster, std::string_view holder) {
  std::set<int> out;
  for (const ShardLease& lease : cluster.shards)
    if (lease.holder == holder && !lease.address.empty()) out.insert(lease.shard);
  return out;
}
}  // namespace

Plan plan(const Cluster& cluster, std::string_view own_holder) {
  std::vector<Share> all = shares(cluster);
  const std::vector<int> free = nobodys(cluster);
  const auto members = std::ssize(all), shards = std::ssize(cluster.shards);
  auto next = free.begin();
  for (std::ptrdiff_t place = 0; place < members; ++place) {
    Share& share = all[static_cast<std::size_t>(place)];
    const std::ptrdiff_t due = shards / members + (place < shards % members ? 1 : 0);
    const std::ptrdiff_t has = std::ssize(share.has);
    const std::ptrdiff_t takes = std::clamp<std::ptrdiff_t>(due - has, 0, free.end() - next);
    if (share.holder == own_holder) {
      std::ranges::sort(share.has);
      return {.take = {next, next + takes},
              .give = {share.has.begin() + std::min(due, has), share.has.end()}};
    }
    next += takes;
  }
  return {.take = {}, .give = all_of(cluster, own_holder)};
}

}  // namespace mc::db
