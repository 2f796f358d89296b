// One step of a schema, as db/migrations/embed.cmake builds it in, and what a store says of its
// schema. Shared by the adapters that have one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace mc::db {

struct Migration {
  int version = 0;  // 1, 2, 3 … without a gap
  std::string_view name;
  std::string_view up;
  std::string_view down;  // empty: cannot be taken back
};

struct AppliedMigration {
  int version = 0;
  std::string name;
  std::string checksum;  // SHA-256 of `up`
  Instant applied_at;
};

struct SchemaStatus {
  int schema = 0;                  // the version that the store is at; 0: nothing there yet
  int wanted = 0;                  // the version that this build works on
  std::vector<std::string> lines;  // "0001 initial applied 2026-11-23T19:01:35.250Z", "… missing"
};

inline SchemaStatus status_of(std::span<const Migration> known,
                              std::span<const AppliedMigration> applied) {
  SchemaStatus status;
  status.wanted = static_cast<int>(known.size());
  for (const AppliedMigration& each : applied) {
    status.schema = each.version;
    status.lines.push_back(std::to_string(each.version) + " " + each.name + " applied " +
                           to_rfc3339(each.applied_at));
  }
  for (const Migration& each : known) {
    if (each.version > status.schema)
      status.lines.push_back(std::to_string(each.version) + " " + std::string(each.name) +
                             " missing");
  }
  return status;
}

}  // namespace mc::db
