#include "api/token_table.h"

#include <algorithm>

#include "base/json.h"
#include "base/uuid.h"
#include "conductor/records.h"

namespace mc::api {
namespace {
constexpr int kPage = 1000;

JsonWriter& write_facts(JsonWriter& out, const TokenRow& row) {
  out.field("id", row.id).field("name", row.name).field("role", auth::to_name(row.role));
  out.field("project", row.project).key("groups").open('[');
  for (const std::string& group : row.groups) out.item(group);
  out.close(']').field("created_at", row.created_at).field("expires_at", row.expires_at);
  return out.text_or_null("created_by", row.created_by);
}

Result<std::vector<TokenRow>> read_all(db::Store& store) {
  std::vector<TokenRow> rows;
  std::string after;
  while (true) {
    const auto page = store.list_records(conductor::kTokenKind, "", after, kPage);
    if (!page) return page.error();
    for (const db::Record& record : *page) {
      Result<TokenRow> row = read_token_record(record);
      if (!row) return row.error();
      rows.push_back(std::move(*row));
      after = record.key;
    }
    if (static_cast<int>(page->size()) < kPage) return rows;
  }
}
}  // namespace

Result<std::unique_ptr<TokenTable>> TokenTable::load(db::Store& store) {
  Result<std::vector<TokenRow>> rows = read_all(store);
  if (!rows) return rows.error();
  auto table = std::make_unique<TokenTable>();
  for (TokenRow& row : *rows) table->put(std::move(row));
  return table;
}

Result<auth::Principal> TokenTable::check(std::string_view token, Instant now) const {
  const Error unknown{Code::unauthenticated, "the token is not known: was it revoked?", {}};
  if (!auth::is_token(token)) return unknown;
  const auth::TokenHash hash = auth::hash_token(token);
  const std::shared_lock lock(mutex_);
  const auto found = rows_.find(hash);
  if (found == rows_.end() || !auth::same(found->first, hash)) return unknown;
  const TokenRow& row = found->second;
  if (row.expires_at && row.expires_at <= now) {
    return Error{Code::token_expired, "the token expired at " + to_rfc3339(row.expires_at), {}};
  }
  return auth::Principal{row.name, row.role, row.project, row.groups, row.id};
}

std::optional<std::string> TokenTable::project_of(std::string_view token) const {
  if (!auth::is_token(token)) return std::nullopt;
  const auth::TokenHash hash = auth::hash_token(token);
  const std::shared_lock lock(mutex_);
  const auto found = rows_.find(hash);
  if (found == rows_.end() || !auth::same(found->first, hash)) return std::nullopt;
  return found->second.project;
}

Status TokenTable::refresh(db::Store& store) {
  constexpr int kAttempts = 5;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t before = 0;
    {
      const std::shared_lock lock(mutex_);
      before = changes_;
    }
    Result<std::vector<TokenRow>> read = read_all(store);
    if (!read) return read.error();
    Rows rows;
    for (TokenRow& row : *read) {
      const auth::TokenHash hash = row.hash;
      rows.emplace(hash, std::move(row));
    }
    const std::lock_guard lock(mutex_);
    if (changes_ != before) continue;  // what was read may be older than that
    for (auto& [hash, row] : rows_) {
      if (row.lent) rows.emplace(hash, std::move(row));
    }
    rows_ = std::move(rows);
    return {};
  }
  return Error{Code::conflict, "tokens change faster than they are read", {}};
}

void TokenTable::put(TokenRow row) {
  const std::lock_guard lock(mutex_);
  const auth::TokenHash hash = row.hash;
  ++changes_;
  rows_.insert_or_assign(hash, std::move(row));
}

void TokenTable::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  ++changes_;
  std::erase_if(rows_, [&](const auto& entry) { return entry.second.id == id; });
}

std::vector<TokenRow> TokenTable::list() const {
  std::vector<TokenRow> rows;
  {
    const std::shared_lock lock(mutex_);
    for (const auto& [hash, row] : rows_) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end(), [](const TokenRow& a, const TokenRow& b) {
    return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
  });
  return rows;
}

std::optional<TokenRow> TokenTable::find(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [hash, row] : rows_) {
    if (row.id == id) return row;
  }
  return std::nullopt;
}

std::string token_record(const TokenRow& row) {
  JsonWriter out;
  return write_facts(out.open('{'), row).field("hash", auth::to_text(row.hash)).close('}').take();
}

std::string token_json(const TokenRow& row) {
  JsonWriter out;
  return write_facts(out.open('{'), row).close('}').take();
}

Result<TokenRow> read_token_record(const db::Record& record) {
  const Error broken{Code::store_failed, "the record of token " + record.key + " is broken", {}};
  const Result<Value> body = parse_json(record.json);
  if (!body) return broken;
  TokenRow row;
  row.id = record.key;
  row.name = body->string_or("name", "");
  row.project = body->string_or("project", kDefaultProject);
  row.created_by = body->string_or("created_by", "");
  const auto role = auth::role_from_name(body->string_or("role", ""));
  const auto hash = auth::parse_token_hash(body->string_or("hash", ""));
  if (!role || !hash) return broken;
  row.role = *role;
  row.hash = *hash;
  row.created_at = parse_rfc3339(body->string_or("created_at", "")).value_or(Instant{});
  const std::string expires = body->string_or("expires_at", "");
  if (!expires.empty()) {
    const auto at = parse_rfc3339(expires);
    if (!at) return broken;  // never read a broken end as "never"
    row.expires_at = *at;
  }
  if (const Value* groups = body->find("groups"); groups != nullptr && groups->is_list()) {
    for (const Value& group : groups->as_list()) {
      if (group.is_string()) row.groups.push_back(group.as_string());
    }
  }
  return row;
}

MintedToken mint(std::string name, auth::Role role, std::string project, Instant now) {
  MintedToken minted{auth::mint_token(), {}};
  // The id is public and need not be secret, but must not repeat.
  minted.row.id = to_string(derive_uuid(now, auth::to_text(auth::hash_token(minted.secret))));
  minted.row.name = std::move(name);
  minted.row.role = role;
  minted.row.project = std::move(project);
  minted.row.hash = auth::hash_token(minted.secret);
  minted.row.created_at = now;
  return minted;
}

Result<std::string> issue_token(db::Store& store, std::string name, auth::Role role,
                                std::string project, Instant now, Instant expires_at) {
  const Result<std::vector<TokenRow>> rows = read_all(store);
  if (!rows) return rows.error();
  for (const TokenRow& row : *rows) {
    if (row.name == name && row.project == project) {
      return Error{Code::conflict, "a token is called " + name + " already", {}};
    }
  }
  MintedToken minted = mint(std::move(name), role, std::move(project), now);
  minted.row.expires_at = expires_at;
  minted.row.created_by = "local";
  db::Batch batch;
  batch.records.push_back(
      {std::string(conductor::kTokenKind), minted.row.id, token_record(minted.row), 0});
  if (const Status written = store.commit(batch); !written) return written.error();
  return minted.secret;
}
}  // namespace mc::api
