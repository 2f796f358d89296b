// A worker of a world: speaks the worker protocol in its wire format over the network, keeps its
// books with the production worker::Desk, and carries jobs out in virtual time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/checker.h"
#include "sim/faults.h"
#include "sim/network.h"
#include "sim/servers.h"
#include "worker/desk.h"

namespace mc::sim {

class WorkerNode {
 public:
  struct Identity {
    std::string name;
    std::vector<std::string> labels;
    int slots = 1;
  };
  WorkerNode(Identity identity, Timeline& timeline, const Faults& faults, Network& network,
             Servers& servers, Checker& checker, std::uint64_t seed);

  void boot();
  // Gone with all it held; starts again by itself.
  void crash();
  void pause(Millis time);
  void calm() { calm_ = true; }
  const std::string& name() const { return identity_.name; }
  std::int64_t finished() const { return finished_; }

 private:
  using Answer = std::function<void(const Result<std::string>&)>;
  struct Way {
    Exit exit;
    Answer reply;
  };
  enum class Kind : std::uint8_t { register_worker, poll, heartbeat, complete };

  // One request and its answer, or `unreachable` when none came within `patience`.
  void call(Kind kind, std::string body, Millis patience, Answer answer);
  void serve(Kind kind, const std::string& body, conductor::Core& core, Instant now,
             const Way& way);
  void enlist();
  void poll();
  void beat();
  void deliver();
  void begin_tasks();
  void work(const worker::Desk::Ref& held);
  void look(const worker::Desk::Ref& held, Instant ends);
  void end(const worker::Desk::Ref& held, bool cancelled);
  TaskResult result_of(const Task& task, bool cancelled);
  void failed(const Error& error);
  void later(Millis delay, std::function<void()> action);
  Millis between(std::int64_t least_ms, std::int64_t most_ms);

  const Identity identity_;
  Timeline& timeline_;
  const Faults& faults_;
  Network& network_;
  Servers& servers_;
  Checker& checker_;
  Rng rng_;
  bool calm_ = false, alive_ = false, paused_ = false;
  std::int64_t life_ = 0;
  std::unique_ptr<worker::Desk> desk_;
  int at_ = 0;             // the server that is asked
  std::string worker_id_;  // empty: not registered
  Millis heartbeat_{2'000};
  bool enlisting_ = false, polling_ = false, delivering_ = false;
  std::vector<std::function<void()>> held_;  // while paused
  std::int64_t finished_ = 0;
};

}  // namespace mc::sim
