#include "sim/database.h"

#include "db/memory/memory_store.h"

namespace mc::sim {
namespace {
constexpr std::uint64_t kTravelMaxMs = 3;
constexpr std::uint64_t kLateMaxMs = 45'000;
constexpr Millis kRefusal{5};  // until a client sees that nobody listens
}  // namespace

Database::Database(Timeline& timeline, const Faults& faults, const ClusterFaults& cluster,
                   Checker& checker, std::uint64_t seed)
    : timeline_(timeline),
      faults_(faults),
      cluster_(cluster),
      checker_(checker),
      rng_(seed),
      disk_(db::make_memory_store()) {}

// --- the way there and back ---

// At least 1 ms each way: what a drifting clock may gain during a lease is less.
Millis Database::travel() {
  return Millis(1 + static_cast<std::int64_t>(rng_.below(kTravelMaxMs)));
}

Database::Fate Database::choose_fate() {
  Fate fate = Fate::none;
  // Every chance is drawn each time, so that one setting does not shift the others' luck.
  if (rng_.chance(cluster_.lose_before)) fate = Fate::lost_before;
  if (rng_.chance(cluster_.lose_after)) fate = Fate::lost_after;
  if (rng_.chance(cluster_.late)) fate = Fate::late;
  if (calm_) return Fate::none;
  if (fate != Fate::none) ++injected_;
  return fate;
}

void Database::end(const Statement& statement, bool answered) {
  if (std::exchange(statement->open, false)) statement->answer(answered);
}

void Database::send(const std::string& client, Millis work, Millis patience,
                    const std::function<void()>& carry_out,
                    const std::function<void(bool)>& answer) {
  auto statement = std::make_shared<Sent>(Sent{.client = client,
                                               .session = session_,
                                               .fate = choose_fate(),
                                               .work = work,
                                               .carry_out = carry_out,
                                               .answer = answer});
  if (is_away()) return timeline_.after(kRefusal, [statement] { end(statement, false); });
  timeline_.after(patience, [statement] { end(statement, false); });
  const Millis late = statement->fate == Fate::late
                          ? Millis(static_cast<std::int64_t>(rng_.below(kLateMaxMs)))
                          : Millis(0);
  // What is sent into a cut is lost with its connection.
  if (cut_.contains(client)) return;
  timeline_.after(travel() + late, [this, statement] { arrive(statement); });
}

void Database::arrive(const Statement& statement) {
  if (timeline_.now() < stalled_until_)
    return timeline_.at(stalled_until_, [this, statement] { arrive(statement); });
  const bool gone = is_away() || statement->session != session_;
  if (gone || statement->fate == Fate::lost_before) {
    timeline_.after(travel(), [statement] { end(statement, false); });
    return;
  }
  if (cut_.contains(statement->client)) return;
  timeline_.after(statement->work, [this, statement] { carry_out(statement); });
}

void Database::carry_out(const Statement& statement) {
  if (timeline_.now() < stalled_until_)
    return timeline_.at(stalled_until_, [this, statement] { carry_out(statement); });
  if (is_away() || statement->session != session_) return end(statement, false);
  statement->carry_out();
  timeline_.after(travel(), [this, statement] {
    if (cut_.contains(statement->client)) return;  // until the client's patience is over
    const bool lost = statement->fate == Fate::lost_after || statement->session != session_;
    end(statement, !lost);
  });
}

bool Database::answers(const std::string& client) const {
  return !is_away() && timeline_.now() >= stalled_until_ && !cut_.contains(client);
}

// --- statements ---

// leases.cc: kClaim, of one shard.
db::ShardLease Database::claim(const std::string& holder, const std::string& name,
                               const std::string& address, Millis time) {
  const Instant now = timeline_.now();
  if (lease_.holder == holder || lease_.expires < now) {
    if (lease_.holder != holder) checker_.leads(++lease_.epoch);
    lease_ = {lease_.epoch, holder, name, address, now + time};
  }
  const bool mine = lease_.holder == holder;
  return {.shard = 0,
          .epoch = lease_.epoch,
          .holder = lease_.holder,
          .name = lease_.name,
          .address = lease_.expires < now ? "" : lease_.address,
          .mine = mine};
}

void Database::release(const std::string& holder) {
  if (lease_.holder != holder) return;
  lease_.holder = lease_.address = "";
  lease_.expires = {};
  for (const auto& told : told_) timeline_.after(travel(), told);
}

// write.cc: its id first, then the lease, then what the batch builds on.
Database::Made Database::commit(const db::Batch& batch, Uuid id, const Fence& fence, Error& why) {
  if (made_.contains(id)) return Made::before;
  if (lease_.epoch != fence.epoch || lease_.holder != fence.holder) {
    checker_.note("the database refuses a commit of " + fence.holder + ", which leads no longer");
    why = {Code::store_failed, "another replica leads: this one writes nothing more", {}};
    return Made::refused;
  }
  if (!calm_ && rng_.chance(faults_.refuse_commit)) {
    ++injected_;
    why = {Code::store_failed, "the disk is full (injected)", {}};
    return Made::refused;
  }
  if (const Status done = disk_->commit(batch); !done) {
    why = done.error();
    return Made::conflict;
  }
  ++commits_;
  made_.insert(id);
  checker_.durable(batch, fence.epoch, fence.holder);
  return Made::now;
}

// --- faults ---

void Database::restart() {
  checker_.note("the database restarts");
  ++session_;
}

void Database::go_away(Millis time) {
  checker_.note("the database is away");
  ++session_;
  away_until_ = std::max(away_until_, timeline_.now() + time);
}

void Database::stall(Millis time) {
  checker_.note("the database stalls");
  stalled_until_ = std::max(stalled_until_, timeline_.now() + time);
}

void Database::calm() {
  calm_ = true;
  away_until_ = stalled_until_ = {};
  cut_.clear();
}

}  // namespace mc::sim
