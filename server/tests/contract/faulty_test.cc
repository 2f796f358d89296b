// The store that fails on purpose does just that.
#include "db/memory/memory_store.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
class Faulty : public testing::Test {
 protected:
  std::unique_ptr<Store> inner_ = make_memory_store();
  FaultyStore store_{*inner_};
};

TEST_F(Faulty, RefusesTheCommitNamedAndNoOther) {
  store_.arm(2, Fault::refuse_commit);
  EXPECT_TRUE(store_.commit(batch_of(write_of(1, 0))));
  EXPECT_EQ(code_of(store_.commit(batch_of(write_of(2, 0)))), "store_failed");
  EXPECT_FALSE(inner_->load_run(id_of(2)).value());
  EXPECT_TRUE(store_.commit(batch_of(write_of(2, 0))));
  EXPECT_EQ(store_.faults(), 1);
}

TEST_F(Faulty, LosesAnAnswer) {
  store_.arm(1, Fault::lose_answer);
  EXPECT_EQ(code_of(store_.commit(batch_of(write_of(1, 0)))), "store_failed");
  EXPECT_TRUE(inner_->load_run(id_of(1)).value());
}

TEST_F(Faulty, SeesAConflict) {
  store_.arm(1, Fault::conflict);
  EXPECT_EQ(code_of(store_.commit(batch_of(write_of(1, 0)))), "conflict");
  EXPECT_FALSE(inner_->load_run(id_of(1)).value());
}

TEST_F(Faulty, FailsReads) {
  store_.arm(2, Fault::fail_read);
  EXPECT_TRUE(store_.feed_end());
  EXPECT_FALSE(store_.load_run(id_of(1)));
  EXPECT_TRUE(store_.load_run(id_of(1)));
}

TEST_F(Faulty, HasTheSameLuckForTheSameSeed) {
  const auto luck = [&](std::uint64_t seed) {
    std::string text;
    store_.arm_chances(seed, {.refuse_commit = 0.3, .lose_answer = 0.1, .conflict = 0.2});
    for (int i = 0; i < 60; ++i) text += code_of(store_.commit({})) + ",";
    return text;
  };
  const std::string first = luck(1);
  EXPECT_EQ(first, luck(1));
  EXPECT_NE(first, luck(2));
  store_.disarm();
  EXPECT_TRUE(store_.commit({}));
}
}  // namespace
}  // namespace mc::db::contract
