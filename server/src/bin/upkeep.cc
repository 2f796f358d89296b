// The store of a data folder from outside: tokens, schema, backups.
#include <filesystem>

#include "bin/data_folder.h"
#include "bin/doors.h"
#include "bin/server_settings.h"
#include "bin/stack.h"
#include "db/postgres/migrate.h"
#include "db/postgres/shards.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::bin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDatabaseFile = "maestro.db";

struct Copied {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

Error copy_error(const fs::path& path, const std::error_code& problem) {
  return Error{Code::data_folder, "cannot copy " + path.string() + ": " + problem.message(), {}};
}

// Files that vanish meanwhile were deleted by retention: the database that was copied first no
// longer needs them, or shows them as gone.
Status copy_tree(const fs::path& from, const fs::path& to, Copied* copied) {
  std::error_code problem;
  if (!fs::exists(from, problem)) return {};
  fs::create_directories(to, problem);
  if (problem) return copy_error(to, problem);
  fs::recursive_directory_iterator at(from, problem);
  if (problem) return copy_error(from, problem);
  for (const fs::recursive_directory_iterator end; at != end; at.increment(problem)) {
    if (problem) return copy_error(from, problem);
    const fs::path target = to / fs::relative(at->path(), from, problem);
    if (at->is_directory(problem)) {
      fs::create_directories(target, problem);
      if (problem) return copy_error(target, problem);
      continue;
    }
    fs::copy_file(at->path(), target, problem);
    if (problem == std::errc::no_such_file_or_directory) continue;
    if (problem) return copy_error(at->path(), problem);
    ++copied->files;
    copied->bytes += static_cast<std::int64_t>(fs::file_size(target, problem));
  }
  return {};
}

// Of the database that POSTGRES_URL names.
Result<db::PostgresSettings> database_settings() {
  const Result<config::Settings> settings = load_settings();
  if (!settings.ok()) return settings.error();
  return db::PostgresSettings{.url = settings->postgres_url, .migrate = false};
}

Result<std::unique_ptr<db::Store>> open_folder_or_database(const std::string& data) {
  if (data.empty()) {
    const Result<db::PostgresSettings> settings = database_settings();
    if (!settings.ok()) return settings.error();
    return db::open_postgres_store(*settings);
  }
  if (Status made = make_data_folder(data); !made.ok()) return made.error();
  return open_store(data);
}

Result<db::SchemaStatus> migrate_folder(const std::string& action, const std::string& data) {
  if (action == "down") return db::migrate_down(data);
  if (action == "status") return db::migrate_status(data);
  if (Status made = make_data_folder(data); !made.ok()) return made.error();
  return db::migrate_up(data);
}

Result<db::SchemaStatus> migrate_database(const std::string& action) {
  const Result<db::PostgresSettings> settings = database_settings();
  if (!settings.ok()) return settings.error();
  if (action == "down") return db::migrate_down(*settings);
  return action == "up" ? db::migrate_up(*settings) : db::migrate_status(*settings);
}

}  // namespace

Result<std::unique_ptr<db::Store>> open_store(const std::string& folder) {
  return db::open_sqlite(db::SqliteOptions{.folder = folder});
}

Result<std::string> make_direct_token(const cli::NewToken& wanted) {
  Result<std::unique_ptr<db::Store>> store = open_folder_or_database(wanted.data);
  if (!store.ok()) return store.error();
  const std::optional<auth::Role> role = auth::role_from_name(wanted.role);
  if (!role) return Error{Code::usage, "there is no role `" + wanted.role + "`", {}};
  const Instant now = system_clock().now();
  const Instant expires = wanted.expires_in.count() > 0 ? now + wanted.expires_in : Instant{};
  return api::issue_token(**store, wanted.name, *role, std::string(api::kDefaultProject), now,
                          expires);
}

Result<Value> migrate(const std::string& action, const std::string& data) {
  const Result<db::SchemaStatus> status =
      data.empty() ? migrate_database(action) : migrate_folder(action, data);
  if (!status.ok()) return status.error();
  List lines;
  for (const std::string& line : status->lines) lines.emplace_back(line);
  Value answer{Object{}};
  answer.set("schema", status->schema);
  answer.set("wanted", status->wanted);
  if (status->shards > 0) answer.set("shards", status->shards);
  answer.set("migrations", std::move(lines));
  return answer;
}

Result<Value> migrate_shards(int shards) {
  const Result<db::PostgresSettings> settings = database_settings();
  if (!settings.ok()) return settings.error();
  const Result<db::ShardsChange> change = db::change_shards(*settings, shards);
  if (!change.ok()) return change.error();
  Value answer{Object{}};
  answer.set("before", change->before);
  answer.set("shards", change->after);
  return answer;
}

Result<Value> back_up(const std::string& data, const std::string& target) {
  std::error_code problem;
  if (fs::exists(target, problem))
    return Error{Code::usage, target + " is there already: name a folder that is not", {}};
  if (!fs::exists(fs::path(data) / kDatabaseFile, problem))
    return Error{Code::data_folder, data + " holds no database", {}};
  if (Status made = make_data_folder(target); !made.ok()) return made.error();
  if (Status copied = db::backup_sqlite(data, (fs::path(target) / kDatabaseFile).string());
      !copied.ok())
    return copied.error();
  // After the database: it never names a file that was not there yet.
  Copied copied;
  for (const char* part : {"blobs", "logs"})
    if (Status done = copy_tree(fs::path(data) / part, fs::path(target) / part, &copied);
        !done.ok())
      return done.error();
  // Without its key the sealed secrets are lost: the backup is as secret as the folder.
  Result<std::string> key = read_private(data, kSecretKeyFile);
  if (!key.ok()) return key.error();
  if (!key->empty()) {
    if (Status kept = write_private(target, kSecretKeyFile, *key); !kept.ok()) return kept.error();
  }
  Value answer{Object{}};
  answer.set("path", target);
  answer.set("database_bytes",
             static_cast<std::int64_t>(fs::file_size(fs::path(target) / kDatabaseFile, problem)));
  answer.set("files", copied.files);
  answer.set("bytes", copied.bytes);
  return answer;
}

}  // namespace mc::bin
