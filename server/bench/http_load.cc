#include "bench/http_load.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <memory>

#include "base/file.h"
#include "base/text.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kStallMs = 60'000;
constexpr std::size_t kReadBytes = 64 << 10;

struct Line {
  int port = 0;
  Fd socket;
  std::string in;
  Clock::time_point sent;
};

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

Result<Fd> dial(int port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // The socket interface wants it this way.
  const auto* plain = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket.get(), plain, sizeof address) != 0)
    return os_error(Code::unavailable, "bench: cannot connect");
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

// The size of the first answer in `in` when it is there whole, else 0.
std::size_t whole_answer(const std::string& in) {
  const std::size_t head = in.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  constexpr std::string_view kLength = "content-length:";
  std::size_t length = 0;
  for (std::size_t at = in.find("\r\n"); at < head; at = in.find("\r\n", at + 2)) {
    const std::size_t name = at + 2;
    if (name + kLength.size() > head || (in[name] | 0x20) != 'c') continue;
    bool same = true;
    for (std::size_t i = 0; i < kLength.size() && same; ++i)
      same = (in[name + i] | 0x20) == (kLength[i] | 0x20);
    if (!same) continue;
    std::size_t digits = name + kLength.size();
    while (in[digits] == ' ') ++digits;
    std::from_chars(in.data() + digits, in.data() + head, length);
  }
  const std::size_t size = head + 4 + length;
  return in.size() >= size ? size : 0;
}

// Whether the server ends the connection with this answer: it was passed on to another replica.
bool is_last(const std::string& answer) {
  const std::string head = to_lower(std::string_view(answer).substr(0, answer.find("\r\n\r\n")));
  return head.find("\r\nconnection: close") != std::string::npos;
}

int status_of(const std::string& answer) {
  int status = 0;
  constexpr std::size_t kAt = sizeof("HTTP/1.1 ") - 1;
  if (answer.size() > kAt + 3)
    std::from_chars(answer.data() + kAt, answer.data() + kAt + 3, status);
  return status;
}

class Loop {
 public:
  explicit Loop(const LoadPlan& plan) : plan_(plan), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  Result<Load> run() {
    for (int i = 0; i < plan_.connections; ++i) {
      const std::size_t turn = static_cast<std::size_t>(i) % plan_.ports.size();
      auto line = std::make_unique<Line>();
      line->port = plan_.ports[turn];
      if (const Status connected = connect(*line); !connected) return connected.error();
      lines_.push_back(std::move(line));
    }
    load_.ms.reserve(static_cast<std::size_t>(plan_.requests));
    const auto began = Clock::now();
    for (const auto& line : lines_) {
      if (const Status sent = send_next(*line); !sent) return sent.error();
    }
    while (static_cast<int>(load_.ms.size()) < plan_.requests) {
      if (const Status step = wait_once(); !step) return step.error();
    }
    load_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return std::move(load_);
  }

 private:
  Status connect(Line& line) {
    Result<Fd> socket = dial(line.port);
    if (!socket.ok()) return socket.error();
    line.socket = std::move(*socket);  // closed, the one before is watched no more
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &line}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, line.socket.get(), &event);
    return {};
  }

  Status send_next(Line& line) {
    if (sent_ >= plan_.requests) return {};
    const std::string request = plan_.request(sent_++);
    line.sent = Clock::now();
    return write_all(line.socket.get(), request);
  }

  Status wait_once() {
    std::array<epoll_event, 64> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), kStallMs);
    if (count <= 0) return failed("no answer came");
    for (int i = 0; i < count; ++i) {
      auto* line = static_cast<Line*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (const Status read = take_answer(*line); !read) return read;
    }
    return {};
  }

  Status take_answer(Line& line) {
    const ssize_t got = ::read(line.socket.get(), buffer_.data(), buffer_.size());
    if (got <= 0) return failed("the server closed the connection");
    line.in.append(buffer_.data(), static_cast<std::size_t>(got));
    const std::size_t size = whole_answer(line.in);
    if (size == 0) return {};
    if (status_of(line.in) != plan_.status)
      return failed(fmt::format("{} was expected, not: {}", plan_.status, line.in));
    const std::chrono::duration<double, std::milli> took = Clock::now() - line.sent;
    load_.ms.push_back(took.count());
    const bool last = is_last(line.in);
    line.in.erase(0, size);
    if (sent_ >= plan_.requests) {
      line.socket = Fd();
      return {};
    }
    if (last) {
      if (const Status connected = connect(line); !connected) return connected;
    }
    return send_next(line);
  }

  const LoadPlan& plan_;
  Fd epoll_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::string buffer_ = std::string(kReadBytes, '\0');
  int sent_ = 0;
  Load load_;
};
}  // namespace

std::string get_request(std::string_view path, std::string_view token) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\r\n", path,
                     token);
}

std::string post_request(std::string_view path, std::string_view token, std::string_view body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      path, token, body.size(), body);
}

Result<Load> run_load(const LoadPlan& plan) { return Loop(plan).run(); }

}  // namespace mc::bench
