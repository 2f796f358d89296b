// One connection to PostgreSQL that takes several statements at once (pipeline mode) and gives up
// on a server that does not answer. What a session keeps (prepared statements, LISTEN) is used only
// when the session is this connection's own: behind a pool the next transaction may reach another
// one (PgBouncer in transaction mode). Used by one thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "db/postgres/hosts.h"
#include "db/postgres/params.h"
#include "db/postgres/postgres_store.h"

struct pg_conn;
struct pg_result;

namespace mc::db::pg {

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline after(Millis wait) { return std::chrono::steady_clock::now() + wait; }

// What a statement gave. Requires of each reader: row < size(), the column has that type.
class Rows {
 public:
  explicit Rows(pg_result* result) : result_(result) {}
  int size() const;
  std::int64_t integer(int row, int column) const;  // of any width
  bool boolean(int row, int column) const;
  Instant instant(int row, int column) const { return Instant{integer(row, column)}; }
  Uuid uuid(int row, int column) const;
  std::string_view view(int row, int column) const;  // bytea or text; lives as long as this
  std::string text(int row, int column) const { return std::string(view(row, column)); }
  bool is_null(int row, int column) const;
  std::string_view tag() const;  // "COMMIT", "SELECT 3"

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

// Why statements were not done.
struct Failure {
  bool lost = false;       // the connection ended, or nothing came in time: they may have been done
  std::string sqlstate;    // empty: no word from the server
  std::string message;     // the server's
  std::string constraint;  // that was violated, if any
  bool is(std::string_view state) const { return sqlstate == state; }
};
// The application_name of transactions that write under a lease, so that who takes it once it has
// lapsed can end those that still hold it (leases.h).
std::string lease_name(int shard, std::int64_t epoch);

// As the port reports it: store_failed.
Error to_error(const Failure& failure);

struct Answer {
  std::vector<Rows> rows;  // one for each statement, when there is no failure
  std::optional<Failure> failure;
  explicit operator bool() const { return !failure; }
};

// What another session said to all who listen.
struct Notification {
  std::string channel, payload;
};

enum class Kind {
  write,  // read committed; durable, whatever the database's default is
  read,   // read only, all statements in a view of one moment
};

class Connection {
 public:
  // Of several servers in the url, the first that takes writes; waits at most
  // settings.connect_timeout for each. Errors: as open_postgres_store for what the server says at
  // the door; unreachable.
  static Result<std::unique_ptr<Connection>> open(const PostgresSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One transaction, in one round trip when nothing fails; rolled back when anything does. Those of
  // a write are planned once a session, for arrays of any length.
  Answer transact(Kind kind, std::span<const Statement> statements);

  // When it succeeds, everything that this session could see before will outlive what commits
  // outlive: it waits for the disk, and for the standby where replication is synchronous. After a
  // crash the server shows commits that it had never confirmed.
  Answer settle();

  // A transaction of several round trips: begin, run as often as needed, then commit, or roll back.
  // After a failure only roll_back is of use.
  // Run without begin is a transaction of its own that has no limits of ours.
  Answer begin(Kind kind, std::span<const Statement> statements);
  Answer run(std::span<const Statement> statements);
  Answer commit(std::span<const Statement> statements);
  void roll_back();

  // Statements in one text, inside a transaction; waits as long as it takes.
  Answer script(const std::string& sql);

  // Whether the server's session is this connection's alone; asks the server once. The server ends
  // one that is within seconds after this machine was gone, and any other within a transaction that
  // writes.
  bool owns_session();
  // Of channels that this session listens to, since the last call; none of its own.
  std::vector<Notification> take_notifications();
  // Waits until something arrives here or at one of the `others` (-1: none), at most until
  // `deadline`.
  void wait_for_news(std::span<const int> others, Deadline deadline);

  // False: it ended, open another.
  bool usable() const { return usable_; }
  bool in_transaction() const;
  int server_version() const;  // 150018 for 15.18

 private:
  explicit Connection(const PostgresSettings& settings);
  static Result<std::unique_ptr<Connection>> open_at(const Host& host,
                                                     const PostgresSettings& settings);
  using Parts = std::array<std::span<const Statement>, 3>;  // before, statements, after
  // What each answer is of: a preparation that is named by its SQL, or, empty, a statement.
  using Expected = std::vector<std::string>;
  Answer pipeline(const Parts& parts, bool prepared);
  bool send_all(const Parts& parts, bool prepared, Expected& expected);
  bool send(const Statement& statement, const std::string* name);
  bool prepare(const Statement& statement);
  void take_all(const Expected& expected, Deadline deadline, Answer& answer);
  void finish_pipeline(Deadline deadline);
  pg_result* receive(Deadline deadline);
  void take(pg_result* result, const std::string& prepared, Answer& answer);
  bool wait_for_result(Deadline deadline);
  Failure lost(std::string_view why);

  const PostgresSettings settings_;
  pg_conn* conn_ = nullptr;
  bool usable_ = false;
  std::string warning_;  // the server's last; a commit that has one is not believed
  std::optional<bool> owns_session_;
  std::unordered_map<std::string, std::string> prepared_;  // SQL: its name in the session
  int names_given_ = 0;

  std::vector<Statement> begin_write_, begin_read_, commit_;
};

}  // namespace mc::db::pg
