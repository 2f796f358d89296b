// What all calls share. Lives until the last call has ended; Api::stop() ends its threads, after
// which nothing of the service is used.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "api/api.h"
#include "api/gate.h"
#include "api/pool.h"
#include "api/streams.h"

namespace mc::api {

// Definitions that were parsed without an error lately, by digest: not parsed again before a run.
class GoodDefinitions {
 public:
  bool has(const std::string& digest) const;
  void add(const std::string& digest);

 private:
  static constexpr std::size_t kMax = 1024;
  mutable std::mutex mutex_;  // guards digests_
  std::set<std::string> digests_;
};

// What bodies under way hold of the blob store: it may go while their connections do not. Threads:
// any; what is dropped is dropped under the lock, so that nothing of it is left after drop_all.
class OpenBodies {
 public:
  void put(const void* body, std::shared_ptr<void> holds);
  void drop(const void* body);
  void drop_all();

 private:
  std::mutex mutex_;  // guards holds_
  std::map<const void*, std::shared_ptr<void>> holds_;
};

struct World {
  explicit World(Deps with);

  conductor::Service& service;
  Clock& clock;
  std::shared_ptr<TokenTable> tokens;
  std::shared_ptr<SecretTable> secrets;
  const Options options;
  const std::shared_ptr<Counts> counts;
  GoodDefinitions good_definitions;
  std::mutex in_flight_mutex;       // guards in_flight
  std::set<std::string> in_flight;  // idempotency keys being worked on
  std::atomic<bool> stopped{false};
  // Entered by whoever comes from a connection and uses the service, its store or its blobs. Work
  // on the pool and answers of the service need not: both are over before the service may go.
  Gate gate;
  OpenBodies bodies;
  Streams streams;
  Pool pool;  // last: its work uses everything above
};

}  // namespace mc::api
