// What a conductor would give a worker next: by this, who asks several conductors for the same
// worker knows whose turn it is (cluster/polls.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/fair_share.h"

namespace mc::wire {

struct Offer {
  int priority = 0;     // of the job
  std::string project;  // whose job it is
  FairShare share;      // of the project; `turn` means something to one conductor only: not sent
};

// A header of a poll's answer, when PollRequest::wants_next is set: what comes after the tasks of
// this answer. "0 3 1 intelgraph": priority, running, weight, project; "none": nothing.
inline constexpr std::string_view kNextHeader = "Maestro-Next";
std::string encode_next(const std::optional<Offer>& next);

struct Next {
  std::optional<Offer> offer;  // nullopt: nothing
};
// nullopt: this is not what encode_next writes.
std::optional<Next> decode_next(std::string_view text);

}  // namespace mc::wire
