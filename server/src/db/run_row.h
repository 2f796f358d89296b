// RunRow to and from the columns of `runs`, for the adapters that have SQL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "db/store.h"

namespace mc::db {

// What a SELECT names so that read_row can read it; the table goes by the name `r`.
#define MC_RUN_COLUMNS                                                                          \
  "r.id, r.number, r.project, r.workflow, r.status, r.reason, r.trigger_kind, r.actor, r.ref, " \
  "r.commit_id, r.labels, r.run_key, r.parent, r.rerun_of, r.created_at, r.finished_at, "       \
  "r.deleted_at, r.json"
inline constexpr int kRunColumns = 18;

namespace columns {
template <class Enum>
bool read_name(std::string_view text, Enum& into) {
  const auto named = from_name<Enum>(text);
  if (named) into = *named;
  return named.has_value();
}

inline bool read_labels(std::string_view text, RunRow& row) {
  if (text == "[]") return true;
  const Result<Value> list = parse_json(text);
  if (!list || !list->is_list()) return false;
  for (const Value& pair : list->as_list()) {
    if (!pair.is_list() || pair.as_list().size() != 2) return false;
    const Value& name = pair.as_list()[0];
    const Value& value = pair.as_list()[1];
    if (!name.is_string() || !value.is_string()) return false;
    row.labels.emplace_back(name.as_string(), value.as_string());
  }
  return true;
}
}  // namespace columns

// `c` gives the columns of one row by number: uuid, integer, text, view, instant. Errors:
// store_failed, when a newer version wrote a name that this one does not know.
template <class Columns>
Result<RunRow> read_row(const Columns& c) {
  RunRow row;
  row.id = c.uuid(0);
  row.number = c.integer(1);
  row.project = c.text(2);
  row.workflow = c.text(3);
  bool known = columns::read_name(c.view(4), row.status);
  known = columns::read_name(c.view(5), row.reason) && known;
  known = columns::read_name(c.view(6), row.trigger) && known;
  row.actor = c.text(7);
  row.ref = c.text(8);
  row.commit = c.text(9);
  known = columns::read_labels(c.view(10), row) && known;
  row.run_key = c.text(11);
  row.parent = c.uuid(12);
  row.rerun_of = c.uuid(13);
  row.created_at = c.instant(14);
  row.finished_at = c.instant(15);
  row.deleted_at = c.instant(16);
  row.json = c.text(17);
  if (known) return row;
  return Error{Code::store_failed,
               "the stored row of run " + to_string(row.id) +
                   " cannot be read: a newer version wrote it, or it is damaged",
               {}};
}

// [["name","value"], …]
inline std::string labels_text(const RunRow& row) {
  if (row.labels.empty()) return "[]";
  JsonWriter out;
  out.open('[');
  for (const auto& [name, value] : row.labels) out.open('[').item(name).item(value).close(']');
  return out.close(']').take();
}

// The first text behind all that begin with `prefix`, byte by byte; nullopt: there is none.
inline std::optional<std::string> after_prefix(std::string_view prefix) {
  std::string next(prefix);
  while (!next.empty() && next.back() == '\xff') next.pop_back();
  if (next.empty()) return std::nullopt;
  next.back() = static_cast<char>(static_cast<unsigned char>(next.back()) + 1);
  return next;
}

}  // namespace mc::db
