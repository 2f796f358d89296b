#include "api/secret_table.h"

#include <algorithm>

#include "base/json.h"
#include "conductor/records.h"

namespace mc::api {
namespace {
constexpr int kPage = 1000;
constexpr std::size_t kNameMax = 128;

std::string key_of(std::string_view project, std::string_view name) {
  return std::string(project) + "/" + std::string(name);
}
}  // namespace

Result<std::shared_ptr<SecretTable>> SecretTable::load(db::Store& store, auth::SecretBox box) {
  // Shared: the conductor's secret source outlives the API when a server stops.
  std::shared_ptr<SecretTable> table(new SecretTable(std::move(box)));
  std::string after;
  while (true) {
    const auto page = store.list_records(conductor::kSecretKind, "", after, kPage);
    if (!page) return page.error();
    for (const db::Record& record : *page) {
      if (const Status read = table->read(record); !read) return read.error();
      after = record.key;
    }
    if (static_cast<int>(page->size()) < kPage) return table;
  }
}

Status SecretTable::read(const db::Record& record) {
  const Result<Value> body = parse_json(record.json);
  if (!body) return Error{Code::store_failed, "the secret " + record.key + " is broken", {}};
  Entry entry;
  Result<std::string> value = box_.unseal(record.key, body->string_or("sealed", ""));
  if (value) entry.value = std::move(*value);
  entry.created_at = parse_rfc3339(body->string_or("created_at", "")).value_or(Instant{});
  entry.updated_at = parse_rfc3339(body->string_or("updated_at", "")).value_or(Instant{});
  entries_.insert_or_assign(record.key, std::move(entry));
  return {};
}

std::optional<std::string> SecretTable::value(std::string_view project,
                                              std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key_of(project, name));
  return found == entries_.end() ? std::nullopt : found->second.value;
}

std::string SecretTable::names_json(std::string_view project) const {
  const std::string prefix = key_of(project, "");
  JsonWriter out;
  out.open('{').key("items").open('[');
  const std::lock_guard lock(mutex_);
  for (auto it = entries_.lower_bound(prefix); it != entries_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    const Entry& entry = it->second;
    out.open('{').field("name", std::string_view(it->first).substr(prefix.size()));
    out.field("created_at", entry.created_at).field("updated_at", entry.updated_at);
    out.field("broken", !entry.value.has_value()).close('}');
  }
  return out.close(']').key("next_cursor").null().close('}').take();
}

bool SecretTable::has(std::string_view project, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key_of(project, name));
}

std::size_t SecretTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

db::RecordPut SecretTable::sealed_record(std::string_view project, std::string_view name,
                                         std::string_view value, Instant now) const {
  const std::string key = key_of(project, name);
  Instant created = now;
  {
    const std::lock_guard lock(mutex_);
    const auto known = entries_.find(key);
    if (known != entries_.end()) created = known->second.created_at;
  }
  JsonWriter out;
  out.open('{').field("sealed", box_.seal(key, value));
  out.field("created_at", created).field("updated_at", now).close('}');
  return {std::string(conductor::kSecretKind), key, out.take(), std::nullopt};
}

void SecretTable::put(std::string_view project, std::string_view name, std::string value,
                      Instant now) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.try_emplace(key_of(project, name), Entry{{}, now, now}).first->second;
  entry.value = std::move(value);
  entry.updated_at = now;
}

void SecretTable::remove(std::string_view project, std::string_view name) {
  const std::lock_guard lock(mutex_);
  entries_.erase(key_of(project, name));
}

bool is_secret_name(std::string_view name) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= kNameMax && word(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return word(c) || c == '.' || c == '-'; });
}
}  // namespace mc::api
