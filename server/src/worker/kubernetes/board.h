// How the Jobs of this worker stand, kept up to date by two threads that list and watch Jobs and
// pods (kube/mirror.h). Slots look, and wait for changes.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "kube/api.h"
#include "kube/mirror.h"
#include "kube/verdict.h"
#include "worker/settings.h"

namespace mc::worker {

// Threads: any.
class Board {
 public:
  // `access` must outlive this. `report` is told when a watch fails, and when it works again.
  Board(const kube::Access& access, const std::string& namespace_name, const std::string& selector,
        std::function<void(const std::string&)> report);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // Waits for the first list of Jobs and pods. False: `patience` was too short.
  bool wait_complete(Millis patience);
  kube::Verdict look(const std::string& job);
  // The name of the last pod that was seen of the job; empty: none.
  std::string pod_of(const std::string& job);
  std::vector<Value> jobs();

  // A number that grows with every change and every wake().
  std::size_t tick();
  // Until the tick is another than `seen`, or the time is over.
  void wait(std::size_t seen, Millis at_most);
  void wake();

 private:
  void follow(const std::stop_token& stop, kube::Mirror& mirror);
  Result<kube::Reply> ask(kube::Api& api, kube::Mirror& mirror, const std::stop_token& stop);
  void remember_pods();

  const kube::Access& access_;
  const std::function<void(const std::string&)> report_;
  std::mutex mutex_;  // guards what follows up to the threads
  std::condition_variable_any changed_;
  kube::Mirror jobs_, pods_;
  std::map<std::string, Value> last_pods_;  // by job; also one that is gone while its Job is not
  std::size_t tick_ = 0;
  std::jthread job_thread_, pod_thread_;
};

}  // namespace mc::worker
