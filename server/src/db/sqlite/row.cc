#include "db/sqlite/row.h"

#include "base/json.h"

namespace mc::db {
namespace {
template <class Enum>
bool read_name(std::string_view text, Enum& into) {
  const auto named = from_name<Enum>(text);
  if (named) into = *named;
  return named.has_value();
}

bool read_labels(std::string_view text, RunRow& row) {
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
}  // namespace

Result<RunRow> read_row(const Query& query) {
  RunRow row;
  row.id = query.uuid(0);
  row.number = query.integer(1);
  row.project = query.text(2);
  row.workflow = query.text(3);
  bool known = read_name(query.view(4), row.status);
  known = read_name(query.view(5), row.reason) && known;
  known = read_name(query.view(6), row.trigger) && known;
  row.actor = query.text(7);
  row.ref = query.text(8);
  row.commit = query.text(9);
  known = read_labels(query.view(10), row) && known;
  row.run_key = query.text(11);
  row.parent = query.uuid(12);
  row.rerun_of = query.uuid(13);
  row.created_at = query.instant(14);
  row.finished_at = query.instant(15);
  row.deleted_at = query.instant(16);
  row.json = query.text(17);
  if (known) return row;
  return Error{Code::store_failed,
               "the stored row of run " + to_string(row.id) +
                   " cannot be read: a newer version wrote it, or the file is damaged",
               {}};
}

std::string labels_text(const RunRow& row) {
  if (row.labels.empty()) return "[]";
  JsonWriter out;
  out.open('[');
  for (const auto& [name, value] : row.labels) out.open('[').item(name).item(value).close(']');
  return out.close(']').take();
}

}  // namespace mc::db
