// A run's jobs as a live tree for terminals: what `run --follow` and `runs watch` draw. Pure:
// events in, lines out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/value.h"
#include "cli/paint.h"

namespace mc::cli {

struct TreeJob {
  std::string key;
  std::string status = "pending";
  std::string reason;
  std::string message;
  std::vector<std::string> needs;
  int attempt = 0;
  bool tolerated = false;  // it may fail (continue_on_error)
  int depth = 0;           // longest chain of needs above it
  Instant started_at;
  Instant finished_at;
};

class RunTree {
 public:
  // Replaces everything by GET …/runs/{id} and …/jobs.
  void load(const Value& run, const Value& jobs);
  // Takes one event {seq, type, time, data}. Returns false when the tree must be loaded again (jobs
  // came to be).
  bool apply(const Value& event);

  const std::string& status() const { return status_; }
  const std::vector<TreeJob>& jobs() const { return jobs_; }
  const TreeJob* job(const std::string& key) const;
  std::int64_t last_seq() const { return last_seq_; }

  // At most `rows` lines of at most `columns` columns: a head, then jobs below what they need.
  // When there is too little room finished jobs fold into one line a status, then pending ones.
  std::vector<std::string> lines(Instant now, std::size_t columns, std::size_t rows,
                                 const Paint& paint) const;

 private:
  TreeJob* find(const std::string& key);
  std::vector<std::size_t> places_of(const std::string& need) const;
  void place_jobs();
  std::string head(Instant now, const Paint& paint) const;
  std::string line(const TreeJob& job, Instant now, std::size_t columns, const Paint& paint) const;

  std::string title_;
  std::string status_ = "queued";
  std::string reason_;
  Instant created_at_, finished_at_;
  std::vector<TreeJob> jobs_;
  std::map<std::string, std::size_t> places_;
  std::int64_t last_seq_ = 0;
};

// A change of status that followers print as a line: "● build running", or "" for events that none
// needs to see. `took` is shown when not negative.
std::string change_line(const RunTree& tree, const Value& event, const Paint& paint);

}  // namespace mc::cli
