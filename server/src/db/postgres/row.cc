#include "db/postgres/row.h"

#include "base/json.h"

namespace mc::db::pg {
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

Result<RunRow> read_row(const Rows& rows, int at) {
  RunRow row;
  row.id = rows.uuid(at, 0);
  row.number = rows.integer(at, 1);
  row.project = rows.text(at, 2);
  row.workflow = rows.text(at, 3);
  bool known = read_name(rows.view(at, 4), row.status);
  known = read_name(rows.view(at, 5), row.reason) && known;
  known = read_name(rows.view(at, 6), row.trigger) && known;
  row.actor = rows.text(at, 7);
  row.ref = rows.text(at, 8);
  row.commit = rows.text(at, 9);
  known = read_labels(rows.view(at, 10), row) && known;
  row.run_key = rows.text(at, 11);
  row.parent = rows.uuid(at, 12);
  row.rerun_of = rows.uuid(at, 13);
  row.created_at = rows.instant(at, 14);
  row.finished_at = rows.instant(at, 15);
  row.deleted_at = rows.instant(at, 16);
  row.json = rows.text(at, 17);
  if (known) return row;
  return Error{Code::store_failed,
               "the stored row of run " + to_string(row.id) +
                   " cannot be read: a newer version wrote it, or it is damaged",
               {}};
}

EventGroup read_group(const Rows& rows, int row, int column) {
  return {rows.integer(row, column), rows.integer(row, column + 1), rows.instant(row, column + 2),
          rows.text(row, column + 3)};
}

std::string labels_text(const RunRow& row) {
  if (row.labels.empty()) return "[]";
  JsonWriter out;
  out.open('[');
  for (const auto& [name, value] : row.labels) out.open('[').item(name).item(value).close(']');
  return out.close(']').take();
}

}  // namespace mc::db::pg
