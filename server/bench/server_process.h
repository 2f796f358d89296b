// A server of this very program in a scratch folder, for as long as a measurement lasts.
#pragma once

#include <memory>
#include <string>

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

  // From now on servers are replicas on this database, for measurements alone: what they write
  // stays there. Requires: no server was started yet.
  static void keep_data_in(const std::string& postgres_url);

  void kill();  // SIGKILL, and waits until it is gone
  void stop();  // SIGTERM, and waits until it has stored everything
  // On the same data. Requires: kill() or stop() came before.
  Status start_again();

  std::unique_ptr<client::Transport> connect() const;  // as admin
  std::unique_ptr<client::WorkerApi> worker() const;
  int port() const;
  const std::string& token() const { return token_; }
  double start_ms() const { return start_ms_; }  // from spawn to the line that says "ready"
  std::int64_t resident_bytes() const;
  double cpu_seconds() const;
  std::int64_t wakeups() const;                                  // of all its threads so far
  const std::string& folder() const { return scratch_.path(); }  // for references
  std::string data() const { return scratch_.path() + "/data"; }

 private:
  ServerProcess(Scratch scratch, int worker_slots)
      : scratch_(std::move(scratch)), worker_slots_(worker_slots) {}
  Result<std::string> launch(std::vector<std::string> words, int& pid);
  Status make_token();
  Status wait_until_it_leads();
  std::string log() const { return folder() + "/server.log"; }

  Scratch scratch_;
  int worker_slots_;
  std::string url_, token_;
  int pid_ = -1;
  double start_ms_ = 0;
};

}  // namespace mc::bench
