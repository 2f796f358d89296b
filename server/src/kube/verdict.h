// How a Job stands, read from the Job and its pod. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/value.h"

namespace mc::kube {

enum class Stage : std::uint8_t {
  suspended,  // not handed over
  waiting,    // for a node, an image, a volume
  blocked,    // waiting for what may never come: `message` says what
  running,
  ended,
  gone,  // there is no such Job
};

// Why a Job that has ended did so.
enum class Cause : std::uint8_t {
  none,
  finished,   // its program ended with 0
  failed,     // with another code
  memory,     // it was killed for its memory
  deadline,   // activeDeadlineSeconds
  disrupted,  // eviction, preemption, a node that went, a deleted pod
};

struct Verdict {
  Stage stage = Stage::waiting;
  Cause cause = Cause::none;
  std::string message;  // for people; empty when there is nothing to add
  bool certain = true;  // false: what its pod came to may not have been heard of yet
};

// Null: there is none (any more). `pod` may be the last that was seen.
Verdict judge(const Value* job, const Value* pod);

std::string name_of(const Value& object);
std::string version_of(const Value& object);
// The Job that owns this pod; empty: none.
std::string job_of(const Value& pod);
std::string annotation(const Value& object, std::string_view name);
bool is_being_deleted(const Value& object);

}  // namespace mc::kube
