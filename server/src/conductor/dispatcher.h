// Ready jobs and the workers that may take them: which job goes to which poll. In memory only:
// ready jobs come back from the open runs, workers register again.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "model/event.h"

namespace mc::conductor {

struct ReadyJob {
  Uuid run;
  NodeIndex node = 0;
  std::uint64_t order = 0;  // first come, first served over all labels
};

struct WorkerInfo {
  std::string id;
  std::string name;
  std::vector<std::string> labels;
  int slots = 1;
  std::string version;
  std::string instance;  // see wire::RegisterRequest
  std::string life;
  Instant registered_at;
  Instant last_seen;
  bool draining = false;
  int running = 0;
};

class Dispatcher {
 public:
  // A job became ready. Its labels must all be among a worker's.
  void add(const std::vector<std::string>& labels, Uuid run, NodeIndex node);
  // The oldest ready job that `worker` may take, removed; it may be stale (cancelled since): the
  // caller checks and asks again.
  std::optional<ReadyJob> take(const WorkerInfo& worker);
  std::size_t ready_count() const { return ready_; }
  // Whether some worker that is not draining has all these labels.
  bool anyone_fits(const std::vector<std::string>& labels) const;

  WorkerInfo& add_worker(WorkerInfo worker);
  WorkerInfo* find_worker(const std::string& id);
  std::vector<WorkerInfo*> find_workers_named(const std::string& name);
  void drop_worker(const std::string& id);
  const std::map<std::string, WorkerInfo>& workers() const { return workers_; }
  // Forgets workers last seen before `before`; looks once a minute at most.
  void drop_silent(Instant before);

 private:
  struct Bucket {
    std::set<std::string> labels;
    std::deque<ReadyJob> jobs;
  };
  std::map<std::string, Bucket> buckets_;  // by the labels, sorted and joined
  std::map<std::string, WorkerInfo> workers_;
  std::unordered_map<std::string, std::set<std::string>> ids_by_name_;
  Instant next_sweep_;
  std::uint64_t next_order_ = 1;
  std::size_t ready_ = 0;
};

}  // namespace mc::conductor
