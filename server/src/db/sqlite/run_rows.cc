#include "db/sqlite/run_rows.h"

#include "base/json.h"

namespace mc::db {
namespace {
Error failed(Connection& connection, int result) {
  if ((result & 0xff) == SQLITE_FULL)
    return Error{Code::store_failed, "the disk is full: free some space", {}};
  return Error{Code::store_failed, "the store cannot write: " + connection.message(), {}};
}

std::string labels_json(const RunRow& row) {
  JsonWriter out;
  out.open('[');
  for (const auto& [name, value] : row.labels) out.open('[').item(name).item(value).close(']');
  return out.close(']').take();
}

void read_labels(const std::string& json, RunRow& row) {
  if (json == "[]") return;
  const Result<Value> list = parse_json(json);
  if (!list || !list->is_list()) return;
  for (const Value& pair : list->as_list()) {
    if (pair.is_list() && pair.as_list().size() == 2 && pair.as_list()[0].is_string() &&
        pair.as_list()[1].is_string()) {
      row.labels.emplace_back(pair.as_list()[0].as_string(), pair.as_list()[1].as_string());
    }
  }
}

int insert_run(Connection& writer, const RunRow& row, std::int64_t last_seq) {
  Query query = writer.query("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  query.bind(row.id).bind(row.number).bind(row.project).bind(row.workflow);
  query.bind(static_cast<std::int64_t>(row.status)).bind(static_cast<std::int64_t>(row.reason));
  query.bind(static_cast<std::int64_t>(row.trigger)).bind(row.actor).bind(row.ref).bind(row.commit);
  query.bind(row.run_key).bind(row.parent).bind(row.rerun_of).bind(row.created_at.ms);
  query.bind(row.finished_at.ms)
      .bind(row.deleted_at.ms)
      .bind(last_seq)
      .bind(labels_json(row))
      .bind(row.json);
  int result = query.run();
  for (const auto& [name, value] : row.labels) {
    if (result != SQLITE_DONE) return result;
    result = writer.query("INSERT OR IGNORE INTO run_labels VALUES (?,?,?,?)")
                 .bind(name)
                 .bind(value)
                 .bind(row.number)
                 .bind(row.id)
                 .run();
  }
  if (result != SQLITE_DONE) return result;
  return writer
      .query(
          "INSERT INTO counters VALUES ('run_number', ?1) ON CONFLICT(name) DO UPDATE SET value = "
          "MAX(value, ?1)")
      .bind(row.number)
      .run();
}

// Only what changes in a run's life; its number, labels and origin do not.
int update_run(Connection& writer, const RunRow& row, std::int64_t expected,
               std::int64_t last_seq) {
  Query query = writer.query(
      "UPDATE runs SET status=?, reason=?, finished_at=?, deleted_at=?, last_seq=?, json=? WHERE "
      "id=? AND last_seq=?");
  query.bind(static_cast<std::int64_t>(row.status)).bind(static_cast<std::int64_t>(row.reason));
  query.bind(row.finished_at.ms)
      .bind(row.deleted_at.ms)
      .bind(last_seq)
      .bind(row.json)
      .bind(row.id)
      .bind(expected);
  return query.run();
}

class Conditions {
 public:
  void add(std::string sql, std::int64_t value) {
    parts_.push_back({std::move(sql), value, {}, {}, 0});
  }
  void add(std::string sql, std::string value) {
    parts_.push_back({std::move(sql), 0, std::move(value), {}, 1});
  }
  void add(std::string sql, Uuid value) { parts_.push_back({std::move(sql), 0, {}, value, 2}); }
  std::string sql() const {
    std::string text;
    for (const Part& part : parts_) text += (text.empty() ? " WHERE " : " AND ") + part.sql;
    return text;
  }
  void bind(Query& query) const {
    for (const Part& part : parts_) {
      if (part.kind == 0) query.bind(part.number);
      if (part.kind == 1) query.bind(part.text);
      if (part.kind == 2) query.bind(part.id);
      if (part.kind == 3) query.bind(part.text).bind(part.text2);
    }
  }
  void add_label(const std::string& name, const std::string& value) {
    parts_.push_back(
        {"id IN (SELECT run FROM run_labels WHERE name = ? AND value = ?)", 0, name, {}, 3, value});
  }

 private:
  struct Part {
    std::string sql;
    std::int64_t number;
    std::string text;
    Uuid id;
    int kind;
    std::string text2 = {};
  };
  std::vector<Part> parts_;
};
}  // namespace

void read_run(const Query& row, StoredRun& into) {
  RunRow& run = into.row;
  run.id = row.uuid(0);
  run.number = row.integer(1);
  run.project = row.text(2);
  run.workflow = row.text(3);
  run.status = static_cast<RunStatus>(row.integer(4));
  run.reason = static_cast<Reason>(row.integer(5));
  run.trigger = static_cast<TriggerKind>(row.integer(6));
  run.actor = row.text(7);
  run.ref = row.text(8);
  run.commit = row.text(9);
  run.run_key = row.text(10);
  run.parent = row.uuid(11);
  run.rerun_of = row.uuid(12);
  run.created_at = Instant{row.integer(13)};
  run.finished_at = Instant{row.integer(14)};
  run.deleted_at = Instant{row.integer(15)};
  into.last_seq = row.integer(16);
  read_labels(row.text(17), run);
  run.json = row.text(18);
}

Status write_run(Connection& writer, const RunWrite& write) {
  const std::int64_t last_seq = write.events ? write.events->last_seq : write.expected_seq;
  const Error changed{Code::conflict, "run " + to_string(write.run) + " has changed", {}};
  int result = SQLITE_DONE;
  if (write.expected_seq == 0) {
    result = insert_run(writer, write.row, last_seq);
    if ((result & 0xff) == SQLITE_CONSTRAINT) return changed;
  } else {
    result = update_run(writer, write.row, write.expected_seq, last_seq);
    if (result == SQLITE_DONE && sqlite3_changes(writer.handle()) == 0) return changed;
  }
  if (result == SQLITE_DONE && write.events) {
    Query query = writer.query(
        "INSERT INTO events(run, first_seq, last_seq, time, payload) VALUES (?,?,?,?,?)");
    query.bind(write.run)
        .bind(write.events->first_seq)
        .bind(write.events->last_seq)
        .bind(write.events->time.ms);
    result = query.blob(write.events->payload).run();
    if ((result & 0xff) == SQLITE_CONSTRAINT) return changed;
  }
  if (result == SQLITE_DONE && write.snapshot) {
    result = writer.query("INSERT OR REPLACE INTO snapshots VALUES (?,?,?)")
                 .bind(write.run)
                 .bind(last_seq)
                 .blob(*write.snapshot)
                 .run();
  }
  if (result != SQLITE_DONE) return failed(writer, result);
  return {};
}

Status write_record(Connection& writer, const RecordPut& put) {
  std::int64_t version = 0;
  {
    Query rows = writer.query("SELECT version FROM records WHERE kind = ? AND key = ?");
    rows.bind(put.kind).bind(put.key);
    if (rows.step()) version = rows.integer(0);
  }
  if (put.expected && *put.expected != version)
    return Error{Code::conflict, put.kind + " " + put.key + " has changed", {}};
  int result = SQLITE_DONE;
  if (put.json) {
    result = writer.query("INSERT OR REPLACE INTO records VALUES (?,?,?,?)")
                 .bind(put.kind)
                 .bind(put.key)
                 .bind(*put.json)
                 .bind(version + 1)
                 .run();
  } else {
    result = writer.query("DELETE FROM records WHERE kind = ? AND key = ?")
                 .bind(put.kind)
                 .bind(put.key)
                 .run();
  }
  if (result != SQLITE_DONE) return failed(writer, result);
  return {};
}

Status write_receipt(Connection& writer, const Receipt& receipt) {
  Query query = writer.query("INSERT INTO receipts VALUES (?,?,?,?,?,?,?)");
  query.bind(receipt.scope)
      .bind(receipt.key)
      .bind(receipt.request_digest)
      .bind(std::int64_t{receipt.status});
  const int result =
      query.bind(receipt.location).bind(receipt.body).bind(receipt.created_at.ms).run();
  if ((result & 0xff) == SQLITE_CONSTRAINT)
    return Error{Code::conflict, "the idempotency key " + receipt.key + " is taken", {}};
  if (result != SQLITE_DONE) return failed(writer, result);
  return {};
}

Result<std::vector<RunRow>> select_runs(Connection& reader, const RunQuery& query) {
  Conditions where;
  where.add("project = ?", query.project);
  where.add("deleted_at = ?", std::int64_t{0});
  if (query.before_number > 0) where.add("number < ?", query.before_number);
  if (!query.workflow.empty()) where.add("workflow = ?", query.workflow);
  if (!query.actor.empty()) where.add("actor = ?", query.actor);
  if (!query.ref.empty()) where.add("ref = ?", query.ref);
  if (!query.commit.empty())
    where.add("substr(commit_id, 1, " + std::to_string(query.commit.size()) + ") = ?",
              query.commit);
  if (!query.run_key.empty()) where.add("run_key = ?", query.run_key);
  if (query.trigger) where.add("trigger = ?", static_cast<std::int64_t>(*query.trigger));
  if (query.parent) where.add("parent = ?", query.parent);
  if (query.rerun_of) where.add("rerun_of = ?", query.rerun_of);
  if (query.created_after) where.add("created_at > ?", query.created_after.ms);
  if (query.created_before) where.add("created_at < ?", query.created_before.ms);
  for (const auto& [name, value] : query.labels) where.add_label(name, value);
  std::string sql = std::string(kSelectRun) + where.sql();
  // The partial indexes want the condition as a literal.
  sql.replace(sql.find("deleted_at = ?"), 14, "deleted_at = 0 AND 0 = ?");
  if (!query.statuses.empty()) {
    sql += " AND status IN (";
    for (const RunStatus status : query.statuses)
      sql += (sql.ends_with('(') ? "" : ",") + std::to_string(static_cast<int>(status));
    sql += ")";
  }
  Query rows = reader.query(sql + " ORDER BY number DESC LIMIT ?");
  where.bind(rows);
  rows.bind(std::int64_t{query.limit});
  std::vector<RunRow> list;
  while (rows.step()) {
    StoredRun run;
    read_run(rows, run);
    list.push_back(std::move(run.row));
  }
  if (rows.result() != SQLITE_DONE)
    return Error{Code::store_failed, "the store cannot read: " + reader.message(), {}};
  return list;
}
}  // namespace mc::db
