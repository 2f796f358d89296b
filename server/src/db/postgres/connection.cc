#include "db/postgres/connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>

#include "base/text.h"
#include "db/postgres/refusal.h"

namespace mc::db::pg {
namespace {
constexpr Millis kScriptMax{3'600'000};
constexpr std::string_view kRolledBack = "the transaction was rolled back";

// When the server gives up a client whose machine is gone. A transaction of which only half has
// arrived waits for the rest with its locks, and of the server's timeouts none runs meanwhile: TCP
// alone ends it, by default after two hours. Never an error: a socket that is not TCP has none of
// this, and what a system does not know the server writes into its log.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kSignsOfLife = {
    {{"tcp_keepalives_idle", "3s"},
     {"tcp_keepalives_interval", "1s"},
     {"tcp_keepalives_count", "3"},
     {"tcp_user_timeout", "6s"}}};

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

// A session has no settings of ours: each transaction says what it needs. Prepared statements get
// one plan for all parameters: arrays are what differs, and their lengths do not change a plan.
std::vector<Statement> begin_statements(Kind kind, const PostgresSettings& settings) {
  const auto limit = [](std::string_view name, Millis value) {
    return fmt::format("set_config('{}', '{}ms', true)", name, value.count());
  };
  std::string limits = "SELECT " + limit("statement_timeout", settings.statement_timeout) + ", " +
                       limit("lock_timeout", settings.lock_timeout) + ", " +
                       limit("idle_in_transaction_session_timeout", settings.statement_timeout);
  const auto choose = [&](std::string_view name, std::string_view value) {
    limits += fmt::format(", set_config('{}', '{}', true)", name, value);
  };
  // Every question has its index. A plan that was made while a table was small, or was thought to
  // be for want of statistics, must be one for large tables, too.
  choose("enable_seqscan", "off");
  choose("jit", "off");
  if (kind == Kind::read)
    return {{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", {}}, {limits, {}}};
  choose("plan_cache_mode", "force_generic_plan");
  for (const auto& [name, value] : kSignsOfLife) choose(name, value);  // it is the one with locks
  if (settings.epoch != 0) choose("application_name", lease_name(settings.shard, settings.epoch));
  limits +=
      ", set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' "
      "THEN 'on' ELSE current_setting('synchronous_commit') END, true)";
  return {{"BEGIN ISOLATION LEVEL READ COMMITTED", {}}, {limits, {}}};
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

Failure failure_of(const PGresult* result) {
  Failure failure;
  failure.sqlstate = field(result, PG_DIAG_SQLSTATE);
  failure.message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  failure.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  if (failure.message.empty()) failure.message = std::string(trim(PQresultErrorMessage(result)));
  // 57P0x: the server ends the session; 08: somebody between us and it did; 26000 and 42P05: a pool
  // that hid itself gave us another session than the one that had our prepared statements.
  failure.lost = failure.sqlstate.empty() || failure.sqlstate.starts_with("57P0") ||
                 failure.sqlstate.starts_with("08") || failure.is("26000") || failure.is("42P05");
  return failure;
}

// A COMMIT that waits for a synchronous standby has no time limit in the server, and when somebody
// cancels it, it succeeds, with a warning alone (SyncRepWaitForLSN in PostgreSQL's syncrep.c):
// nothing says then that it will outlive the primary.
constexpr std::string_view kWarning = "01000";
constexpr const char* kUnconfirmed = "the standby did not confirm a commit: ";
constexpr const char* kSilent =
    "no answer came in time; does it wait for a synchronous standby that is away?";

bool is_ok(ExecStatusType status) {
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

// Polls for what libpq waits for. False: not before the deadline.
bool wait_for_socket(const PGconn* conn, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd socket{PQsocket(conn), events, 0};
    const int ready =
        ::poll(&socket, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) return true;
  }
}
}  // namespace

void Rows::Clear::operator()(pg_result* result) const { PQclear(result); }
int Rows::size() const { return PQntuples(result_.get()); }
bool Rows::is_null(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}
std::string_view Rows::tag() const { return PQcmdStatus(result_.get()); }
std::string_view Rows::view(int row, int column) const {
  MC_CHECK(row < size() && column < PQnfields(result_.get()));
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}
std::int64_t Rows::integer(int row, int column) const {
  const std::string_view bytes = view(row, column);
  const std::uint64_t value = from_big_endian(bytes);
  switch (bytes.size()) {
    case 2: return static_cast<std::int16_t>(value);
    case 4: return static_cast<std::int32_t>(value);
    default: return static_cast<std::int64_t>(value);
  }
}
bool Rows::boolean(int row, int column) const {
  return !is_null(row, column) && view(row, column) == "\x01";
}
Uuid Rows::uuid(int row, int column) const {
  const std::string_view bytes = view(row, column);
  return {from_big_endian(bytes.substr(0, 8)), from_big_endian(bytes.substr(8))};
}

std::string lease_name(int shard, std::int64_t epoch) {
  return fmt::format("maestro shard {} epoch {}", shard, epoch);
}

Error to_error(const Failure& failure) {
  std::string message = "PostgreSQL: " + failure.message;
  if (!failure.sqlstate.empty()) message += " (" + failure.sqlstate + ")";
  if (failure.is("42501")) message += "; " + std::string(kGrants);
  return {Code::store_failed, std::move(message), {}};
}

Connection::Connection(const PostgresSettings& settings)
    : settings_(settings),
      begin_write_(begin_statements(Kind::write, settings)),
      begin_read_(begin_statements(Kind::read, settings)),
      commit_({{"COMMIT", {}}}) {}

Connection::~Connection() {
  if (conn_ != nullptr) PQfinish(conn_);
}

Result<std::unique_ptr<Connection>> Connection::open(const PostgresSettings& settings) {
  if (Status readable = check_url(settings.url); !readable) return readable.error();
  // libpq goes to the next one only when one refuses: a silent one would keep it for ever.
  std::optional<Error> why;
  for (const Host& host : hosts_of(settings.url)) {
    auto opened = open_at(host, settings);
    if (opened) return opened;
    const Error& error = opened.error();
    if (why && why->code == Code::unreachable && error.code == Code::unreachable)
      why->message += "; " + error.message;
    else if (!why || why->code == Code::unreachable)
      why = error;  // what a server said tells more than that another one is away
  }
  return *why;
}

Result<std::unique_ptr<Connection>> Connection::open_at(const Host& host,
                                                        const PostgresSettings& settings) {
  std::unique_ptr<Connection> connection(new Connection(settings));
  std::vector<const char*> names = {"client_encoding", "fallback_application_name"};
  std::vector<const char*> values = {"UTF8", "maestro"};
  const auto say = [&](const char* name, const std::string& value) {
    names.push_back(name);
    values.push_back(value.c_str());
  };
  const std::string writes = "read-write";
  if (!host.name.empty()) say("target_session_attrs", writes);  // unless the url says otherwise
  say("dbname", settings.url);
  if (!host.name.empty()) say("host", host.name);
  if (!host.port.empty()) say("port", host.port);
  names.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* conn = PQconnectStartParams(names.data(), values.data(), 1);
  connection->conn_ = conn;
  if (conn == nullptr) return Error{Code::unreachable, "no memory for a connection", {}};
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);  // with the code, whatever the server's language
  PQsetNoticeReceiver(
      conn,
      [](void* warning, const PGresult* notice) {
        if (field(notice, PG_DIAG_SQLSTATE) == kWarning)
          *static_cast<std::string*>(warning) = field(notice, PG_DIAG_MESSAGE_PRIMARY);
      },
      &connection->warning_);
  const Deadline deadline = after(settings.connect_timeout);
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  if (PQstatus(conn) == CONNECTION_BAD) state = PGRES_POLLING_FAILED;
  while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for_socket(conn, events, deadline)) return silent_at_the_door(conn, settings);
    state = PQconnectPoll(conn);
  }
  if (state == PGRES_POLLING_FAILED) return refused_at_the_door(conn);
  if (PQsetnonblocking(conn, 1) != 0) return refused_at_the_door(conn);
  connection->usable_ = true;
  return connection;
}

bool Connection::in_transaction() const { return PQtransactionStatus(conn_) != PQTRANS_IDLE; }
int Connection::server_version() const { return PQserverVersion(conn_); }

Failure Connection::lost(std::string_view why) {
  usable_ = false;
  return {.lost = true, .sqlstate = "", .message = std::string(why), .constraint = ""};
}

bool Connection::wait_for_result(Deadline deadline) {
  for (;;) {
    const int unsent = PQflush(conn_);
    // What came before the end of a connection is still to be had; PQgetResult says when it ends.
    if (PQstatus(conn_) == CONNECTION_BAD || PQisBusy(conn_) == 0) return true;
    const int events = POLLIN | (unsent == 1 ? POLLOUT : 0);
    if (!wait_for_socket(conn_, static_cast<short>(events), deadline)) return false;
    if (PQconsumeInput(conn_) == 0) return true;
  }
}

pg_result* Connection::receive(Deadline deadline) {
  return wait_for_result(deadline) ? PQgetResult(conn_) : nullptr;
}

void Connection::take(pg_result* result, const std::string& prepared, Answer& answer) {
  Rows rows(result);
  if (is_ok(PQresultStatus(result))) {
    if (prepared.empty()) answer.rows.push_back(std::move(rows));
    return;
  }
  if (!prepared.empty()) prepared_.erase(prepared);
  if (answer.failure) return;  // the first is the reason of those that follow
  answer.failure = failure_of(result);
  if (answer.failure->lost) usable_ = false;
}

bool Connection::prepare(const Statement& statement) {
  const auto name = "s" + std::to_string(++names_given_);
  const std::vector<unsigned>& types = statement.params.types();
  prepared_.emplace(statement.sql, name);
  return PQsendPrepare(conn_, name.c_str(), statement.sql.c_str(), statement.params.count(),
                       types.data()) == 1;
}

bool Connection::send(const Statement& statement, const std::string* name) {
  const Params& params = statement.params;
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : params.values()) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  const std::vector<int> formats(values.size(), 1);
  if (name != nullptr) {
    return PQsendQueryPrepared(conn_, name->c_str(), params.count(), values.data(), lengths.data(),
                               formats.data(), 1) == 1;
  }
  return PQsendQueryParams(conn_, statement.sql.c_str(), params.count(), params.types().data(),
                           values.data(), lengths.data(), formats.data(), 1) == 1;
}

bool Connection::send_all(const Parts& parts, bool prepared, Expected& expected) {
  for (const auto part : parts) {
    for (const Statement& statement : part) {
      const std::string* name = nullptr;
      if (prepared) {
        if (!prepared_.contains(statement.sql)) {
          if (!prepare(statement)) return false;
          expected.push_back(statement.sql);
        }
        name = &prepared_.at(statement.sql);
      }
      if (!send(statement, name)) return false;
      expected.emplace_back();
    }
  }
  return PQpipelineSync(conn_) == 1;
}

void Connection::take_all(const Expected& expected, Deadline deadline, Answer& answer) {
  for (std::size_t i = 0; i < expected.size() && usable_; ++i) {
    pg_result* result = receive(deadline);
    if (result == nullptr) {
      if (!answer.failure) answer.failure = lost(kSilent);
      return;
    }
    take(result, expected[i], answer);
    while (usable_ && (result = receive(deadline)) != nullptr) take(result, expected[i], answer);
  }
}

Answer Connection::pipeline(const Parts& parts, bool prepared) {
  Answer answer;
  if (!usable_ || PQenterPipelineMode(conn_) == 0) {
    answer.failure = lost("the connection is closed");
    return answer;
  }
  warning_.clear();
  Expected expected;
  if (!send_all(parts, prepared, expected)) {
    answer.failure = lost("the connection broke while sending");
    return answer;
  }
  const Deadline deadline = after(2 * settings_.statement_timeout + settings_.answer_margin);
  take_all(expected, deadline, answer);
  finish_pipeline(deadline);
  const auto& [before, statements, after_them] = parts;
  if (!answer.failure && !after_them.empty() && answer.rows.back().tag() != "COMMIT")
    answer.failure = Failure{.sqlstate = "", .message = std::string(kRolledBack)};
  if (!answer.failure && !after_them.empty() && !warning_.empty())
    answer.failure = lost(kUnconfirmed + warning_);
  if (answer.failure) {
    roll_back();
    return answer;
  }
  answer.rows.erase(answer.rows.end() - std::ssize(after_them), answer.rows.end());
  answer.rows.erase(answer.rows.begin(), answer.rows.begin() + std::ssize(before));
  return answer;
}

// What was answered stays answered when the connection ends here.
void Connection::finish_pipeline(Deadline deadline) {
  if (!usable_) return;
  const Rows sync(receive(deadline));
  if (PQexitPipelineMode(conn_) == 0) usable_ = false;
}

void Connection::roll_back() {
  if (!usable_ || PQtransactionStatus(conn_) == PQTRANS_IDLE) return;
  const Deadline deadline = after(settings_.answer_margin);
  if (PQsendQueryParams(conn_, "ROLLBACK", 0, nullptr, nullptr, nullptr, nullptr, 1) == 0) {
    usable_ = false;
    return;
  }
  while (pg_result* result = receive(deadline)) Rows{result};
  if (PQtransactionStatus(conn_) != PQTRANS_IDLE) usable_ = false;
}

Answer Connection::transact(Kind kind, std::span<const Statement> statements) {
  if (kind == Kind::read) return pipeline({begin_read_, statements, commit_}, false);
  return pipeline({begin_write_, statements, commit_}, owns_session());
}
Answer Connection::begin(Kind kind, std::span<const Statement> statements) {
  return pipeline({kind == Kind::write ? begin_write_ : begin_read_, statements, {}}, false);
}
Answer Connection::run(std::span<const Statement> statements) {
  return pipeline({{{}, statements, {}}}, false);
}
Answer Connection::commit(std::span<const Statement> statements) {
  return pipeline({{{}, statements, commit_}}, false);
}

Answer Connection::settle() {
  const Statement something{"SELECT pg_logical_emit_message(true, 'maestro'::text, ''::text)", {}};
  return transact(Kind::write, {&something, 1});
}

// A pool tells its clients another process id than the one of the session that serves them: it is
// the key of a request to cancel, which the pool has to find. A session of one's own is given up
// with its machine also while it does nothing: the server has few, and who follows needs as many.
bool Connection::owns_session() {
  if (owns_session_) return *owns_session_;
  std::string keep = "''";
  for (const auto& [name, value] : kSignsOfLife)
    keep += fmt::format(" || set_config('{}', '{}', false)", name, value);
  const Statement ask{
      "SELECT pg_backend_pid(), CASE WHEN pg_backend_pid() = $1 THEN " + keep + " END",
      Params().add(std::int64_t{PQbackendPID(conn_)})};
  const Answer answer = run({&ask, 1});
  if (answer) owns_session_ = answer.rows.front().integer(0, 0) == PQbackendPID(conn_);
  return owns_session_.value_or(false);
}

std::vector<Notification> Connection::take_notifications() {
  std::vector<Notification> out;
  if (!usable_) return out;
  if (PQconsumeInput(conn_) == 0) usable_ = false;
  for (PGnotify* one = PQnotifies(conn_); one != nullptr; one = PQnotifies(conn_)) {
    if (one->be_pid != PQbackendPID(conn_)) out.push_back({one->relname, one->extra});
    PQfreemem(one);
  }
  return out;
}

void Connection::wait_for_news(std::span<const int> others, Deadline deadline) {
  const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) return;
  std::vector<pollfd> sockets{{usable_ ? PQsocket(conn_) : -1, POLLIN, 0}};
  for (const int other : others) sockets.push_back({other, POLLIN, 0});
  (void)::poll(sockets.data(), sockets.size(), static_cast<int>(left.count()));
}

Answer Connection::script(const std::string& sql) {
  Answer answer;
  if (!usable_ || PQsendQuery(conn_, sql.c_str()) == 0) {
    answer.failure = lost("the connection is closed");
    return answer;
  }
  const Deadline deadline = after(kScriptMax);
  while (pg_result* result = receive(deadline)) {
    take(result, {}, answer);
    if (!usable_) break;
  }
  if (!usable_ && !answer.failure) answer.failure = lost(kSilent);
  return answer;
}

}  // namespace mc::db::pg
