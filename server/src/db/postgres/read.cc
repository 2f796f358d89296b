#include "db/postgres/read.h"

#include <algorithm>
#include <unordered_map>

#include "db/postgres/row.h"

namespace mc::db::pg {
namespace {
std::int64_t at_most(int limit) { return std::max(limit, 0); }

Record read_record_row(const Rows& rows, int row) {
  return {rows.text(row, 0), rows.text(row, 1), rows.text(row, 2), rows.integer(row, 3)};
}

// The run with its snapshot, which may be null.
Result<StoredRun> read_stored(const Rows& rows, int at) {
  StoredRun stored;
  Result<RunRow> row = read_row(RowAt{rows, at});
  if (!row) return row.error();
  stored.row = std::move(*row);
  stored.last_seq = rows.integer(at, kRunColumns);
  if (!rows.is_null(at, kRunColumns + 1)) {
    stored.snapshot_seq = rows.integer(at, kRunColumns + 1);
    stored.snapshot = rows.text(at, kRunColumns + 2);
  }
  return stored;
}

#define MC_PG_STORED_RUN         \
  "SELECT " MC_RUN_COLUMNS       \
  ", r.last_seq, s.seq, s.body " \
  "FROM runs r LEFT JOIN snapshots s ON s.run = r.id "
}  // namespace

Result<std::optional<StoredRun>> read_run(Readers& readers, Uuid run) {
  const auto answer = readers.ask(std::vector<Statement>{
      {MC_PG_STORED_RUN "WHERE r.id = $1", Params().add(run)},
      {"SELECT first_seq, last_seq, time, payload FROM events WHERE run = $1 AND last_seq > "
       "coalesce((SELECT seq FROM snapshots WHERE run = $1), 0) ORDER BY last_seq",
       Params().add(run)}});
  if (!answer) return answer.error();
  const Rows& found = (*answer)[0];
  const Rows& events = (*answer)[1];
  if (found.size() == 0) return std::optional<StoredRun>{};
  Result<StoredRun> stored = read_stored(found, 0);
  if (!stored) return stored.error();
  for (int row = 0; row < events.size(); ++row)
    stored->events.push_back(read_group(events, row, 0));
  return std::optional(std::move(*stored));
}

Result<std::vector<EventGroup>> read_groups(Readers& readers, Uuid run, std::int64_t after,
                                            int limit) {
  const Result<Rows> rows = readers.ask(
      {"SELECT first_seq, last_seq, time, payload FROM events WHERE run = $1 AND last_seq > $2 "
       "ORDER BY last_seq LIMIT $3",
       Params().add(run).add(after).add(at_most(limit))});
  if (!rows) return rows.error();
  std::vector<EventGroup> groups;
  for (int row = 0; row < rows->size(); ++row) groups.push_back(read_group(*rows, row, 0));
  return groups;
}

Result<std::vector<FeedGroup>> read_feed_page(Readers& readers, std::int64_t after,
                                              std::int64_t end, int limit) {
  const Result<Rows> rows =
      readers.ask({"SELECT position, run, first_seq, last_seq, time, payload FROM events "
                   "WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
                   Params().add(after).add(end).add(at_most(limit))});
  if (!rows) return rows.error();
  std::vector<FeedGroup> groups;
  for (int row = 0; row < rows->size(); ++row)
    groups.push_back({rows->integer(row, 0), rows->uuid(row, 1), read_group(*rows, row, 2)});
  return groups;
}

Result<std::vector<StoredRun>> read_open_runs(Readers& readers, OpenPlace& place, int limit) {
  Params params = Params().add(place.number).add(place.id).add(at_most(limit));
  std::string mine;
  if (place.shards > 1) {
    mine = " AND maestro_shard_of(project, $4::int4) = $5";
    params.add(std::int64_t{place.shards}).add(std::int64_t{place.shard});
  }
  const std::string page =
      "WHERE finished_at = 0 AND (number, id) > ($1, $2)" + mine + " ORDER BY number, id LIMIT $3";
  const auto answer = readers.ask(std::vector<Statement>{
      {std::string(MC_PG_STORED_RUN) + page, params},
      {"SELECT e.run, e.first_seq, e.last_seq, e.time, e.payload FROM (SELECT id FROM runs " +
           page +
           ") p LEFT JOIN snapshots s ON s.run = p.id "
           "JOIN events e ON e.run = p.id AND e.last_seq > coalesce(s.seq, 0) "
           "ORDER BY e.run, e.last_seq",
       params}});
  if (!answer) return answer.error();
  const Rows& found = (*answer)[0];
  const Rows& events = (*answer)[1];
  std::vector<StoredRun> runs;
  std::unordered_map<Uuid, std::size_t> index;
  for (int row = 0; row < found.size(); ++row) {
    Result<StoredRun> stored = read_stored(found, row);
    if (!stored) return stored.error();
    index[stored->row.id] = runs.size();
    place.number = stored->row.number;
    place.id = stored->row.id;
    runs.push_back(std::move(*stored));
  }
  for (int row = 0; row < events.size(); ++row)
    runs[index.at(events.uuid(row, 0))].events.push_back(read_group(events, row, 1));
  return runs;
}

Result<std::int64_t> read_number(Readers& readers, std::string_view sql) {
  const Result<Rows> rows = readers.ask({std::string(sql), {}});
  if (!rows) return rows.error();
  return rows->integer(0, 0);
}

Result<std::optional<Record>> read_record(Readers& readers, std::string_view kind,
                                          std::string_view key) {
  const Result<Rows> rows =
      readers.ask({"SELECT kind, key, json, version FROM records WHERE kind = $1 AND key = $2",
                   Params().add(kind).add(key)});
  if (!rows) return rows.error();
  if (rows->size() == 0) return std::optional<Record>{};
  return std::optional(read_record_row(*rows, 0));
}

Result<std::vector<Record>> read_records(Readers& readers, std::string_view kind,
                                         std::string_view prefix, std::string_view after,
                                         int limit) {
  const std::optional<std::string> end = after_prefix(prefix);
  Statement ask{
      "SELECT kind, key, json, version FROM records WHERE kind = $1 AND key > $2 AND key >= $3 ",
      Params().add(kind).add(after).add(prefix).add(at_most(limit))};
  if (end) {
    ask.sql += "AND key < $5 ";
    ask.params.add(*end);
  }
  ask.sql += "ORDER BY key LIMIT $4";
  const Result<Rows> rows = readers.ask(std::move(ask));
  if (!rows) return rows.error();
  std::vector<Record> records;
  for (int row = 0; row < rows->size(); ++row) records.push_back(read_record_row(*rows, row));
  return records;
}

Result<std::optional<Receipt>> read_receipt(Readers& readers, std::string_view scope,
                                            std::string_view key) {
  const Result<Rows> rows = readers.ask(
      {"SELECT scope, key, request_digest, status, location, body, created_at FROM receipts "
       "WHERE scope = $1 AND key = $2",
       Params().add(scope).add(key)});
  if (!rows) return rows.error();
  if (rows->size() == 0) return std::optional<Receipt>{};
  return std::optional(Receipt{rows->text(0, 0), rows->text(0, 1), rows->text(0, 2),
                               static_cast<int>(rows->integer(0, 3)), rows->text(0, 4),
                               rows->text(0, 5), rows->instant(0, 6)});
}

}  // namespace mc::db::pg
