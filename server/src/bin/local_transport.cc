#include "bin/local_transport.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "base/text.h"
#include "cli/io.h"
#include "http/target.h"

namespace mc::bin {
namespace {

constexpr std::size_t kPiece = 256U << 10;
// A stream whose reader is this far behind is cut off, as over HTTP.
constexpr std::size_t kStreamWaitingMax = 1U << 20;

// What handler and caller share of one call; lives until both have let go of it.
class Exchange : public http::StreamWriter {
 public:
  void reply(http::Response response) {
    const std::lock_guard lock(mutex_);
    if (response_) return;
    response_ = std::move(response);
    changed_.notify_all();
  }

  bool write(std::string chunk) override {
    const std::lock_guard lock(mutex_);
    if (closed_ || waiting_.size() > kStreamWaitingMax) return false;
    waiting_ += chunk;
    changed_.notify_all();
    return true;
  }

  void close() override {
    std::vector<std::function<void()>> listeners;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      closed_ = true;
      listeners.swap(listeners_);
      changed_.notify_all();
    }
    for (const auto& listener : listeners) listener();
  }

  void on_close(std::function<void()> closed) override {
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) {
        listeners_.push_back(std::move(closed));
        return;
      }
    }
    closed();
  }

  // Waits for the response. Errors: unreachable (cancelled, too late).
  Result<http::Response> response(const client::Call& call) {
    std::unique_lock lock(mutex_);
    if (Status waited = wait(lock, call, end_of(call), [this] { return response_.has_value(); });
        !waited.ok())
      return waited.error();
    return *response_;
  }

  // Takes what the stream has, until it is closed.
  Status stream(const client::Call& call, std::string* body) {
    const TimePoint until = end_of(call);
    for (;;) {
      std::string piece;
      Status waited;
      {
        std::unique_lock lock(mutex_);
        waited = wait(lock, call, until, [this] { return !waiting_.empty() || closed_; });
        piece.swap(waiting_);
      }
      if (!piece.empty() && call.on_data && !call.on_data(piece)) break;
      if (!call.on_data) *body += piece;
      if (waited.ok() && piece.empty()) return {};  // closed
      if (!waited.ok()) {
        close();
        return waited;
      }
    }
    close();
    return {};
  }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  static TimePoint end_of(const client::Call& call) {
    return call.timeout.count() > 0 ? std::chrono::steady_clock::now() + call.timeout
                                    : TimePoint::max();
  }

  // Until `come` holds. Errors: unreachable, as above, also when what keeps coming takes too long.
  template <class Come>
  Status wait(std::unique_lock<std::mutex>& lock, const client::Call& call, TimePoint until,
              Come come) {
    if (!call.stop.stop_requested() && std::chrono::steady_clock::now() < until) {
      const bool came = until == TimePoint::max()
                            ? changed_.wait(lock, call.stop, come)
                            : changed_.wait_until(lock, call.stop, until, come);
      if (came) return {};
    }
    const bool stopped = call.stop.stop_requested();
    return Error{
        Code::unreachable, stopped ? "the call was cancelled" : "no answer came in time", {}};
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<http::Response> response_;
  std::string waiting_;
  std::vector<std::function<void()>> listeners_;
  bool closed_ = false;
};

Status append_file(const http::FileBody& file, std::string* body) {
  const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::unreachable, file.path + ": " + std::strerror(errno), {}};
  const std::size_t start = body->size();
  body->resize(start + static_cast<std::size_t>(file.length));
  std::size_t done = 0;
  while (done < static_cast<std::size_t>(file.length)) {
    const ssize_t n =
        ::pread(fd, body->data() + start + done, static_cast<std::size_t>(file.length) - done,
                file.offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
  body->resize(start + done);
  if (done < static_cast<std::size_t>(file.length))
    return Error{Code::unreachable, file.path + " is shorter than it was", {}};
  return {};
}

// Hands the body to the sink that admit() gave, piece by piece. A refusal ends it.
Result<std::optional<http::Response>> feed(http::BodySink& sink, const client::Call& call,
                                           std::string_view body) {
  struct Turn {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::optional<http::Response> refusal;
  };
  while (!body.empty()) {
    const auto turn = std::make_shared<Turn>();
    sink.write(std::string(body.substr(0, kPiece)), [turn](std::optional<http::Response> refusal) {
      const std::lock_guard lock(turn->mutex);
      turn->done = true;
      turn->refusal = std::move(refusal);
      turn->changed.notify_all();
    });
    body.remove_prefix(std::min(body.size(), kPiece));
    std::unique_lock lock(turn->mutex);
    if (!turn->changed.wait_for(lock, call.timeout, [&turn] { return turn->done; }))
      return Error{Code::unreachable, "the body was not taken in time", {}};
    if (turn->refusal) return std::move(turn->refusal);
  }
  return std::optional<http::Response>();
}

Result<http::Request> request_of(const client::Call& call, const std::string& token) {
  http::Request request;
  request.head_only = call.method == "HEAD";
  request.method = call.method;
  request.target = call.path;
  request.remote = "local";
  request.request_id = "local";
  if (Status read = http::read_target(call.path, request); !read.ok()) return read.error();
  request.headers.push_back({"Authorization", "Bearer " + token});
  if (!call.content_type.empty()) request.headers.push_back({"Content-Type", call.content_type});
  for (const auto& [name, value] : call.headers) request.headers.push_back({name, value});
  request.body = call.body;
  if (!call.body_file.empty()) {
    std::error_code unknown;
    const auto size =
        static_cast<std::int64_t>(std::filesystem::file_size(call.body_file, unknown));
    const http::FileBody part{
        call.body_file, call.body_offset,
        call.body_size >= 0 ? call.body_size : std::max<std::int64_t>(0, size - call.body_offset)};
    if (Status read = append_file(part, &request.body); !read.ok()) return read.error();
  }
  return request;
}

class LocalTransport : public client::Transport {
 public:
  LocalTransport(http::Handler& handler, std::string token)
      : handler_(handler), token_(std::move(token)) {}

  Result<client::Answer> send(const client::Call& call) override {
    Result<http::Request> request = request_of(call, token_);
    if (!request.ok()) return request.error();
    http::Admission admission = handler_.admit(*request);
    if (admission.refusal) return finish(call, std::move(*admission.refusal), nullptr);
    if (admission.sink) {
      Result<std::optional<http::Response>> fed = feed(*admission.sink, call, request->body);
      if (!fed.ok()) return fed.error();
      if (*fed) return finish(call, std::move(**fed), nullptr);
      request->body.clear();
      request->sink = std::move(admission.sink);
    }
    const auto exchange = std::make_shared<Exchange>();
    handler_.handle(std::move(*request),
                    [exchange](http::Response response) { exchange->reply(std::move(response)); });
    Result<http::Response> response = exchange->response(call);
    if (!response.ok()) return response.error();
    return finish(call, std::move(*response), exchange);
  }

 private:
  static Result<client::Answer> finish(const client::Call& call, http::Response response,
                                       const std::shared_ptr<Exchange>& exchange) {
    client::Answer answer;
    answer.status = response.status;
    for (const http::Header& header : response.headers)
      answer.headers.emplace_back(to_lower(header.name), header.value);
    if (!response.content_type.empty())
      answer.headers.emplace_back("content-type", response.content_type);
    answer.body = std::move(response.body);
    if (response.file) {
      if (Status read = append_file(*response.file, &answer.body); !read.ok()) return read.error();
    }
    if (response.stream && exchange) {
      response.stream(exchange);
      if (Status read = exchange->stream(call, &answer.body); !read.ok()) return read.error();
    } else if (call.on_data && !answer.body.empty()) {
      call.on_data(answer.body);
      answer.body.clear();
    }
    if (!call.save_to.empty() && answer.status < 300) {
      if (Status saved = cli::write_file(call.save_to, answer.body, true); !saved.ok())
        return saved.error();
      answer.body.clear();
    }
    return answer;
  }

  http::Handler& handler_;
  std::string token_;
};

}  // namespace

std::unique_ptr<client::Transport> connect_locally(http::Handler& handler, std::string token) {
  return std::make_unique<LocalTransport>(handler, std::move(token));
}

}  // namespace mc::bin
