// Lists of runs: the query becomes SQL whose ORDER BY an index gives.
#include <algorithm>

#include "db/run_row.h"
#include "db/sqlite/read.h"

namespace mc::db {
namespace {
// A WHERE clause in the making, with what it binds.
struct Filter {
  std::string sql;
  std::vector<std::variant<std::string_view, std::int64_t, Uuid>> values;

  template <class T>
  void add(std::string_view condition, T value) {
    sql.append(sql.empty() ? " WHERE " : " AND ").append(condition);
    values.emplace_back(value);
  }
};

void add_texts(Filter& filter, const RunQuery& query,
               const std::optional<std::string>& commit_end) {
  if (!query.workflow.empty()) filter.add("r.workflow = ?", std::string_view(query.workflow));
  if (!query.actor.empty()) filter.add("r.actor = ?", std::string_view(query.actor));
  if (!query.ref.empty()) filter.add("r.ref <> '' AND r.ref = ?", std::string_view(query.ref));
  if (!query.commit.empty())
    filter.add("r.commit_id <> '' AND r.commit_id >= ?", std::string_view(query.commit));
  if (commit_end) filter.add("r.commit_id < ?", std::string_view(*commit_end));
  if (!query.run_key.empty())
    filter.add("r.run_key <> '' AND r.run_key = ?", std::string_view(query.run_key));
  if (query.trigger) filter.add("r.trigger_kind = ?", to_name(*query.trigger));
}

void add_numbers(Filter& filter, const RunQuery& query) {
  if (query.parent) filter.add("r.parent <> zeroblob(16) AND r.parent = ?", query.parent);
  if (query.rerun_of) filter.add("r.rerun_of <> zeroblob(16) AND r.rerun_of = ?", query.rerun_of);
  if (query.created_after) filter.add("r.created_at > ?", query.created_after.ms);
  if (query.created_before) filter.add("r.created_at < ?", query.created_before.ms);
}

// The first label leads: its index has the runs in the order wanted.
std::string add_labels(Filter& filter, const RunQuery& query) {
  if (query.labels.empty()) {
    filter.add("r.project = ?", std::string_view(query.project));
    if (query.before_number > 0) filter.add("r.number < ?", query.before_number);
    return " FROM runs r";
  }
  const auto& [name, value] = query.labels.front();
  filter.add("l.project = ?", std::string_view(query.project));
  filter.add("l.name = ?", std::string_view(name));
  filter.add("l.value = ?", std::string_view(value));
  if (query.before_number > 0) filter.add("l.number < ?", query.before_number);
  for (std::size_t i = 1; i < query.labels.size(); ++i) {
    filter.add("EXISTS (SELECT 1 FROM run_labels o WHERE o.run = r.row AND o.name = ?",
               std::string_view(query.labels[i].first));
    filter.add("o.value = ?)", std::string_view(query.labels[i].second));
  }
  return " FROM run_labels l CROSS JOIN runs r ON r.row = l.run";
}

Status read_page(Connection& connection, const RunQuery& query,
                 const std::optional<RunStatus>& status, std::vector<RunRow>& rows) {
  const std::optional<std::string> commit_end =
      query.commit.empty() ? std::nullopt : after_prefix(query.commit);
  Filter filter;
  const std::string from = add_labels(filter, query);
  if (status) filter.add("r.status = ?", to_name(*status));
  add_texts(filter, query, commit_end);
  add_numbers(filter, query);
  const std::string sql = "SELECT " MC_RUN_COLUMNS + from + filter.sql +
                          " AND r.deleted_at = 0 ORDER BY " +
                          (query.labels.empty() ? "r.number" : "l.number") + " DESC LIMIT ?";
  Query q(connection, sql);
  for (const auto& value : filter.values) {
    std::visit([&](const auto& each) { q.bind(each); }, value);
  }
  q.bind(std::max(query.limit, 0));
  while (q.next()) {
    Result<RunRow> row = read_row(q);
    if (!row) return row.error();
    rows.push_back(std::move(*row));
  }
  if (q.failed()) return q.error();
  return {};
}
}  // namespace

Result<std::vector<RunRow>> read_run_list(Connection& connection, const RunQuery& query) {
  std::vector<RunRow> rows;
  if (query.statuses.empty()) {
    if (Status read = read_page(connection, query, std::nullopt, rows); !read) return read.error();
    return rows;
  }
  // One walk of the status index each, put together: a rare status is found without passing over
  // all the others. All in a view of one moment: a run that moves is neither lost nor seen twice.
  const Transaction moment(connection, "BEGIN");
  if (!moment.begun()) return moment.begun().error();
  std::vector<RunStatus> statuses = query.statuses;
  std::sort(statuses.begin(), statuses.end());
  statuses.erase(std::unique(statuses.begin(), statuses.end()), statuses.end());
  for (const RunStatus status : statuses) {
    if (Status read = read_page(connection, query, status, rows); !read) return read.error();
  }
  std::sort(rows.begin(), rows.end(),
            [](const RunRow& a, const RunRow& b) { return a.number > b.number; });
  const auto limit = static_cast<std::size_t>(std::max(query.limit, 0));
  if (rows.size() > limit) rows.resize(limit);
  return rows;
}

}  // namespace mc::db
