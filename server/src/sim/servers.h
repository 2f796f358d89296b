// The servers of a world as its clients, its workers and its faults see them: one of them, or
// replicas of which one leads.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "conductor/core.h"
#include "sim/network.h"

namespace mc::sim {

// The way back for the answers to one request.
struct Exit {
  std::int64_t epoch = 0;          // under which the server leads; 0: it is the only one
  std::function<bool()> lets_out;  // whether the server gives the answer at all; null: always
  std::function<bool()> is_whole;  // whether an answer gets to the asker; null: always
  bool open() const { return !lets_out || lets_out(); }
  bool whole() const { return !is_whole || is_whole(); }
};

struct Call {
  std::function<void(conductor::Core&, Instant, const Exit&)> handle;
  // Nobody serves it: unreachable, or overloaded when no replica leads.
  std::function<void(const Error&)> refuse;
};

class Servers {
 public:
  virtual ~Servers() = default;
  virtual void boot() = 0;
  virtual int count() const = 0;
  // Where messages to it go.
  virtual std::string name(int server) const = 0;
  // A request has come to one of them. Nobody answers while it is down; it waits while it stands
  // still.
  virtual void receive(int server, Call call) = 0;
  // What is durable, whoever may reach it at the moment.
  virtual db::Store& disk() = 0;

  // --- faults, each of a server of its choice ---
  // The process is gone at once; what the store has stays. It starts again by itself.
  virtual void crash() = 0;
  virtual void pause(Millis time) = 0;
  // SIGTERM: takes nothing new on, makes durable what it decided, ends, starts again.
  virtual void drain() = 0;
  virtual void jump_clock(Millis by) = 0;
  // From now on nothing is injected.
  virtual void calm() = 0;

  // The clock of the one that serves; nullopt while none does, or it cannot read its store.
  virtual std::optional<Instant> up() = 0;
  // The end: what is remembered must be what is stored.
  virtual void compare() {}
  virtual std::int64_t crashes() const = 0;
  virtual std::int64_t commits() const = 0;
  virtual std::int64_t takeovers() const { return 0; }
  // Faults of the store, and crashes at a commit, so far.
  virtual std::int64_t injected() const = 0;
};

}  // namespace mc::sim
