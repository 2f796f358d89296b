// A server of this very program in a scratch folder, for as long as a measurement lasts.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "client/transport.h"
#include "client/worker_api.h"

namespace mc::cli {

class BenchServer {
 public:
  // Errors: unavailable, with what the server said.
  static Result<std::unique_ptr<BenchServer>> start();
  ~BenchServer();  // ends the server and removes the folder
  BenchServer(const BenchServer&) = delete;
  BenchServer& operator=(const BenchServer&) = delete;

  std::unique_ptr<client::Transport> connect() const;  // as admin
  std::unique_ptr<client::WorkerApi> worker() const;
  double start_ms() const { return start_ms_; }
  std::int64_t resident_bytes() const;
  double cpu_seconds() const;
  const std::string& folder() const { return folder_; }

 private:
  BenchServer() = default;
  std::string folder_, url_, token_;
  int pid_ = -1;
  double start_ms_ = 0;
};

}  // namespace mc::cli
