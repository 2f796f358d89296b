#include "bench/database.h"

#include "db/postgres/connection.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::bench {
namespace {
std::string& url() {
  static std::string url;
  return url;
}
std::string& named() {
  static std::string named;  // as url(), before a schema was chosen
  return named;
}

Status script(const std::string& at, const std::string& sql) {
  auto connection = db::pg::Connection::open({.url = at});
  if (!connection.ok()) return connection.error();
  const db::pg::Answer done = (*connection)->script(sql);
  return done ? Status() : db::pg::to_error(*done.failure);
}
}  // namespace

void keep_data_in(const std::string& postgres_url) { url() = named() = postgres_url; }
const std::string& database_url() { return url(); }

Status move_to_schema(const std::string& name) {
  if (named().empty()) return {};
  if (named().find("://") == std::string::npos)
    return Error{Code::unavailable, "bench: write the database as postgres://…", {}};
  const char joint = named().find('?') == std::string::npos ? '?' : '&';
  url() = named() + joint + "options=-csearch_path%3D" + name;
  return script(named(), "CREATE SCHEMA " + name);
}

Result<std::unique_ptr<db::Store>> open_store(const std::string& data) {
  if (url().empty()) return db::open_sqlite({.folder = data});
  return db::open_postgres_store({.url = url()});
}

Status settle_store() { return url().empty() ? Status() : script(url(), "VACUUM ANALYZE"); }

}  // namespace mc::bench
