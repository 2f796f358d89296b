// Shards of the projects in a database: how many there are, whose is what, and how the number
// changes.
#include <gmock/gmock.h>

#include <set>

#include "db/postgres/migrate.h"
#include "db/postgres/partitions.h"
#include "db/postgres/shards.h"
#include "db/shard.h"
#include "tests/contract/postgres_server.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kFresh = 8;

class PostgresShards : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database_ = std::make_unique<TempDatabase>();
  }
  std::string run(const std::string& sql) { return database_->run(sql); }
  PostgresSettings settings() { return database_->settings(); }
  // As who leads the shard.
  PostgresSettings leading(int shard) {
    PostgresSettings as = settings();
    as.shard = shard;
    as.holder = "h" + std::to_string(shard);
    as.epoch = 1;
    run("UPDATE shards SET epoch = 1, holder = '" + as.holder +
        "' WHERE shard = " + std::to_string(shard));
    return as;
  }
  std::unique_ptr<Store> open(const PostgresSettings& as) {
    auto opened = open_postgres_store(as);
    if (!opened) ADD_FAILURE() << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  std::string refusal(int shards) {
    const auto change = change_shards(settings(), shards);
    return change ? "" : change.error().message;
  }
  // The database of the release before, at schema 2.
  void make_old() {
    auto connection = pg::Connection::open(pg::patient(settings()));
    ASSERT_TRUE(connection);
    ASSERT_EQ(code_of(pg::apply_missing(**connection, postgres_migrations().first(2))), "");
  }
  std::unique_ptr<TempDatabase> database_;
};

TEST(ShardOf, IsTheHeadOfTheDigest) {
  EXPECT_EQ(shard_of("", 64), 0x42 % 64);          // e3b0c442…
  EXPECT_EQ(shard_of("default", 64), 0xec1 % 64);  // 37a8eec1…
  EXPECT_EQ(shard_of("default", 7), static_cast<int>(0x37a8eec1U % 7));
  EXPECT_EQ(shard_of("", 7), static_cast<int>(0xe3b0c442U % 7));  // no sign
  EXPECT_EQ(shard_of("any", 1), 0);
}

TEST_F(PostgresShards, OfAProjectAreTheSameInTheDatabase) {
  ASSERT_TRUE(migrate_up(settings()));
  auto connection = pg::Connection::open(settings());
  ASSERT_TRUE(connection);
  std::vector<std::string> names = {"",         "default", std::string("\0", 1),
                                    "\xff\xfe", "größer",  std::string(99, 'x'),
                                    "a'b\\c\n", "\\x00"};
  for (int n = 0; n < 50; ++n) names.push_back("team-" + std::to_string(n));
  std::set<int> seen;
  for (const std::string& name : names) {
    for (const int shards : {1, 2, 7, kFresh, kShardsMax}) {
      const pg::Statement ask{"SELECT maestro_shard_of($1, $2::int4)",
                              pg::Params().add(name).add(std::int64_t{shards})};
      const pg::Answer answer = (*connection)->run({&ask, 1});
      ASSERT_TRUE(bool(answer)) << answer.failure->message;
      EXPECT_EQ(answer.rows.front().integer(0, 0), shard_of(name, shards)) << name;
    }
    seen.insert(shard_of(name, kFresh));
  }
  EXPECT_EQ(std::ssize(seen), kFresh);
}

TEST_F(PostgresShards, AreEightInADatabaseThatNobodyUsed) {
  EXPECT_EQ(migrate_status(settings())->shards, 0);
  ASSERT_TRUE(migrate_up(settings()));
  EXPECT_EQ(migrate_status(settings())->shards, kFresh);
  EXPECT_EQ(run("SELECT string_agg(s.shard || ':' || epoch || ':' || position, ' ' ORDER BY "
                "s.shard) FROM shards s JOIN feeds USING (shard)"),
            "0:0:0 1:0:0 2:0:0 3:0:0 4:0:0 5:0:0 6:0:0 7:0:0");
  // Who knows of one only is told that there is none.
  EXPECT_EQ(run("SELECT (SELECT count(*) FROM leader) + (SELECT count(*) FROM feed)"), "0");
  EXPECT_EQ(run("WITH a AS (UPDATE leader SET epoch = 9 RETURNING 1) SELECT count(*) FROM a"), "0");
}

TEST_F(PostgresShards, AreOneInADatabaseThatIsInUse) {
  make_old();
  run("UPDATE leader SET epoch = 5, holder = 'h', name = 'r1', address = 'r1:1', "
      "expires_at = now() + interval '1 hour'; UPDATE feed SET position = 77");
  ASSERT_TRUE(migrate_up(settings()));
  EXPECT_EQ(migrate_status(settings())->shards, 1);
  EXPECT_EQ(run("SELECT concat_ws(' ', shard, epoch, holder, name, address) FROM shards"),
            "0 5 h r1 r1:1");
  // It goes on there, and so does what it does not know of.
  EXPECT_EQ(run("UPDATE leader SET epoch = epoch + 1 WHERE holder = 'h' AND one RETURNING epoch"),
            "6");
  EXPECT_EQ(run("UPDATE feed SET position = position + 3 WHERE one RETURNING position"), "80");
  EXPECT_EQ(run("SELECT 1 FROM leader WHERE one AND epoch = 6 AND holder = 'h' FOR SHARE"), "1");
  EXPECT_EQ(run("SELECT nextval('positions')"), "78");
}

TEST_F(PostgresShards, AreOneWhereThereIsARun) {
  make_old();
  run("INSERT INTO runs SELECT '00000000-0000-0000-0000-000000000001', 1, 1, '', '', '', '', '', "
      "'', '', '', '', '', '00000000-0000-0000-0000-000000000000', "
      "'00000000-0000-0000-0000-000000000000', 0, 0, 0, ''");
  ASSERT_TRUE(migrate_up(settings()));
  EXPECT_EQ(migrate_status(settings())->shards, 1);
}

TEST_F(PostgresShards, OfAnOldDatabaseLeaveItsUsersTheirRights) {
  make_old();
  const std::string user = "app_" + database_->name();
  run("CREATE ROLE " + user +
      " LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN "
      "SCHEMA public TO " +
      user + "; REVOKE CREATE ON SCHEMA public FROM public");
  ASSERT_TRUE(migrate_up(settings()));
  PostgresSettings as = settings();
  as.url = PostgresServer::shared().url(database_->name(), user);
  const auto store = open(as);
  ASSERT_TRUE(store);
  EXPECT_EQ(code_of(store->commit(batch_of(write_of(1, 0)))), "");
  run("SET ROLE " + user + "; UPDATE leader SET epoch = 3; UPDATE feed SET position = 9");
  run("DROP OWNED BY " + user + "; DROP ROLE " + user);
}

TEST_F(PostgresShards, ThatAreNotThereAreRefused) {
  PostgresSettings as = settings();
  as.shard = kFresh;
  const auto opened = open_postgres_store(as);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("no shard 8: it has 8"));
  as.shard = 1;
  const auto store = open(as);
  ASSERT_TRUE(store);
  ASSERT_EQ(refusal(1), "");
  const Status late = store->commit(batch_of(write_of(1, 0)));
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("no shard 1"));
}

TEST_F(PostgresShards, GuardCommitsWithTheirOwnLease) {
  ASSERT_TRUE(migrate_up(settings()));
  PostgresSettings as = leading(3);
  (void)leading(4);
  EXPECT_EQ(code_of(open(as)->commit(batch_of(write_of(1, 0)))), "");
  for (const auto& [shard, epoch, holder] :
       {std::tuple{3, 2, "h3"}, std::tuple{3, 1, "h4"}, std::tuple{4, 1, "h3"}}) {
    as.shard = shard;
    as.epoch = epoch;
    as.holder = holder;
    const Status done = open(as)->commit(batch_of(write_of(2, 0)));
    ASSERT_FALSE(done) << shard << epoch << holder;
    EXPECT_THAT(done.error().message, HasSubstr("another replica leads"));
  }
}

TEST_F(PostgresShards, GiveTheOpenRunsOfTheirProjects) {
  constexpr std::int64_t kRuns = 200;
  const auto all = open(settings());
  ASSERT_TRUE(all);
  const auto project_of = [](std::int64_t n) { return "p" + std::to_string(n % 20); };
  Batch batch;
  for (std::int64_t n = 1; n <= kRuns; ++n) {
    RunWrite write = write_of(n, 0);
    write.row.project = project_of(n);
    if (n % 10 == 0) write.row.finished_at = Instant{1};
    batch.runs.push_back(write);
  }
  ASSERT_EQ(code_of(all->commit(batch)), "");
  const auto numbers = [&](Store& store) {
    std::vector<std::int64_t> found;
    EXPECT_TRUE(store.each_open_run([&](const StoredRun& stored) {
      EXPECT_EQ(stored.events.size(), 1U);
      found.push_back(stored.row.number);
      return true;
    }));
    return found;
  };
  EXPECT_EQ(std::ssize(numbers(*all)), kRuns - kRuns / 10);
  for (int shard = 0; shard < kFresh; ++shard) {
    std::vector<std::int64_t> own;
    for (std::int64_t n = 1; n <= kRuns; ++n) {
      if (n % 10 != 0 && shard_of(project_of(n), kFresh) == shard) own.push_back(n);
    }
    EXPECT_EQ(numbers(*open(leading(shard))), own) << shard;
  }
}

TEST_F(PostgresShards, EachRemoveTheirOwnDeletedRuns) {
  ASSERT_TRUE(migrate_up(settings()));
  constexpr int kRuns = 30;
  Batch batch;
  for (int n = 1; n <= kRuns; ++n) {
    RunWrite write = write_of(n, 0);
    write.row.project = "team-" + std::to_string(n);
    write.row.deleted_at = Instant{n};
    batch.runs.push_back(std::move(write));
  }
  ASSERT_EQ(code_of(open(settings())->commit(batch)), "");
  std::size_t all = 0;
  for (int shard = 0; shard < kFresh; ++shard) {
    std::vector<Uuid> own;
    for (int n = 1; n <= kRuns; ++n) {
      if (shard_of("team-" + std::to_string(n), kFresh) == shard) own.push_back(id_of(n));
    }
    std::vector<Uuid> told;
    const auto purged = open(leading(shard))->purge_runs(Instant{100}, 100, [&](Uuid run) {
      told.push_back(run);
      return Status();
    });
    EXPECT_TRUE(purged);
    EXPECT_EQ(told, own) << shard;
    all += told.size();
  }
  EXPECT_EQ(all, kRuns);
}

TEST_F(PostgresShards, HoldNothingWhileWhatElseIsKeptOfRunsGoes) {
  ASSERT_TRUE(migrate_up(settings()));
  const auto store = open(settings());
  ASSERT_TRUE(store);
  Batch batch;
  for (int n = 1; n <= 45; ++n) {
    batch.runs.push_back(write_of(n, 0));
    batch.runs.back().row.deleted_at = Instant{n};
  }
  ASSERT_EQ(code_of(store->commit(batch)), "");
  int told = 0;
  const auto going = [&](Uuid) -> Status {
    ++told;
    EXPECT_EQ(run("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "state LIKE 'idle in%'"),
              "0");
    EXPECT_EQ(code_of(store->commit(batch_of(write_of(100 + told, 0)))), "");
    return told == 30 ? Status(Error{Code::store_failed, "not yet", {}}) : Status();
  };
  EXPECT_FALSE(store->purge_runs(Instant{100}, 1'000, going));
  EXPECT_EQ(run("SELECT count(*) FROM runs WHERE deleted_at <> 0"), "25");  // one round is gone
  EXPECT_EQ(store->purge_runs(Instant{100}, 1'000, going).value(), 25);
  EXPECT_EQ(told, 55);
  EXPECT_EQ(run("SELECT count(*) FROM runs WHERE deleted_at <> 0"), "0");
}

TEST_F(PostgresShards, AreKeptUpByTheFirst) {
  const auto first = open(settings());
  const auto third = open(leading(3));
  ASSERT_TRUE(first && third);
  const std::string month = pg::month_of(system_clock().now(), 2).table;
  const std::string is_there = "SELECT to_regclass('" + month + "') IS NOT NULL";
  run("DROP TABLE " + month);
  third->idle();
  EXPECT_EQ(code_of(third->commit(batch_of(write_of(1, 0)))), "");
  EXPECT_EQ(run(is_there), "f");
  first->idle();
  EXPECT_EQ(run(is_there), "t");
}

TEST_F(PostgresShards, DoNotChangeWhileAReplicaIsThere) {
  EXPECT_THAT(refusal(4), HasSubstr("maestro migrate up"));
  ASSERT_TRUE(migrate_up(settings()));
  run("UPDATE shards SET holder = 'h', name = 'r2', address = 'r2:1', expires_at = now() + "
      "interval '1 hour' WHERE shard = 5");
  EXPECT_EQ(refusal(4), "stop the replicas first: r2 leads shard 5");
  run("UPDATE shards SET expires_at = now() - interval '1 second'");
  run("INSERT INTO members VALUES ('h', 'r3', 'r3:1', now() + interval '1 hour')");
  EXPECT_EQ(refusal(4), "stop the replicas first: r3 is there, at r3:1");
  EXPECT_EQ(run("SELECT count(*) FROM shards"), "8");
  run("UPDATE members SET expires_at = now() - interval '1 second'");
  EXPECT_EQ(refusal(4), "");
  EXPECT_EQ(run("SELECT count(*) FROM shards"), "4");
  EXPECT_EQ(run("SELECT count(*) FROM members"), "0");
}

TEST_F(PostgresShards, ThatChangeVoidEarlierLeasesAndGoOnFromTheLastPosition) {
  ASSERT_TRUE(migrate_up(settings()));
  const auto store = open(leading(6));
  ASSERT_TRUE(store);
  ASSERT_EQ(code_of(store->commit(batch_of(write_of(1, 0)))), "");
  run("UPDATE shards SET epoch = 40 WHERE shard = 7");
  const auto change = change_shards(settings(), 1);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->before, kFresh);
  EXPECT_EQ(change->after, 1);
  EXPECT_EQ(run("SELECT shard || ' ' || epoch || ' ' || position || holder FROM shards JOIN feeds "
                "USING (shard)"),
            "0 40 1");
  EXPECT_EQ(code_of(store->commit(batch_of(write_of(1, 1)))), "store_failed");
  // A build of before leads, and says of its positions only in the view.
  run("UPDATE feed SET position = 500");
  ASSERT_EQ(code_of(open(settings())->commit(batch_of(write_of(2, 0)))), "");
  EXPECT_EQ(run("SELECT max(position) FROM events"), "501");
  EXPECT_EQ(run("SELECT position FROM feed"), "501");
  run("UPDATE feed SET position = 600");
  ASSERT_EQ(refusal(3), "");
  EXPECT_EQ(run("SELECT string_agg(shard || ' ' || epoch || ' ' || position, ', ' ORDER BY shard) "
                "FROM shards JOIN feeds USING (shard)"),
            "0 40 600, 1 40 600, 2 40 600");
  EXPECT_EQ(run("SELECT nextval('positions')"), "601");
}

TEST_F(PostgresShards, TellOfTokensThatChange) {
  const auto store = open(settings());
  ASSERT_TRUE(store);
  const auto listener = std::move(*pg::Connection::open(settings()));
  const pg::Statement listen{"LISTEN maestro_tokens", {}};
  ASSERT_TRUE(bool(listener->run({&listen, 1})));
  const auto told = [&](const RecordPut& put) {
    Batch batch;
    batch.records.push_back(put);
    EXPECT_EQ(code_of(store->commit(batch)), "");
    const pg::Statement nothing{"SELECT 1", {}};  // what was told before it has come with it
    EXPECT_TRUE(bool(listener->run({&nothing, 1})));
    return std::ssize(listener->take_notifications());
  };
  EXPECT_EQ(told({"other", "a", "{}", std::nullopt}), 0);
  EXPECT_EQ(told({"token", "a", "{}", std::nullopt}), 1);
  EXPECT_EQ(told({"token", "a", "{}", std::nullopt}), 1);
  EXPECT_EQ(told({"token", "a", std::nullopt, std::nullopt}), 1);
  EXPECT_EQ(told({"other", "a", std::nullopt, std::nullopt}), 0);
}
}  // namespace
}  // namespace mc::db::contract
