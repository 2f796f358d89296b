// Carries out one task from its grant to its result.
#pragma once

#include "client/worker_api.h"
#include "model/task.h"
#include "worker/log_pump.h"
#include "worker/settings.h"
#include "worker/task_control.h"

namespace mc::worker {

// Runs on the calling thread, which must outlive the job's processes (see process.h), and returns
// when the job is over: no process, folder or unsent log is left. Jobs that only do nothing cost
// neither a folder nor a thread. When control.lost(), the result is of no use and must not be
// reported.
TaskResult run_task(const Task& task, const RunSettings& settings, client::WorkerApi& api,
                    TaskControl& control, SendLog send_log);

}  // namespace mc::worker
