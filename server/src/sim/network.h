// The network between clients, workers and servers: loses, delays, doubles, reorders, cuts off.
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

  // One message between `peer` and a server, either way. Delivered never, once or twice.
  void send(const std::string& peer, const std::string& server,
            const std::function<void()>& deliver) {
    if (is_cut(peer, server) || (!calm_ && rng_.chance(faults_.lose_message))) {
      ++injected_;
      return;
    }
    const bool twice = !calm_ && rng_.chance(faults_.double_message);
    if (twice) ++injected_;
    for (int i = 0; i < (twice ? 2 : 1); ++i) {
      timeline_.after(delay(), [this, peer, server, deliver] {
        is_cut(peer, server) ? void(++injected_) : deliver();
      });
    }
  }
  // Bytes that one server passes on to another, in order and never twice: false: the connection is
  // broken.
  bool pass(const std::string& from, const std::string& to, const std::function<void()>& deliver) {
    if (is_cut(from, to)) {
      ++injected_;
      return false;
    }
    timeline_.after(
        delay(), [this, from, to, deliver] { is_cut(from, to) ? void(++injected_) : deliver(); });
    return true;
  }
  // From everybody.
  void cut(const std::string& peer) { cut_.insert(peer); }
  // Messages lost or doubled so far.
  std::int64_t injected() const { return injected_; }
  void mend(const std::string& peer) { cut_.erase(peer); }
  // From one another only.
  void cut(const std::string& peer, const std::string& server) { apart_.insert({peer, server}); }
  void mend(const std::string& peer, const std::string& server) { apart_.erase({peer, server}); }
  // From now on no message is lost.
  void calm() {
    calm_ = true;
    cut_.clear();
    apart_.clear();
  }

 private:
  bool is_cut(const std::string& peer, const std::string& server) const {
    return cut_.contains(peer) || cut_.contains(server) || apart_.contains({peer, server});
  }
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
  std::set<std::pair<std::string, std::string>> apart_;
};

}  // namespace mc::sim
