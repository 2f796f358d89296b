// A world's only server: the production conductor::Core over a store that survives crashes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "db/faulty/faulty_store.h"
#include "sim/checker.h"
#include "sim/core_loop.h"
#include "sim/faults.h"
#include "sim/servers.h"

namespace mc::sim {

class ServerNode final : public Servers, private CoreLoop::Process {
 public:
  ServerNode(Timeline& timeline, const Faults& faults, conductor::Options options, Checker& checker,
             std::uint64_t seed);

  void boot() override;
  int count() const override { return 1; }
  std::string name(int) const override { return "server"; }
  void receive(int server, Call call) override;
  db::Store& disk() override { return *disk_; }

  void crash() override;
  void pause(Millis time) override;
  void drain() override;
  void jump_clock(Millis by) override;
  void calm() override;

  std::optional<Instant> up() override;
  std::int64_t crashes() const override { return crashes_; }
  std::int64_t commits() const override { return commits_; }
  std::int64_t injected() const override { return injected_ + reads_.faults(); }

 private:
  enum class Cut : std::uint8_t { none, before, between, after };  // where a commit is cut off

  Instant clock() override;
  Millis skew() const override { return skew_; }
  bool stands_still() const override { return paused_; }
  void later(Millis delay, std::function<void()> action) override;
  void write(const CoreLoop::Pending& commit) override;
  void read_back(Instant now) override { checker_.recovered(now); }
  void drained() override;
  void apply(const CoreLoop::Pending& commit, Cut cut);
  void finish(const CoreLoop::Pending& commit, const Status& result, Cut cut);
  void restart_after(Millis delay);
  Millis commit_time();

  Timeline& timeline_;
  const Faults& faults_;
  conductor::Options options_;
  Checker& checker_;
  Rng rng_;
  bool calm_ = false;
  std::unique_ptr<db::Store> disk_;
  db::FaultyStore reads_;
  std::unique_ptr<CoreLoop> loop_;  // null: down
  std::int64_t life_ = 0;           // counts starts
  bool paused_ = false;
  std::vector<std::function<void()>> held_;  // what the process will do when it goes on
  Millis skew_{0};
  Instant last_clock_;
  std::int64_t crashes_ = 0, commits_ = 0, injected_ = 0;
};

}  // namespace mc::sim
