// Ready jobs and the workers that may take them: which job goes to which poll. In memory only:
// ready jobs come back from the open runs, workers register again.
//
// Order among the jobs that a worker may take:
//   1. The higher priority first.
//   2. Within one priority, projects share equally: stride scheduling (Waldspurger and Weihl,
//      "Stride Scheduling", 1995) with one weight. At each priority a project pays 1 for each job
//      it is given; who has paid least is next. One that had nothing ready starts level with who
//      has paid least: idleness earns no credit.
//   3. Within a project, first come, first served.
// Nobody starves. A set of labels that a worker could have been served from, kPassedOver times for
// every set of labels with ready jobs, is due, and its oldest job is next whatever its priority and
// project. So one job in about kPassedOver is given by age alone, and a job with n older ones
// before it in its set of labels waits for at most (n + 1) * (kPassedOver + 1) * sets jobs to be
// given to workers that could take it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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
  std::uint64_t order = 0;  // of arrival, over all labels
};

// What a ready job needs, and how it stands in line.
struct JobWants {
  std::vector<std::string> labels;  // all of them must be among the worker's
  std::string project;
  int priority = 0;  // kPriorityMin to kPriorityMax of model/workflow.h; higher goes first
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

// Those of `labels` that `worker` has not.
std::vector<std::string> labels_lacking(const WorkerInfo& worker,
                                        const std::vector<std::string>& labels);

// See the order above. Large enough that priorities mean something, small enough to be seen.
inline constexpr std::uint64_t kPassedOver = 16;

class Dispatcher {
 public:
  // A job became ready.
  void add(const JobWants& wants, Uuid run, NodeIndex node);
  // The next job that `worker` may take by the order above, removed; it may be stale (cancelled
  // since): the caller checks and asks again. Takes time by sets of labels and projects with
  // ready jobs, not by the number of jobs.
  std::optional<ReadyJob> take(const WorkerInfo& worker);
  std::size_t ready_count() const { return ready_; }

  WorkerInfo& add_worker(WorkerInfo worker);
  WorkerInfo* find_worker(const std::string& id);
  std::vector<WorkerInfo*> find_workers_named(const std::string& name);
  void drop_worker(const std::string& id);
  const std::map<std::string, WorkerInfo>& workers() const { return workers_; }
  // Forgets workers last seen before `before`; looks once a minute at most.
  void drop_silent(Instant before);

 private:
  struct Share {
    std::uint64_t paid = 0;
    std::size_t ready = 0;
  };
  using Line = std::deque<ReadyJob>;          // of one project, oldest first; never empty
  using Level = std::map<std::string, Line>;  // by project; never empty
  struct Bucket {                             // the jobs with one set of labels
    std::set<std::string> labels;
    std::map<int, Level, std::greater<>> levels;  // by priority; never empty
    std::uint64_t passed = 0;                     // jobs it could have had since one went by age
  };
  struct Place {
    Bucket* bucket = nullptr;
    int priority = 0;
    std::string project;
    std::uint64_t paid = 0;
    std::uint64_t order = 0;
    bool goes_before(const Place& other) const;
  };
  Share& come_in(const JobWants& wants);
  Place first_of(Bucket& bucket) const;
  static Place oldest_of(Bucket& bucket);
  ReadyJob remove(const Place& place);

  std::map<std::string, Bucket> buckets_;  // by the labels, sorted and joined; none is empty
  // By priority and project. Forgotten when a priority has been idle.
  std::map<std::pair<int, std::string>, Share> shares_;
  std::map<std::string, WorkerInfo> workers_;
  std::unordered_map<std::string, std::set<std::string>> ids_by_name_;
  Instant next_sweep_;
  std::uint64_t next_order_ = 1;
  std::size_t ready_ = 0;
};

}  // namespace mc::conductor
