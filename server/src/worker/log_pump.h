// A job attempt's log on its way to the server: pipes → commands → masking → batches. One thread
// of its own, started with the first thing logged.
//
// Nothing is lost while the server cannot be reached: at most kPendingBytesMax wait in memory,
// then the pipes fill and the job blocks. What was sent last is kept as well: a server that turns
// out to have less than it said, since another leads or its machine lost power, is sent it again.
// What is beyond bytes_max, or was lost for good, is counted, visibly.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/time.h"
#include "wire/logs_codec.h"
#include "worker/commands.h"
#include "worker/mask.h"

namespace mc::worker {

struct LogOptions {
  std::int64_t bytes_max = 256LL << 20;       // of one job attempt
  std::size_t batch_bytes = 512 << 10;        // sent at once at this size,
  std::chrono::milliseconds batch_time{100};  // or after this time
  std::chrono::milliseconds retry_first{200}, retry_max{5'000};
};
inline constexpr std::size_t kPendingBytesMax = 1 << 20;
// A leader writes a log on to where it is safe after each MiB, or some seconds.
inline constexpr std::size_t kSentBytesKept = 2 << 20;
inline constexpr std::size_t kSentChunksKept = 4096;

// Sends chunks that begin at `offset`; returns how many bytes the server has now.
using SendLog = std::function<Result<std::int64_t>(std::int64_t offset,
                                                   const std::vector<wire::LogChunk>& chunks)>;

// Threads: any may call.
class LogPump {
 public:
  LogPump(SendLog send, const std::vector<std::string>& secrets, LogOptions options);
  // Ends the thread; what is not sent is dropped unless finish() was called before.
  ~LogPump();
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;

  // Reads `pipe` to its end as the step's `stream` (stdout or stderr).
  void add(Fd pipe, std::string step, std::string stream);
  // A line of Maestro's own (stream "system"). Masked like everything else.
  void say(std::string step, std::string line);
  // Returns when all that the step's pipes hold now has been taken in.
  void settle(const std::string& step);
  // Hides `value` from now on.
  void hide(const std::string& value);
  std::string masked(std::string_view text);
  // Annotations that lines asked for so far; at most kAnnotationsMax.
  List annotations();
  // Takes in what is left in the pipes (their writers are gone), sends everything, ends the
  // thread. Returns early after discard().
  void finish();
  // From now on nothing is sent or kept: the attempt is not ours any more.
  void discard();

 private:
  struct Source {
    Fd pipe;
    std::string step, stream;
    LineScanner scanner;
    Masker masker;
    bool over = false;
    std::uint64_t secrets_seen = 0;
  };
  using Steady = std::chrono::steady_clock;

  void start();  // with mutex_ held
  void wake() const;
  void loop();
  bool wait_for_work();
  bool collect();
  void read_sources();
  bool read_source(Source& source);
  void take_in(Source& source, std::string_view bytes);
  void end_source(Source& source);
  void heed(std::string_view line);
  void keep(const std::string& step, const std::string& stream, std::string text);
  void push(const std::string& step, const std::string& stream, std::string_view text);
  bool is_send_due() const;
  void send_pending();
  void after_failure(const Error& error);
  bool find_server_end();
  void keep_sent(std::int64_t count);
  void take_back(std::int64_t end);
  void renew(Source& source);

  const SendLog send_;
  const LogOptions options_;
  Fd wake_;

  std::mutex mutex_;  // guards what follows up to the thread
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Source>> added_;
  std::vector<std::pair<std::string, std::string>> said_;
  std::vector<std::string> settling_;  // steps whose pipes somebody waits for
  SecretSet secrets_;
  std::uint64_t secrets_version_ = 0;
  List annotations_;
  bool finishing_ = false, discarding_ = false, over_ = false, started_ = false;
  std::jthread thread_;

  // The thread's own.
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<wire::LogChunk> pending_;
  std::size_t pending_bytes_ = 0;
  std::deque<wire::LogChunk> sent_;  // what ends at offset_
  std::size_t sent_bytes_ = 0;
  std::int64_t offset_ = 0;    // bytes the server has
  std::int64_t accepted_ = 0;  // bytes taken in, up to bytes_max
  std::int64_t dropped_ = 0;
  bool drop_told_ = false;
  bool hurrying_ = false;  // the job is over
  Steady::time_point next_send_{};
  std::chrono::milliseconds retry_{0};
  int gaps_ = 0;
};

}  // namespace mc::worker
