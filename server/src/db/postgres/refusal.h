// Why a database is not taken, in words that say how to mend it and never hold the password.
#pragma once

#include <string>
#include <string_view>

#include "db/postgres/connection.h"

namespace mc::db::pg {

// What a user who may not has to be given.
inline constexpr std::string_view kGrants =
    "GRANT SELECT, INSERT, UPDATE, DELETE on all tables and SELECT, UPDATE on all sequences of the "
    "schema to the user";

// Refuses a url that cannot be read, or that libpq would read otherwise than its author: it would
// then name a part of the password in its messages. Errors: invalid_setting.
Status check_url(const std::string& url);

// The connection could not be made: what libpq or the server said of it.
Error refused_at_the_door(pg_conn* conn);
// Nobody answered in time.
Error silent_at_the_door(pg_conn* conn, const PostgresSettings& settings);

// What the server that answered is. Errors: store_failed: older than 13, a standby, made read-only,
// or there is no schema to work in.
struct Server {
  std::string schema;
  bool may_create = false;
  bool syncs = true;  // fsync is on
};
Result<Server> check_server(Connection& connection);
Status check_version(int server_version);
// Errors: store_failed, when a table or the sequence may not be read and written.
Status check_rights(Connection& connection);

}  // namespace mc::db::pg
