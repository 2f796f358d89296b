// RunRow and event groups from the columns that questions name.
#pragma once

#include <string>

#include "db/postgres/connection.h"
#include "db/store.h"

namespace mc::db::pg {

// What a SELECT names so that read_row can read it; the table goes by the name `r`.
#define MC_PG_RUN_COLUMNS                                                                       \
  "r.id, r.number, r.project, r.workflow, r.status, r.reason, r.trigger_kind, r.actor, r.ref, " \
  "r.commit_id, r.labels, r.run_key, r.parent, r.rerun_of, r.created_at, r.finished_at, "       \
  "r.deleted_at, r.json"
inline constexpr int kRunColumns = 18;

// Errors: store_failed, when a newer version wrote a name that this one does not know.
Result<RunRow> read_row(const Rows& rows, int row);

// first_seq, last_seq, time, payload from `column` on.
EventGroup read_group(const Rows& rows, int row, int column);

// [["name","value"], …]
std::string labels_text(const RunRow& row);

}  // namespace mc::db::pg
