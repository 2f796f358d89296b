// Keeps a connection to Redis and shares rate limits through it, on a thread of its own. Redis is
// never waited for by anybody else: each server decides by its own count (RateBook), tells Redis
// what it let through as soon as it has, and learns what the others let through. While Redis is
// away a server counts alone. docs/adr/0013 says why and what may pass too much.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "redis/connection.h"
#include "redis/rate_script.h"

namespace mc::redis {

// What a server counts by itself. The keeper's thread calls, one call at a time.
class RateBook {
 public:
  virtual ~RateBook() = default;
  virtual RateTerms terms() const = 0;
  // At most `max` of those from whom something was taken since they were collected last.
  virtual std::vector<RateCharge> collect(std::size_t max) = 0;
  // How far the bucket of each that was collected last is from full, counting all servers; nullopt:
  // it was not charged, and is to be collected again. When this does not come, nobody knows.
  virtual void settle(std::span<const std::optional<double>> used) = 0;
};

struct KeeperTimes {
  Millis connect{2'000};
  Millis call{500};         // of one batch; slower is away
  Millis settle_every{10};  // between batches: what is taken meanwhile goes together
  Millis probe_every{5'000};
  Millis first_pause{100};  // after a failure, then twice as long each time, less up to a half
  Millis pause_max{3'000};
};

// Threads: any may call.
class Keeper {
 public:
  struct Figures {
    bool up = false;
    std::uint64_t calls = 0;     // batches that were answered
    std::uint64_t failures = 0;  // attempts that were not, or refused
  };

  // Starts at once. `name`: this server's, for CLIENT LIST.
  Keeper(Place place, const std::string& name, KeeperTimes times = {});
  ~Keeper();  // within a moment; may wait for the name service
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Waits for the outcome of the first attempt, which its times bound. Errors: invalid_setting:
  // it will not work until something is mended, which is not logged; store_failed, unreachable: it
  // may pass.
  Status first_outcome();
  // From now on what `book` counts is shared; null: nothing is. It is not used any more, and may
  // end, once another has been given.
  void share(RateBook* book);
  // The book has something to collect.
  void wake();
  // "ok", or "away: " and why, for people: no user, no password.
  std::string state() const;
  Figures figures() const;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  void keep();
  struct Batch {
    RateBook* book = nullptr;
    RateTerms terms;
    std::vector<RateCharge> charges;
  };
  Status attempt();
  Batch collect();
  Status charge_batch(const Batch& batch);
  void note(const Status& outcome);
  Millis pause();
  void await_turn(TimePoint earliest, TimePoint latest);

  const KeeperTimes times_;
  Connection connection_;      // the thread's, but for interrupt()
  Rng rng_;                    // the thread's
  int failures_in_a_row_ = 0;  // the thread's
  mutable std::mutex mutex_;   // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  bool taken_ = false;  // something may be there to be collected
  RateBook* book_ = nullptr;
  bool asked_ = false;  // outcome_ is one
  Status outcome_;      // of the last attempt
  std::uint64_t calls_ = 0, failures_ = 0;
  std::thread thread_;
};

}  // namespace mc::redis
