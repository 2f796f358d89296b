#include "db/postgres/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/rng.h"

namespace mc::db {
namespace {

using Names = std::vector<std::string>;

// What the database would say: `holders` of shards 0, 1 …; empty: nobody.
Cluster cluster(const Names& holders, const Names& members) {
  Cluster out;
  for (const std::string& holder : holders) {
    out.shards.push_back({.shard = static_cast<int>(out.shards.size()),
                          .epoch = 1,
                          .holder = holder,
                          .name = holder,
                          .address = holder.empty() ? "" : holder + ":1"});
  }
  for (const std::string& member : members) out.members.push_back({member, member, member + ":1"});
  return out;
}

TEST(Plan, OfOneAloneIsToTakeAll) {
  const Plan alone = plan(cluster({"", "", ""}, {"a"}), "a");
  EXPECT_EQ(alone.take, (std::set{0, 1, 2}));
  EXPECT_TRUE(alone.give.empty());
}

TEST(Plan, OfOneThatJoinsIsToTakeWhatIsFreeOfItsShareWhichOthersGive) {
  const Names eight(8, "a");
  EXPECT_EQ(plan(cluster(eight, {"a", "b"}), "a").give, (std::set{4, 5, 6, 7}));
  EXPECT_TRUE(plan(cluster(eight, {"a", "b"}), "b").take.empty());
  EXPECT_EQ(plan(cluster({"a", "a", "a", "a", "", ""}, {"a", "b"}), "b").take, (std::set{4, 5}));
}

TEST(Plan, SharesWhatIsFreeSoThatNobodyIsInAnothersWay) {
  const Cluster free = cluster({"", "", "", "", "", "", "", ""}, {"c", "b", "a"});
  EXPECT_EQ(plan(free, "a").take, (std::set{0, 1, 2}));
  EXPECT_EQ(plan(free, "b").take, (std::set{3, 4, 5}));
  EXPECT_EQ(plan(free, "c").take, (std::set{6, 7}));
}

TEST(Plan, LeavesTheLargerShareToWhoHasIt) {
  for (const std::string holder : {"a", "b"}) {
    const std::string other = holder == "a" ? "b" : "a";
    const Cluster even = cluster({holder, holder, other}, {"a", "b"});
    EXPECT_TRUE(plan(even, "a").give.empty() && plan(even, "b").give.empty());
  }
}

TEST(Plan, OfMoreReplicasThanShardsIsThatSomeHaveNone) {
  const Cluster full = cluster({"b", "c"}, {"a", "b", "c"});
  for (const std::string each : {"a", "b", "c"}) {
    EXPECT_TRUE(plan(full, each).take.empty());
    EXPECT_TRUE(plan(full, each).give.empty());
  }
  EXPECT_EQ(plan(cluster({"b", ""}, {"a", "b", "c"}), "a").take, std::set{1});
  EXPECT_TRUE(plan(cluster({"b", ""}, {"a", "b", "c"}), "c").take.empty());
}

TEST(Plan, OfOneThatStopsIsToGiveAllAndTheOthersCountWithoutIt) {
  const Cluster stopping = cluster({"a", "a", "b", ""}, {"b"});
  EXPECT_EQ(plan(stopping, "a").give, (std::set{0, 1}));
  EXPECT_TRUE(plan(stopping, "a").take.empty());
  EXPECT_EQ(plan(stopping, "b").take, std::set{3});
}

TEST(Plan, OfNothingIsNothing) {
  EXPECT_TRUE(plan({}, "a").take.empty());
  EXPECT_TRUE(plan(cluster({}, {"a"}), "a").take.empty());
  EXPECT_TRUE(plan(cluster({"", ""}, {}), "a").give.empty());
}

// A cluster whose replicas act one at a time, in any order, on what each saw when it last looked.
class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed), holders_(1 + rng_.below(12)) {
    for (std::uint64_t n = 1 + rng_.below(5); n > 0; --n) join();
    for (std::string& holder : holders_) {
      if (rng_.chance(0.6)) holder = members_[rng_.below(members_.size())];
    }
  }

  void join() {
    members_.push_back(std::string(1, static_cast<char>('a' + rng_.below(26))) +
                       std::to_string(++joined_));
  }
  // Killed: what it had is free, sooner or later.
  void lose() {
    if (members_.size() < 2) return;
    const auto gone = members_.begin() + static_cast<std::ptrdiff_t>(rng_.below(members_.size()));
    std::ranges::replace(holders_, *gone, std::string());
    seen_.erase(*gone);
    members_.erase(gone);
  }
  void look(const std::string& who) { seen_[who] = cluster(holders_, members_); }
  // As the database lets it: only what is free is taken, only one's own is given.
  void act(const std::string& who) {
    const Plan planned = plan(seen_.at(who), who);
    EXPECT_TRUE(planned.take.empty() || planned.give.empty());
    for (const int shard : planned.take) move(shard, "", who);
    for (const int shard : planned.give) move(shard, who, "");
  }
  void step() {
    const std::string who = members_[rng_.below(members_.size())];
    if (!seen_.contains(who) || rng_.chance(0.7)) look(who);
    if (rng_.chance(0.7)) act(who);
  }
  // Everybody looks, then acts, in any order.
  void round() {
    for (const std::string& who : shuffled()) look(who);
    for (const std::string& who : shuffled()) act(who);
  }

  bool chance(double p) { return rng_.chance(p); }
  std::int64_t count(const std::string& who) const { return std::ranges::count(holders_, who); }
  std::int64_t due_least() const { return std::ssize(holders_) / std::ssize(members_); }
  std::int64_t larger() const { return std::ssize(holders_) % std::ssize(members_); }
  // How many have to be given so that the shares can be even, at least.
  std::int64_t surplus() const {
    std::int64_t over = 0, full = 0;
    for (const std::string& who : members_) {
      const std::int64_t beyond = count(who) - due_least();
      if (beyond <= 0) continue;
      ++full;
      over += beyond - 1;
    }
    return over + std::max<std::int64_t>(0, full - larger());
  }
  bool is_even() const {
    std::int64_t larger_ones = 0;
    for (const std::string& who : members_) {
      if (count(who) < due_least() || count(who) > due_least() + 1) return false;
      larger_ones += count(who) - due_least();
    }
    return larger_ones == larger();
  }
  std::int64_t given() const { return given_; }

 private:
  void move(int shard, const std::string& from, const std::string& to) {
    std::string& holder = holders_[static_cast<std::size_t>(shard)];
    if (holder != from) return;
    if (to.empty()) ++given_;
    holder = to;
  }
  Names shuffled() {
    Names out = members_;
    for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[rng_.below(i)]);
    return out;
  }

  Rng rng_;
  Names holders_, members_;
  std::map<std::string, Cluster> seen_;
  std::int64_t joined_ = 0, given_ = 0;
};

// Two rounds are enough: what is too much is given, what is free is taken.
TEST(Plan, MakesSharesEvenByAsFewMovesAsCanBe) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    World world(seed);
    const std::int64_t least = world.surplus();
    world.round();
    world.round();
    ASSERT_TRUE(world.is_even()) << seed;
    ASSERT_EQ(world.given(), least) << seed;
    world.round();
    ASSERT_EQ(world.given(), least) << seed;
  }
}

TEST(Plan, MakesSharesEvenWhateverHappenedAndWhoeverActsOnWhatItOnceSaw) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    World world(seed);
    for (int i = 0; i < 60; ++i) {
      if (world.chance(0.1)) world.join();
      if (world.chance(0.1)) world.lose();
      world.step();
    }
    const std::int64_t before = world.given(), least = world.surplus();
    for (int i = 0; i < 2; ++i) world.round();
    ASSERT_TRUE(world.is_even()) << seed;
    ASSERT_EQ(world.given() - before, least) << seed;
  }
}

// With the free ones taken by whoever comes first, and looks of any age: no endless exchange.
TEST(Plan, EndsAlsoWhenNobodySeesThePresent) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    World world(seed);
    int steps = 0;
    while (!world.is_even() && ++steps < 2'000) world.step();
    ASSERT_LT(steps, 2'000) << seed;
  }
}

TEST(Plan, LetsNobodyGiveOfItsFairShare) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    Rng rng(seed);
    Names members, holders(1 + rng.below(12));
    for (std::uint64_t n = 1 + rng.below(5); n > 0; --n) members.push_back(std::to_string(n));
    for (std::string& holder : holders)
      holder = rng.chance(0.2) ? "" : members[rng.below(members.size())];
    for (const std::string& who : members) {
      const Plan planned = plan(cluster(holders, members), who);
      const auto has = std::ranges::count(holders, who);
      const std::int64_t least = std::ssize(holders) / std::ssize(members);
      ASSERT_GE(has - std::ssize(planned.give), std::min<std::int64_t>(has, least));
      ASSERT_LE(has + std::ssize(planned.take), std::max<std::int64_t>(has, least + 1));
    }
  }
}

}  // namespace
}  // namespace mc::db
