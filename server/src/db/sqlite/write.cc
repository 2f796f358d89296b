#include "db/sqlite/write.h"

#include <algorithm>

#include "base/fault.h"
#include "db/run_row.h"

namespace mc::db {
namespace {
constexpr std::string_view kHeldRun =
    "SELECT row, last_seq, status, finished_at, deleted_at, number, project, workflow, "
    "trigger_kind, "
    "actor, ref, commit_id, labels, run_key, parent, rerun_of, created_at FROM runs WHERE id = ?";
constexpr std::string_view kInsertRun =
    "INSERT INTO runs (id, last_seq, number, project, workflow, status, reason, trigger_kind, "
    "actor, ref, commit_id, labels, run_key, parent, rerun_of, created_at, finished_at, "
    "deleted_at, json) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
// Three sizes of update, so that indexes are only touched where something changed.
constexpr std::string_view kTouchRun =
    "UPDATE runs SET last_seq = ?, reason = ?, json = ? WHERE row = ?";
constexpr std::string_view kMoveRun =
    "UPDATE runs SET last_seq = ?, reason = ?, json = ?, status = ?, finished_at = ?, "
    "deleted_at = ? WHERE row = ?";
constexpr std::string_view kReplaceRun =
    "UPDATE runs SET last_seq = ?, reason = ?, json = ?, status = ?, finished_at = ?, "
    "deleted_at = ?, number = ?, project = ?, workflow = ?, trigger_kind = ?, actor = ?, ref = ?, "
    "commit_id = ?, labels = ?, run_key = ?, parent = ?, rerun_of = ?, created_at = ? WHERE row = "
    "?";
constexpr std::string_view kInsertLabel =
    "INSERT OR IGNORE INTO run_labels (project, name, value, number, run) VALUES (?,?,?,?,?)";
constexpr std::string_view kInsertGroup =
    "INSERT INTO events (position, run, first_seq, last_seq, time, payload) VALUES (?,?,?,?,?,?)";
constexpr std::string_view kPutSnapshot =
    "INSERT INTO snapshots (run, seq, body) VALUES (?,?,?) "
    "ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, body = excluded.body";
constexpr std::string_view kPutRecord =
    "INSERT INTO records (kind, key, json, version) VALUES (?,?,?,1) "
    "ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json, version = version + 1";
constexpr std::string_view kInsertReceipt =
    "INSERT INTO receipts (scope, key, request_digest, status, location, body, created_at) "
    "VALUES (?,?,?,?,?,?,?) ON CONFLICT (scope, key) DO NOTHING";

// What the store has of a run before this write.
struct Held {
  std::int64_t row = 0;  // 0: nothing
  std::int64_t last_seq = 0;
  bool same_place = false;  // status, finished_at and deleted_at stay as they are
  bool same_facts = false;  // and so does all that a run is created with
};

Result<Held> read_held(Connection& connection, const RunWrite& write, std::string_view labels) {
  Query q(connection, kHeldRun, write.run);
  Held held;
  if (q.next()) {
    const RunRow& row = write.row;
    held.row = q.integer(0);
    held.last_seq = q.integer(1);
    held.same_place = q.view(2) == to_name(row.status) && q.instant(3) == row.finished_at &&
                      q.instant(4) == row.deleted_at;
    held.same_facts =
        q.integer(5) == row.number && q.view(6) == row.project && q.view(7) == row.workflow &&
        q.view(8) == to_name(row.trigger) && q.view(9) == row.actor && q.view(10) == row.ref &&
        q.view(11) == row.commit && q.view(12) == labels && q.view(13) == row.run_key &&
        q.uuid(14) == row.parent && q.uuid(15) == row.rerun_of && q.instant(16) == row.created_at;
  }
  if (q.failed()) return q.error();
  return held;
}

Status put_labels(Connection& connection, std::int64_t run, const RunRow& row) {
  for (const auto& [name, value] : row.labels) {
    Status put = Query(connection, kInsertLabel, row.project, name, value, row.number, run).run();
    if (!put) return put;
  }
  return {};
}

Status insert_row(Connection& connection, const RunWrite& write, std::int64_t last_seq,
                  std::string_view labels, std::int64_t& row_id) {
  const RunRow& row = write.row;
  Query q(connection, kInsertRun, write.run, last_seq, row.number, row.project, row.workflow,
          to_name(row.status), to_name(row.reason), to_name(row.trigger), row.actor, row.ref,
          row.commit, labels, row.run_key, row.parent, row.rerun_of, row.created_at,
          row.finished_at, row.deleted_at, row.json);
  if (Status inserted = q.run(); !inserted) return inserted;
  row_id = connection.last_row();
  return put_labels(connection, row_id, row);
}

Status update_row(Connection& connection, const RunWrite& write, const Held& held,
                  std::int64_t last_seq, std::string_view labels) {
  const RunRow& row = write.row;
  const std::string_view reason = to_name(row.reason);
  if (held.same_facts && held.same_place)
    return Query(connection, kTouchRun, last_seq, reason, row.json, held.row).run();
  if (held.same_facts) {
    return Query(connection, kMoveRun, last_seq, reason, row.json, to_name(row.status),
                 row.finished_at, row.deleted_at, held.row)
        .run();
  }
  Status replaced = Query(connection, kReplaceRun, last_seq, reason, row.json, to_name(row.status),
                          row.finished_at, row.deleted_at, row.number, row.project, row.workflow,
                          to_name(row.trigger), row.actor, row.ref, row.commit, labels, row.run_key,
                          row.parent, row.rerun_of, row.created_at, held.row)
                        .run();
  if (!replaced) return replaced;
  Status dropped = Query(connection, "DELETE FROM run_labels WHERE run = ?", held.row).run();
  if (!dropped) return dropped;
  return put_labels(connection, held.row, row);
}

Status write_run(Connection& connection, const RunWrite& write, std::int64_t& position) {
  const std::string labels = labels_text(write.row);
  const Result<Held> held = read_held(connection, write, labels);
  if (!held) return held.error();
  if (held->last_seq != write.expected_seq)
    return Error{Code::conflict, "run " + to_string(write.run) + " has changed", {}};
  const std::int64_t last_seq = write.events ? write.events->last_seq : held->last_seq;
  std::int64_t row_id = held->row;
  Status put = row_id == 0 ? insert_row(connection, write, last_seq, labels, row_id)
                           : update_row(connection, write, *held, last_seq, labels);
  if (!put) return put;
  if (write.events) {
    const EventGroup& group = *write.events;
    put = Query(connection, kInsertGroup, ++position, write.run, group.first_seq, group.last_seq,
                group.time, group.payload)
              .run();
    if (!put) return put;
  }
  if (!write.snapshot) return {};
  MC_FAULT_POINT("snapshot.before");
  return Query(connection, kPutSnapshot, row_id, last_seq, *write.snapshot).run();
}

Status check_version(Connection& connection, const RecordPut& put) {
  Query q(connection, "SELECT version FROM records WHERE kind = ? AND key = ?", put.kind, put.key);
  const std::int64_t version = q.next() ? q.integer(0) : 0;
  if (q.failed()) return q.error();
  if (version != *put.expected)
    return Error{Code::conflict, put.kind + " " + put.key + " has changed", {}};
  return {};
}

Status write_record(Connection& connection, const RecordPut& put) {
  if (put.json) return Query(connection, kPutRecord, put.kind, put.key, *put.json).run();
  return Query(connection, "DELETE FROM records WHERE kind = ? AND key = ?", put.kind, put.key)
      .run();
}

Status write_receipt(Connection& connection, const Receipt& receipt) {
  Query q(connection, kInsertReceipt, receipt.scope, receipt.key, receipt.request_digest,
          receipt.status, receipt.location, receipt.body, receipt.created_at);
  if (Status written = q.run(); !written) return written;
  if (connection.changes() == 0)
    return Error{Code::conflict, "the idempotency key " + receipt.key + " is taken", {}};
  return {};
}
}  // namespace

Status write_batch(Connection& connection, const Batch& batch, std::int64_t& position) {
  // What is expected of records is compared with the store as it was before the batch.
  for (const RecordPut& put : batch.records) {
    if (!put.expected) continue;
    if (Status checked = check_version(connection, put); !checked) return checked;
  }
  for (const RunWrite& write : batch.runs) {
    if (Status written = write_run(connection, write, position); !written) return written;
  }
  for (const RecordPut& put : batch.records) {
    if (Status written = write_record(connection, put); !written) return written;
  }
  for (const Receipt& receipt : batch.receipts) {
    if (Status written = write_receipt(connection, receipt); !written) return written;
  }
  return {};
}

Result<std::int64_t> last_position(Connection& connection) {
  std::int64_t last = 0;
  for (const std::string_view sql : {"SELECT max(position) FROM events",
                                     "SELECT value FROM counters WHERE name = 'purged_position'"}) {
    Query q(connection, sql);
    if (q.next()) last = std::max(last, q.integer(0));
    if (q.failed()) return q.error();
  }
  return last;
}

Status count_quiet_commit(Connection& connection, std::int64_t count) {
  return Query(connection,
               "INSERT INTO counters (name, value) VALUES ('quiet_commits', ?) "
               "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
               count)
      .run();
}

namespace {
Result<bool> has_counters(Connection& connection) {
  Query q(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'counters'");
  const bool any = q.next();
  if (q.failed()) return q.error();
  return any;
}

}  // namespace

Status note_backup(Connection& connection) {
  const Result<bool> any = has_counters(connection);
  if (!any) return any.error();
  if (!*any) return {};
  return Query(connection, "INSERT OR REPLACE INTO counters (name, value) VALUES ('backup', 1)")
      .run();
}

Status forget_backup(Connection& connection) {
  return Query(connection, "DELETE FROM counters WHERE name = 'backup'").run();
}

Result<bool> is_backup(Connection& connection) {
  const Result<bool> any = has_counters(connection);
  if (!any || !*any) return any;
  Query q(connection, "SELECT 1 FROM counters WHERE name = 'backup'");
  const bool noted = q.next();
  if (q.failed()) return q.error();
  return noted;
}

Result<Progress> read_progress(Connection& connection) {
  const Result<bool> any = has_counters(connection);
  if (!any) return any.error();
  if (!*any) return Progress{};
  const Result<std::int64_t> position = last_position(connection);
  if (!position) return position.error();
  Query q(connection, "SELECT value FROM counters WHERE name = 'quiet_commits'");
  const std::int64_t quiet = q.next() ? q.integer(0) : 0;
  if (q.failed()) return q.error();
  return Progress{*position, quiet};
}

Result<std::int64_t> delete_receipts(Connection& connection, Instant before, int limit) {
  Query q(connection,
          "DELETE FROM receipts WHERE (scope, key) IN (SELECT scope, key FROM receipts "
          "WHERE created_at < ? ORDER BY created_at LIMIT ?)",
          before, std::max(limit, 0));
  if (Status deleted = q.run(); !deleted) return deleted.error();
  return connection.changes();
}

Result<std::int64_t> delete_runs(Connection& connection, Instant before, int limit,
                                 const Store::Going& going) {
  const Result<std::int64_t> last = last_position(connection);
  if (!last) return last.error();
  std::vector<std::pair<std::int64_t, Uuid>> doomed;
  {
    Query q(connection,
            "SELECT row, id FROM runs WHERE deleted_at <> 0 AND deleted_at < ? "
            "ORDER BY deleted_at LIMIT ?",
            before, std::max(limit, 0));
    while (q.next()) doomed.emplace_back(q.integer(0), q.uuid(1));
    if (q.failed()) return q.error();
  }
  for (const auto& [row, id] : doomed) {
    if (Status gone = going(id); !gone) return gone.error();
    for (const std::string_view sql :
         {"DELETE FROM run_labels WHERE run = ?", "DELETE FROM snapshots WHERE run = ?",
          "DELETE FROM runs WHERE row = ?"}) {
      if (Status deleted = Query(connection, sql, row).run(); !deleted) return deleted.error();
    }
    Status deleted = Query(connection, "DELETE FROM events WHERE run = ?", id).run();
    if (!deleted) return deleted.error();
  }
  Status kept = Query(connection,
                      "INSERT INTO counters (name, value) VALUES ('purged_position', ?) "
                      "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                      *last)
                    .run();
  if (!kept) return kept.error();
  return static_cast<std::int64_t>(doomed.size());
}

}  // namespace mc::db
