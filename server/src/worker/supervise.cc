#include "worker/supervise.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "worker/sweep.h"

namespace mc::worker {
namespace {
constexpr int kPollMax = 60'000;
constexpr int kShellKilled = 128 + SIGKILL;  // what a shell reports of a child killed so

struct Rung {
  int signal;
  Duration patience;
};
}  // namespace

Finished supervise(Process& process, TaskControl& control, const Ladder& ladder,
                   const Supervision& how) {
  const std::array<Rung, 3> rungs{
      {{SIGINT, ladder.ask}, {SIGTERM, ladder.terminate}, {SIGKILL, Duration::max()}}};
  const long kills_before = recent_oom_kills();
  Finished finished;
  std::size_t rung = 0;  // the next one
  Steady::time_point next = how.deadline;
  const auto descend = [&](std::size_t to) {
    process.signal_group(rungs.at(to).signal);
    process.signal_group(SIGCONT);  // what is stopped hears the other signals only when it goes on
    rung = to + 1;
    next = rung < rungs.size() ? Steady::now() + rungs.at(to).patience : Steady::time_point::max();
  };
  while (process.running()) {
    if (control.lost() && finished.stop != Stop::lost) {
      finished.stop = Stop::lost;
      descend(rungs.size() - 1);
    } else if (control.cancelled() && how.heed_cancel && finished.stop == Stop::none) {
      finished.stop = Stop::cancelled;
      descend(0);
    } else if (rung < rungs.size() && Steady::now() >= next) {
      if (finished.stop == Stop::none) finished.stop = Stop::timed_out;
      descend(rung);
    }
    std::array<pollfd, 2> fds{
        {{.fd = process.pidfd(), .events = POLLIN}, {.fd = control.wake_fd(), .events = POLLIN}}};
    int timeout = kPollMax;
    if (next != Steady::time_point::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Steady::now()).count();
      timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, kPollMax));
    }
    ::poll(fds.data(), fds.size(), timeout);
    if ((fds[1].revents & POLLIN) != 0) control.heard();
    process.try_wait();
  }
  finished.ended = *process.try_wait();
  const bool killed = finished.ended.signal == SIGKILL || finished.ended.exit_code == kShellKilled;
  finished.out_of_memory = killed && finished.stop == Stop::none && oom_kills() > kills_before;
  return finished;
}

std::string describe(const Finished& finished) {
  switch (finished.stop) {
    case Stop::cancelled: return "cancelled";
    case Stop::timed_out: return "timed out";
    case Stop::lost: return "the lease was lost";
    case Stop::none: break;
  }
  if (finished.out_of_memory) return "killed by the kernel: out of memory";
  if (finished.ended.signal != 0) return "killed by " + signal_name(finished.ended.signal);
  return "exit code " + std::to_string(finished.ended.exit_code);
}

StepStatus step_status(const Finished& finished) {
  switch (finished.stop) {
    case Stop::cancelled:
    case Stop::lost: return StepStatus::cancelled;
    case Stop::timed_out: return StepStatus::timed_out;
    case Stop::none: break;
  }
  return finished.ended.exit_code == 0 ? StepStatus::succeeded : StepStatus::failed;
}

}  // namespace mc::worker
