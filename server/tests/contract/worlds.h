// The stores that the contract suite runs on, and what its tests are written with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "db/faulty/faulty_store.h"
#include "db/store.h"

namespace mc::db::contract {

// A folder that goes when this does.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class World {
 public:
  virtual ~World() = default;
  virtual Store& store() = 0;
  // Closes and opens again, where the adapter keeps anything.
  virtual void reopen() {}
};
// Null: "postgres" and "pgbouncer", where there is none on this machine.
std::unique_ptr<World> make_world(const std::string& name);

// One suite, every adapter: TEST_P(AnyStore, …).
class AnyStore : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;
  Store& store() { return world_->store(); }
  std::unique_ptr<World> world_ = make_world(GetParam());
};
#define MC_EVERY_STORE(Suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(Every, Suite,                                                \
                           testing::Values("memory", "sqlite", "postgres", "pgbouncer", \
                                           "faulty_memory", "faulty_sqlite"),           \
                           [](const auto& info) { return std::string(info.param); })

// Run number n: always the same id.
Uuid id_of(std::int64_t number);
// Adds events expected+1 … expected+count to run `number`, with a row that says so.
RunWrite write_of(std::int64_t number, std::int64_t expected, int count = 1);
Batch batch_of(RunWrite write);

// Everything in it, as text: for comparing.
std::string shown(const RunRow& row);
std::string shown(const std::vector<RunRow>& rows);
std::string shown(const StoredRun& run);
std::string shown(const std::vector<EventGroup>& groups);
std::string shown(const std::vector<FeedGroup>& groups);
std::string shown(const std::vector<Record>& records);
// The whole content that the port can show. Two stores that were told the same show the same.
std::string shown(Store& store, std::int64_t runs_max, const std::vector<std::string>& kinds);

// For purge_runs: a run of these tests has nothing beside the store.
Status nothing_else(Uuid run);

// "" or the error's code.
std::string code_of(const Status& status);

}  // namespace mc::db::contract
