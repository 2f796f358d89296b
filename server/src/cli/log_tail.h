// Reads the log of one attempt as it grows, by byte ranges, and hands on whole lines.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/paint.h"
#include "cli/server.h"

namespace mc::cli {

class LogTail {
 public:
  using Print = std::function<void(const std::string& line)>;
  // `attempt` 0: the newest.
  LogTail(std::string run, std::string job, int attempt);

  // Reads what is there by now and prints its whole lines as `job │ text`. Returns whether anything
  // came. Errors: those of the server.
  Result<bool> read(Server& server, const Print& print, const Paint& paint);
  // Prints what is left when nothing more will come.
  void finish(const Print& print, const Paint& paint);

 private:
  void hand_on(const Print& print, const Paint& paint);
  std::string run_, job_;
  int attempt_;
  std::int64_t offset_ = 0;
  std::string partial_;
};

// "/api/v1/runs/<id>/jobs/<key>/logs?attempt=N&step=S".
std::string log_path(const std::string& run, const std::string& job, int attempt,
                     const std::string& step);

}  // namespace mc::cli
