// A data folder whose files were cut, damaged, zeroed, lost or mixed up after the store had
// answered: it opens with every commit that was answered, or it is refused, or the check finds it.
// Never less without a word.
#include <filesystem>

#include "base/file.h"
#include "db/sqlite/mark.h"
#include "db/sqlite/sqlite_store.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
namespace fs = std::filesystem;
constexpr int kCommits = 40;
constexpr std::size_t kFileMax = 64 << 20;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kWalHeader = 32;
constexpr std::size_t kFrame = 24 + kPage;
constexpr const char* kDb = "/maestro.db";
constexpr const char* kLog = "/maestro.db-wal";
constexpr const char* kMark = "/maestro.mark";

// Commit n moves one run to seq n, or only a record when n is even.
Batch step(std::int64_t n) {
  Batch batch;
  if (n % 2 == 1) {
    batch.runs.push_back(write_of(1, n / 2));
    batch.runs.back().events->payload += std::string(700, 'x');
  }
  batch.records = {{"kind", "key", std::to_string(n), n - 1}};
  return batch;
}

std::unique_ptr<Store> open(const std::string& folder) {
  auto opened = open_sqlite({.folder = folder});
  return opened ? std::move(*opened) : nullptr;
}

std::string bytes_of(const std::string& path) { return read_file(path, kFileMax).value(); }

void copy_all(const std::string& from, const std::string& to) {
  for (const char* name : {kDb, kLog, kMark}) {
    if (fs::exists(from + name))
      fs::copy_file(from + name, to + name, fs::copy_options::overwrite_existing);
  }
}

enum class Outcome { whole, refused, found_by_check, silent };
std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  constexpr const char* kNames[] = {"whole", "refused", "found_by_check", "silent"};
  return out << kNames[static_cast<int>(outcome)];
}

// What an operator sees of this folder.
Outcome outcome_of(const std::string& folder) {
  const Result<std::vector<std::string>> wrong = check_sqlite(folder);
  const bool found = !wrong || !wrong->empty();
  auto opened = open_sqlite({.folder = folder});
  if (!opened) {
    EXPECT_EQ(opened.error().code, Code::data_folder);
    EXPECT_NE(opened.error().message.find("maestro.db"), std::string::npos);
    EXPECT_NE(opened.error().message.find("backup"), std::string::npos) << opened.error().message;
    EXPECT_TRUE(found) << "the check is content with what open refuses";
    return Outcome::refused;
  }
  const auto record = (*opened)->get_record("kind", "key");
  const auto run = (*opened)->load_run(id_of(1));
  const bool whole = record && *record && (*record)->version == kCommits && run && *run &&
                     (*run)->events.size() == kCommits / 2;
  if (whole) return Outcome::whole;
  return found ? Outcome::found_by_check : Outcome::silent;
}

class Torn : public testing::Test {
 protected:
  void SetUp() override {
    const std::unique_ptr<Store> store = open(live_.path());
    ASSERT_TRUE(store);
    for (std::int64_t n = 1; n <= kCommits; ++n) {
      ASSERT_TRUE(store->commit(step(n)));
      if (n == kCommits / 2) copy_all(live_.path(), earlier_.path());
    }
    copy_all(live_.path(), crashed_.path());
    log_ = bytes_of(crashed_.path() + kLog);
    ASSERT_GT(log_.size(), kWalHeader + 20 * kFrame);
  }
  // With the log like this; nullopt: without one.
  Outcome with_log(const std::optional<std::string>& log) {
    TempFolder folder;
    copy_all(crashed_.path(), folder.path());
    EXPECT_TRUE(fs::remove(folder.path() + kLog));
    if (log) {
      EXPECT_TRUE(write_file(folder.path() + kLog, *log));
    }
    return outcome_of(folder.path());
  }
  // With maestro.db like this, and nothing in the log: as after a checkpoint.
  Outcome with_db(const std::function<void(std::string&)>& damage) {
    TempFolder folder;
    copy_all(crashed_.path(), folder.path());
    open(folder.path()).reset();
    std::string bytes = bytes_of(folder.path() + kDb);
    EXPECT_GT(bytes.size(), 20 * kPage);
    damage(bytes);
    EXPECT_TRUE(write_file(folder.path() + kDb, bytes));
    return outcome_of(folder.path());
  }
  TempFolder live_, earlier_, crashed_;
  std::string log_;
};

TEST_F(Torn, NothingIsWrongWithoutDamage) {
  EXPECT_EQ(with_log(log_), Outcome::whole);
  EXPECT_EQ(with_db([](std::string&) {}), Outcome::whole);
  EXPECT_EQ(read_mark(crashed_.path()), (Progress{kCommits / 2, kCommits / 2}));
}

TEST_F(Torn, ALogThatIsCutIsRefusedWhereverItIsCut) {
  const std::size_t last = log_.size() - kFrame;
  const std::size_t middle = kWalHeader + 10 * kFrame;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, kWalHeader - 1, kWalHeader, kWalHeader + 5, middle,
        middle + 10, middle + 24, middle + 3000, last, last + 1, last + 24, log_.size() - 1}) {
    EXPECT_EQ(with_log(log_.substr(0, size)), Outcome::refused) << size;
  }
  EXPECT_EQ(with_log(std::nullopt), Outcome::refused);
}

TEST_F(Torn, ALogWithAWrongByteIsRefused) {
  Rng rng(3);
  for (int i = 0; i < 25; ++i) {
    std::string log = log_;
    const std::size_t at = log.size() - 1 - rng.below(i < 12 ? 3 * kFrame : log.size() - 1);
    log[at] = static_cast<char>(log[at] ^ static_cast<char>(1 + rng.below(255)));
    EXPECT_EQ(with_log(log), Outcome::refused) << at;
  }
}

TEST_F(Torn, ALogWhoseEndIsZeroIsRefused) {
  for (const std::size_t zeros : {std::size_t{1}, std::size_t{512}, kPage, 5 * kFrame + 100}) {
    std::string log = log_;
    // A last byte may be zero anyhow; then nothing is damaged.
    std::fill(log.end() - static_cast<std::ptrdiff_t>(zeros), log.end(), '\0');
    EXPECT_EQ(with_log(log), log == log_ ? Outcome::whole : Outcome::refused) << zeros;
  }
}

TEST_F(Torn, AnEarlierDatabaseInItsPlaceIsRefused) {
  TempFolder folder;
  copy_all(crashed_.path(), folder.path());
  fs::remove(folder.path() + kLog);
  for (const char* name : {kDb, kLog}) {
    fs::copy_file(earlier_.path() + name, folder.path() + name,
                  fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(outcome_of(folder.path()), Outcome::refused);
  // It is as good as before: who means it says so.
  fs::remove(folder.path() + kMark);
  const std::unique_ptr<Store> store = open(folder.path());
  ASSERT_TRUE(store);
  EXPECT_TRUE(store->commit(step(kCommits / 2 + 1)));
}

// Putting a backup in its place is no accident.
TEST_F(Torn, ABackupInItsPlaceIsTaken) {
  TempFolder folder;
  copy_all(crashed_.path(), folder.path());
  TempFolder copies;
  const std::string copy = copies.path() + kDb;
  ASSERT_TRUE(backup_sqlite(earlier_.path(), copy));
  for (const char* name : {kDb, kLog}) fs::remove(folder.path() + name);
  fs::copy_file(copy, folder.path() + kDb);
  EXPECT_TRUE(check_sqlite(folder.path()).value().empty());
  {
    const std::unique_ptr<Store> store = open(folder.path());
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->commit(step(kCommits / 2 + 1)));
  }
  // From then on it is a database as any other.
  const std::string before = bytes_of(folder.path() + kDb);
  {
    const std::unique_ptr<Store> store = open(folder.path());
    ASSERT_TRUE(store);
    ASSERT_TRUE(store->commit(step(kCommits / 2 + 2)));
  }
  ASSERT_TRUE(write_file(folder.path() + kDb, before));
  EXPECT_FALSE(open(folder.path()));
}

TEST_F(Torn, ADatabaseThatIsGoneIsRefused) {
  TempFolder folder;
  fs::copy_file(crashed_.path() + kMark, folder.path() + kMark);
  const auto opened = open_sqlite({.folder = folder.path()});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("maestro.mark"), std::string::npos);
}

TEST_F(Torn, ARefusalLeavesTheFilesAsTheyWere) {
  TempFolder folder;
  copy_all(crashed_.path(), folder.path());
  const std::string cut = log_.substr(0, log_.size() - 100);
  ASSERT_TRUE(write_file(folder.path() + kLog, cut));
  ASSERT_FALSE(open(folder.path()));
  EXPECT_EQ(bytes_of(folder.path() + kLog), cut);
  ASSERT_TRUE(write_file(folder.path() + kLog, log_));
  EXPECT_EQ(outcome_of(folder.path()), Outcome::whole);
}

TEST_F(Torn, ADatabaseThatIsCutIsRefused) {
  for (const std::size_t lost : {std::size_t{1}, kPage, kPage + 5, 5 * kPage, 15 * kPage}) {
    EXPECT_EQ(with_db([&](std::string& bytes) { bytes.resize(bytes.size() - lost); }),
              Outcome::refused)
        << lost;
  }
}

TEST_F(Torn, ADatabaseWithDamagedPagesIsNeverTakenForWhole) {
  Rng rng(4);
  for (int i = 0; i < 40; ++i) {
    const Outcome outcome = with_db([&](std::string& bytes) {
      const std::size_t pages = bytes.size() / kPage;
      const std::size_t page = i < 8 ? pages - 1 - static_cast<std::size_t>(i) : rng.below(pages);
      const bool zero = i % 2 == 0;
      for (std::size_t at = page * kPage; at < (page + 1) * kPage; ++at)
        bytes[at] = zero ? '\0' : static_cast<char>(rng.below(256));
    });
    EXPECT_NE(outcome, Outcome::silent) << i;
  }
}

TEST(MarkTest, AMarkThatCannotBeReadClaimsNothing) {
  TempFolder folder;
  Mark mark(folder.path());
  EXPECT_EQ(read_mark(folder.path()), std::nullopt);
  mark.set({5, 6});
  EXPECT_EQ(read_mark(folder.path()), (Progress{5, 6}));
  std::string bytes = bytes_of(folder.path() + kMark);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    ASSERT_TRUE(write_file(folder.path() + kMark, wrong));
    EXPECT_EQ(read_mark(folder.path()), std::nullopt) << at;
  }
  ASSERT_TRUE(write_file(folder.path() + kMark, bytes.substr(0, 20)));
  EXPECT_EQ(read_mark(folder.path()), std::nullopt);
  mark.set({7, 6});
  EXPECT_EQ(read_mark(folder.path()), (Progress{7, 6}));
}
}  // namespace
}  // namespace mc::db::contract
