#include "api/streams.h"

#include <vector>

namespace mc::api {

Streams::Streams(Millis beat) : beat_(beat), thread_([this] { beat_loop(); }) {}
Streams::~Streams() { stop(); }

std::uint64_t Streams::add(std::shared_ptr<http::StreamWriter> writer) {
  std::uint64_t ticket = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || writers_.size() >= kStreamsMax) return 0;
    ticket = next_++;
    writers_.emplace(ticket, std::move(writer));
  }
  changed_.notify_one();
  return ticket;
}

void Streams::remove(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  writers_.erase(ticket);
}

void Streams::stop() {
  std::map<std::uint64_t, std::shared_ptr<http::StreamWriter>> open;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    open.swap(writers_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  for (auto& [ticket, writer] : open) writer->close();
}

void Streams::beat_loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || !writers_.empty(); });
    if (changed_.wait_for(lock, beat_, [this] { return stopping_; })) return;
    std::vector<std::shared_ptr<http::StreamWriter>> open;
    for (const auto& [ticket, writer] : writers_) open.push_back(writer);
    // A writer that is gone removes itself, which takes the lock.
    lock.unlock();
    for (const auto& writer : open) writer->write(": keep-alive\n\n");
    open.clear();
    lock.lock();
  }
}

std::string sse_frame(std::string_view id, std::string_view event, std::string_view data) {
  std::string out;
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  if (!event.empty()) out.append("event: ").append(event).append("\n");
  return out.append("data: ").append(data).append("\n\n");
}

http::Response sse_response(std::function<void(std::shared_ptr<http::StreamWriter>)> open) {
  http::Response response{.content_type = "text/event-stream"};
  // Nginx holds streams back unless told not to.
  response.headers.push_back({"X-Accel-Buffering", "no"});
  response.stream = std::move(open);
  return response;
}
}  // namespace mc::api
