// One schedule as the conductor keeps it, and its stored form.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/uuid.h"
#include "lang/cron.h"
#include "model/workflow.h"

namespace mc::conductor {

struct Schedule {
  std::string id;  // WORKFLOW-N from a definition, else a fresh id
  std::string project;
  std::string workflow;
  std::string source;  // "definition" or "api"
  ScheduleSpec spec;
  bool paused = false;
  std::string paused_by;
  Instant created_at;
  Instant last_fire;
  Instant next_fire;  // 0: never again
  Uuid last_run;
  std::int64_t fires = 0;
  std::int64_t skipped = 0;
  std::string last_error;  // why the newest fire started no run; "" when it did
  int queued = 0;          // fires that wait for the run before (overlap: queue_one, queue_all)
};

std::string schedule_key(const Schedule& schedule);  // PROJECT/ID
// The stored record and, with next fires, what the API shows.
std::string schedule_json(const Schedule& schedule, const std::vector<Instant>& next_fires);
Result<Schedule> read_schedule(const Value& record);
// From the API's body {cron, timezone?, overlap?, …}. Errors: invalid_field, unknown_field.
Result<ScheduleSpec> read_schedule_spec(const Value& body);
// The first fires after `after`, at most `count`.
std::vector<Instant> next_fires(const ScheduleSpec& spec, Instant after, int count);

}  // namespace mc::conductor
