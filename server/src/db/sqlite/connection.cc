#include "db/sqlite/connection.h"

namespace mc::db {
namespace {
constexpr int kBusyTimeoutMs = 5000;
constexpr std::size_t kStatementsMax = 200;  // lists have many shapes
}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}
Query& Query::bind(std::int64_t value) {
  if (statement_ != nullptr) sqlite3_bind_int64(statement_, next_++, value);
  return *this;
}
Query& Query::bind(std::string_view text) {
  if (statement_ != nullptr) {
    sqlite3_bind_text(statement_, next_++, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
  }
  return *this;
}
Query& Query::blob(std::string_view bytes) {
  if (statement_ != nullptr) {
    sqlite3_bind_blob(statement_, next_++, bytes.data(), static_cast<int>(bytes.size()),
                      SQLITE_TRANSIENT);
  }
  return *this;
}
Query& Query::bind(Uuid id) {
  if (!id) return blob("");
  char bytes[16];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(id.high >> (56 - 8 * i));
  for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<char>(id.low >> (56 - 8 * i));
  return blob({bytes, sizeof bytes});
}
bool Query::step() {
  result_ = statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_);
  return result_ == SQLITE_ROW;
}
int Query::run() {
  step();
  return result_;
}
std::string Query::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}
Uuid Query::uuid(int column) const {
  const std::string bytes = text(column);
  Uuid id;
  if (bytes.size() != 16) return id;
  for (std::size_t i = 0; i < 8; ++i) id.high = id.high << 8 | static_cast<unsigned char>(bytes[i]);
  for (std::size_t i = 8; i < 16; ++i) id.low = id.low << 8 | static_cast<unsigned char>(bytes[i]);
  return id;
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, bool read_only,
                                                     bool create) {
  sqlite3* handle = nullptr;
  const int mode =
      read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
  const int result = sqlite3_open_v2(path.c_str(), &handle, mode | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (result != SQLITE_OK) {
    return Error{
        Code::data_folder,
        "cannot open " + path + ": " + (handle != nullptr ? sqlite3_errmsg(handle) : "no memory"),
        {}};
  }
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_extended_result_codes(handle, 1);
  return connection;
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Query Connection::query(const std::string& sql) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) return Query(known->second);
  if (statements_.size() >= kStatementsMax) {
    for (const auto& [old, statement] : statements_) sqlite3_finalize(statement);
    statements_.clear();
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return Query(nullptr);
  }
  statements_.emplace(sql, statement);
  return Query(statement);
}

int Connection::execute(const char* sql) {
  return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
}
}  // namespace mc::db
