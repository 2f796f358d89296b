// Lists of runs: the query becomes SQL whose ORDER BY an index gives.
#include <algorithm>

#include "db/postgres/read.h"
#include "db/postgres/row.h"

namespace mc::db::pg {
namespace {
// A WHERE clause in the making. A `?` in a condition stands for its value.
struct Filter {
  Statement out;

  template <class T>
  void add(std::string condition, const T& value) {
    out.params.add(value);
    const std::string place = "$" + std::to_string(out.params.count());
    for (std::size_t at = 0; (at = condition.find('?', at)) != std::string::npos;)
      condition.replace(at, 1, place);
    out.sql.append(out.sql.empty() ? " WHERE " : " AND ").append(condition);
  }
  // Indexes hold the beginning of long texts (the migration says why).
  void add_text(const std::string& column, const std::string& value) {
    add("substr(" + column + ", 1, 256) = substr(?, 1, 256) AND " + column + " = ?", value);
  }
  // The same where the index leaves out empty texts.
  void add_optional(const std::string& column, const std::string& value) {
    if (value.empty()) return;
    add(column + " <> '' AND substr(" + column + ", 1, 256) = substr(?, 1, 256) AND " + column +
            " = ?",
        value);
  }
};

void add_texts(Filter& filter, const RunQuery& query) {
  if (!query.workflow.empty()) filter.add_text("r.workflow", query.workflow);
  if (!query.actor.empty()) filter.add_text("r.actor", query.actor);
  filter.add_optional("r.ref", query.ref);
  filter.add_optional("r.run_key", query.run_key);
  if (query.trigger) filter.add("r.trigger_kind = ?", Text{to_name(*query.trigger)});
  if (query.commit.empty()) return;
  filter.add(
      "r.commit_id <> '' AND substr(r.commit_id, 1, 256) >= substr(?, 1, 256) AND "
      "r.commit_id >= ?",
      query.commit);
  if (const auto end = after_prefix(query.commit))
    filter.add("substr(r.commit_id, 1, 256) <= substr(?, 1, 256) AND r.commit_id < ?", *end);
}

void add_numbers(Filter& filter, const RunQuery& query) {
  constexpr const char* kNone = " <> '00000000-0000-0000-0000-000000000000' AND ";
  if (query.parent) filter.add("r.parent" + std::string(kNone) + "r.parent = ?", query.parent);
  if (query.rerun_of)
    filter.add("r.rerun_of" + std::string(kNone) + "r.rerun_of = ?", query.rerun_of);
  if (query.created_after) filter.add("r.created_at > ?", query.created_after);
  if (query.created_before) filter.add("r.created_at < ?", query.created_before);
}

// The first label leads: its index has the runs in the order wanted.
std::string add_labels(Filter& filter, const RunQuery& query) {
  const bool labelled = !query.labels.empty();
  filter.add_text(labelled ? "l.project" : "r.project", query.project);
  if (labelled) {
    filter.add_text("l.name", query.labels.front().first);
    filter.add_text("l.value", query.labels.front().second);
  }
  if (query.before_number > 0)
    filter.add(labelled ? "l.number < ?" : "r.number < ?", query.before_number);
  for (std::size_t i = 1; i < query.labels.size(); ++i) {
    filter.add("EXISTS (SELECT 1 FROM run_labels o WHERE o.run = r.id AND o.name = ?",
               query.labels[i].first);
    filter.add("o.value = ?)", query.labels[i].second);
  }
  return labelled ? " FROM run_labels l JOIN runs r ON r.id = l.run" : " FROM runs r";
}

Statement list_page(const RunQuery& query, const std::optional<RunStatus>& status) {
  Filter filter;
  const std::string from = add_labels(filter, query);
  if (status) filter.add("r.status = ?", Text{to_name(*status)});
  add_texts(filter, query);
  add_numbers(filter, query);
  filter.add(std::string("r.deleted_at = 0 ORDER BY ") +
                 (query.labels.empty() ? "r.number" : "l.number") + " DESC LIMIT ?",
             std::int64_t{std::max(query.limit, 0)});
  filter.out.sql = "SELECT " MC_RUN_COLUMNS + from + filter.out.sql;
  return std::move(filter.out);
}
}  // namespace

Result<std::vector<RunRow>> read_run_list(Readers& readers, const RunQuery& query) {
  // One walk of the status index each, put together: a rare status is found without passing over
  // all the others. All in a view of one moment: a run that moves is neither lost nor seen twice.
  std::vector<Statement> pages;
  std::vector<RunStatus> statuses = query.statuses;
  std::sort(statuses.begin(), statuses.end());
  statuses.erase(std::unique(statuses.begin(), statuses.end()), statuses.end());
  for (const RunStatus status : statuses) pages.push_back(list_page(query, status));
  if (pages.empty()) pages.push_back(list_page(query, std::nullopt));
  const Result<std::vector<Rows>> answer = readers.ask(pages);
  if (!answer) return answer.error();
  std::vector<RunRow> runs;
  for (const Rows& rows : *answer) {
    for (int row = 0; row < rows.size(); ++row) {
      Result<RunRow> run = read_row(RowAt{rows, row});
      if (!run) return run.error();
      runs.push_back(std::move(*run));
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const RunRow& a, const RunRow& b) { return a.number > b.number; });
  const auto limit = static_cast<std::size_t>(std::max(query.limit, 0));
  if (runs.size() > limit) runs.resize(limit);
  return runs;
}

}  // namespace mc::db::pg
