#include "db/sqlite/connection.h"

#include <array>

#include "db/sqlite/fault_disk.h"

namespace mc::db {
namespace {

constexpr std::size_t kStatementsMax = 128;

// What an operator can do about it.
const char* advice(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL: return ": the disk or its quota is full; make room, writes then go on";
    case SQLITE_IOERR: return ": the disk refused; look at the system log and at the space left";
    case SQLITE_READONLY: return ": the file may not be written; check its owner and the mount";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ": the file is damaged; restore a backup";
    case SQLITE_BUSY: return ": another program holds it";
    default: return "";
  }
}
}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Mode mode) {
  use_fault_disk();
  sqlite3* db = nullptr;
  const int flags = (mode == Mode::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  if (db == nullptr) return Error{Code::store_failed, "no memory to open " + path, {}};
  std::unique_ptr<Connection> connection(new Connection(db));
  if (code != SQLITE_OK) return connection->last_error();
  sqlite3_busy_timeout(db, kBusyMs);
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  Status set = connection->run(
      "PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 0;");
  if (!set) return set.error();
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, kept] : kept_) sqlite3_finalize(kept.statement);
  sqlite3_close(db_);
}

Status Connection::run(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return last_error();
  return {};
}

Error Connection::last_error() const {
  const int code = sqlite3_extended_errcode(db_);
  return {Code::store_failed,
          "the database says \"" + std::string(sqlite3_errmsg(db_)) + "\" (" +
              std::to_string(code) + ")" + advice(code),
          {}};
}

bool Connection::is_doubtful() const {
  const int code = sqlite3_errcode(db_) & 0xff;
  return code == SQLITE_IOERR || code == SQLITE_CORRUPT || code == SQLITE_NOTADB ||
         code == SQLITE_CANTOPEN || code == SQLITE_PROTOCOL;
}

Connection::Kept* Connection::take(std::string_view sql) {
  const auto found = kept_.find(sql);
  if (found != kept_.end()) {
    MC_CHECK(!found->second.in_use);
    found->second.in_use = true;
    return &found->second;
  }
  if (kept_.size() >= kStatementsMax) {
    std::erase_if(kept_, [](const auto& entry) {
      if (!entry.second.in_use) sqlite3_finalize(entry.second.statement);
      return !entry.second.in_use;
    });
  }
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &made, nullptr) != SQLITE_OK) {
    return nullptr;
  }
  return &kept_.emplace(sql, Kept{made, true}).first->second;
}

Query::~Query() {
  if (kept_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  kept_->in_use = false;
}

void Query::bind(std::string_view text) {
  if (statement_ == nullptr) return;
  const char* bytes = text.data() == nullptr ? "" : text.data();
  note(sqlite3_bind_text64(statement_, ++bound_, bytes, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Query::bind(Uuid id) {
  if (statement_ == nullptr) return;
  std::array<unsigned char, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<unsigned char>(id.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<unsigned char>(id.low >> (56 - 8 * i));
  }
  note(sqlite3_bind_blob(statement_, ++bound_, bytes.data(), 16, SQLITE_TRANSIENT));
}

void Query::bind(AfterAllText) {
  if (statement_ != nullptr) note(sqlite3_bind_zeroblob(statement_, ++bound_, 0));
}

void Query::bind_integer(std::int64_t number) {
  if (statement_ != nullptr) note(sqlite3_bind_int64(statement_, ++bound_, number));
}

bool Query::next() {
  if (failed()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) state_ = code;
  return false;
}

Status Query::run() {
  while (next()) {}
  if (failed()) return error();
  return {};
}

std::string_view Query::view(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

Uuid Query::uuid(int column) const {
  const std::string_view bytes = view(column);
  Uuid id;
  if (bytes.size() != 16) return id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | static_cast<unsigned char>(bytes[i]);
    id.low = id.low << 8 | static_cast<unsigned char>(bytes[8 + i]);
  }
  return id;
}

Transaction::Transaction(Connection& connection, std::string_view how)
    : connection_(connection), begun_(Query(connection, how).run()) {}

Transaction::~Transaction() {
  if (begun_ && !over_ && connection_.in_transaction()) (void)Query(connection_, "ROLLBACK").run();
}

Status Transaction::commit() {
  Status committed = Query(connection_, "COMMIT").run();
  over_ = committed.ok();
  return committed;
}

}  // namespace mc::db
