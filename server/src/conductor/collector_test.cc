// Blobs on a disk, runs in a store in memory: what is removed, and when.
#include "conductor/collector.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/sha256.h"
#include "conductor/core_rig_test.h"
#include "conductor/records.h"

namespace mc::conductor {
namespace {
constexpr Millis kDay{24 * 3'600'000};
constexpr const char* kOne = "jobs: {a: {steps: [{run: x}]}}";

class CollectorTest : public CoreRig {
 protected:
  CollectorTest() {
    now = system_clock().now();  // the age of files is by the machine's clock
    boot();
    std::string name = std::filesystem::temp_directory_path() / "collectorXXXXXX";
    folder_ = ::mkdtemp(name.data());
    blobs_ = std::move(*blob::open_disk(folder_));
    worker_ = worker();
    collector_.emplace(store, *blobs_, CollectorOptions{}, [this](std::vector<db::RecordPut> puts) {
      db::Batch batch;
      batch.records = std::move(puts);
      return store.commit(batch);
    });
  }
  ~CollectorTest() override { std::filesystem::remove_all(folder_); }

  std::string put(const std::string& bytes) {
    auto upload = blobs_->begin_upload();
    EXPECT_TRUE((*upload)->write(bytes).ok());
    std::string digest = "sha256:" + sha256_hex(bytes);
    EXPECT_TRUE((*upload)->finish(digest).ok());
    return digest;
  }
  bool there(const std::string& digest) { return blobs_->open(digest).ok(); }
  Uuid run_with(const std::string& digest, Millis keep) {
    const Uuid run = start(kOne);
    const std::vector<Task> tasks = poll(worker_);
    EXPECT_EQ(tasks.size(), 1U);
    complete(worker_, tasks.at(0), Outcome::succeeded, 0,
             {{"app", digest, 3, "text/plain", keep.count()}});
    EXPECT_EQ(status(run), "succeeded");
    return run;
  }
  void remember(const std::string& key, const std::string& digest) {
    db::Batch batch;
    batch.records.push_back({std::string(kCacheKind), key, "{\"digest\":\"" + digest + "\"}", {}});
    ASSERT_TRUE(store.commit(batch).ok());
  }
  bool remembers(const std::string& key) {
    return disk->get_record(kCacheKind, key).value().has_value();
  }
  std::size_t uses() { return disk->list_records(kBlobUseKind, "", "", 100)->size(); }
  Status sweep_after(Millis time) {
    return collector_->sweep(now + time, std::stop_source().get_token());
  }
  void forget_run(Uuid run) {
    Reply<bool> deleted;
    core->delete_run(kAda, run, now, deleted.done());
    flush();
    ASSERT_TRUE(deleted.value->ok());
    ASSERT_EQ(*store.purge_runs(now + kDay, 100, [](Uuid) { return Status(); }), 1);
  }

  std::string worker_;
  std::string folder_;
  std::unique_ptr<blob::BlobStore> blobs_;
  std::optional<Collector> collector_;
};

TEST_F(CollectorTest, WhatNobodyRefersToGoesAfterTheGrace) {
  const std::string stray = put("stray");
  ASSERT_TRUE(sweep_after(kDay / 2).ok());
  EXPECT_TRUE(there(stray));
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  EXPECT_FALSE(there(stray));
  EXPECT_EQ(collector_->removed(), 1);
}

TEST_F(CollectorTest, AnArtifactIsKeptAsLongAsItSaysOrAsTheServerDoes) {
  const std::string brief = put("brief");
  const std::string usual = put("usual");
  run_with(brief, 10 * kDay);
  run_with(usual, Millis(0));
  ASSERT_TRUE(sweep_after(9 * kDay).ok());
  EXPECT_TRUE(there(brief) && there(usual));
  ASSERT_TRUE(sweep_after(11 * kDay).ok());
  EXPECT_FALSE(there(brief));
  ASSERT_TRUE(sweep_after(89 * kDay).ok());
  EXPECT_TRUE(there(usual));
  ASSERT_TRUE(sweep_after(91 * kDay).ok());
  EXPECT_FALSE(there(usual));
  EXPECT_EQ(uses(), 0U);
}

TEST_F(CollectorTest, ArtifactsGoWithTheirRunsUnlessAnotherRunHasThem) {
  const std::string mine = put("mine");
  const std::string ours = put("ours");
  const Uuid first = run_with(mine, Millis(0));
  const Uuid second = run_with(ours, Millis(0));
  const Uuid third = run_with(ours, Millis(0));
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  forget_run(first);
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  EXPECT_FALSE(there(mine));
  forget_run(second);
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  EXPECT_TRUE(there(ours));
  forget_run(third);
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  EXPECT_FALSE(there(ours));
  EXPECT_EQ(uses(), 0U);
}

TEST_F(CollectorTest, AnOpenRunKeepsWhatItsJobsMadeAndAReRunDoesNotKeepWhatIsGone) {
  const std::string digest = put("waits");
  const Uuid run = start("jobs: {a: {steps: [{run: x}]}, b: {needs: a, steps: [{run: x}]}}");
  const std::vector<Task> first = poll(worker_);
  complete(worker_, first.at(0), Outcome::succeeded, 0,
           {{"app", digest, 3, "text/plain", (10 * kDay).count()}});
  ASSERT_TRUE(sweep_after(20 * kDay).ok());
  EXPECT_TRUE(there(digest));
  EXPECT_EQ(uses(), 1U);
  complete(worker_, poll(worker_).at(0), Outcome::failed);
  ASSERT_EQ(status(run), "failed");
  const auto kept_after = [&](Millis time) {
    Reply<RunView> reply;
    core->rerun({.principal = kAda, .run = run, .scope = Rerun::Scope::failed, .from = {}},
                now + time, reply.done());
    flush();
    EXPECT_TRUE(reply.value->ok());
    return show((*reply).id).find("jobs")->int_or("reused", 0);
  };
  EXPECT_EQ(kept_after(9 * kDay), 1);
  EXPECT_EQ(kept_after(10 * kDay), 0);
}

TEST_F(CollectorTest, ACacheGoesWhenNobodyAskedForIt) {
  const std::string cached = put("cached");
  remember("default/s/k", cached);
  ASSERT_TRUE(sweep_after(29 * kDay).ok());
  EXPECT_TRUE(there(cached) && remembers("default/s/k"));
  ASSERT_TRUE(sweep_after(31 * kDay).ok());
  EXPECT_FALSE(there(cached) || remembers("default/s/k"));
}

TEST_F(CollectorTest, WhoNoLongerLeadsRemovesNothing) {
  const std::string stray = put("stray");
  Collector late(store, *blobs_, {.may_remove = [] { return false; }},
                 [](std::vector<db::RecordPut>) { return Status(); });
  EXPECT_FALSE(late.sweep(now + 2 * kDay, std::stop_source().get_token()).ok());
  EXPECT_TRUE(there(stray));
}

TEST_F(CollectorTest, WhatIsUsedWhileItLooksStays) {
  const std::string digest = put("asked for");
  const std::string path = blobs_->open(digest)->path;
  const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), old, 0), 0);
  ASSERT_TRUE(blobs_->has(digest));  // a worker asks before it refers to it
  ASSERT_TRUE(sweep_after(Millis(0)).ok());
  EXPECT_TRUE(there(digest));
}

TEST_F(CollectorTest, AnotherCollectorGoesOnWhereTheLastEnded) {
  const std::string digest = put("x");
  run_with(digest, 10 * kDay);
  ASSERT_TRUE(sweep_after(Millis(0)).ok());
  const auto position = disk->get_record(kCollectorKind, "feed");
  ASSERT_TRUE(position && *position);
  std::vector<db::RecordPut> written;
  Collector next(store, *blobs_, CollectorOptions{}, [&](std::vector<db::RecordPut> puts) {
    std::ranges::move(puts, std::back_inserter(written));
    return Status();
  });
  ASSERT_TRUE(next.sweep(now + 2 * kDay, std::stop_source().get_token()).ok());
  EXPECT_TRUE(written.empty());
  EXPECT_TRUE(there(digest));
}

TEST_F(CollectorTest, NothingIsRemovedWhenTheStoreCannotBeRead) {
  const std::string digest = put("x");
  run_with(digest, Millis(0));
  store.arm(1, db::Fault::fail_read);
  EXPECT_FALSE(sweep_after(2 * kDay).ok());
  EXPECT_TRUE(there(digest));
  ASSERT_TRUE(sweep_after(2 * kDay).ok());
  EXPECT_TRUE(there(digest));
}

TEST_F(CollectorTest, OldUsesOfABlobThatIsAlwaysInUseGo) {
  const std::string digest = put("every night the same");
  run_with(digest, kDay);
  ASSERT_TRUE(sweep_after(Millis(0)).ok());
  EXPECT_EQ(uses(), 1U);
  const std::string path = blobs_->open(digest)->path;
  const timespec then[2] = {{(now.ms + 3 * kDay.count()) / 1000, 0},
                            {(now.ms + 3 * kDay.count()) / 1000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), then, 0), 0);
  ASSERT_TRUE(sweep_after(3 * kDay).ok());
  EXPECT_TRUE(there(digest));
  EXPECT_EQ(uses(), 0U);
}
}  // namespace
}  // namespace mc::conductor
