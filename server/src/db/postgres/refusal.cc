#include "db/postgres/refusal.h"

#include <libpq-fe.h>

#include "base/text.h"

namespace mc::db::pg {
namespace {
constexpr int kOldestVersion = 130000;
constexpr std::string_view kUrlForm = "write it as postgres://user:password@host:5432/database";

Error refused(std::string message) { return {Code::store_failed, std::move(message), {}}; }

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

std::string place_of(const pg_conn* conn) {
  const std::string host = text_of(PQhost(conn));
  const std::string port = text_of(PQport(conn));
  return "PostgreSQL at " + (host.empty() ? "the local socket" : host) +
         (port.empty() ? "" : ":" + port);
}

// The five letters between "FATAL:  " and the message: verbose messages have them.
std::string code_in(std::string_view message) {
  for (std::size_t at = message.find(":  "); at != std::string_view::npos;
       at = message.find(":  ", at + 1)) {
    const std::string_view code = message.substr(at + 3, 5);
    const bool fits =
        code.size() == 5 &&
        code.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string_view::npos;
    if (fits && message.substr(at + 8, 2) == ": ") return std::string(code);
  }
  return "";
}

// The first line, without the password, which libpq does not name unless it was taken for
// something else.
std::string plain(pg_conn* conn, std::string_view message) {
  std::string line(trim(message.substr(0, message.find('\n'))));
  const std::string password = text_of(PQpass(conn));
  for (std::size_t at = 0; !password.empty() && (at = line.find(password, at)) != line.npos;)
    line.replace(at, password.size(), "…");
  return line;
}
}  // namespace

Status check_url(const std::string& url) {
  const auto invalid = [](std::string_view what) {
    return Error{
        Code::invalid_setting,
        "the url of the PostgreSQL database " + std::string(what) + "; " + std::string(kUrlForm),
        {}};
  };
  if (trim(url).empty()) return invalid("is empty");
  const std::size_t scheme = url.find("://");
  if (scheme != std::string::npos && url.find_first_of(" ='") > scheme) {
    const std::size_t from = scheme + 3;
    const std::size_t split = url.find_first_of("@/", from);
    const std::size_t query = split == std::string::npos ? split : url.find('?', split);
    if (split != std::string::npos && url.find('@', split + 1) < query)
      return invalid("has a user or password with an @ or / in it: write %40 for @, %2F for /");
  }
  char* why = nullptr;
  PQconninfoOption* options = PQconninfoParse(url.c_str(), &why);
  PQfreemem(why);  // may quote the password
  if (options == nullptr) return invalid("cannot be read");
  PQconninfoFree(options);
  return {};
}

Error refused_at_the_door(pg_conn* conn) {
  const std::string message = text_of(PQerrorMessage(conn));
  const std::string place = place_of(conn);
  const std::string code = code_in(message);
  const std::string user = "\"" + text_of(PQuser(conn)) + "\"";
  const std::string database = "\"" + text_of(PQdb(conn)) + "\"";
  if (PQconnectionNeedsPassword(conn) != 0)
    return refused(place + " wants a password for " + user + ": put it in the url");
  if (code == "28P01" || code == "28000")
    return refused(place + " refuses the user " + user +
                   ": wrong password, no such user, or no line for it in pg_hba.conf");
  if (code == "3D000")
    return refused(place + " has no database " + database +
                   ": make it with createdb, or name another");
  if (code == "42501")
    return refused("the user " + user + " may not connect to the database " + database + " of " +
                   place + ": GRANT CONNECT on it");
  if (!code.empty() && code != "57P03" && code != "53300")
    return refused(place + " refuses the connection: " + plain(conn, message));
  return {Code::unreachable,
          "cannot reach " + place + ": " + plain(conn, message) +
              "; check the url, and that the server runs and takes connections",
          {}};
}

Error silent_at_the_door(pg_conn* conn, const PostgresSettings& settings) {
  return {Code::unreachable,
          "cannot reach " + place_of(conn) + ": no answer within " +
              format_duration(settings.connect_timeout) +
              "; check the url, and that the server runs and no firewall is between",
          {}};
}

Status check_version(int server_version) {
  if (server_version >= kOldestVersion) return {};
  const int major = server_version / 10'000;
  return refused("PostgreSQL " + std::to_string(major) + " is too old: 13 or newer is needed");
}

Result<Server> check_server(Connection& connection) {
  if (Status recent = check_version(connection.server_version()); !recent) return recent.error();
  const Statement ask{
      "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on', "
      "coalesce(current_schema()::text, ''), "
      "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), "
      "current_setting('fsync') = 'on'",
      {}};
  const Answer answer = connection.transact(Kind::read, {&ask, 1});
  if (!answer) return to_error(*answer.failure);
  const Rows& found = answer.rows.front();
  if (found.boolean(0, 0))
    return refused(
        "this PostgreSQL is a standby and takes no writes: name the primary in the url, "
        "or several hosts");
  if (found.boolean(0, 1))
    return refused(
        "this PostgreSQL database is read-only (default_transaction_read_only): "
        "name the primary, or take the setting back");
  Server server{found.text(0, 2), found.boolean(0, 3), found.boolean(0, 4)};
  if (server.schema.empty())
    return refused(
        "no schema of search_path exists or may be used: CREATE SCHEMA one for this "
        "user, or GRANT USAGE on it");
  return server;
}

Status check_rights(Connection& connection) {
  const Statement ask{
      "SELECT t FROM unnest(ARRAY['shards', 'members', 'feeds', 'events', 'runs', 'run_labels', "
      "'snapshots', 'records', 'receipts', 'commits']) AS t WHERE NOT (has_table_privilege(t, "
      "'SELECT') AND has_table_privilege(t, 'INSERT') AND has_table_privilege(t, 'UPDATE') AND "
      "has_table_privilege(t, 'DELETE')) UNION ALL SELECT 'positions' WHERE NOT ("
      "has_sequence_privilege('positions', 'SELECT') AND "
      "has_sequence_privilege('positions', 'UPDATE')) LIMIT 1",
      {}};
  const Answer answer = connection.transact(Kind::read, {&ask, 1});
  if (!answer) return to_error(*answer.failure);
  if (answer.rows.front().size() == 0) return {};
  return refused("the user of the url may not read and write " + answer.rows.front().text(0, 0) +
                 ": " + std::string(kGrants));
}

}  // namespace mc::db::pg
