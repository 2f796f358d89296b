#include "model/status.h"

#include <array>

namespace mc {
namespace {
#define MC_NAME(name) #name,
constexpr std::array<std::string_view, 9> kRunStatuses = {MC_RUN_STATUSES(MC_NAME)};
constexpr std::array<std::string_view, 13> kJobStatuses = {MC_JOB_STATUSES(MC_NAME)};
constexpr std::array<std::string_view, 16> kReasons = {MC_REASONS(MC_NAME)};
constexpr std::array<std::string_view, 7> kFailureKinds = {MC_FAILURE_KINDS(MC_NAME)};
constexpr std::array<std::string_view, 7> kStepStatuses = {MC_STEP_STATUSES(MC_NAME)};
constexpr std::array<std::string_view, 9> kTriggerKinds = {MC_TRIGGER_KINDS(MC_NAME)};
#undef MC_NAME

template <class Enum, std::size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view name) {
  if (name == "canceled") name = "cancelled";
  for (std::size_t i = 0; i < N; ++i) {
    if (names.at(i) == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}
}  // namespace

std::string_view to_name(RunStatus s) { return kRunStatuses.at(static_cast<std::size_t>(s)); }
std::string_view to_name(JobStatus s) { return kJobStatuses.at(static_cast<std::size_t>(s)); }
std::string_view to_name(Reason r) { return kReasons.at(static_cast<std::size_t>(r)); }
std::string_view to_name(FailureKind k) { return kFailureKinds.at(static_cast<std::size_t>(k)); }
std::string_view to_name(StepStatus s) { return kStepStatuses.at(static_cast<std::size_t>(s)); }
std::string_view to_name(TriggerKind k) { return kTriggerKinds.at(static_cast<std::size_t>(k)); }

template <>
std::optional<RunStatus> from_name(std::string_view name) {
  return find<RunStatus>(kRunStatuses, name);
}
template <>
std::optional<JobStatus> from_name(std::string_view name) {
  return find<JobStatus>(kJobStatuses, name);
}
template <>
std::optional<Reason> from_name(std::string_view name) {
  return find<Reason>(kReasons, name);
}
template <>
std::optional<FailureKind> from_name(std::string_view name) {
  return find<FailureKind>(kFailureKinds, name);
}
template <>
std::optional<StepStatus> from_name(std::string_view name) {
  return find<StepStatus>(kStepStatuses, name);
}
template <>
std::optional<TriggerKind> from_name(std::string_view name) {
  return find<TriggerKind>(kTriggerKinds, name);
}

bool is_final(RunStatus status) {
  switch (status) {
    case RunStatus::queued:
    case RunStatus::waiting:
    case RunStatus::running:
    case RunStatus::cancelling: return false;
    case RunStatus::succeeded:
    case RunStatus::failed:
    case RunStatus::cancelled:
    case RunStatus::timed_out:
    case RunStatus::denied: return true;
  }
  return false;
}

bool is_final(JobStatus status) {
  switch (status) {
    case JobStatus::pending:
    case JobStatus::ready:
    case JobStatus::running:
    case JobStatus::waiting:
    case JobStatus::retrying:
    case JobStatus::cancelling: return false;
    case JobStatus::succeeded:
    case JobStatus::failed:
    case JobStatus::cancelled:
    case JobStatus::timed_out:
    case JobStatus::denied:
    case JobStatus::skipped:
    case JobStatus::reused: return true;
  }
  return false;
}

std::string_view outcome_name(RunStatus status) {
  switch (status) {
    case RunStatus::queued: return "queued";
    case RunStatus::waiting:
    case RunStatus::running:
    case RunStatus::cancelling: return "running";
    case RunStatus::succeeded: return "succeeded";
    case RunStatus::failed:
    case RunStatus::timed_out:
    case RunStatus::denied: return "failed";
    case RunStatus::cancelled: return "cancelled";
  }
  return "";
}
}  // namespace mc
