// Limits and defaults of the engine, each with its reason; docs/reference/workflow.md tells users.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace mc::engine {

using namespace std::chrono_literals;

// A job without a time-out of its own: as long as GitHub Actions gives (360 minutes).
inline constexpr Millis kJobRunTimeout = 6h;
// Without a worker for this long, a job is given up rather than waiting for ever.
inline constexpr Millis kQueueTimeout = 24h;
inline constexpr Millis kApprovalTimeout = 7 * 24h;
inline constexpr Millis kSignalTimeout = 7 * 24h;
// A run without a time-out of its own: beyond every default above.
inline constexpr Millis kRunTimeout = 35 * 24h;
// A child run is bounded by its own time-out; this is the parent's patience beyond it.
inline constexpr Millis kChildTimeout = 36 * 24h;
// After a cancel `finally` and what else still runs gets this long.
inline constexpr Millis kFinallyTimeout = 5min;
// The ladder: SIGINT, 10 s, SIGTERM, 10 s, SIGKILL.
inline constexpr Millis kCancelLadder = 20s;
// What the server grants a worker beyond the worker's own clock before it gives an attempt up.
inline constexpr Millis kWorkerSlack = 30s;
// Concurrency locks are waited for as long as the run itself may last.
inline constexpr Millis kLockTimeout = kRunTimeout;

inline constexpr std::size_t kJobsMax = 10'000;               // after expansion
inline constexpr std::size_t kConfiguredBytesMax = 16 << 20;  // a matrix's jobs as text, in all
inline constexpr std::size_t kOutputBytesMax = 64 << 10;      // one output
inline constexpr std::size_t kOutputsBytesMax = 1 << 20;      // a job's outputs together
inline constexpr std::size_t kSignalsMax = 1'000;             // kept until asked for
inline constexpr std::size_t kVotesMax = 100;
inline constexpr int kChildDepthMax = 8;
inline constexpr int kLostWorkerRetries = 2;  // when nothing is said about `retry`
inline constexpr std::size_t kMessageBytesMax = 4096;

}  // namespace mc::engine
