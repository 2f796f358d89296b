// What a task takes of its worker.
#pragma once

#include "model/task.h"

namespace mc::worker {

// As `resources` of the job in the task's spec says; nothing when that cannot be read.
Resources takes_of(const Task& task);

}  // namespace mc::worker
