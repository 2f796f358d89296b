// Follows a run to its end: status changes and log lines in a pipe, a live tree on a terminal.
#pragma once

#include <string>

#include "base/value.h"
#include "cli/session.h"

namespace mc::cli {

struct FollowOptions {
  std::string run;  // id
  bool logs = true;
  bool to_err = false;  // write to standard error: standard output is for the result
  bool live = false;    // draw the tree (only when the stream is a terminal)
  Millis timeout{0};    // 0: none
  // Called with each waiting approval {id, job, …}; false: stop following with `kApprovalNeeded`.
  std::function<Result<bool>(const Value& approval)> on_approval;
  // Called once when the time is over, and the run is followed on; nullptr: stop following.
  std::function<void()> on_timeout;
  // First and later Ctrl-C: nullptr means detach.
  std::function<void(int count)> on_interrupt;
};

struct Followed {
  enum class End : std::uint8_t { finished, detached, timed_out } end = End::finished;
  Value run;          // as last seen
  bool late = false;  // on_timeout was called
};

// Errors: those of the server. A connection that is lost is tried again for kFollowRetryFor.
Result<Followed> follow_run(Session& session, const FollowOptions& options);

inline constexpr Millis kFollowRetryFor{60'000};

// Waits without output. Errors: those of the server.
Result<Followed> wait_for_run(Session& session, const std::string& run, Millis timeout);

// 0 succeeded, 3 cancelled or denied, else 1.
int exit_code_of_run(std::string_view status);
bool is_final_status(std::string_view status);

}  // namespace mc::cli
