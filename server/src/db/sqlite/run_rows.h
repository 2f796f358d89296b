// Rows in and out: what a commit writes, and how lists are asked for.
#pragma once

#include <string_view>

#include "db/sqlite/connection.h"
#include "db/store.h"

namespace mc::db {

// Columns in the order that read_run wants.
inline constexpr std::string_view kSelectRun =
    "SELECT id, number, project, workflow, status, reason, trigger, actor, ref, commit_id, "
    "run_key, parent, rerun_of,"
    " created_at, finished_at, deleted_at, last_seq, labels, json FROM runs";
void read_run(const Query& row, StoredRun& into);

// Errors of all: conflict (a guard does not hold), store_failed.
Status write_run(Connection& writer, const RunWrite& write);
Status write_record(Connection& writer, const RecordPut& put);
Status write_receipt(Connection& writer, const Receipt& receipt);

Result<std::vector<RunRow>> select_runs(Connection& reader, const RunQuery& query);

}  // namespace mc::db
