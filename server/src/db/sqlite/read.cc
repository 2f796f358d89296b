#include "db/sqlite/read.h"

#include <algorithm>
#include <limits>

#include "db/run_row.h"

namespace mc::db {
namespace {
EventGroup read_group(const Query& q, int column) {
  return {q.integer(column), q.integer(column + 1), q.instant(column + 2), q.text(column + 3)};
}

Status read_snapshot(Connection& connection, std::int64_t row, StoredRun& run) {
  Query q(connection, "SELECT seq, body FROM snapshots WHERE run = ?", row);
  if (q.next()) {
    run.snapshot_seq = q.integer(0);
    run.snapshot = q.text(1);
  }
  if (q.failed()) return q.error();
  return {};
}

Record read_record_row(const Query& q) { return {q.text(0), q.text(1), q.text(2), q.integer(3)}; }
}  // namespace

Result<std::optional<StoredRun>> read_run(Connection& connection, Uuid run) {
  const Transaction moment(connection, "BEGIN");
  if (!moment.begun()) return moment.begun().error();
  StoredRun stored;
  std::int64_t row_id = 0;
  {
    Query q(connection, "SELECT " MC_RUN_COLUMNS ", r.row, r.last_seq FROM runs r WHERE r.id = ?",
            run);
    if (q.next()) {
      Result<RunRow> row = read_row(q);
      if (!row) return row.error();
      stored.row = std::move(*row);
      row_id = q.integer(kRunColumns);
      stored.last_seq = q.integer(kRunColumns + 1);
    }
    if (q.failed()) return q.error();
  }
  if (row_id == 0) return std::optional<StoredRun>{};
  if (Status read = read_snapshot(connection, row_id, stored); !read) return read.error();
  Result<std::vector<EventGroup>> groups =
      read_groups(connection, run, stored.snapshot_seq, std::numeric_limits<int>::max());
  if (!groups) return groups.error();
  stored.events = std::move(*groups);
  return std::optional(std::move(stored));
}

Result<std::vector<EventGroup>> read_groups(Connection& connection, Uuid run, std::int64_t after,
                                            int limit) {
  Query q(connection,
          "SELECT first_seq, last_seq, time, payload FROM events WHERE run = ? AND last_seq > ? "
          "ORDER BY last_seq LIMIT ?",
          run, after, std::max(limit, 0));
  std::vector<EventGroup> groups;
  while (q.next()) groups.push_back(read_group(q, 0));
  if (q.failed()) return q.error();
  return groups;
}

Result<std::vector<FeedGroup>> read_feed_page(Connection& connection, std::int64_t after,
                                              int limit) {
  Query q(connection,
          "SELECT position, run, first_seq, last_seq, time, payload FROM events "
          "WHERE position > ? ORDER BY position LIMIT ?",
          after, std::max(limit, 0));
  std::vector<FeedGroup> groups;
  while (q.next()) groups.push_back({q.integer(0), q.uuid(1), read_group(q, 2)});
  if (q.failed()) return q.error();
  return groups;
}

Result<std::vector<Uuid>> read_open_runs(Connection& connection, OpenPlace& place, int limit) {
  Query q(connection,
          "SELECT id, number, row FROM runs WHERE finished_at = 0 AND (number, row) > (?, ?) "
          "ORDER BY number, row LIMIT ?",
          place.number, place.row, limit);
  std::vector<Uuid> ids;
  while (q.next()) {
    ids.push_back(q.uuid(0));
    place = {q.integer(1), q.integer(2)};
  }
  if (q.failed()) return q.error();
  return ids;
}

Result<std::int64_t> read_number(Connection& connection, std::string_view sql) {
  Query q(connection, sql);
  const std::int64_t number = q.next() ? q.integer(0) : 0;
  if (q.failed()) return q.error();
  return number;
}

Result<std::optional<Record>> read_record(Connection& connection, std::string_view kind,
                                          std::string_view key) {
  Query q(connection, "SELECT kind, key, json, version FROM records WHERE kind = ? AND key = ?",
          kind, key);
  std::optional<Record> record;
  if (q.next()) record = read_record_row(q);
  if (q.failed()) return q.error();
  return record;
}

Result<std::vector<Record>> read_records(Connection& connection, std::string_view kind,
                                         std::string_view prefix, std::string_view after,
                                         int limit) {
  const std::optional<std::string> end = after_prefix(prefix);
  Query q(connection,
          "SELECT kind, key, json, version FROM records WHERE kind = ? AND key > ? AND key >= ? "
          "AND key < ? ORDER BY key LIMIT ?");
  q.bind(kind);
  q.bind(after);
  q.bind(prefix);
  end ? q.bind(*end) : q.bind(Query::AfterAllText{});
  q.bind(std::max(limit, 0));
  std::vector<Record> records;
  while (q.next()) records.push_back(read_record_row(q));
  if (q.failed()) return q.error();
  return records;
}

Result<std::optional<Receipt>> read_receipt(Connection& connection, std::string_view scope,
                                            std::string_view key) {
  Query q(connection,
          "SELECT scope, key, request_digest, status, location, body, created_at FROM receipts "
          "WHERE scope = ? AND key = ?",
          scope, key);
  std::optional<Receipt> receipt;
  if (q.next()) {
    receipt = Receipt{q.text(0), q.text(1), q.text(2),   static_cast<int>(q.integer(3)),
                      q.text(4), q.text(5), q.instant(6)};
  }
  if (q.failed()) return q.error();
  return receipt;
}

}  // namespace mc::db
