// All API tokens in memory, by hash; the store keeps them as records of kind "token". Lookups never
// touch the store. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/principal.h"
#include "auth/token.h"
#include "base/error.h"
#include "base/time.h"
#include "db/store.h"

namespace mc::api {

// The project of tokens that name none, and the one whose admins may make tokens of other projects.
inline constexpr std::string_view kDefaultProject = "default";

struct TokenRow {
  std::string id;
  std::string name;
  auth::Role role = auth::Role::viewer;
  std::string project = std::string(kDefaultProject);
  std::vector<std::string> groups;  // for approvals: `by: ["group:release"]`
  auth::TokenHash hash;
  Instant created_at;
  Instant expires_at;  // 0: never
  std::string created_by;
  bool lent = false;  // to a part of this process, for as long as it lives: not a thing to list
};

class TokenTable {
 public:
  // Errors: store_failed.
  static Result<std::unique_ptr<TokenTable>> load(db::Store& store);

  // Errors: unauthenticated (no such token), token_expired.
  Result<auth::Principal> check(std::string_view token, Instant now) const;
  // The project of a token, also of one that has expired; nullopt: not known.
  std::optional<std::string> project_of(std::string_view token) const;
  // Reads them again from a store to which others write, too. What is put or removed here meanwhile
  // stays so, and what is lent. Errors, which change nothing: store_failed; conflict: too much of
  // that.
  Status refresh(db::Store& store);
  void put(TokenRow row);
  void remove(std::string_view id);
  std::vector<TokenRow> list() const;  // oldest first
  std::optional<TokenRow> find(std::string_view id) const;

 private:
  using Rows = std::unordered_map<auth::TokenHash, TokenRow>;
  mutable std::shared_mutex mutex_;  // guards what follows
  Rows rows_;
  std::uint64_t changes_ = 0;  // made here
};

// What the store keeps (the hash, never the token), and what the API shows (neither).
std::string token_record(const TokenRow& row);
std::string token_json(const TokenRow& row);
Result<TokenRow> read_token_record(const db::Record& record);

// A token and its row, in no table and no store yet.
struct MintedToken {
  std::string secret;
  TokenRow row;
};
MintedToken mint(std::string name, auth::Role role, std::string project, Instant now);

// Mints a token and writes it to a store that no server holds open: for the first one of a data
// folder. Errors: conflict when the name is taken, store_failed.
Result<std::string> issue_token(db::Store& store, std::string name, auth::Role role,
                                std::string project, Instant now, Instant expires_at);

}  // namespace mc::api
