// Serves workers at whichever replica they come to, from all shards (docs/adr/0015, "Workers").
//
// What it answers is what the shards say: who may ask, which worker is known, what is wrong with a
// request. A refusal of one shard is the worker's answer (worker_not_found: it registers again,
// with all; known_again.h says when it need not). What it cannot make sense of goes to one shard as
// it is, which says what is wrong.
//
//   register   told to all shards under one id; none may refuse. Those that are away hear of it
//              later.
//   poll       see polls.h.
//   heartbeat  to the shards whose tasks it names, to others every keep_alive. When one whose tasks
//              it names is away, that 503 is the answer, though the others have heard it: another
//              replica may reach that shard. Nothing is lost or cancelled by it.
//   complete   to the shards whose tasks it names. When one of them fails, all of it is answered
//              with that 503: the worker sends all of it again, and what had been accepted is then
//              settled as `fenced`. New tasks are looked for once all results are taken, beginning
//              with the shard whose turn it is: a worker with one slot would else never leave the
//              shard that it works for. While no other shard has anything for it, the shard whose
//              tasks these are gives new ones itself, with its answer.
//   workers    asked of all and merged by id; shards that are away are left out.
//   drain,     told to all; 503 while one of them is away.
//   resume
//
// A task whose id names no shard (it was given before the work was spread over shards) is asked of
// all of them.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"
#include "cluster/polls.h"
#include "cluster/shards.h"
#include "http/server.h"

namespace mc::cluster {

struct LobbyOptions {
  PollOptions polls;
  int requests_max = 10'000;   // other than polls, in work at once
  bool has_own_thread = true;  // false: whoever owns it calls tick()
  std::uint64_t seed = 0;      // for ids; 0: from the operating system
};

// Threads: any, for all of it.
class Lobby final : public http::Handler {
 public:
  // `shards` and `clock` stay until stop() has returned and every call has been answered. Requires:
  // there is a shard.
  // `tell_ready` is told that the jobs of a shard led here find nobody here, at most every
  // polls.tell_every; any thread; must not block; not after stop().
  Lobby(Shards& shards, Clock& clock, LobbyOptions options,
        std::function<void(int shard)> tell_ready);
  ~Lobby() override;  // stop()
  Lobby(const Lobby&) = delete;
  Lobby& operator=(const Lobby&) = delete;

  // Requests of workers, and about workers, that no single shard can answer.
  static bool takes(const http::Request& head);
  // Requires for both: takes(). Says how large the body may be; refuses nothing else.
  http::Admission admit(const http::Request& head) override;
  void handle(http::Request request, http::Reply reply) override;

  // Shard `shard` has jobs that are ready. `here`: its conductor says so, in this process; else
  // another replica does. Calls no shard: it may be called on a conductor's thread.
  void ready(int shard, bool here);
  // Leaders moved: polls that wait look again. Calls no shard.
  void shards_changed();
  // Does what is due. Requires: has_own_thread is false.
  void tick();
  // Answers polls that wait with no tasks; what comes later is answered with shutting_down. Calls
  // to shards that are under way may still answer their requests afterwards. Requires: not called
  // on a thread that a shard answers on.
  void stop();

  std::size_t polls() const;  // waiting, or being asked

 private:
  class State;
  // Shared with the calls to shards that are under way.
  std::shared_ptr<State> state_;
};

}  // namespace mc::cluster
