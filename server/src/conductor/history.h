// How long workflows and their jobs took in earlier runs: what `why` estimates from. A cache of
// what the store knows, in memory only: a workflow is read in when it is asked about for the first
// time (core_why.cc) and kept up to date from then on. Only runs that succeeded count, and of those
// not the ones that took jobs over from another run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "engine/state.h"

namespace mc::conductor {

struct Estimate {
  Millis time{0};
  // How many runs it rests on: the fewest of all that went into it. kKnown: none, the time is sure.
  std::size_t runs = 0;
  static constexpr std::size_t kKnown = SIZE_MAX;
  bool operator==(const Estimate&) const = default;
};

// One after the other.
Estimate operator+(const Estimate& a, const Estimate& b);
// When both are over.
Estimate later_of(const Estimate& a, const Estimate& b);
// What is left of `usual` for something that began at `began` (0: not yet); 0 when it is overdue.
Estimate rest_of(const Estimate& usual, Instant began, Instant now);
// How long it takes until a place is free: `holders` say when those in the places leave, `ahead`
// how long each of those stays who go in first, in that order. nullopt: nobody holds a place.
std::optional<Estimate> wait_behind(const std::vector<Estimate>& holders,
                                    const std::vector<Estimate>& ahead);

class History {
 public:
  static constexpr std::size_t kRunsMax = 20;        // the newest of each workflow
  static constexpr std::size_t kJobsMax = 1'000;     // of each workflow; others have no history
  static constexpr std::size_t kWorkflowsMax = 200;  // those asked about last

  class Workflow {
   public:
    // A run that took `took` in all. False: it is known already.
    bool add(std::int64_t number, Millis took);
    // The same, with its jobs. Requires: it succeeded.
    void add(const engine::RunState& run);
    // The medians; nullopt when there is nothing to go by.
    std::optional<Estimate> whole() const;
    std::optional<Estimate> job(const std::string& key) const;

   private:
    std::deque<std::pair<std::int64_t, Millis>> runs_;  // by the run's number
    std::map<std::string, std::deque<Millis>> jobs_;
  };

  // nullptr: nobody asked about it lately.
  Workflow* find(const std::string& project, const std::string& workflow);
  // Begins to keep it, empty, in place of the one that was asked about the longest ago.
  Workflow& open(const std::string& project, const std::string& workflow);
  // A run has ended.
  void note(const engine::RunState& run);
  void clear();

 private:
  using Key = std::pair<std::string, std::string>;
  std::list<std::pair<Key, Workflow>> workflows_;  // asked about last first
};

}  // namespace mc::conductor
