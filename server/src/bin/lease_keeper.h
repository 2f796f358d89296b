// Takes and keeps a replica's share of a cluster's leases, on a thread of its own: asks every
// second, sooner after a question without an answer, and when there are news; takes what the plan
// says and names what is to be given back; tells those who listen who leads what.
//
// Where the one that is due a shard does not take it for some seconds, because it spares it
// (gave()) or does not work, each of the others tries, out of its turn. That shard stays there for
// a while then: what is too much there is given of the rest.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "base/error.h"
#include "db/postgres/leases.h"
#include "db/postgres/tenure.h"

namespace mc::bin {

// Threads: any may call.
class LeaseKeeper {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  // Called on the keeper's thread and by none of them at the same time, but `lost`. They outlive
  // the keeper, and must not wait.
  struct Listeners {
    // A claim was answered. Who leads what: what is `mine` this replica leads, until `led_until`
    // unless it is said again. An address is empty where nobody is known to lead.
    std::function<void(const db::Cluster&, Deadline led_until)> claimed = [](const db::Cluster&,
                                                                             Deadline) {};
    // Tokens have changed, shards have jobs for whoever asks (`leases` means nothing here).
    std::function<void(const db::Leases::News&)> news = [](const db::Leases::News&) {};
    // Whether the database answers, and what is wrong with it. After each claim.
    std::function<void(const Status&)> database = [](const Status&) {};
    // This replica leads nothing any more, whatever `claimed` said. Once, on any thread, before
    // look() says so.
    std::function<void()> lost = [] {};
  };
  // What this replica is to do.
  struct Keeping {
    bool lost = false;                   // start over
    std::map<int, db::ShardLease> held;  // what it leads, as each lease was when that began
    std::set<int> give;                  // of them, what it should end and say gave() of
    std::uint64_t version = 0;           // grows with each change
  };

  LeaseKeeper(std::unique_ptr<db::Leases> leases, Listeners listeners);
  ~LeaseKeeper();  // does not give anything back
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  Keeping look() const;
  // Waits until there is another version than this, at most `patience`.
  Keeping wait_for_change(std::uint64_t version, Millis patience);
  // Nothing of the shard runs here any more: its lease goes back. Until then it is kept, also when
  // it is among those to give. Before `again` this replica does not take it, others may.
  void gave(int shard, Deadline again = Deadline::min());
  // This replica is about to stop: others do not count with it, it takes nothing more, and `give`
  // is all that it leads.
  void retire();
  // What this replica remembers is no longer certain: it is as one that has lost its leases, which
  // it still has to give back.
  void doubt();
  // Stops asking; gives all back, so that others take over at once.
  void give_back();

  // Tells the other replicas, soon, that the shard has jobs for whoever asks. What is not told yet
  // is told once.
  void tell_ready(int shard);
  // Whether this replica hears what others tell: not behind a pool, where it has to ask.
  bool hears() const;

 private:
  void keep();
  bool is_over() const;
  std::set<int> takes();
  bool claim();
  void take(const db::Cluster& found, Deadline asked);
  void note_untaken(const db::Cluster& found, Deadline now);
  void plan_out_of_turn(const db::Cluster& found, Deadline now);
  void publish(const db::Cluster& found);
  void listen(Deadline until);
  void give_what_ended();
  void tell_what_is_ready(Deadline until);
  void warn_of_namesakes(const db::Cluster& found);
  void lose();
  void stop();

  const std::unique_ptr<db::Leases> leases_;
  const db::Member self_;
  const Listeners listeners_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Keeping keeping_;
  std::set<int> ended_, ready_;     // to be given back; to be told
  std::map<int, Deadline> spared_;  // not to be taken before
  bool stopping_ = false, loses_ = false, retires_ = false, hears_ = false, due_ = false;
  // The thread's own:
  db::Tenure tenure_;
  db::Plan plan_;
  std::map<int, Deadline> untaken_;      // shards that are nobody's: since when
  std::map<int, Deadline> out_of_turn_;  // its own that it took out of turn: when
  std::set<int> owed_;                   // ended_, until the database has it
  bool troubled_ = false;
  std::string namesake_;
  std::thread thread_;
};

}  // namespace mc::bin
