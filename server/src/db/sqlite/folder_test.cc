// The data folder: who may have it, what it may hold, how its schema moves.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "db/sqlite/folder.h"
#include "db/sqlite/migrate.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::db {
namespace {
class Folder : public testing::Test {
 protected:
  Folder() { MC_CHECK(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() override {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Status open() {
    auto opened = open_sqlite({.folder = path_});
    if (!opened) return opened.error();
    return {};
  }
  std::unique_ptr<Connection> connect() {
    return std::move(*Connection::open(database_path(path_), Connection::Mode::write));
  }
  void expect_refused(const Status& status, const std::string& word) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::data_folder) << status.error().message;
    EXPECT_NE(status.error().message.find(word), std::string::npos) << status.error().message;
  }
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 0777U;
  }
  std::string path_ = testing::TempDir() + "maestro-folder-XXXXXX";
};

TEST_F(Folder, IsMadeForItsOwnerOnly) {
  const std::string inner = path_ + "/data";
  const auto store = open_sqlite({.folder = inner});
  ASSERT_TRUE(store);
  EXPECT_EQ(mode_of(inner), 0700U);
  for (const char* name : {"/maestro.db", "/maestro.db-wal", "/lock"})
    EXPECT_EQ(mode_of(inner + name) & 077U, 0U) << name;
}

TEST_F(Folder, IsForOneServer) {
  auto first = open_sqlite({.folder = path_});
  ASSERT_TRUE(first);
  expect_refused(open(), "process " + std::to_string(::getpid()));
  const auto reader = open_sqlite({.folder = path_, .read_only = true});
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->commit({.records = {{"k", "k", "{}", 0}}}).error().code, Code::store_failed);
  first->reset();
  EXPECT_TRUE(open());
}

TEST_F(Folder, IsNamedWhenItCannotBeUsed) {
  ASSERT_TRUE(write_file(path_ + "/file", "x"));
  const auto opened = [](const std::string& folder, bool create) -> Status {
    auto store = open_sqlite({.folder = folder, .create = create});
    if (!store) return store.error();
    return {};
  };
  expect_refused(opened(path_ + "/file", true), "no folder");
  expect_refused(opened(path_ + "/no/such", true), "does not exist");
  expect_refused(opened(path_ + "/absent", false), "no data folder");
  expect_refused(opened(path_, false), "maestro.db");
}

TEST_F(Folder, OfAnotherProgramIsRefused) {
  ASSERT_TRUE(write_file(database_path(path_), "", 0600));
  ASSERT_TRUE(connect()->run("CREATE TABLE other (x)"));
  expect_refused(open(), "another program");
}

TEST_F(Folder, OfANewerVersionIsRefused) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(connect()->run("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 1, 0)"));
  expect_refused(open(), "newer");
}

TEST_F(Folder, WithAnEditedMigrationIsRefused) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(connect()->run("UPDATE schema_migrations SET checksum = 'x' WHERE version = 1"));
  expect_refused(open(), "migration 1");
}

constexpr Migration kSteps[] = {
    {1, "one", "CREATE TABLE runs (x); CREATE TABLE records (x);",
     "DROP TABLE runs; DROP TABLE records;"},
    {2, "two", "CREATE TABLE b (x); INSERT INTO b VALUES (1);", "DROP TABLE b;"},
    {3, "three", "CREATE TABLE c (x);", ""},
};

TEST_F(Folder, TakesMigrationsInOrderAndBackAgain) {
  ASSERT_TRUE(write_file(database_path(path_), "", 0600));
  const auto connection = connect();
  const std::span<const Migration> all(kSteps);
  ASSERT_TRUE(apply_missing(*connection, all.first(1), Instant{5}));
  EXPECT_EQ(check_applied(*connection, all).value(), 1);
  ASSERT_TRUE(apply_missing(*connection, all, Instant{6}));
  const auto applied = read_applied(*connection).value();
  ASSERT_EQ(applied.size(), 3U);
  EXPECT_EQ(applied[0].applied_at, Instant{5});
  EXPECT_EQ(applied[2].applied_at, Instant{6});
  expect_refused(take_back_last(*connection, all), "cannot be taken back");
  ASSERT_TRUE(connection->run("DELETE FROM schema_migrations WHERE version = 3; DROP TABLE c"));
  ASSERT_TRUE(take_back_last(*connection, all));
  EXPECT_FALSE(connection->run("SELECT x FROM b"));
  ASSERT_TRUE(connection->run("INSERT INTO runs VALUES (1)"));
  expect_refused(take_back_last(*connection, all), "remove the folder");
  ASSERT_TRUE(connection->run("DELETE FROM runs"));
  ASSERT_TRUE(take_back_last(*connection, all));
  EXPECT_EQ(check_applied(*connection, all).value(), 0);
}

// Of three releases: the second expands, the third drops what the first used.
constexpr Migration kReleases[] = {
    {1, "first", "CREATE TABLE runs (x); CREATE TABLE records (x);", "", 0},
    {2, "expand", "ALTER TABLE runs ADD COLUMN y;", "ALTER TABLE runs DROP COLUMN y;", 1},
    {3, "contract", "ALTER TABLE runs DROP COLUMN x;", "", 2},
};

TEST_F(Folder, ThatANewerBuildExpandedIsForTheOneBeforeAndNoOlder) {
  ASSERT_TRUE(write_file(database_path(path_), "", 0600));
  const auto connection = connect();
  const std::span<const Migration> all(kReleases);
  ASSERT_TRUE(apply_missing(*connection, all.first(2), Instant{5}));
  EXPECT_EQ(check_applied(*connection, all.first(1)).value(), 2);
  EXPECT_TRUE(apply_missing(*connection, all.first(1), Instant{6}));
  expect_refused(take_back_last(*connection, all.first(1)), "newer maestro's");
  auto status = status_of(all.first(1), read_applied(*connection).value());
  EXPECT_EQ(status.schema, 2);
  EXPECT_EQ(status.wanted, 1);
  EXPECT_TRUE(status.usable);
  EXPECT_TRUE(status.lines[1].ends_with("by a newer build, this one can work on it"));
  status = status_of(all, read_applied(*connection).value());
  EXPECT_EQ(status.lines[2], "3 contract missing, builds from version 2 on can work on it");

  ASSERT_TRUE(apply_missing(*connection, all, Instant{7}));
  EXPECT_EQ(check_applied(*connection, all.first(2)).value(), 3);
  const auto refused = check_applied(*connection, all.first(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "maestro.db has schema version 3, which builds from version 2 on can work on; this one "
            "is of version 1: a newer maestro wrote it; use that one, or restore a backup from "
            "before");
  EXPECT_FALSE(apply_missing(*connection, all.first(1), Instant{8}));
  status = status_of(all.first(1), read_applied(*connection).value());
  EXPECT_FALSE(status.usable);
  EXPECT_TRUE(status.lines[2].ends_with("by a newer build, this one cannot work on it"));
}

TEST_F(Folder, OfABuildThatKnewNoOldestIsTaken) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(connect()->run("ALTER TABLE schema_migrations DROP COLUMN oldest"));
  EXPECT_TRUE(open());
  ASSERT_TRUE(connect()->run("INSERT INTO schema_migrations VALUES (999, 'later', 'x', 1)"));
  expect_refused(open(), "version 999");
}

TEST_F(Folder, LeavesNothingOfAMigrationThatFails) {
  ASSERT_TRUE(write_file(database_path(path_), "", 0600));
  const auto connection = connect();
  const Migration bad[] = {kSteps[0], {2, "bad", "CREATE TABLE b (x); SELECT nothing;", ""}};
  EXPECT_FALSE(apply_missing(*connection, bad, Instant{5}));
  EXPECT_EQ(check_applied(*connection, bad).value(), 1);
  EXPECT_FALSE(connection->run("SELECT x FROM b"));
}

TEST_F(Folder, ReportsItsSchema) {
  const auto up = migrate_up(path_);
  ASSERT_TRUE(up) << up.error().message;
  EXPECT_EQ(up->schema, up->wanted);
  EXPECT_EQ(static_cast<int>(up->lines.size()), up->wanted);
  while (migrate_down(path_)) {}
  const auto down = migrate_status(path_);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->schema, 0);
  EXPECT_TRUE(open());
}

// Every question of a list is answered along an index: no walk over all runs, no sorting.
TEST_F(Folder, HasAnIndexForEveryList) {
  ASSERT_TRUE(open());
  const auto connection = connect();
  for (const std::string where :
       {"project = ?", "project = ? AND status = ?", "project = ? AND workflow = ?",
        "project = ? AND actor = ?", "project = ? AND ref <> '' AND ref = ?",
        "project = ? AND run_key <> '' AND run_key = ?"}) {
    const std::string sql = "EXPLAIN QUERY PLAN SELECT json FROM runs WHERE " + where +
                            " AND number < 9 ORDER BY number DESC LIMIT 5";
    Query q(*connection, sql);
    while (q.next()) {
      EXPECT_NE(q.view(3).find("USING INDEX runs_by_"), std::string::npos) << where << q.view(3);
      EXPECT_EQ(q.view(3).find("TEMP B-TREE"), std::string::npos) << where << q.view(3);
    }
  }
}
}  // namespace
}  // namespace mc::db
