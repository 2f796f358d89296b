// What a crash, a damaged file or a full disk leaves of a SQLite store: whole commits, from the
// first on, or a plain refusal.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "base/file.h"
#include "db/sqlite/sqlite_store.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
namespace fs = std::filesystem;
constexpr int kCommits = 40;
constexpr std::size_t kFileMax = 64 << 20;

// Commit n moves three runs to seq n and a record to version n.
Batch step(std::int64_t n) {
  Batch batch;
  for (std::int64_t run = 1; run <= 3; ++run) {
    batch.runs.push_back(write_of(run, n - 1));
    batch.runs.back().events->payload += std::string(700, 'x');
  }
  batch.records = {{"kind", "key", std::to_string(n), n - 1}};
  return batch;
}

// How many commits the store holds; -1: parts of one.
std::int64_t whole_commits(Store& store) {
  const auto feed = store.read_feed(0, 1'000'000);
  const auto record = store.get_record("kind", "key");
  if (!feed || !record) return -1;
  const std::int64_t commits = *record ? (*record)->version : 0;
  if (static_cast<std::int64_t>(feed->size()) != 3 * commits) return -1;
  for (std::int64_t number = 1; number <= 3 && commits > 0; ++number) {
    const auto run = store.load_run(id_of(number));
    if (!run || !*run || (*run)->last_seq != commits) return -1;
    if (static_cast<std::int64_t>((*run)->events.size()) != commits) return -1;
  }
  return commits;
}

std::unique_ptr<Store> open(const std::string& folder) {
  auto opened = open_sqlite({.folder = folder});
  return opened ? std::move(*opened) : nullptr;
}

// What another machine would find on the disk at this moment.
void copy_files(const std::string& from, const std::string& to) {
  for (const char* name : {"/maestro.db", "/maestro.db-wal"}) {
    if (fs::exists(from + name))
      fs::copy_file(from + name, to + name, fs::copy_options::overwrite_existing);
  }
}

TEST(Crash, AtAnyCommitLosesNothingThatWasAnswered) {
  TempFolder live;
  const std::unique_ptr<Store> store = open(live.path());
  ASSERT_TRUE(store);
  for (std::int64_t n = 1; n <= kCommits; ++n) {
    ASSERT_TRUE(store->commit(step(n)));
    if (n % 8 != 0) continue;
    TempFolder copy;
    copy_files(live.path(), copy.path());
    const std::unique_ptr<Store> found = open(copy.path());
    ASSERT_TRUE(found);
    EXPECT_EQ(whole_commits(*found), n);
    EXPECT_TRUE(found->commit(step(n + 1)));
  }
}

class DamagedLog : public testing::Test {
 protected:
  void SetUp() override {
    const std::unique_ptr<Store> store = open(live_.path());
    ASSERT_TRUE(store);
    for (std::int64_t n = 1; n <= kCommits; ++n) ASSERT_TRUE(store->commit(step(n)));
    copy_files(live_.path(), crashed_.path());
    log_ = read_file(crashed_.path() + "/maestro.db-wal", kFileMax).value();
  }
  // The commits that are found when the log is `log`.
  std::int64_t found_with(const std::string& log) {
    TempFolder folder;
    copy_files(crashed_.path(), folder.path());
    EXPECT_TRUE(write_file(folder.path() + "/maestro.db-wal", log));
    const std::unique_ptr<Store> store = open(folder.path());
    return store ? whole_commits(*store) : -1;
  }
  TempFolder live_;
  TempFolder crashed_;
  std::string log_;
};

TEST_F(DamagedLog, CutAnywhereHoldsAPrefixOfWholeCommits) {
  Rng rng(1);
  std::int64_t fewest = kCommits;
  for (int i = 0; i < 25; ++i) {
    const std::int64_t found = found_with(log_.substr(0, rng.below(log_.size())));
    EXPECT_GE(found, 0);
    EXPECT_LE(found, kCommits);
    fewest = std::min(fewest, found);
  }
  EXPECT_LT(fewest, kCommits);
  EXPECT_EQ(found_with(log_), kCommits);
}

TEST_F(DamagedLog, WithAWrongByteHoldsAPrefixOfWholeCommits) {
  Rng rng(2);
  std::int64_t fewest = kCommits;
  for (int i = 0; i < 25; ++i) {
    std::string log = log_;
    log[rng.below(log.size())] ^= static_cast<char>(1 + rng.below(255));
    const std::int64_t found = found_with(log);
    EXPECT_GE(found, 0);
    fewest = std::min(fewest, found);
  }
  EXPECT_LT(fewest, kCommits);
}

TEST(Damaged, HeadIsRefusedInPlainWords) {
  TempFolder folder;
  ASSERT_TRUE(write_file(folder.path() + "/maestro.db", "this is no database, is it?"));
  const auto opened = open_sqlite({.folder = folder.path()});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::data_folder);
  EXPECT_NE(opened.error().message.find("backup"), std::string::npos);
}

TEST(Damaged, PagesAreFoundByTheCheck) {
  TempFolder folder;
  {
    const std::unique_ptr<Store> store = open(folder.path());
    ASSERT_TRUE(store);
    for (std::int64_t n = 1; n <= kCommits; ++n) ASSERT_TRUE(store->commit(step(n)));
  }
  EXPECT_TRUE(check_sqlite(folder.path()).value().empty());
  const std::string path = folder.path() + "/maestro.db";
  std::string bytes = read_file(path, kFileMax).value();
  ASSERT_GT(bytes.size(), 65'536U);
  std::fill(bytes.begin() + 40'960, bytes.begin() + 61'440, '\x5a');
  ASSERT_TRUE(write_file(path, bytes));
  const auto wrong = check_sqlite(folder.path());
  EXPECT_TRUE(!wrong || !wrong->empty());
}

// Files of this process may not grow beyond `bytes`, until this goes.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &tight);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST(FullDisk, RefusesWritesKeepsReadsAndGoesOnWhenThereIsRoom) {
  TempFolder folder;
  std::unique_ptr<Store> store = open(folder.path());
  ASSERT_TRUE(store);
  std::int64_t n = 0;
  while (n < 5) ASSERT_TRUE(store->commit(step(++n)));
  {
    const FullDisk full(256 << 10);
    Status refused;
    while ((refused = store->commit(step(n + 1))) && n < 1000) ++n;
    ASSERT_FALSE(refused);
    EXPECT_EQ(code_of(refused), "store_failed");
    EXPECT_EQ(whole_commits(*store), n);
    EXPECT_EQ(code_of(store->commit(step(n + 1))), "store_failed");
    EXPECT_EQ(whole_commits(*store), n);
  }
  ASSERT_TRUE(store->commit(step(n + 1)));
  EXPECT_EQ(whole_commits(*store), n + 1);
  store.reset();
  store = open(folder.path());
  ASSERT_TRUE(store);
  EXPECT_EQ(whole_commits(*store), n + 1);
}

TEST(Backup, WhileCommitsGoOnIsOneMoment) {
  TempFolder folder;
  TempFolder copies;
  const std::unique_ptr<Store> store = open(folder.path());
  ASSERT_TRUE(store);
  for (std::int64_t n = 1; n <= 10; ++n) ASSERT_TRUE(store->commit(step(n)));
  const std::string target = copies.path() + "/maestro.db";
  ASSERT_TRUE(backup_sqlite(folder.path(), target));
  EXPECT_EQ(code_of(backup_sqlite(folder.path(), target)), "data_folder");
  ASSERT_TRUE(store->commit(step(11)));
  const std::unique_ptr<Store> restored = open(copies.path());
  ASSERT_TRUE(restored);
  EXPECT_EQ(whole_commits(*restored), 10);
  EXPECT_TRUE(check_sqlite(copies.path()).value().empty());
}

TEST(Checkpoints, KeepTheLogShortAndLoseNothing) {
  TempFolder folder;
  const std::unique_ptr<Store> store = open(folder.path());
  ASSERT_TRUE(store);
  Batch big = step(1);
  big.runs[0].snapshot = std::string(30 << 20, 's');
  ASSERT_TRUE(store->commit(big));
  const std::string log = folder.path() + "/maestro.db-wal";
  ASSERT_GT(fs::file_size(log), 30U << 20);
  store->idle();
  EXPECT_EQ(fs::file_size(log), 0U);
  ASSERT_TRUE(store->commit(step(2)));
  EXPECT_EQ(store->load_run(id_of(1)).value()->last_seq, 2);
  EXPECT_EQ(store->load_run(id_of(1)).value()->snapshot.size(), 30U << 20);
}
}  // namespace
}  // namespace mc::db::contract
