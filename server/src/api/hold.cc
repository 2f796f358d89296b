#include "api/hold.h"

#include "api/body.h"

namespace mc::api {

Result<TaskQuery> read_task(const Call& call) {
  TaskQuery task{.task_id = call.query("task_id")};
  if (task.task_id.empty()) return Error{Code::missing_field, "task_id: is missing", {}};
  const std::string& fence = call.query("fence");
  const auto number = read_integer(fence, 0, INT64_MAX);
  if (!number) {
    return Error{
        fence.empty() ? Code::missing_field : Code::invalid_field, "fence: a number is wanted", {}};
  }
  task.fence = *number;
  return task;
}

void with_hold(const CallPtr& call, std::function<void(const Held&)> go_on) {
  const Result<TaskQuery> task = read_task(*call);
  if (!task) return call->fail(task.error());
  call->service().check_hold(
      task->task_id, task->fence,
      [call, go_on = std::move(go_on)](const Result<conductor::LogTarget>& target) {
        if (!target) return call->fail(target.error());
        offload(call, [call, go_on, target = *target] {
          const auto run = call->service().store().load_run(target.run);
          if (!run) return call->fail(run.error());
          if (!*run) return call->fail({Code::fenced, "the run of this task is gone", {}});
          go_on(Held{target, (*run)->row.project});
        });
      });
}
}  // namespace mc::api
