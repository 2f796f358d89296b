#include "tests/contract/postgres_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/spawn_test.h"
#include "base/text.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
namespace fs = std::filesystem;
constexpr const char* kStem = "maestro-postgres-";
constexpr const char* kPgBouncer = "/usr/sbin/pgbouncer";
constexpr Millis kStartMax{60'000};

std::string bin_folder() {
  std::string found;
  std::error_code none;
  for (const auto& each : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const std::string bin = each.path().string() + "/bin";
    if (fs::exists(bin + "/initdb") && bin > found) found = bin;
  }
  return found;
}

// PostgreSQL refuses to run as root: then it is the user postgres. Null: this one, or nobody.
const passwd* other_user() {
  static passwd user;
  static std::array<char, 4096> texts;
  static const passwd* const found = [] {
    passwd* result = nullptr;
    if (::geteuid() == 0) ::getpwnam_r("postgres", &user, texts.data(), texts.size(), &result);
    return result;
  }();
  return found;
}

// Ends with this process, whatever that dies of.
std::vector<std::string> as_user(std::vector<std::string> command) {
  std::vector<std::string> all = {"setpriv", "--pdeathsig=SIGQUIT"};
  if (other_user() != nullptr) {
    all.insert(all.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
  }
  all.emplace_back("--");
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

// Folders of test processes that were killed.
void remove_stale() {
  std::error_code ignored;
  for (const auto& each : fs::directory_iterator(testing::TempDir(), ignored)) {
    const std::string name = each.path().filename().string();
    if (!name.starts_with(kStem)) continue;
    const std::vector<std::string> parts = split(name.substr(std::string(kStem).size()), '-');
    if (!fs::exists("/proc/" + parts[0])) fs::remove_all(each.path(), ignored);
  }
}

void give_to_user(const std::string& path) {
  if (const passwd* user = other_user())
    MC_CHECK(::chown(path.c_str(), user->pw_uid, user->pw_gid) == 0);
}
}  // namespace

const std::string& PostgresServer::missing() {
  static const std::string why = [] {
    if (bin_folder().empty()) return "no PostgreSQL is installed (package postgresql)";
    if (::geteuid() == 0 && other_user() == nullptr) return "there is no user postgres to run it";
    return "";
  }();
  return why;
}

PostgresServer& PostgresServer::shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer(Role role)
    : folder_(fmt::format("{}{}{}-XXXXXX", testing::TempDir(), kStem, ::getpid())) {
  remove_stale();
  MC_CHECK(::mkdtemp(folder_.data()) != nullptr);
  give_to_user(folder_);
  const std::string data = folder_ + "/data";
  const pid_t made = spawn(as_user({bin_folder() + "/initdb", "-D", data, "-U", "postgres", "-A",
                                    "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"}),
                           folder_ + "/log");
  MC_CHECK(wait_for(made) == 0);
  MC_CHECK(
      write_file(data + "/pg_hba.conf", "local all locked scram-sha-256\nlocal all all trust\n")
          .ok());
  if (role == Role::standby) {
    MC_CHECK(write_file(data + "/standby.signal", "").ok());
    give_to_user(data + "/standby.signal");
  }
  start();
}

PostgresServer::~PostgresServer() {
  if (pid_ != 0) crash();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PostgresServer::start() {
  MC_CHECK(pid_ == 0);
  pid_ = spawn(as_user({bin_folder() + "/postgres", "-D", folder_ + "/data", "-k", folder_, "-h",
                        "", "-c", "fsync=on", "-c", "shared_buffers=32MB", "-c", "autovacuum=off"}),
               folder_ + "/log");
  const pg::Deadline deadline = pg::after(kStartMax);
  while (!pg::Connection::open({.url = url("postgres")})) {
    MC_CHECK(std::chrono::steady_clock::now() < deadline);
    MC_CHECK(::waitpid(pid_, nullptr, WNOHANG) == 0);  // the log in the folder says why it ended
    (void)::poll(nullptr, 0, 10);
  }
}

void PostgresServer::signal_and_wait(int signal) {
  ::kill(pid_, signal);
  wait_for(pid_);
  pid_ = 0;
}
void PostgresServer::stop() { signal_and_wait(SIGINT); }
void PostgresServer::crash() { signal_and_wait(SIGQUIT); }

std::string PostgresServer::socket() const { return folder_ + "/.s.PGSQL.5432"; }
std::string PostgresServer::url(const std::string& database, const std::string& user) const {
  return fmt::format("postgres://{}@/{}?host={}", user, database, percent_encode(folder_));
}

std::string PostgresServer::fresh_database() {
  const std::string name = fmt::format("world_{}", ++databases_);
  run("postgres", "CREATE DATABASE " + name);
  return name;
}
void PostgresServer::drop_database(const std::string& name) {
  run("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
}

std::string PostgresServer::run(const std::string& database, const std::string& sql) {
  auto connection = pg::Connection::open({.url = url(database)});
  MC_CHECK(connection.ok());
  const pg::Answer answer = (*connection)->script(sql);
  if (!answer) ADD_FAILURE() << sql << ": " << answer.failure->message;
  if (!answer || answer.rows.empty() || answer.rows.back().size() == 0) return "";
  return answer.rows.back().text(0, 0);
}

const std::string& PgBouncer::missing() {
  static const std::string why = [] {
    if (!PostgresServer::missing().empty()) return PostgresServer::missing();
    return std::string(fs::exists(kPgBouncer) ? ""
                                              : "no PgBouncer is installed (package pgbouncer)");
  }();
  return why;
}

PgBouncer& PgBouncer::shared() {
  static PgBouncer pool;
  return pool;
}

PgBouncer::PgBouncer() : folder_(fs::path(PostgresServer::shared().socket()).parent_path()) {
  const std::string settings = folder_ + "/pgbouncer.ini";
  MC_CHECK(write_file(settings, fmt::format("[databases]\n* = host={0} user=postgres\n"
                                            "[pgbouncer]\nunix_socket_dir = {0}\n"
                                            "listen_port = 6432\nauth_type = any\n"
                                            "pool_mode = transaction\ndefault_pool_size = 3\n"
                                            "server_round_robin = 1\n",
                                            folder_))
               .ok());
  give_to_user(settings);
  pid_ = spawn(as_user({kPgBouncer, settings}), folder_ + "/pgbouncer.log");
  const pg::Deadline deadline = pg::after(kStartMax);
  while (!pg::Connection::open({.url = url("postgres")})) {
    MC_CHECK(std::chrono::steady_clock::now() < deadline);
    MC_CHECK(::waitpid(pid_, nullptr, WNOHANG) == 0);  // the log says why it ended
    (void)::poll(nullptr, 0, 10);
  }
}

PgBouncer::~PgBouncer() {
  ::kill(pid_, SIGKILL);
  wait_for(pid_);
}

std::string PgBouncer::url(const std::string& database) const {
  return fmt::format("postgres://postgres@/{}?host={}&port=6432", database,
                     percent_encode(folder_));
}

void TempDatabase::shut() const {
  // The first is to be committed before those come back that the second sends away.
  PostgresServer& server = PostgresServer::shared();
  server.run("postgres", "ALTER DATABASE " + name_ + " ALLOW_CONNECTIONS false");
  server.run("postgres",
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '" +
                 name_ + "'");
}

void TempDatabase::open() const {
  PostgresServer::shared().run("postgres", "ALTER DATABASE " + name_ + " ALLOW_CONNECTIONS true");
}

}  // namespace mc::db::contract
