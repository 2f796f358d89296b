#include "base/rng.h"
#include "cluster/polls.h"
#include "cluster/rig_test.h"

namespace mc::cluster {
namespace {
// Random workers, jobs, failures and orders of everything. The rig itself checks that no worker is
// asked for at two shards at once, has more than it may, or that a job is given twice.
class RandomPolls {
 public:
  explicit RandomPolls(std::uint64_t seed) : rng_(seed), rig_(1 + static_cast<int>(rng_.below(4))) {
    for (int i = 0; i < 6; ++i) rig_.shards.add_worker(name(i), label(i % 3));
    for (FakeShards::Shard& shard : rig_.shards.shards) shard.is_here = rng_.chance(0.7);
  }

  void run() {
    for (int step = 0; step < 120; ++step) act();
    quiesce();
    check();
  }

 private:
  struct Open {
    std::string worker;
    std::shared_ptr<PollsRig::Ended> ended;
    std::shared_ptr<std::atomic<bool>> gone;
  };
  static std::string name(int i) { return "w" + std::to_string(i); }
  static std::string label(int i) { return "l" + std::to_string(i); }
  int any_shard() { return static_cast<int>(rng_.below(rig_.shards.shards.size())); }

  void act() {
    switch (rng_.below(10)) {
      case 0:
      case 1: return poll();
      case 2:
      case 3: return add_jobs();
      case 4: return fail_or_mend();
      case 5: return rig_.pass(Millis(static_cast<std::int64_t>(rng_.below(3'000))));
      case 6:
        if (!open_.empty() && rng_.chance(0.3)) *open_[rng_.below(open_.size())].gone = true;
        return;
      default: return answer_one();
    }
  }
  void poll() {
    // As workers do: one poll at a time.
    const std::string worker = name(static_cast<int>(rng_.below(6)));
    for (const Open& open : open_) {
      if (open.worker == worker && !open.ended->is_over) return;
    }
    const auto gone = std::make_shared<std::atomic<bool>>(false);
    const Millis wait(rng_.chance(0.2) ? 0 : static_cast<std::int64_t>(rng_.below(20'000)));
    const auto ended = rig_.poll(worker, 1 + static_cast<int>(rng_.below(3)), wait, gone);
    open_.push_back({worker, ended, gone});
  }
  void add_jobs() {
    const int shard = any_shard();
    for (std::uint64_t i = 0; i <= rng_.below(3); ++i)
      rig_.add_job(shard, "j" + std::to_string(++jobs_), label(static_cast<int>(rng_.below(4))));
    if (!rig_.shards.at(shard).is_away) news_[shard] = rig_.told.size();
    rig_.ready(shard, rig_.shards.at(shard).is_here);
  }
  void fail_or_mend() {
    const int shard = any_shard();
    FakeShards::Shard& at = rig_.shards.at(shard);
    news_.erase(shard);
    if (!std::exchange(at.is_away, !at.is_away)) return;
    rig_.shards_changed();
  }
  void answer_one() {
    if (rig_.shards.pending.empty()) return;
    const std::size_t i = rng_.below(rig_.shards.pending.size());
    rng_.chance(0.5) ? rig_.shards.serve(i) : rig_.shards.deliver(i);
  }
  void quiesce() {
    bool some_are_away = false;
    for (FakeShards::Shard& shard : rig_.shards.shards)
      some_are_away |= std::exchange(shard.is_away, false);
    if (some_are_away) rig_.shards_changed();
    rig_.deliver_all();
    rig_.pass(rig_.options.round_max);
    rig_.deliver_all();
    rig_.pass(rig_.options.tell_every);
    rig_.deliver_all();
  }
  void check() {
    std::map<std::string, int> received;
    std::set<std::string> waiting;
    for (const Open& open : open_) {
      for (const std::string& task : open.ended->tasks) {
        EXPECT_EQ(++received[task], 1);
        EXPECT_EQ(rig_.shards.given.at(task), open.worker);
      }
      if (!open.ended->is_over && !*open.gone)
        waiting.insert(rig_.shards.shards[0].workers.at(open.worker));
    }
    EXPECT_EQ(received.size(), rig_.shards.given.size()) << "a task got lost on its way";
    for (std::size_t i = 0; i < rig_.shards.shards.size(); ++i) {
      const FakeShards::Shard& shard = rig_.shards.shards[i];
      for (const FakeShards::Job& job : shard.jobs)
        EXPECT_FALSE(waiting.contains(job.label)) << job.id << " was not given to who waits";
      const int at = static_cast<int>(i);
      if (shard.jobs.empty() || !shard.is_here || !news_.contains(at)) continue;
      const auto since = rig_.told.begin() + static_cast<std::ptrdiff_t>(news_[at]);
      EXPECT_NE(std::find(since, rig_.told.end(), at), rig_.told.end()) << "nobody else heard";
    }
  }

  Rng rng_;
  PollsRig rig_;
  std::vector<Open> open_;
  // By shard that was well since: how many tells there were at the last news.
  std::map<int, std::size_t> news_;
  int jobs_ = 0;
};

TEST(Polls, LoseAndDoubleNothingWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPolls(seed).run();
    if (testing::Test::HasFailure()) break;
  }
}
}  // namespace
}  // namespace mc::cluster
