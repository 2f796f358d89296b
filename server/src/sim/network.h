// The network between clients, workers and the server: loses, delays, doubles, reorders, cuts off.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/rng.h"
#include "sim/faults.h"
#include "sim/timeline.h"

namespace mc::sim {

class Network {
 public:
  Network(Timeline& timeline, const Faults& faults, std::uint64_t seed)
      : timeline_(timeline), faults_(faults), rng_(seed) {}

  // One message to or from `peer`; the server is the other end. Delivered never, once or twice.
  void send(const std::string& peer, const std::function<void()>& deliver) {
    if (cut_.contains(peer) || (!calm_ && rng_.chance(faults_.lose_message))) {
      ++injected_;
      return;
    }
    const bool twice = !calm_ && rng_.chance(faults_.double_message);
    if (twice) ++injected_;
    for (int i = 0; i < (twice ? 2 : 1); ++i) {
      timeline_.after(
          delay(), [this, peer, deliver] { cut_.contains(peer) ? void(++injected_) : deliver(); });
    }
  }
  void cut(const std::string& peer) { cut_.insert(peer); }
  // Messages lost or doubled so far.
  std::int64_t injected() const { return injected_; }
  void mend(const std::string& peer) { cut_.erase(peer); }
  // From now on no message is lost.
  void calm() {
    calm_ = true;
    cut_.clear();
  }

 private:
  Millis delay() {
    const std::int64_t most = calm_ ? 5 : faults_.delay_max.count();
    // Mostly short: what comes late is then overtaken by what was sent after it.
    const double share = rng_.unit();
    return Millis(static_cast<std::int64_t>(share * share * share * static_cast<double>(most)));
  }

  Timeline& timeline_;
  const Faults& faults_;
  Rng rng_;
  bool calm_ = false;
  std::int64_t injected_ = 0;
  std::set<std::string> cut_;
};

}  // namespace mc::sim
