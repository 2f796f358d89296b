#include "db/postgres/write_records.h"

#include <algorithm>
#include <map>

namespace mc::db::pg {
namespace {
using PlacedPut = Placed<RecordPut>;
using PlacedReceipt = Placed<Receipt>;
using Key = std::pair<std::string_view, std::string_view>;

// What all puts of one key come to.
struct Folded {
  std::optional<std::string_view> json;  // the last word; nullopt: it goes
  std::int64_t versions = 0;             // by how much the version grows
  bool removed = false;                  // at some time: what was there goes first
  bool fresh = false;                    // must not be there before the batch
  std::int64_t place = 0;
};
using FoldedPuts = std::map<Key, Folded>;  // in the order of locks
using FoldedRefs = std::vector<const FoldedPuts::value_type*>;

FoldedPuts fold(const Batch& batch) {
  FoldedPuts folded;
  for (const RecordPut& put : batch.records) {
    Folded& all = folded[{put.kind, put.key}];
    all.place = &put - batch.records.data();
    all.fresh = all.fresh || put.expected == 0;
    all.removed = all.removed || !put.json;
    all.versions = put.json ? all.versions + 1 : 0;
    all.json = put.json ? std::optional<std::string_view>(*put.json) : std::nullopt;
  }
  return folded;
}

template <class Wanted>
FoldedRefs pick(const FoldedPuts& folded, const Wanted& wanted) {
  FoldedRefs picked;
  for (const auto& each : folded) {
    if (wanted(each.second)) picked.push_back(&each);
  }
  return picked;
}

void add_keys(Params& params, const FoldedRefs& puts) {
  params.list(puts, [](const auto* put) { return put->first.first; })
      .list(puts, [](const auto* put) { return put->first.second; });
}

Statement put_all(std::string sql, const FoldedRefs& puts) {
  Statement out{std::move(sql), {}};
  add_keys(out.params, puts);
  out.params.list(puts, [](const auto* put) { return *put->second.json; })
      .list(puts, [](const auto* put) { return put->second.versions; });
  return out;
}

// What is expected is compared with the store as it was before the batch.
void guard(const Batch& batch, std::vector<Statement>& out) {
  std::vector<PlacedPut> puts;
  for (const RecordPut& put : batch.records) {
    if (put.expected) puts.push_back({&put, &put - batch.records.data()});
  }
  if (puts.empty()) return;
  Statement check{
      "WITH held AS (SELECT c.kind, c.key, c.version FROM records c JOIN "
      "(SELECT DISTINCT kind, key FROM unnest($1, $2) AS d(kind, key)) d "
      "ON c.kind = d.kind AND c.key = d.key ORDER BY c.kind, c.key FOR UPDATE OF c) "
      "SELECT maestro_refuse('record', w.place) "
      "FROM unnest($1, $2, $3, $4) AS w(kind, key, version, place) "
      "LEFT JOIN held h ON h.kind = w.kind AND h.key = w.key "
      "WHERE coalesce(h.version, 0) <> w.version",
      {}};
  check.params.list(puts, [](const PlacedPut& p) { return std::string_view(p.value->kind); })
      .list(puts, [](const PlacedPut& p) { return std::string_view(p.value->key); })
      .list(puts, [](const PlacedPut& p) { return *p.value->expected; })
      .list(puts, [](const PlacedPut& p) { return p.place; });
  out.push_back(std::move(check));
}
}  // namespace

void write_records(const Batch& batch, std::vector<Statement>& out) {
  if (batch.records.empty()) return;
  guard(batch, out);
  const FoldedPuts folded = fold(batch);
  const FoldedRefs removed = pick(folded, [](const Folded& f) { return f.removed; });
  if (!removed.empty()) {
    Statement drop{
        "DELETE FROM records c USING unnest($1, $2) AS w(kind, key) "
        "WHERE c.kind = w.kind AND c.key = w.key",
        {}};
    add_keys(drop.params, removed);
    out.push_back(std::move(drop));
  }
  const FoldedRefs fresh = pick(folded, [](const Folded& f) { return f.fresh && f.json; });
  if (!fresh.empty()) {
    // Somebody may be inserting the same record: this waits for them.
    out.push_back(
        put_all("WITH put AS (INSERT INTO records (kind, key, json, version) "
                "SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT (kind, key) DO NOTHING "
                "RETURNING kind, key) SELECT maestro_refuse('record', w.place) "
                "FROM unnest($1, $2, $5) AS w(kind, key, place) "
                "LEFT JOIN put p ON p.kind = w.kind AND p.key = w.key WHERE p.kind IS NULL",
                fresh));
    out.back().params.list(fresh, [](const auto* put) { return put->second.place; });
  }
  const FoldedRefs others = pick(folded, [](const Folded& f) { return !f.fresh && f.json; });
  if (others.empty()) return;
  out.push_back(
      put_all("INSERT INTO records (kind, key, json, version) SELECT * FROM unnest($1, $2, $3, $4) "
              "ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json, "
              "version = records.version + excluded.version",
              others));
}

Status write_receipts(const Batch& batch, std::vector<Statement>& out) {
  if (batch.receipts.empty()) return {};
  std::map<Key, PlacedReceipt> sorted;
  for (const Receipt& receipt : batch.receipts) {
    const bool first = sorted
                           .try_emplace({receipt.scope, receipt.key},
                                        PlacedReceipt{&receipt, &receipt - batch.receipts.data()})
                           .second;
    if (!first)
      return Error{Code::conflict, "the idempotency key " + receipt.key + " is taken", {}};
  }
  const auto bytes = [&](Params& params, auto get) {
    params.list(sorted,
                [&](const auto& each) -> std::string_view { return get(*each.second.value); });
  };
  const auto number = [&](Params& params, auto get) {
    params.list(sorted, [&](const auto& each) -> std::int64_t { return get(*each.second.value); });
  };
  Statement put{
      "WITH put AS (INSERT INTO receipts (scope, key, request_digest, status, location, body, "
      "created_at) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) "
      "ON CONFLICT (scope, key) DO NOTHING RETURNING scope, key) "
      "SELECT maestro_refuse('receipt', w.place) FROM unnest($1, $2, $8) AS w(scope, key, place) "
      "LEFT JOIN put p ON p.scope = w.scope AND p.key = w.key WHERE p.scope IS NULL",
      {}};
  bytes(put.params, [](const Receipt& r) -> const std::string& { return r.scope; });
  bytes(put.params, [](const Receipt& r) -> const std::string& { return r.key; });
  bytes(put.params, [](const Receipt& r) -> const std::string& { return r.request_digest; });
  number(put.params, [](const Receipt& r) { return r.status; });
  bytes(put.params, [](const Receipt& r) -> const std::string& { return r.location; });
  bytes(put.params, [](const Receipt& r) -> const std::string& { return r.body; });
  number(put.params, [](const Receipt& r) { return r.created_at.ms; });
  put.params.list(sorted, [](const auto& each) { return each.second.place; });
  out.push_back(std::move(put));
  return {};
}

}  // namespace mc::db::pg
