// Secrets: sealed in the store (records of kind "secret"), open in memory for the jobs that name
// them. The API never shows a value. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/secret_box.h"
#include "base/error.h"
#include "base/time.h"
#include "db/store.h"

namespace mc::api {

class SecretTable {
 public:
  static constexpr std::size_t kValueMax = 64 << 10;
  static constexpr std::size_t kSecretsMax = 10'000;

  // Opens every stored secret. One that does not open (another key) is listed as broken and given
  // to nobody. Errors: store_failed.
  static Result<std::shared_ptr<SecretTable>> load(db::Store& store, auth::SecretBox box);

  std::optional<std::string> value(std::string_view project, std::string_view name) const;
  // [{name, created_at, updated_at, broken}], by name.
  std::string names_json(std::string_view project) const;
  bool has(std::string_view project, std::string_view name) const;
  std::size_t size() const;
  // The record to write for a new value, and the same in memory once it is written.
  db::RecordPut sealed_record(std::string_view project, std::string_view name,
                              std::string_view value, Instant now) const;
  void put(std::string_view project, std::string_view name, std::string value, Instant now);
  void remove(std::string_view project, std::string_view name);
  const auth::SecretBox& box() const { return box_; }

 private:
  struct Entry {
    std::optional<std::string> value;  // nullopt: it did not open
    Instant created_at, updated_at;
  };
  explicit SecretTable(const auth::SecretBox& box) : box_(box) {}
  Status read(const db::Record& record);

  const auth::SecretBox box_;
  mutable std::mutex mutex_;              // guards entries_
  std::map<std::string, Entry> entries_;  // by PROJECT/NAME
};

// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}: names of secrets and variables.
bool is_secret_name(std::string_view name);

}  // namespace mc::api
