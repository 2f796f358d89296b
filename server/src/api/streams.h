// The open streams of server-sent events: keeps each alive with a comment every 15 seconds, so that
// proxies do not cut it off and a dead peer is noticed. No thread wakes while there is no stream.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/time.h"
#include "http/message.h"

namespace mc::api {

class Streams {
 public:
  static constexpr std::size_t kStreamsMax = 2000;

  explicit Streams(Millis beat = Millis(15'000));
  ~Streams();  // stop()
  // 0: there are too many, or stop() was called.
  std::uint64_t add(std::shared_ptr<http::StreamWriter> writer);
  void remove(std::uint64_t ticket);
  // Closes all streams and ends the thread.
  void stop();

 private:
  void beat_loop();
  const Millis beat_;
  std::mutex mutex_;  // guards writers_, next_, stopping_
  std::condition_variable changed_;
  std::map<std::uint64_t, std::shared_ptr<http::StreamWriter>> writers_;
  std::uint64_t next_ = 1;
  bool stopping_ = false;
  std::thread thread_;
};

// "id: 7\nevent: run.started\ndata: {…}\n\n"; an empty id or event is left out. Requires: no
// newline in any of them.
std::string sse_frame(std::string_view id, std::string_view event, std::string_view data);
// The head of a stream; `open` is called with its writer.
http::Response sse_response(std::function<void(std::shared_ptr<http::StreamWriter>)> open);

}  // namespace mc::api
