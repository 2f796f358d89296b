// One step of a schema, as db/migrations/embed.cmake builds it in, what a store says of its schema,
// and which builds may work on it. Shared by the adapters that have one.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/time.h"

namespace mc::db {

struct Migration {
  int version = 0;  // 1, 2, 3 … without a gap
  std::string_view name;
  std::string_view up;
  std::string_view down;  // empty: cannot be taken back
  // The oldest version whose builds can work on the result. Below `version` for a step that
  // expands: servers of that build go on beside newer ones. 0: only builds that know this step.
  int oldest = 0;
};

struct AppliedMigration {
  int version = 0;
  std::string name;
  std::string checksum;  // SHA-256 of `up`
  Instant applied_at;
  int oldest = 0;  // Migration::oldest, by the build that took the step
};

struct SchemaStatus {
  int schema = 0;                  // the version that the store is at; 0: nothing there yet
  int wanted = 0;                  // the version that this build was made for
  int shards = 0;                  // of the projects; 0: the store has none
  bool usable = true;              // false: only newer builds can work on it
  std::vector<std::string> lines;  // "1 initial applied 2026-11-23T19:01:35.250Z", "… missing"
};

// The oldest version whose builds can work on what was applied.
inline int oldest_of(std::span<const AppliedMigration> applied) {
  int oldest = 0;
  for (const AppliedMigration& each : applied)
    oldest = std::max(oldest, each.oldest > 0 ? each.oldest : each.version);
  return oldest;
}

// Whether a build with these steps may work on the schema of `store` ("the database"): the steps
// that both know are the same, and those that only the schema knows leave it able to. Answers how
// many were applied: fewer than `known` have to be taken, more are a newer build's.
// Errors, with this code: a newer build's alone, a step was edited.
inline Result<int> check_schema(std::span<const Migration> known,
                                std::span<const AppliedMigration> applied, const std::string& store,
                                Code code) {
  const int oldest = oldest_of(applied);
  if (oldest > static_cast<int>(known.size())) {
    return Error{code,
                 store + " has schema version " + std::to_string(applied.back().version) +
                     ", which builds from version " + std::to_string(oldest) +
                     " on can work on; this one is of version " + std::to_string(known.size()) +
                     ": a newer maestro wrote it; use that one, or restore a backup from before",
                 {}};
  }
  for (std::size_t i = 0; i < std::min(applied.size(), known.size()); ++i) {
    const AppliedMigration& taken = applied[i];
    if (taken.version == known[i].version && taken.checksum == sha256_hex(known[i].up)) continue;
    return Error{code,
                 "migration " + std::to_string(taken.version) + " (" + taken.name +
                     ") is not the one that " + store +
                     " was made with: this build or the table schema_migrations was tampered "
                     "with; use an official build, or restore a backup",
                 {}};
  }
  return static_cast<int>(applied.size());
}

// Says so when a store that may be worked on has a newer schema.
inline void note_newer_schema(int applied, std::span<const Migration> known) {
  if (applied <= static_cast<int>(known.size())) return;
  log_warn("the schema is newer than this build, which can work on it: update this server",
           {{"schema", applied}, {"build", static_cast<std::int64_t>(known.size())}});
}

inline SchemaStatus status_of(std::span<const Migration> known,
                              std::span<const AppliedMigration> applied) {
  SchemaStatus status;
  status.wanted = static_cast<int>(known.size());
  status.usable = oldest_of(applied) <= status.wanted;
  for (const AppliedMigration& each : applied) {
    status.schema = each.version;
    std::string line =
        std::to_string(each.version) + " " + each.name + " applied " + to_rfc3339(each.applied_at);
    if (each.version > status.wanted) {
      line += status.usable ? " by a newer build, this one can work on it"
                            : " by a newer build, this one cannot work on it";
    }
    status.lines.push_back(std::move(line));
  }
  for (const Migration& each : known) {
    if (each.version <= status.schema) continue;
    std::string line = std::to_string(each.version) + " " + std::string(each.name) + " missing";
    if (each.oldest > 0 && each.oldest < each.version)
      line += ", builds from version " + std::to_string(each.oldest) + " on can work on it";
    else if (each.version > 1)
      line += ", older builds cannot work on it";
    status.lines.push_back(std::move(line));
  }
  return status;
}

}  // namespace mc::db
