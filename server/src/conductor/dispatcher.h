// Ready jobs and the workers that may take them: which job goes to which poll. In memory only:
// ready jobs come back from the open runs, workers register again.
//
// Order among the jobs that a worker may take:
//   1. The higher priority first.
//   2. Within one priority, projects share the workers by their weights: who has the fewest jobs
//      running for its weight is next (base/fair_share.h). Only what runs counts: jobs that were
//      cancelled before cost nothing.
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

#include "base/fair_share.h"
#include "base/time.h"
#include "base/uuid.h"
#include "model/event.h"
#include "model/resources.h"
#include "model/workflow.h"
#include "wire/offer.h"

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
  Resources resources;        // for all of its jobs together; 0: no limit
  Resources elsewhere = {};   // what its tasks of other shards take, as it said last
  Instant parked_until = {};  // it waits elsewhere until then (PollRequest::parks_ms)
  Instant answered = {};      // when a poll of its own that waited here ended
};

// Those of `labels` that `worker` has not.
std::vector<std::string> labels_lacking(const WorkerInfo& worker,
                                        const std::vector<std::string>& labels);

// Whether an idle `worker` could take a job with these wants.
bool may_take(const WorkerInfo& worker, const std::vector<std::string>& labels,
              const Resources& resources);

using Weights = std::map<std::string, int>;  // by project; not named: 1

class Dispatcher {
 public:
  explicit Dispatcher(Weights weights = {}) : weights_(std::move(weights)) {}
  // A job became ready.
  void add(const JobWants& wants, Uuid run, NodeIndex node);
  using IsReady = std::function<bool(const ReadyJob&)>;
  // The next job that `worker` may take by the order above, removed; it may be stale (cancelled
  // since): the caller checks and asks again. `is_ready` tells which are not: no worker waits for
  // those. None whose priority is below `priority_min`, but what is due by age. Takes time by sets
  // of labels and projects with ready jobs, not by the number of jobs.
  std::optional<ReadyJob> take(const WorkerInfo& worker, const IsReady& is_ready,
                               int priority_min = kPriorityMin);
  // Ready jobs that are served before this one, as things stand: those with a higher priority, then
  // those of projects that are behind, then the older ones, among those that some worker may take
  // which may take this one. nullopt: more than `max`. Also lists those that are stale.
  std::optional<std::vector<ReadyJob>> ahead_of(const JobWants& wants, Uuid run, NodeIndex node,
                                                std::size_t max) const;
  // Whose job `worker` would be given next, but for what is given or kept by age. Forgets jobs that
  // are not ready any more where they come first.
  std::optional<wire::Offer> next_for(const WorkerInfo& worker, const IsReady& is_ready);
  FairShare share_of(const std::string& project) const;  // what it has of the workers
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
  // Whether, since the last call, a job became ready that is still here, or somebody got room that
  // a ready job may want: what workers that wait elsewhere are to be told. Less than a change: a
  // worker that says something of itself asks here itself.
  bool take_news();
  // Somebody has room who had none.
  void note_room() { has_room_ = true; }
  // What the jobs given here to the worker of that name take.
  Resources in_use(const std::string& worker) const;
  // The same with what its tasks of other shards take.
  Resources all_in_use(const WorkerInfo& worker) const;
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
  bool may_have(const WorkerInfo& worker, const Bucket& bucket, bool fits) const;
  static void add_first(Bucket& bucket, std::vector<Place>& first);
  std::vector<Place> first_for(const WorkerInfo& worker);
  std::vector<Contender> contenders_of(const std::vector<Place>& first) const;
  static Place oldest_of(Bucket& bucket);
  bool may_want(const std::string& worker) const;
  bool share_a_worker(const JobWants& wants, const Bucket& bucket) const;
  ReadyJob remove(const Place& place);
  void drop_stale_of(Bucket& bucket, const IsReady& is_ready);

  Weights weights_;
  std::map<std::string, Bucket> buckets_;    // by labels and resources, joined; none is empty
  std::map<std::string, Resources> in_use_;  // by name of the worker; none is empty
  std::map<std::string, FairShare> shares_;  // of projects that have, or lately had, running jobs
  std::map<std::string, WorkerInfo> workers_;
  std::unordered_map<std::string, std::set<std::string>> ids_by_name_;
  Instant next_sweep_;
  bool changed_ = false;
  bool has_room_ = false;         // somebody, since take_news
  std::uint64_t told_until_ = 1;  // jobs from this one on are news
  std::uint64_t next_order_ = 1;
  std::uint64_t turn_ = 0;  // whose turn it is now: who comes back from idleness begins here
  std::size_t ready_ = 0;
  std::size_t look_at_ = 1'000;  // so many ready jobs are looked through for stale ones
};

}  // namespace mc::conductor
