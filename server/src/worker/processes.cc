#include "worker/executor.h"
#include "worker/job_runner.h"
#include "worker/sweep.h"

namespace mc::worker {
namespace {
class Processes final : public Executor {
 public:
  explicit Processes(RunSettings settings) : settings_(std::move(settings)) {}

  std::optional<TaskResult> run(const Task& task, client::WorkerApi& api, TaskControl& control,
                                const SendLog& send_log) override {
    return run_task(task, settings_, api, control, send_log);
  }
  // What got away by wiping its environment has nobody else to end it.
  void rest() override { reap_orphans(true); }

 private:
  RunSettings settings_;
};
}  // namespace

std::unique_ptr<Executor> run_processes(const RunSettings& settings) {
  return std::make_unique<Processes>(settings);
}

}  // namespace mc::worker
