#include "db/postgres/tenure.h"

#include "base/check.h"

namespace mc::db {

void Tenure::answered(const Cluster& found, Moment asked) {
  MC_CHECK(!lost_);
  std::map<int, ShardLease> own;
  for (const ShardLease& lease : found.shards)
    if (lease.mine) own.emplace(lease.shard, lease);
  for (const auto& [shard, held] : held_) {
    // Another replica led in between: what this one remembers is not the truth.
    const auto still = own.find(shard);
    if (still == own.end() || still->second.epoch != held.epoch) return lose();
  }
  std::erase_if(given_, [&](const auto& given) {
    const auto now = own.find(given.first);
    return now == own.end() || now->second.epoch != given.second;
  });
  for (const auto& [shard, lease] : own)
    if (!given_.contains(shard)) held_.emplace(shard, lease);
  until_ = asked + kTime;
}

void Tenure::missed(Moment now) {
  MC_CHECK(!lost_);
  if (!held_.empty() && now >= until_) lose();
}

void Tenure::gave(int shard) {
  const auto found = held_.find(shard);
  if (found == held_.end()) return;
  given_[shard] = found->second.epoch;
  held_.erase(found);
}

void Tenure::lose() {
  lost_ = true;
  held_.clear();
}

}  // namespace mc::db
