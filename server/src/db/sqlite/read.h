// The questions of the port in SQL. Each runs on one connection, in a view of one moment where it
// needs more than one statement.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "db/sqlite/connection.h"
#include "db/store.h"

namespace mc::db {

Result<std::optional<StoredRun>> read_run(Connection& connection, Uuid run);
Result<std::vector<EventGroup>> read_groups(Connection& connection, Uuid run, std::int64_t after,
                                            int limit);
Result<std::vector<FeedGroup>> read_feed_page(Connection& connection, std::int64_t after,
                                              int limit);
Result<std::vector<RunRow>> read_run_list(Connection& connection, const RunQuery& query);
// Runs that are not final, after the place (number, row), by number; `place` moves on.
struct OpenPlace {
  std::int64_t number = INT64_MIN;
  std::int64_t row = 0;
};
Result<std::vector<Uuid>> read_open_runs(Connection& connection, OpenPlace& place, int limit);
Result<std::int64_t> read_number(Connection& connection, std::string_view sql);
Result<std::optional<Record>> read_record(Connection& connection, std::string_view kind,
                                          std::string_view key);
Result<std::vector<Record>> read_records(Connection& connection, std::string_view kind,
                                         std::string_view prefix, std::string_view after,
                                         int limit);
Result<std::optional<Receipt>> read_receipt(Connection& connection, std::string_view scope,
                                            std::string_view key);

}  // namespace mc::db
