// What the tests of the transport share: a socket that says exactly what it is told, and a handler
// with one path for each way of answering.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "http/server.h"

namespace mc::http {

inline constexpr auto kPatience = std::chrono::seconds(20);  // nothing here takes that long

inline std::size_t to_number(std::string_view text, int base = 10) {
  std::size_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

struct RawAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // chunks are put together
  bool complete = false;
};

// A blocking socket of the loopback, with a deadline on every read.
class RawSocket {
 public:
  explicit RawSocket(int port, int receive_buffer = 0) {
    fd_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0)
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  bool connected() const { return connected_; }
  void close() { fd_.close(); }
  void shut_write() { ::shutdown(fd_.get(), SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  bool wait_readable(int ms) {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, ms) > 0;
  }
  // False: closed, or nothing came in time.
  bool read_some() {
    constexpr int kWaitMs = 20'000;
    if (!wait_readable(kWaitMs)) return false;
    char bytes[65536];
    const ssize_t size = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (size <= 0) {
      closed_ = true;
      return false;
    }
    read_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }
  bool wait_closed() {
    while (read_some()) {}
    return closed_;
  }
  bool wait_for(std::string_view text) {
    while (read_.find(text) == std::string::npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  const std::string& unread() const { return read_; }

  RawAnswer read_answer(bool has_body = true) {
    RawAnswer answer;
    if (!wait_for("\r\n\r\n")) return answer;
    const std::size_t end = read_.find("\r\n\r\n");
    const std::vector<std::string> lines = split(std::string_view(read_).substr(0, end), '\n');
    answer.status =
        static_cast<int>(to_number(lines[0].substr(std::min<std::size_t>(9, lines[0].size()))));
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::size_t colon = lines[i].find(':');
      answer.headers[to_lower(lines[i].substr(0, colon))] = trim(lines[i].substr(colon + 1));
    }
    read_.erase(0, end + 4);
    if (!has_body || answer.status == 204 || answer.status == 304) {
      answer.complete = true;
    } else if (answer.headers["transfer-encoding"] == "chunked") {
      read_chunks(answer);
    } else {
      const std::size_t size = to_number(answer.headers["content-length"]);
      while (read_.size() < size && read_some()) {}
      answer.complete = read_.size() >= size;
      answer.body = read_.substr(0, size);
      read_.erase(0, answer.body.size());
    }
    return answer;
  }
  // Reads one chunk onto the answer's body; false at the last one, or when cut off.
  bool read_chunk(RawAnswer& answer) {
    if (!wait_for("\r\n")) return false;
    const std::size_t line = read_.find("\r\n");
    const std::size_t size = to_number(read_.substr(0, line), 16);
    while (read_.size() < line + 2 + size + 2) {
      if (!read_some()) return false;
    }
    answer.body += read_.substr(line + 2, size);
    read_.erase(0, line + 2 + size + 2);
    answer.complete = size == 0;
    return size != 0;
  }

 private:
  void read_chunks(RawAnswer& answer) {
    while (read_chunk(answer)) {}
  }

  Fd fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string read_;
};

// Keeps what it is told and answers in the way the path asks for.
class Rig : public Handler {
 public:
  explicit Rig(ServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    Result<std::unique_ptr<Server>> started = Server::start(std::move(options), *this);
    EXPECT_TRUE(started.ok()) << started.error().message;
    server_ = std::move(*started);
  }
  ~Rig() override {
    server_->stop();
    for (std::thread& thread : threads_) thread.join();
  }
  Server& server() { return *server_; }
  int port() const { return server_->port(); }
  RawSocket connect() { return RawSocket(port()); }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port()) + path;
  }

  Admission admit(const Request& head) override {
    Admission admission{.body_max = 1 << 20};
    if (head.path == "/refuse") admission.refusal = Response{.status = 401, .body = "no"};
    if (head.path == "/sink") {
      admission.body_max = 1ULL << 40;
      admission.sink = sink;
    }
    return admission;
  }

  void handle(Request request, Reply reply) override {
    if (request.path == "/later") {
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([reply] { reply(Response{.body = "later"}); });
    } else if (request.path == "/never") {
      keep(std::move(request), std::move(reply));
    } else if (request.path == "/file") {
      reply(Response{.content_type = "text/plain", .file = file});
    } else if (request.path == "/stream") {
      reply(Response{.content_type = "text/event-stream",
                     .stream = [this](std::shared_ptr<StreamWriter> writer) {
                       const std::lock_guard lock(mutex_);
                       writer_ = std::move(writer);
                       changed_.notify_all();
                     }});
    } else if (request.path == "/nothing") {
      reply(Response{.status = 204});
    } else if (request.path == "/split") {
      reply(Response{.headers = {{"X-Split", "a\r\nSet-Cookie: b"}}, .body = "x"});
    } else {
      reply(Response{.content_type = "text/plain",
                     .body = request.method + " " + request.path + " " + request.body});
    }
  }

  std::shared_ptr<StreamWriter> wait_writer() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return writer_ != nullptr; });
    return std::exchange(writer_, nullptr);
  }
  // Requests to /never so far, and the way to answer them.
  std::pair<Request, Reply> wait_kept() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return !kept_.empty(); });
    EXPECT_FALSE(kept_.empty());
    auto first = std::move(kept_.front());
    kept_.erase(kept_.begin());
    return first;
  }

  std::optional<FileBody> file;
  std::shared_ptr<BodySink> sink;

 private:
  void keep(Request request, Reply reply) {
    const std::lock_guard lock(mutex_);
    kept_.emplace_back(std::move(request), std::move(reply));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<Request, Reply>> kept_;
  std::shared_ptr<StreamWriter> writer_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Server> server_;
};

// True once `done` is, within the patience of a test.
template <class Done>
bool eventually(Done done) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace mc::http
