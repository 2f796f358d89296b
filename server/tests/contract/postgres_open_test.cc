// Which databases are refused, in which words; how a schema comes to be.
#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "db/postgres/migrate.h"
#include "db/postgres/partitions.h"
#include "tests/contract/postgres_proxy.h"
#include "tests/contract/postgres_server.h"

namespace mc::db::contract {
namespace {
constexpr const char* kPassword = "s3cr3t-w0rd";

class PostgresOpen : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database_ = std::make_unique<TempDatabase>();
  }
  std::string run(const std::string& sql) { return database_->run(sql); }
  PostgresSettings settings(const std::string& user = "postgres") {
    PostgresSettings as = database_->settings();
    as.url = PostgresServer::shared().url(database_->name(), user);
    return as;
  }
  std::unique_ptr<TempDatabase> database_;
};

// "" when it opened, else the code and the message.
std::string refusal(const PostgresSettings& settings) {
  const auto opened = open_postgres_store(settings);
  if (opened) return "";
  const Error& error = opened.error();
  EXPECT_EQ(error.message.find(kPassword), std::string::npos) << error.message;
  return std::string(code_name(error.code)) + ": " + error.message;
}
std::string refusal(const std::string& url) { return refusal(PostgresSettings{.url = url}); }

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(PostgresUrl, ThatCannotBeReadIsRefusedWithoutQuotingIt) {
  const auto invalid = AllOf(StartsWith("invalid_setting: "), HasSubstr("postgres://user"),
                             Not(HasSubstr("s3cr3t")), Not(HasSubstr("w0rd")));
  EXPECT_THAT(refusal(std::string()), invalid);
  EXPECT_THAT(refusal("postgress://u:s3cr3t-w0rd@host/db"), invalid);
  EXPECT_THAT(refusal("postgres://u:s3cr3t@w0rd@host/db"), AllOf(invalid, HasSubstr("%40")));
  EXPECT_THAT(refusal("postgres://u:s3cr3t/w0rd@host/db"), AllOf(invalid, HasSubstr("%2F")));
  EXPECT_THAT(refusal("host=h password=s3cr3t w0rd user=u"), invalid);
  EXPECT_THAT(refusal("postgres://u:s3cr3t-w0rd@host/db?nosuch=1"), invalid);
  EXPECT_THAT(refusal("postgres://u:s3cr3t-w0rd@host:port/db"), Not(HasSubstr("s3cr3t")));
}

TEST(PostgresUrl, WhereNobodyAnswersIsUnreachable) {
  EXPECT_THAT(refusal("postgres://u:s3cr3t-w0rd@127.0.0.1:1/db"),
              AllOf(StartsWith("unreachable: "), HasSubstr("127.0.0.1:1"), HasSubstr("check")));
  EXPECT_THAT(refusal("postgres://u:s3cr3t-w0rd@/db?host=/nonexistent"),
              StartsWith("unreachable: "));
  TempFolder silent;
  const Fd listener = listen_in(silent.path());
  EXPECT_THAT(refusal({.url = url_in(silent.path(), "db"), .connect_timeout = Millis(100)}),
              AllOf(StartsWith("unreachable: "), HasSubstr("no answer within 100 ms")));
}

TEST_F(PostgresOpen, RefusesAWrongPassword) {
  PostgresServer::shared().run("postgres",
                               "DO $$ BEGIN IF to_regrole('locked') IS NULL THEN CREATE ROLE "
                               "locked LOGIN PASSWORD 'the right one'; END IF; END $$");
  EXPECT_THAT(refusal(settings("locked")),
              AllOf(StartsWith("store_failed: "), HasSubstr("wants a password")));
  EXPECT_THAT(
      refusal(settings("locked:" + std::string(kPassword))),
      AllOf(StartsWith("store_failed: "), HasSubstr("wrong password"), HasSubstr("\"locked\"")));
  EXPECT_THAT(refusal(settings("nobody_of_this_name")), HasSubstr("no such user"));
}

TEST_F(PostgresOpen, RefusesADatabaseThatIsNotThere) {
  EXPECT_THAT(
      refusal(PostgresServer::shared().url("not_there")),
      AllOf(StartsWith("store_failed: "), HasSubstr("\"not_there\""), HasSubstr("createdb")));
}

TEST_F(PostgresOpen, RefusesAServerThatIsTooOld) {
  PostgresProxy proxy(PostgresServer::shared().socket());
  const std::string major = run("SHOW server_version_num").substr(0, 2);
  const std::string name("server_version\0", 15);
  proxy.replace(name + major, name + "12");
  EXPECT_THAT(refusal(proxy.url(database_->name())),
              AllOf(StartsWith("store_failed: "), HasSubstr("PostgreSQL 12 is too old")));
}

TEST_F(PostgresOpen, RefusesAStandby) {
  PostgresServer standby(PostgresServer::Role::standby);
  EXPECT_THAT(refusal(standby.url("postgres")),
              AllOf(StartsWith("store_failed: "), HasSubstr("standby"), HasSubstr("primary")));
}

TEST_F(PostgresOpen, OfSeveralHostsTheOneThatTakesWritesIsUsed) {
  PostgresServer standby(PostgresServer::Role::standby);
  TempFolder silent;
  const Fd listener = listen_in(silent.path());
  const auto folder = [](const PostgresServer& server) {
    return std::filesystem::path(server.socket()).parent_path().string();
  };
  const std::string primary = folder(PostgresServer::shared());
  const auto refusal_of = [&](const std::string& hosts, const std::string& name) {
    return refusal({.url = "host=" + hosts + " user=postgres dbname=" + name,
                    .connect_timeout = Millis(2'000)});  // the silent one costs it
  };
  const std::string others = "/nowhere," + silent.path() + "," + folder(standby);
  EXPECT_EQ(refusal_of(others + "," + primary, database_->name()), "");
  EXPECT_THAT(refusal_of("/nowhere," + primary + "," + silent.path(), "not_there"),
              AllOf(StartsWith("store_failed: "), HasSubstr("\"not_there\"")));
  EXPECT_THAT(refusal_of(others, "postgres"),
              AllOf(StartsWith("unreachable: "), HasSubstr("/nowhere"),
                    HasSubstr("no answer within"), HasSubstr("read-only")));
}

TEST_F(PostgresOpen, RefusesWhatIsReadOnly) {
  run("ALTER DATABASE " + database_->name() + " SET default_transaction_read_only = on");
  EXPECT_THAT(refusal(settings()), AllOf(StartsWith("store_failed: "), HasSubstr("read-only")));
}

TEST_F(PostgresOpen, RefusesAUserWithoutRightsAndTakesOneWithThoseItNeeds) {
  const std::string user = "plain_" + database_->name();
  run("CREATE ROLE " + user + " LOGIN");
  run("REVOKE CREATE ON SCHEMA public FROM public");
  EXPECT_THAT(refusal(settings(user)), AllOf(StartsWith("store_failed: "),
                                             HasSubstr("GRANT CREATE, USAGE ON SCHEMA public")));
  run("ALTER ROLE " + user + " SET search_path = nowhere");
  EXPECT_THAT(refusal(settings(user)), HasSubstr("CREATE SCHEMA"));
  run("ALTER ROLE " + user + " RESET search_path");

  ASSERT_TRUE(migrate_up(settings()));
  EXPECT_THAT(refusal(settings(user)), AllOf(StartsWith("store_failed: "), HasSubstr("GRANT")));
  run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + user);
  EXPECT_THAT(refusal(settings(user)), AllOf(StartsWith("store_failed: "), HasSubstr("GRANT")));
  run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + user);
  EXPECT_THAT(refusal(settings(user)), HasSubstr("positions: GRANT"));
  run("GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO " + user);
  auto opened = open_postgres_store(settings(user));
  ASSERT_TRUE(opened);
  EXPECT_EQ(code_of((*opened)->commit(batch_of(write_of(1, 0)))), "");
  (*opened)->idle();
  EXPECT_EQ((*opened)->feed_end().value(), 1);
  opened->reset();
  run("DROP OWNED BY " + user);
  run("DROP ROLE " + user);
}

TEST_F(PostgresOpen, RefusesASchemaFromTheFuture) {
  ASSERT_TRUE(migrate_up(settings()));
  run("INSERT INTO schema_migrations VALUES (999, 'later', 'digest', 1, true)");
  EXPECT_THAT(refusal(settings()), AllOf(StartsWith("schema_unfit: "), HasSubstr("version 999"),
                                         HasSubstr("newer maestro")));
}

// The schema of the next release: it keeps what this build reads and writes.
TEST_F(PostgresOpen, WorksOnASchemaThatTheNextReleaseExpanded) {
  std::vector<Migration> steps(postgres_migrations().begin(), postgres_migrations().end());
  const int own = static_cast<int>(steps.size());
  steps.push_back({own + 1, "expand", "ALTER TABLE runs ADD COLUMN later int8 NOT NULL DEFAULT 0",
                   "ALTER TABLE runs DROP COLUMN later", own});
  auto running = open_postgres_store(settings());
  ASSERT_TRUE(running);
  auto connection = pg::Connection::open(pg::patient(settings()));
  ASSERT_TRUE(connection);
  ASSERT_EQ(code_of(pg::apply_missing(**connection, steps)), "");
  EXPECT_EQ(code_of((*running)->commit(batch_of(write_of(1, 0)))), "");
  running->reset();
  EXPECT_EQ(refusal(settings()), "");
  PostgresSettings careful = settings();
  careful.migrate = false;
  auto started = open_postgres_store(careful);
  ASSERT_TRUE(started);
  EXPECT_EQ(code_of((*started)->commit(batch_of(write_of(2, 0)))), "");
  const auto status = migrate_up(settings());  // nothing to do
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->usable);
  EXPECT_EQ(status->schema, own + 1);
  EXPECT_EQ(status->wanted, own);
  EXPECT_THAT(status->lines.back(), HasSubstr("by a newer build, this one can work on it"));
  const auto down = migrate_down(settings());
  ASSERT_FALSE(down);
  EXPECT_THAT(down.error().message, HasSubstr("newer maestro's"));
  EXPECT_EQ(code_of(pg::take_back_last(**connection, steps)), "");
  EXPECT_EQ(migrate_status(settings())->schema, own);
}

TEST_F(PostgresOpen, RefusesASchemaOfTheReleaseAfterTheNext) {
  std::vector<Migration> steps(postgres_migrations().begin(), postgres_migrations().end());
  const int own = static_cast<int>(steps.size());
  steps.push_back({own + 1, "expand", "SELECT 1", "", own});
  steps.push_back({own + 2, "contract", "SELECT 1", "", own + 1});
  auto connection = pg::Connection::open(pg::patient(settings()));
  ASSERT_TRUE(connection);
  ASSERT_EQ(code_of(pg::apply_missing(**connection, steps)), "");
  EXPECT_TRUE(pg::check_applied(**connection, std::span(steps).first(steps.size() - 1)));
  EXPECT_THAT(refusal(settings()),
              AllOf(HasSubstr("builds from version " + std::to_string(own + 1) + " on"),
                    HasSubstr("newer maestro")));
  EXPECT_FALSE(migrate_status(settings())->usable);
  run("UPDATE schema_migrations SET finished = false WHERE version = " + std::to_string(own + 2));
  EXPECT_THAT(refusal(settings()), HasSubstr("not finished"));
}

// Builds of before had no column for it.
TEST_F(PostgresOpen, TakesASchemaOfABuildThatKnewNoOldest) {
  ASSERT_TRUE(migrate_up(settings()));
  run("ALTER TABLE schema_migrations DROP COLUMN oldest");
  EXPECT_EQ(refusal(settings()), "");
  run("INSERT INTO schema_migrations VALUES (999, 'later', 'digest', 1, true)");
  EXPECT_THAT(refusal(settings()), HasSubstr("version 999"));
}

TEST_F(PostgresOpen, RefusesAnEditedMigration) {
  ASSERT_TRUE(migrate_up(settings()));
  run("UPDATE schema_migrations SET checksum = 'another'");
  EXPECT_THAT(refusal(settings()),
              AllOf(StartsWith("schema_unfit: "), HasSubstr("1 (initial)"), HasSubstr("tampered")));
}

TEST_F(PostgresOpen, RefusesAHalfMigration) {
  ASSERT_TRUE(migrate_up(settings()));
  run("UPDATE schema_migrations SET finished = false");
  EXPECT_THAT(refusal(settings()),
              AllOf(StartsWith("schema_unfit: "), HasSubstr("1 (initial)"), HasSubstr("finished")));
}

TEST_F(PostgresOpen, RefusesTablesOfAnotherProgram) {
  run("CREATE TABLE runs (id int)");
  EXPECT_THAT(refusal(settings()), HasSubstr("another program"));
  run("DROP TABLE runs");
  run("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)");
  EXPECT_THAT(refusal(settings()), HasSubstr("another program"));
}

TEST_F(PostgresOpen, RefusesAnOldSchemaWhenToldNotToMigrate) {
  PostgresSettings careful = settings();
  careful.migrate = false;
  EXPECT_THAT(refusal(careful), HasSubstr("maestro migrate up"));
  ASSERT_TRUE(migrate_up(settings()));
  EXPECT_EQ(refusal(careful), "");
}

TEST_F(PostgresOpen, ByFourAtOnceMigratesOnce) {
  std::vector<std::thread> openers;
  std::vector<std::string> refusals(4, "not run");
  for (std::string& each : refusals) openers.emplace_back([&] { each = refusal(settings()); });
  for (std::thread& opener : openers) opener.join();
  EXPECT_THAT(refusals, testing::Each(""));
  EXPECT_EQ(run("SELECT count(*) FROM schema_migrations"), "3");
}

// Somebody who changes the schema, or what it is changing, for as long as this lives.
class Changing {
 public:
  Changing(const PostgresSettings& settings, pg::Statement held)
      : connection_(std::move(*pg::Connection::open(settings))) {
    MC_CHECK(bool(connection_->begin(pg::Kind::write, {&held, 1})));
  }

 private:
  std::unique_ptr<pg::Connection> connection_;
};

TEST_F(PostgresOpen, AfterTheStartWaitsForNobodyWhoChangesTheSchema) {
  ASSERT_TRUE(migrate_up(settings()));
  PostgresSettings brief = settings();
  brief.migrate = false;
  brief.lock_timeout = Millis(50);
  const std::string month = pg::month_of(system_clock().now(), 2).table;
  run("DROP TABLE " + month);
  {
    const Changing other(settings(), pg::schema_lock());
    const auto opened = open_postgres_store(brief);
    ASSERT_TRUE(opened);
    EXPECT_EQ(code_of((*opened)->commit(batch_of(write_of(1, 0)))), "");
    EXPECT_EQ(run("SELECT to_regclass('" + month + "') IS NULL"), "t");  // made later
  }
  const Changing other(settings(), {"LOCK TABLE schema_migrations", {}});
  EXPECT_THAT(refusal(brief), AllOf(StartsWith("store_failed: "), HasSubstr("55P03")));
  EXPECT_FALSE(migrate_status(brief));
}

TEST_F(PostgresOpen, AtTheStartWaitsForWhoMigrates) {
  PostgresSettings brief = settings();
  brief.lock_timeout = Millis(50);
  auto other = std::make_unique<Changing>(settings(), pg::schema_lock());
  std::string refused = "not run";
  std::thread opener([&] { refused = refusal(brief); });
  const pg::Deadline deadline = pg::after(Millis(60'000));
  while (run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "0" &&
         std::chrono::steady_clock::now() < deadline) {}
  other.reset();
  opener.join();
  EXPECT_EQ(refused, "");
}

TEST_F(PostgresOpen, MigrationsGoUpAndDownAndSayWhereTheyAre) {
  auto status = migrate_status(settings());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->schema, 0);
  EXPECT_EQ(status->wanted, 3);
  EXPECT_THAT(status->lines, testing::ElementsAre("1 initial missing",
                                                  "2 room_for_updates missing, builds from "
                                                  "version 1 on can work on it",
                                                  "3 shards missing, builds from version 1 on can "
                                                  "work on it"));
  EXPECT_FALSE(migrate_down(settings()));
  status = migrate_up(settings());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->schema, 3);
  EXPECT_THAT(status->lines, testing::ElementsAre(HasSubstr("1 initial applied 20"),
                                                  HasSubstr("2 room_for_updates applied 20"),
                                                  HasSubstr("3 shards applied 20")));
  {
    auto store = open_postgres_store(settings());
    ASSERT_TRUE(store);
    ASSERT_TRUE((*store)->commit(batch_of(write_of(1, 0))));
  }
  status = migrate_down(settings());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->schema, 2);
  EXPECT_EQ(run("SELECT position FROM feed WHERE one"), "1");
  EXPECT_EQ(run("SELECT epoch FROM leader WHERE one"), "0");
  status = migrate_down(settings());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->schema, 1);
  EXPECT_FALSE(migrate_down(settings()));
  run("DELETE FROM runs");
  status = migrate_down(settings());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->schema, 0);
  EXPECT_EQ(run("SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind IN ('r', 'p') AND "
                "relnamespace = 'public'::regnamespace"),
            "schema_migrations");
  EXPECT_EQ(refusal(settings()), "");
}

TEST_F(PostgresOpen, AMigrationThatFailsLeavesNothing) {
  auto connection = pg::Connection::open(pg::patient(settings()));
  ASSERT_TRUE(connection);
  const Migration steps[] = {
      {1, "good", "CREATE TABLE a (x int); CREATE TABLE b (x int);", "DROP TABLE a, b;"},
      {2, "bad", "CREATE TABLE c (x int); CREATE TABLE a (x int);", ""}};
  EXPECT_EQ(code_of(pg::apply_missing(**connection, steps)), "store_failed");
  EXPECT_EQ(run("SELECT to_regclass('a') IS NOT NULL AND to_regclass('c') IS NULL"), "t");
  EXPECT_EQ(run("SELECT max(version) FROM schema_migrations"), "1");
  EXPECT_EQ(code_of(pg::take_back_last(**connection, {steps, 1})), "store_failed");  // no `runs`
}

TEST_F(PostgresOpen, PutsEventsIntoThePartitionOfTheirMonth) {
  auto store = open_postgres_store(settings());
  ASSERT_TRUE(store);
  const Instant now = system_clock().now();
  Batch batch;
  for (int ahead = 0; ahead <= 3; ++ahead) {
    RunWrite write = write_of(ahead + 1, 0);
    write.events->time = ahead == 0 ? now : pg::month_of(now, ahead).begin;
    batch.runs.push_back(write);
  }
  ASSERT_TRUE((*store)->commit(batch));
  for (int ahead = 0; ahead <= 2; ++ahead)
    EXPECT_EQ(run("SELECT count(*) FROM " + pg::month_of(now, ahead).table), "1");
  EXPECT_EQ(run("SELECT count(*) FROM events_default"), "1");
  EXPECT_EQ((*store)->read_feed(0, 9).value().size(), 4U);

  // A month later: the fourth month's groups stay in the default partition.
  auto connection = pg::Connection::open(settings());
  ASSERT_TRUE(connection);
  EXPECT_EQ(code_of(pg::make_partitions(**connection, pg::month_of(now, 2).begin)), "");
  EXPECT_EQ(run("SELECT count(*) FROM events_default"), "1");
  EXPECT_EQ(run("SELECT to_regclass('" + pg::month_of(now, 3).table + "') IS NULL"), "t");
  EXPECT_EQ(run("SELECT to_regclass('" + pg::month_of(now, 4).table + "') IS NOT NULL"), "t");
  EXPECT_EQ((*store)->read_feed(0, 9).value().size(), 4U);
}

TEST(PostgresMonths, BeginAndEndInUtc) {
  const pg::Month month = pg::month_of(parse_rfc3339("2026-11-28T16:45:03Z").value(), 0);
  EXPECT_EQ(month.table, "events_2026_11");
  EXPECT_EQ(to_rfc3339(month.begin), "2026-11-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(month.end), "2026-12-01T00:00:00.000Z");
  const pg::Month later = pg::month_of(month.begin, 2);
  EXPECT_EQ(later.table, "events_2027_01");
  EXPECT_EQ(to_rfc3339(later.end), "2027-02-01T00:00:00.000Z");
}
}  // namespace
}  // namespace mc::db::contract
