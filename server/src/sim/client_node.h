// Somebody who uses the API of a world: starts, cancels, re-runs, approves, signals, reads,
// follows; asks again with the same idempotency key until an answer comes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "sim/checker.h"
#include "sim/faults.h"
#include "sim/network.h"
#include "sim/servers.h"

namespace mc::sim {

class ClientNode {
 public:
  ClientNode(std::string name, Timeline& timeline, Network& network, Servers& servers,
             Checker& checker, std::uint64_t seed);

  // Puts the stored workflows into the server, then acts every few seconds.
  void begin(Millis between_acts);
  // Starts nothing new any more, deletes what fires by itself, helps open runs to their end.
  void wind_down();
  const std::string& name() const { return name_; }

 private:
  template <class T>
  using Ask = std::function<void(conductor::Core&, Instant, conductor::Done<T>)>;
  // Sends until some answer comes, at most `tries` times; `done` sees it where the server gives it,
  // before it is on the network.
  template <class T>
  void ask(Ask<T> request, std::function<void(const Result<T>&)> done, int tries = 8);

  void act();
  void put_workflows();
  void put_workflow(const std::string& name, const std::string& text);
  void start();
  void rerun();
  void cancel();
  void remove();
  void signal(Uuid run);
  void vote();
  void look();
  void follow();
  void schedules();
  std::string token();

  const std::string name_;
  Timeline& timeline_;
  Network& network_;
  Servers& servers_;
  Checker& checker_;
  Rng rng_;
  auth::Principal who_;
  Millis between_acts_{1'000};
  int at_ = 0;  // the server that is asked
  bool winding_down_ = false;
  std::int64_t tokens_ = 0;
};

}  // namespace mc::sim
