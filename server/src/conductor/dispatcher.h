// Ready jobs and the workers that may take them: which job goes to which poll. In memory only:
// ready jobs come back from the open runs, workers register again.
//
// Order among the jobs that a worker may take:
//   1. The higher priority first.
//   2. Within one priority, projects share the workers by their weights: who has the fewest jobs
//      running for its weight is next (weighted max-min fairness as in Ghodsi et al., "Choosy:
//      Max-Min Fair Sharing for Datacenter Jobs with Constraints", 2013). Jobs are whole: among
//      those whom one job more would put above nobody, turns go by weight (stride scheduling,
//      Waldspurger, 1995), so that shares are right over time also where slots are fewer than
//      weights. Only what runs counts: idleness earns no credit, jobs that were cancelled before
//      cost nothing.
//   3. Within a project, first come, first served.
// Nobody starves. A set of labels that a worker could have been served from, kPassedOver times for
// every set of labels with ready jobs that it may take, is due, and its oldest job is next whatever
// its priority and project. So one job in about kPassedOver is given by age alone, and a job with n
// older ones before it in its set of labels waits for at most (n + 1) * (kPassedOver + 1) * sets
// jobs to be given to workers that could take it. When what is due does not fit on a worker because
// of what runs there, that worker is given nothing more until it does; one worker at a time for
// each set, so that the others go on.
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
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "model/event.h"
#include "model/resources.h"

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
  Resources resources;
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
  Resources resources;  // for all of its jobs together; 0: no limit
};

// Those of `labels` that `worker` has not.
std::vector<std::string> labels_lacking(const WorkerInfo& worker,
                                        const std::vector<std::string>& labels);

// Whether an idle `worker` could take a job with these wants.
bool may_take(const WorkerInfo& worker, const std::vector<std::string>& labels,
              const Resources& resources);

// See the order above. Large enough that priorities mean something, small enough to be seen.
inline constexpr std::uint64_t kPassedOver = 16;

using Weights = std::map<std::string, int>;  // by project; not named: 1

class Dispatcher {
 public:
  explicit Dispatcher(Weights weights = {}) : weights_(std::move(weights)) {}
  // A job became ready.
  void add(const JobWants& wants, Uuid run, NodeIndex node);
  using IsReady = std::function<bool(const ReadyJob&)>;
  // The next job that `worker` may take by the order above, removed; it may be stale (cancelled
  // since): the caller checks and asks again. `is_ready` tells which are not: no worker waits for
  // those. Takes time by sets of labels and projects with ready jobs, not by the number of jobs.
  std::optional<ReadyJob> take(const WorkerInfo& worker, const IsReady& is_ready);
  // Ready jobs that are served before this one, as things stand: those with a higher priority, then
  // those of projects that are behind, then the older ones, among those that some worker may take
  // which may take this one. nullopt: more than `max`. Also lists those that are stale.
  std::optional<std::vector<ReadyJob>> ahead_of(const JobWants& wants, Uuid run, NodeIndex node,
                                                std::size_t max) const;
  // What a project has of the workers.
  struct Share {
    std::size_t running = 0;
    int weight = 1;
    std::uint64_t turn = 0;  // when it is its turn, beside those of others: grows by each job given
    // Whether it has less for its weight than `other`, also with one job more.
    bool is_behind(const Share& other) const {
      return (running + 1) * static_cast<std::size_t>(other.weight) <=
             other.running * static_cast<std::size_t>(weight);
    }
  };
  Share share_of(const std::string& project) const;
  // Whether jobs of another project go before those of `wants` for having less for their weight:
  // jobs of the same priority that some worker may take which may take these.
  bool yields(const JobWants& wants) const;
  // A job of the project runs, and no longer runs, on the worker of that name.
  struct Running {
    std::string project;
    std::string worker;
    Resources resources;
  };
  void began(const Running& job);
  void ended(const Running& job);
  // Whether, since the last call, something changed by which a worker that was given nothing may be
  // given something now.
  bool take_change() { return std::exchange(changed_, false); }
  void note_change() { changed_ = true; }
  // What the jobs of the worker of that name take.
  Resources in_use(const std::string& worker) const;
  // Also counts those that are stale.
  std::size_t ready_count() const { return ready_; }
  // Forgets jobs that are not ready any more; looks once their number has doubled.
  void drop_stale(const IsReady& is_ready);

  WorkerInfo& add_worker(WorkerInfo worker);
  WorkerInfo* find_worker(const std::string& id);
  std::vector<WorkerInfo*> find_workers_named(const std::string& name);
  void drop_worker(const std::string& id);
  const std::map<std::string, WorkerInfo>& workers() const { return workers_; }
  // Forgets workers last seen before `before`; looks once a minute at most.
  void drop_silent(Instant before);

 private:
  using Line = std::deque<ReadyJob>;          // of one project, oldest first; never empty
  using Level = std::map<std::string, Line>;  // by project; never empty
  struct Bucket {                             // the jobs with the same labels and resources
    std::set<std::string> labels;
    Resources resources;
    std::string kept_by;  // name of the worker that waits until one fits; empty: none
    std::map<int, Level, std::greater<>> levels;  // by priority; never empty
    std::uint64_t passed = 0;                     // jobs it could have had since one went by age
  };
  struct Place {
    Bucket* bucket = nullptr;
    int priority = 0;
    std::string project;
    std::uint64_t order = 0;
  };
  bool keeps(const Bucket& bucket, const WorkerInfo& asking) const;
  static void add_first(Bucket& bucket, std::vector<Place>& first);
  const Place& next_of(const std::vector<Place>& first);
  static Place oldest_of(Bucket& bucket);
  bool share_a_worker(const JobWants& wants, const Bucket& bucket) const;
  ReadyJob remove(const Place& place);
  void drop_stale_of(Bucket& bucket, const IsReady& is_ready);

  Weights weights_;
  std::map<std::string, Bucket> buckets_;    // by labels and resources, joined; none is empty
  std::map<std::string, Resources> in_use_;  // by name of the worker; none is empty
  std::map<std::string, Share> shares_;      // of projects that have, or lately had, running jobs
  std::map<std::string, WorkerInfo> workers_;
  std::unordered_map<std::string, std::set<std::string>> ids_by_name_;
  Instant next_sweep_;
  bool changed_ = false;
  std::uint64_t next_order_ = 1;
  std::uint64_t turn_ = 0;  // whose turn it is now: who comes back from idleness begins here
  std::size_t ready_ = 0;
  std::size_t look_at_ = 1'000;  // so many ready jobs are looked through for stale ones
};

}  // namespace mc::conductor
