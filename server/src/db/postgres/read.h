// The questions of the port in SQL.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "db/postgres/readers.h"
#include "db/store.h"

namespace mc::db::pg {

Result<std::optional<StoredRun>> read_run(Readers& readers, Uuid run);
Result<std::vector<EventGroup>> read_groups(Readers& readers, Uuid run, std::int64_t after,
                                            int limit);
// With positions up to `end`.
Result<std::vector<FeedGroup>> read_feed_page(Readers& readers, std::int64_t after,
                                              std::int64_t end, int limit);
Result<std::vector<RunRow>> read_run_list(Readers& readers, const RunQuery& query);
// Runs that are not final, after the place (number, id), by number; `place` moves on.
struct OpenPlace {
  int shard = 0, shards = 1;  // only those of this one
  std::int64_t number = INT64_MIN;
  Uuid id;
};
Result<std::vector<StoredRun>> read_open_runs(Readers& readers, OpenPlace& place, int limit);
Result<std::int64_t> read_number(Readers& readers, std::string_view sql);

Result<std::optional<Record>> read_record(Readers& readers, std::string_view kind,
                                          std::string_view key);
Result<std::vector<Record>> read_records(Readers& readers, std::string_view kind,
                                         std::string_view prefix, std::string_view after,
                                         int limit);
Result<std::optional<Receipt>> read_receipt(Readers& readers, std::string_view scope,
                                            std::string_view key);

}  // namespace mc::db::pg
