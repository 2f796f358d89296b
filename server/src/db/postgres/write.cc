#include "db/postgres/write.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "db/postgres/row.h"
#include "db/postgres/write_records.h"

namespace mc::db::pg {
namespace {
using PlacedRun = Placed<RunWrite>;

Error conflict(std::string message) { return {Code::conflict, std::move(message), {}}; }

// Those that the store must have, or must not have yet; by id, the order of locks.
std::vector<PlacedRun> runs_of(const Batch& batch, bool fresh) {
  std::vector<PlacedRun> runs;
  for (const RunWrite& write : batch.runs) {
    const std::int64_t place = &write - batch.runs.data();
    if ((write.expected_seq == 0) == fresh) runs.push_back({&write, place});
  }
  std::sort(runs.begin(), runs.end(),
            [](const PlacedRun& a, const PlacedRun& b) { return a.value->run < b.value->run; });
  return runs;
}

// Nobody takes the lease before this transaction has ended.
Statement guard_lease(const PostgresSettings& settings) {
  return {
      "SELECT maestro_refuse('lease', 0) WHERE NOT EXISTS (SELECT 1 FROM shards WHERE shard = $1 "
      "AND epoch = $2 AND holder = $3 FOR KEY SHARE)",
      Params().add(std::int64_t{settings.shard}).add(settings.epoch).add(Text{settings.holder})};
}

std::int64_t last_seq(const RunWrite& write) {
  return write.events ? write.events->last_seq : write.expected_seq;
}

// $1 … $19, as MC_PG_ROW_COLUMNS.
void add_rows(Params& params, const std::vector<PlacedRun>& runs,
              const std::vector<std::string>& labels) {
  const auto number = [&](auto get) {
    params.list(runs, [&](const PlacedRun& r) -> std::int64_t { return get(r.value->row); });
  };
  const auto bytes = [&](auto get) {
    params.list(runs, [&](const PlacedRun& r) -> std::string_view { return get(r.value->row); });
  };
  const auto name = [&](auto get) {
    params.list(runs, [&](const PlacedRun& r) { return Text{to_name(get(r.value->row))}; });
  };
  const auto id = [&](auto get) {
    params.list(runs, [&](const PlacedRun& r) -> Uuid { return get(r.value->row); });
  };
  params.list(runs, [](const PlacedRun& r) { return r.value->run; });
  params.list(runs, [](const PlacedRun& r) { return last_seq(*r.value); });
  number([](const RunRow& row) { return row.number; });
  bytes([](const RunRow& row) -> const std::string& { return row.project; });
  bytes([](const RunRow& row) -> const std::string& { return row.workflow; });
  name([](const RunRow& row) { return row.status; });
  name([](const RunRow& row) { return row.reason; });
  name([](const RunRow& row) { return row.trigger; });
  bytes([](const RunRow& row) -> const std::string& { return row.actor; });
  bytes([](const RunRow& row) -> const std::string& { return row.ref; });
  bytes([](const RunRow& row) -> const std::string& { return row.commit; });
  params.list(labels, [](const std::string& text) { return std::string_view(text); });
  bytes([](const RunRow& row) -> const std::string& { return row.run_key; });
  id([](const RunRow& row) { return row.parent; });
  id([](const RunRow& row) { return row.rerun_of; });
  number([](const RunRow& row) { return row.created_at.ms; });
  number([](const RunRow& row) { return row.finished_at.ms; });
  number([](const RunRow& row) { return row.deleted_at.ms; });
  bytes([](const RunRow& row) -> const std::string& { return row.json; });
}

#define MC_PG_ROW_COLUMNS                                                                          \
  "id, last_seq, number, project, workflow, status, reason, trigger_kind, actor, ref, commit_id, " \
  "labels, run_key, parent, rerun_of, created_at, finished_at, deleted_at, json"
#define MC_PG_ROW_ARRAYS \
  "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19"
// $20 … $22, each pair once a run; of the runs that `changed` names.
#define MC_PG_PUT_LABELS                                                              \
  "INSERT INTO run_labels (run, project, name, value, number) "                       \
  "SELECT l.run, c.project, l.name, l.value, c.number FROM unnest($20, $21, $22) AS " \
  "l(run, name, value) JOIN changed c ON c.id = l.run"
// The runs of $1, at the places of $23, that `written` does not name.
#define MC_PG_REFUSE_OTHERS(written)                                            \
  "SELECT maestro_refuse('run', w.place) FROM unnest($1, $23) AS w(id, place) " \
  "LEFT JOIN " written " d ON d.id = w.id WHERE d.id IS NULL"

constexpr std::string_view kUpdateRuns =
    // Whoever changes the row at the same time is waited for, and last_seq looked at again: where
    // it still fits, `before` is the row as it was.
    "WITH written AS (UPDATE runs r SET last_seq = w.last_seq, number = w.number, "
    "project = w.project, workflow = w.workflow, status = w.status, reason = w.reason, "
    "trigger_kind = w.trigger_kind, actor = w.actor, ref = w.ref, commit_id = w.commit_id, "
    "labels = w.labels, run_key = w.run_key, parent = w.parent, rerun_of = w.rerun_of, "
    "created_at = w.created_at, finished_at = w.finished_at, deleted_at = w.deleted_at, "
    "json = w.json FROM unnest(" MC_PG_ROW_ARRAYS ", $24) AS w(" MC_PG_ROW_COLUMNS
    ", built_on) JOIN runs before ON before.id = w.id "
    "WHERE r.id = w.id AND r.last_seq = w.built_on "
    "RETURNING r.id, r.project, r.number, (before.labels, before.project, before.number) IS "
    "DISTINCT FROM (r.labels, r.project, r.number) AS relabelled), "
    "changed AS (SELECT * FROM written WHERE relabelled), "
    "gone AS (DELETE FROM run_labels l USING changed c WHERE l.run = c.id), "
    "labelled AS (" MC_PG_PUT_LABELS ") " MC_PG_REFUSE_OTHERS("written");
constexpr std::string_view kInsertRuns =
    // Somebody may be inserting the same run: this waits for them.
    "WITH changed AS (INSERT INTO runs (" MC_PG_ROW_COLUMNS ") SELECT " MC_PG_ROW_COLUMNS
    " FROM unnest(" MC_PG_ROW_ARRAYS ") AS w(" MC_PG_ROW_COLUMNS
    ") ON CONFLICT (id) DO NOTHING RETURNING id, project, number), "
    "labelled AS (" MC_PG_PUT_LABELS ") " MC_PG_REFUSE_OTHERS("changed");

struct Label {
  Uuid run;
  std::string_view name;
  std::string_view value;
  auto operator<=>(const Label&) const = default;
};

Statement put_rows(std::string_view sql, const std::vector<PlacedRun>& runs) {
  Statement out{std::string(sql), {}};
  std::vector<std::string> texts;
  std::set<Label> labels;
  for (const PlacedRun& each : runs) {
    texts.push_back(labels_text(each.value->row));
    for (const auto& [name, value] : each.value->row.labels)
      labels.insert({each.value->run, name, value});
  }
  add_rows(out.params, runs, texts);
  out.params.list(labels, [](const Label& label) { return label.run; })
      .list(labels, [](const Label& label) { return label.name; })
      .list(labels, [](const Label& label) { return label.value; })
      .list(runs, [](const PlacedRun& r) { return r.place; });
  return out;
}

void write_runs(const Batch& batch, std::vector<Statement>& out) {
  const std::vector<PlacedRun> held = runs_of(batch, false);
  if (!held.empty()) {
    out.push_back(put_rows(kUpdateRuns, held));
    out.back().params.list(held, [](const PlacedRun& r) { return r.value->expected_seq; });
  }
  const std::vector<PlacedRun> fresh = runs_of(batch, true);
  if (!fresh.empty()) out.push_back(put_rows(kInsertRuns, fresh));
}

void write_snapshots(const Batch& batch, std::vector<Statement>& out) {
  std::vector<const RunWrite*> writes;
  for (const RunWrite& write : batch.runs) {
    if (write.snapshot) writes.push_back(&write);
  }
  if (writes.empty()) return;
  Statement put{
      "INSERT INTO snapshots (run, seq, body) SELECT * FROM unnest($1, $2, $3) "
      "ON CONFLICT (run) DO UPDATE SET seq = excluded.seq, body = excluded.body",
      {}};
  put.params.list(writes, [](const RunWrite* w) { return w->run; })
      .list(writes, [](const RunWrite* w) { return last_seq(*w); })
      .list(writes, [](const RunWrite* w) { return std::string_view(*w->snapshot); });
  out.push_back(std::move(put));
}

// Last of all: the shard's row is locked from here to the end, and whoever follows the feed waits
// for it.
void write_events(const Batch& batch, std::int64_t shard, std::vector<Statement>& out) {
  std::vector<const RunWrite*> writes;
  for (const RunWrite& write : batch.runs) {
    if (write.events) writes.push_back(&write);
  }
  if (writes.empty()) return;
  out.push_back(
      {"SELECT maestro_refuse('shard', $1) WHERE NOT EXISTS (SELECT 1 FROM feeds WHERE shard = $1 "
       "FOR NO KEY UPDATE)",
       Params().add(shard)});
  // A statement of its own: it must see what the lock was waited for.
  Statement put{
      "WITH placed AS MATERIALIZED (SELECT nextval('positions') AS position, e.* FROM "
      "unnest($1, $2, $3, $4, $5) AS e(run, first_seq, last_seq, time, payload)), "
      "noted AS (UPDATE feeds SET position = (SELECT max(position) FROM placed) WHERE shard = $6) "
      "INSERT INTO events (position, run, first_seq, last_seq, time, payload) "
      "SELECT position, run, first_seq, last_seq, time, payload FROM placed",
      {}};
  put.params.list(writes, [](const RunWrite* w) { return w->run; })
      .list(writes, [](const RunWrite* w) { return w->events->first_seq; })
      .list(writes, [](const RunWrite* w) { return w->events->last_seq; })
      .list(writes, [](const RunWrite* w) { return w->events->time.ms; })
      .list(writes, [](const RunWrite* w) { return std::string_view(w->events->payload); })
      .add(shard);
  out.push_back(std::move(put));
}
}  // namespace

Result<std::vector<Statement>> write_batch(const Batch& batch, Uuid id,
                                           const PostgresSettings& settings) {
  std::vector<Statement> out;
  out.push_back({"INSERT INTO commits (id) VALUES ($1)", Params().add(id)});
  if (settings.epoch != 0) out.push_back(guard_lease(settings));
  write_runs(batch, out);
  write_snapshots(batch, out);
  write_records(batch, out);
  if (Status distinct = write_receipts(batch, out); !distinct) return distinct.error();
  write_events(batch, settings.shard, out);
  return out;
}

bool is_made_already(const Failure& failure) {
  return failure.is("23505") && failure.constraint == "commits_pkey";
}

std::optional<Error> conflict_of(const Failure& failure, const Batch& batch) {
  if (!failure.is("MC409")) return std::nullopt;
  const std::size_t space = failure.message.find(' ');
  const std::string_view what = std::string_view(failure.message).substr(0, space);
  std::size_t place = 0;
  if (space != std::string::npos) {
    std::from_chars(failure.message.data() + space + 1,
                    failure.message.data() + failure.message.size(), place);
  }
  if (what == "lease")
    return Error{Code::store_failed, "another replica leads: this one writes nothing more", {}};
  if (what == "shard")
    return Error{Code::store_failed, "the database has no shard " + std::to_string(place), {}};
  if (what == "run" && place < batch.runs.size())
    return conflict("run " + to_string(batch.runs[place].run) + " has changed");
  if (what == "record" && place < batch.records.size()) {
    const RecordPut& put = batch.records[place];
    return conflict(put.kind + " " + put.key + " has changed");
  }
  if (what == "receipt" && place < batch.receipts.size())
    return conflict("the idempotency key " + batch.receipts[place].key + " is taken");
  return conflict("something in the batch has changed");
}

}  // namespace mc::db::pg
