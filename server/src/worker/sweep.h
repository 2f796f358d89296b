// Ending what a job left running: daemons that made sessions of their own and outlived their
// parents.
//
// Every process of a job carries MAESTRO_TASK_ID and MAESTRO_WORKER_HOME in its environment,
// which children inherit however often they fork. This program is made a child subreaper, so
// orphans become its children and can be reaped. A process that also wipes its environment is
// found as an orphan once no task runs (see reap_orphans).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace mc::worker {

// Makes orphaned descendants children of this process. Idempotent.
void become_subreaper();

// Kills (SIGKILL) every process with `marker` ("NAME=value") in its environment until none is
// left or `patience` is over. Returns how many were killed. A marker that ends with "/" stands for
// every value that begins so.
int kill_marked(std::string_view marker, std::chrono::milliseconds patience);

// Whether any process was adopted: what jobs left behind, alive or not, of whichever job. True when
// it cannot be known: this program is no subreaper, or the kernel keeps no lists of children. False
// saves a look at every process of the machine.
bool has_orphans();

// Reaps zombies that were adopted; with `kill`, also ends adopted processes that still run.
// `kill` is only right while no task runs. Never touches children that spawn() made.
void reap_orphans(bool kill);

// Sum of the kernel's out-of-memory kills as far as this process may see them; grows when one
// happens.
long oom_kills();
// The same, read within the last second: the kernel takes a while to make the list it stands in.
long recent_oom_kills();

}  // namespace mc::worker
