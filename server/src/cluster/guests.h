// What a lobby remembers of the workers that it heard of: which are alike, how they registered, and
// which shards were told lately that a worker lives. All of it may be forgotten at any time: then a
// worker counts as a kind of its own, registers anew, and shards are told again.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "base/value.h"

namespace mc::cluster {

// Threads: any.
class Guests {
 public:
  // A worker registered with this body of a request, and the id that it was given.
  void registered(const std::string& worker_id, const Value& body, Instant now);
  // The body by which a worker is registered once more, under its id, with a shard that has
  // forgotten it. Empty: it is not remembered; it did not register here, or what it said is longer
  // than kRegistrationMax, or those of others have kRegistrationsMax bytes.
  std::string registration_of(const std::string& worker_id) const;
  bool drains(const std::string& worker_id) const;  // as far as is known
  static constexpr std::size_t kRegistrationMax = 4 << 10;
  static constexpr std::size_t kRegistrationsMax = 64 << 20;
  // Workers of one kind may take the same jobs. Whoever has declared what it has is a kind of its
  // own, and another one with each change of what it `holds` (JSON).
  struct Sort {
    std::string kind;
    std::string alike;  // of those who registered alike, whatever they hold and whether they drain
    bool is_counted = true;  // false: known to have declared nothing
    bool drains = false;     // as far as is known
  };
  Sort sort_of(const std::string& worker_id, const std::string& holds, Instant now);
  // Draining, it is given nothing, which says nothing of those that were of its kind. Gives the
  // kind that it is now; nullopt: as before.
  std::optional<std::string> set_draining(const std::string& worker_id, bool draining, Instant now);
  // Which of `shards` are to hear from the worker now: those that `must`, and those that did not
  // for `every`.
  std::vector<bool> beats(const std::string& worker_id, std::vector<bool> must, Millis every,
                          Instant now);
  std::size_t size() const;

 private:
  struct Guest {
    std::string labels;        // as a kind; empty: not known, or a kind of its own
    std::string alike;         // see Sort; empty: not known
    std::string registration;  // see registration_of
    bool is_draining = false;
    Instant seen;
    std::vector<Instant> beats;  // by shard
  };
  Guest& find(const std::string& worker_id, Instant now);

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<std::string, Guest> guests_;
  std::size_t registrations_ = 0;  // bytes of them
  Instant next_sweep_;
};

}  // namespace mc::cluster
