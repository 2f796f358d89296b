// The closed vocabularies of runs and jobs. The names are the API's: docs/reference/statuses.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mc {

// X(name): each enumerator is spelled as the API, the CLI and stored events spell it.
// clang-format off
#define MC_RUN_STATUSES(X) \
  X(queued) X(waiting) X(running) X(cancelling) \
  X(succeeded) X(failed) X(cancelled) X(timed_out) X(denied)
#define MC_JOB_STATUSES(X) \
  X(pending) X(ready) X(running) X(waiting) X(retrying) X(cancelling) \
  X(succeeded) X(failed) X(cancelled) X(timed_out) X(denied) X(skipped) X(reused)
// Why something that is not final is not going on. Closed: nothing waits without a reason.
#define MC_REASONS(X) \
  X(none) X(lock) X(approval) X(capacity) X(schedule) X(quota) X(policy) X(backoff) X(upstream) \
  X(timer) X(signal) X(child) X(worker) X(matrix_limit) X(cancel) X(settling)
#define MC_FAILURE_KINDS(X) X(none) X(user) X(infra) X(policy) X(timeout) X(lost_worker) X(oom)
#define MC_STEP_STATUSES(X) \
  X(pending) X(running) X(succeeded) X(failed) X(skipped) X(cancelled) X(timed_out)
#define MC_TRIGGER_KINDS(X) \
  X(manual) X(api) X(schedule) X(webhook) X(push) X(pull_request) X(rerun) X(parent) X(backfill)
// clang-format on

#define MC_ENUMERATOR(name) name,
enum class RunStatus : std::uint8_t { MC_RUN_STATUSES(MC_ENUMERATOR) };
enum class JobStatus : std::uint8_t { MC_JOB_STATUSES(MC_ENUMERATOR) };
enum class Reason : std::uint8_t { MC_REASONS(MC_ENUMERATOR) };
enum class FailureKind : std::uint8_t { MC_FAILURE_KINDS(MC_ENUMERATOR) };
enum class StepStatus : std::uint8_t { MC_STEP_STATUSES(MC_ENUMERATOR) };
enum class TriggerKind : std::uint8_t { MC_TRIGGER_KINDS(MC_ENUMERATOR) };
#undef MC_ENUMERATOR

std::string_view to_name(RunStatus status);
std::string_view to_name(JobStatus status);
std::string_view to_name(Reason reason);
std::string_view to_name(FailureKind kind);
std::string_view to_name(StepStatus status);
std::string_view to_name(TriggerKind kind);
// from_name<RunStatus>("failed"); "canceled" is read as "cancelled"; nullopt for anything else.
template <class Enum>
std::optional<Enum> from_name(std::string_view name);

// Final states never change.
bool is_final(RunStatus status);
bool is_final(JobStatus status);
// The stable coarse five: queued, running, succeeded, failed, cancelled.
std::string_view outcome_name(RunStatus status);

}  // namespace mc
