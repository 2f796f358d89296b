#include "bench/seed.h"

#include "base/text.h"
#include "bench/database.h"

namespace mc::bench {
namespace {
constexpr std::size_t kAtOnce = 2'000;
constexpr int kFailedEvery = 10;

void replace_first(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

Result<db::StoredRun> newest_finished(db::Store& store) {
  const auto rows =
      store.list_runs({.project = "default", .statuses = {RunStatus::succeeded}, .limit = 1});
  if (!rows.ok()) return rows.error();
  if (rows->empty()) return Error{Code::not_found, "bench: no run has finished", {}};
  const auto run = store.load_run(rows->front().id);
  if (!run.ok()) return run.error();
  return **run;
}

db::RunWrite copy_of(const db::StoredRun& run, Uuid id, std::int64_t number) {
  db::RunWrite write;
  write.run = id;
  write.row = run.row;
  write.row.id = id;
  write.row.number = number;
  if (number % kFailedEvery == 0) write.row.status = RunStatus::failed;
  replace_first(write.row.json, to_string(run.row.id), to_string(id));
  replace_first(write.row.json, "\"number\":" + std::to_string(run.row.number),
                "\"number\":" + std::to_string(number));
  write.events = run.events.front();
  write.events->last_seq = run.events.back().last_seq;
  write.events->payload = "[";
  for (const db::EventGroup& group : run.events) {
    const std::string_view inside(group.payload.data() + 1, group.payload.size() - 2);
    if (write.events->payload.size() > 1) write.events->payload += ',';
    write.events->payload += inside;
  }
  write.events->payload += ']';
  return write;
}
}  // namespace

Status seed_finished_runs(const std::string& data, int total, std::vector<Uuid>& ids) {
  Result<std::unique_ptr<db::Store>> store = open_store(data);
  if (!store.ok()) return store.error();
  const Result<db::StoredRun> model = newest_finished(**store);
  if (!model.ok()) return model.error();
  const Result<std::int64_t> newest = (*store)->max_run_number();
  if (!newest.ok()) return newest.error();
  std::int64_t number = *newest;
  db::Batch batch;
  while (number < total) {
    ++number;
    ids.push_back(derive_uuid(model->row.created_at, "seed " + std::to_string(number)));
    batch.runs.push_back(copy_of(*model, ids.back(), number));
    if (batch.runs.size() < kAtOnce && number < total) continue;
    if (Status written = (*store)->commit(batch); !written) return written;
    batch = {};
  }
  (*store)->idle();
  return settle_store();
}

}  // namespace mc::bench
