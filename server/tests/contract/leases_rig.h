// A fresh database of eight shards, and what tests of leases ask of it.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "db/postgres/leases.h"
#include "tests/contract/postgres_server.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {

inline constexpr Millis kLongMax{60'000};
inline const std::set<int> kAll{0, 1, 2, 3, 4, 5, 6, 7};

inline std::set<int> own(const Cluster& found) {
  std::set<int> out;
  for (const ShardLease& lease : found.shards)
    if (lease.mine) out.insert(lease.shard);
  return out;
}

// As late as a test would wait, and never does.
inline std::chrono::steady_clock::time_point soon() {
  return std::chrono::steady_clock::now() + kLongMax;
}

class LeasesRig : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database.emplace();
    settings = database->settings();
    ASSERT_TRUE(open_postgres_store(settings).ok());  // the schema
  }
  std::unique_ptr<Leases> leases(const std::string& name, Millis time = kLongMax) {
    auto opened = Leases::open(settings, {.name = name, .address = name + ":1", .time = time});
    if (!opened.ok()) ADD_FAILURE() << opened.error().message;
    return std::move(*opened);
  }
  static Cluster claim(Leases& leases, const std::set<int>& wanted = {}) {
    auto found = leases.claim(wanted);
    if (!found.ok()) ADD_FAILURE() << found.error().message;
    return found.ok() ? *found : Cluster{};
  }
  // So that what comes is new.
  static void hear_all(Leases& leases) {
    while (leases.wait(std::chrono::steady_clock::now()).any()) {}
  }
  PostgresSettings under(const ShardLease& held) const {
    PostgresSettings fenced = settings;
    fenced.shard = held.shard;
    fenced.epoch = held.epoch;
    fenced.holder = held.holder;
    return fenced;
  }
  // The error's code; empty: it is written.
  std::string write(const ShardLease& held, const std::string& key) {
    const auto store = open_postgres_store(under(held));
    Batch batch;
    batch.records.push_back({"k", key, "{}", std::nullopt});
    return code_of((*store)->commit(batch));
  }

  std::optional<TempDatabase> database;
  PostgresSettings settings;
};

}  // namespace mc::db::contract
