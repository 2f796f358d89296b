// A server of this very program in a scratch folder, for as long as a measurement lasts; on
// PostgreSQL one replica or several. Who talks to it through a door talks to one replica: doors are
// dealt out to replicas in turn.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "bench/scratch.h"
#include "client/transport.h"
#include "client/worker_api.h"

namespace mc::bench {

class ServerProcess {
 public:
  // `worker_slots`: of the worker inside it. Errors: unavailable, with what the server said.
  static Result<std::unique_ptr<ServerProcess>> start(int worker_slots = 1);
  ~ServerProcess();  // ends the server and removes the folder
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // From now on servers are that many replicas on bench/database.h's database. Requires: no server
  // was started yet.
  static void start_replicas(int replicas);

  void kill();  // SIGKILL to the one that leads, and waits until it is gone
  void stop();  // SIGTERM to all, and waits until they have stored everything
  // On the same data, those that do not run. Returns when one leads: another one than before, if
  // several were started. Requires: kill() or stop() came before.
  Status start_again();

  std::unique_ptr<client::Transport> connect(int door = 0) const;  // as admin
  std::unique_ptr<client::Transport> connect_as(const std::string& token, int door = 0) const;
  std::unique_ptr<client::WorkerApi> worker(int door = 0) const;
  int port(int door = 0) const;
  int doors() const { return static_cast<int>(replicas_.size()); }
  const std::string& token() const { return token_; }
  double start_ms() const { return start_ms_; }  // from spawn to the line that says "ready"
  std::int64_t resident_bytes() const;
  double cpu_seconds() const;
  std::int64_t wakeups() const;                                  // of all its threads so far
  const std::string& folder() const { return scratch_.path(); }  // for references
  std::string data() const { return scratch_.path() + "/data"; }

 private:
  struct Replica {
    int pid = -1;
    std::string name, url;
  };
  ServerProcess(Scratch scratch, int worker_slots, int replicas)
      : scratch_(std::move(scratch)),
        worker_slots_(worker_slots),
        replicas_(static_cast<std::size_t>(replicas)) {
    for (Replica& replica : replicas_)
      replica.name = "bench-" + std::to_string(&replica - replicas_.data());
  }
  Result<std::string> launch(std::vector<std::string> words, int& pid,
                             const std::string& name = "");
  Status launch(Replica& replica);
  Status make_token();
  Status wait_until_all_are_ready();
  // What a replica says in /readyz; nothing when it does not answer so.
  struct Standing {
    bool is_settled = false;
    std::int64_t leads = 0;            // shards
    std::vector<std::string> leaders;  // of each shard
  };
  Standing standing(const Replica& replica) const;
  const Replica& behind(int door) const {
    return replicas_[static_cast<std::size_t>(door) % replicas_.size()];
  }
  std::string log() const { return folder() + "/server.log"; }

  Scratch scratch_;
  int worker_slots_;
  std::vector<Replica> replicas_;
  std::string token_;
  double start_ms_ = 0;
};

}  // namespace mc::bench
