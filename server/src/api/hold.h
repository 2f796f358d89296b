// Worker calls beside the protocol's JSON: they name the task they work for.
#pragma once

#include <functional>
#include <string>

#include "api/call.h"

namespace mc::api {

struct Held {
  conductor::LogTarget target;
  std::string project;  // of the task's run
};

// Checks ?task_id= and ?fence= and goes on with what they hold, on a pool thread; answers the call
// with missing_field, invalid_field or fenced otherwise.
void with_hold(const CallPtr& call, std::function<void(const Held&)> go_on);

struct TaskQuery {
  std::string task_id;
  std::int64_t fence = 0;
};
Result<TaskQuery> read_task(const Call& call);

}  // namespace mc::api
