// The database that the replicas of a world share, as PostgreSQL behaves towards them: statements
// that are carried out whole or not at all, at one moment; a row that says who leads; commits that
// check it and leave an id. What is simulated of db/postgres is its SQL; what a replica makes of an
// answer is production code (db/postgres/tenure.h, commit_course.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>

#include "db/postgres/plan.h"
#include "db/store.h"
#include "sim/checker.h"
#include "sim/faults.h"
#include "sim/timeline.h"

namespace mc::sim {

class Database {
 public:
  // A commit is made under it, or refused.
  struct Fence {
    std::int64_t epoch = 0;
    std::string holder;
  };
  enum class Made : std::uint8_t { now, before, refused, conflict };

  Database(Timeline& timeline, const Faults& faults, const ClusterFaults& cluster, Checker& checker,
           std::uint64_t seed);

  // Sends a statement on `client`'s connection. `carry_out` is called when the database does so:
  // once, or never; `answer` once: true after an answer, false when the connection was lost or
  // `patience` is over, and what the statement did, or will do, is not known.
  void send(const std::string& client, Millis work, Millis patience,
            const std::function<void()>& carry_out, const std::function<void(bool)>& answer);
  // Whether a question of `client` would be answered now.
  bool answers(const std::string& client) const;

  // --- statements: to be called by carry_out ---
  db::ShardLease claim(const std::string& holder, const std::string& name,
                       const std::string& address, Millis time);
  void release(const std::string& holder);
  Made commit(const db::Batch& batch, Uuid id, const Fence& fence, Error& why);
  bool has_commit(Uuid id) const { return made_.contains(id); }

  // --- for those who listen, and for the judge ---
  void on_release(std::function<void()> told) { told_.push_back(std::move(told)); }
  db::Store& disk() { return *disk_; }

  // --- faults ---
  void restart();
  void go_away(Millis time);
  void stall(Millis time);
  void cut(const std::string& client) { cut_.insert(client); }
  void mend(const std::string& client) { cut_.erase(client); }
  void calm();
  std::int64_t injected() const { return injected_; }
  std::int64_t commits() const { return commits_; }
  // How often somebody took the lease who had it not.
  std::int64_t takeovers() const { return lease_.epoch; }

 private:
  struct LeaseRow {
    std::int64_t epoch = 0;
    std::string holder, name, address;
    Instant expires;
  };
  enum class Fate : std::uint8_t { none, lost_before, lost_after, late };
  struct Sent {
    std::string client;
    std::int64_t session = 0;
    Fate fate = Fate::none;
    Millis work{0};
    std::function<void()> carry_out;
    std::function<void(bool)> answer;
    bool open = true;  // not answered yet
  };
  using Statement = std::shared_ptr<Sent>;  // the timeline ends it

  Fate choose_fate();
  void arrive(const Statement& statement);
  void carry_out(const Statement& statement);
  static void end(const Statement& statement, bool answered);
  bool is_away() const { return timeline_.now() < away_until_; }
  Millis travel();

  Timeline& timeline_;
  const Faults& faults_;
  const ClusterFaults& cluster_;
  Checker& checker_;
  Rng rng_;
  bool calm_ = false;
  std::unique_ptr<db::Store> disk_;
  LeaseRow lease_;
  std::set<Uuid> made_;  // ids of commits
  std::vector<std::function<void()>> told_;
  std::set<std::string> cut_;
  std::int64_t session_ = 1;  // counts restarts
  Instant away_until_, stalled_until_;
  std::int64_t injected_ = 0, commits_ = 0;
};

}  // namespace mc::sim
