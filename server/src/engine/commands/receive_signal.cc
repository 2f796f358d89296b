#include "engine/decide.h"
#include "engine/limits.h"

namespace mc::engine {

Result<Events> receive_signal(RunState& run, const Signal& command, const Ambient& ambient) {
  if (is_final(run.status)) {
    return Error{
        Code::run_final, "the run has " + std::string(to_name(run.status)) + " already", {}};
  }
  if (run.signal_count >= kSignalsMax) {
    return Error{
        Code::limit_exceeded,
        "the run keeps " + std::to_string(kSignalsMax) + " signals that nothing has asked for",
        {}};
  }
  Transition t(run, ambient);
  t.emit(SignalReceived{command.event, command.data, command.by});
  const auto count = static_cast<NodeIndex>(run.jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    const JobState& job = t.job(node);
    if (job.status != JobStatus::waiting || job.reason != Reason::signal ||
        job.wait_detail != command.event) {
      continue;
    }
    t.emit(JobFinished{.node = node,
                       .job = job.key,
                       .status = JobStatus::succeeded,
                       .outputs = Value(Object{{"data", run.signals.at(command.event).front()}})});
    break;
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
