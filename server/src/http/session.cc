#include "http/session.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/uuid.h"

namespace mc::http {
namespace {
constexpr std::size_t kBufferMax = 128 << 10;     // one connection's unread input
constexpr std::size_t kStreamQueueMax = 1 << 20;  // a stream's unsent output
constexpr std::size_t kFilePiece = 256 << 10;

std::string make_request_id() {
  thread_local Rng rng(random_seed());
  return to_string(make_uuid(system_clock().now(), rng));
}

bool is_request_id(std::string_view text) {
  const auto fine = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), fine);
}

Response problem(const Error& error, const std::string& request_id) {
  JsonWriter out;
  out.open('{').field("type", "/docs/errors#" + std::string(code_name(error.code)));
  out.field("title", code_title(error.code)).field("status", http_status(error.code));
  out.field("detail", error.message)
      .field("code", code_name(error.code))
      .field("request_id", request_id);
  Response response{.status = http_status(error.code), .content_type = "application/problem+json"};
  response.body = out.close('}').take();
  if (response.status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}
}  // namespace

// The open end of a streamed response; posts to the session's thread.
class Session::Stream final : public StreamWriter, public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  bool write(std::string chunk) override {
    if (closed_ || chunk.empty()) return !closed_;
    if (queued_.fetch_add(chunk.size()) > kStreamQueueMax) {
      asio::post(session_->stream_.get_executor(),
                 [self = shared_from_this()] { self->end(false); });
      return false;
    }
    asio::post(session_->stream_.get_executor(),
               [self = shared_from_this(), chunk = std::move(chunk)]() mutable {
                 self->queue_.push_back(std::move(chunk));
                 if (!self->writing_) self->next();
               });
    return true;
  }
  void close() override {
    asio::post(session_->stream_.get_executor(), [self = shared_from_this()] {
      self->closing_ = true;
      if (!self->writing_) self->next();
    });
  }
  void on_close(std::function<void()> closed) override {
    asio::post(session_->stream_.get_executor(),
               [self = shared_from_this(), closed = std::move(closed)]() mutable {
                 if (self->closed_) return closed();
                 self->on_close_ = std::move(closed);
               });
  }
  // Notices that the peer has gone away while nothing is written.
  void watch() {
    session_->stream_.async_read_some(
        asio::buffer(&probe_, 1),
        [self = shared_from_this()](beast::error_code error, std::size_t) {
          if (error) self->end(false);
        });
  }

 private:
  void next() {
    if (closed_) return;
    if (queue_.empty()) {
      if (closing_) {
        writing_ = true;
        send("0\r\n\r\n", true);
      }
      return;
    }
    writing_ = true;
    std::string chunk;
    while (!queue_.empty() && chunk.size() < kFilePiece) {
      chunk += queue_.front();
      queue_.pop_front();
    }
    queued_ -= chunk.size();
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
    send(size + chunk + "\r\n", false);
  }
  void send(std::string bytes, bool last) {
    out_ = std::move(bytes);
    session_->stream_.expires_after(session_->world_.options.write_time);
    asio::async_write(session_->stream_, asio::buffer(out_),
                      [self = shared_from_this(), last](beast::error_code error, std::size_t) {
                        self->writing_ = false;
                        if (error) return self->end(false);
                        if (last) return self->end(true);
                        self->session_->stream_.expires_never();
                        self->next();
                      });
  }
  void end(bool) {
    if (closed_.exchange(true)) return;
    queue_.clear();
    // Whether or not it ended well, a streamed connection is not used again.
    beast::error_code ignored;
    session_->stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    session_->stream_.close();
    --session_->world_.handling;
    if (on_close_) on_close_();
    on_close_ = nullptr;
  }

  std::shared_ptr<Session> session_;
  std::atomic<bool> closed_ = false;
  std::atomic<std::size_t> queued_ = 0;
  std::deque<std::string> queue_;
  std::string out_;
  char probe_ = 0;
  bool writing_ = false;
  bool closing_ = false;
  std::function<void()> on_close_;
};

Session::Session(asio::ip::tcp::socket socket, SessionWorld& world)
    : world_(world),
      stream_(std::move(socket)),
      handler_timer_(stream_.get_executor()),
      buffer_(kBufferMax) {
  ++world_.connections;
  beast::error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
}

Session::~Session() {
  if (file_ >= 0) ::close(file_);
  --world_.connections;
}

void Session::run() { read_head(); }

void Session::read_head() {
  parser_.emplace();
  parser_->header_limit(world_.options.header_bytes_max);
  parser_->body_limit(boost::none);
  const bool begun = buffer_.size() > 0;
  stream_.expires_after(begun ? world_.options.header_time : world_.options.idle_time);
  auto self = shared_from_this();
  if (begun) {
    beast::http::async_read_header(
        stream_, buffer_, *parser_,
        [self](beast::error_code error, std::size_t) { self->on_head(error); });
    return;
  }
  // The first byte may take as long as the connection may be idle; from then on the head's clock runs.
  stream_.async_read_some(buffer_.prepare(4096), [self](beast::error_code error, std::size_t size) {
    if (error) return self->finish(false);
    self->buffer_.commit(size);
    self->stream_.expires_after(self->world_.options.header_time);
    beast::http::async_read_header(
        self->stream_, self->buffer_, *self->parser_,
        [self](beast::error_code failed, std::size_t) { self->on_head(failed); });
  });
}

void Session::on_head(beast::error_code error) {
  ++turn_;
  answered_ = false;
  ++world_.handling;
  request_ = Request{};
  request_.request_id = make_request_id();
  if (error == beast::error::timeout)
    return refuse({Code::request_timeout, "the head took too long", {}}, true);
  if (error == beast::http::error::header_limit || error == beast::http::error::buffer_overflow) {
    return refuse({Code::header_too_large, "the head has more than 16 KiB", {}}, true);
  }
  if (error == beast::http::error::end_of_stream || error == asio::error::eof ||
      error == asio::error::connection_reset || error == beast::http::error::partial_message) {
    --world_.handling;
    return finish(false);
  }
  if (error) return refuse({Code::malformed_request, error.message(), {}}, true);
  keep_alive_ = parser_->keep_alive() && !world_.draining;
  Result<Request> head = http::read_head(parser_->get().base());
  if (!head) return refuse(head.error(), true);
  std::string id = std::move(request_.request_id);
  request_ = std::move(*head);
  const std::string* given = request_.header("x-request-id");
  request_.request_id = given != nullptr && is_request_id(*given) ? *given : std::move(id);
  beast::error_code ignored;
  request_.remote = stream_.socket().remote_endpoint(ignored).address().to_string();
  head_only_ = request_.method == "HEAD";
  Admission admission = world_.handler.admit(request_);
  if (admission.refusal) {
    // What of the body is still to come is not waited for.
    keep_alive_ = keep_alive_ && parser_->is_done();
    return answer(std::move(*admission.refusal));
  }
  const auto length = parser_->content_length();
  if (length && *length > admission.body_max) {
    return refuse({Code::too_large,
                   "the body has " + std::to_string(*length) + " bytes, more than " +
                       std::to_string(admission.body_max),
                   {}},
                  true);
  }
  parser_->body_limit(admission.body_max);
  if (parser_->is_done()) return dispatch();
  const std::string* expect = request_.header("expect");
  if (expect == nullptr || !beast::iequals(*expect, "100-continue")) return read_body();
  auto line = std::make_shared<std::string>("HTTP/1.1 100 Continue\r\n\r\n");
  asio::async_write(stream_, asio::buffer(*line),
                    [self = shared_from_this(), line](beast::error_code failed, std::size_t) {
                      if (failed) {
                        --self->world_.handling;
                        return self->finish(false);
                      }
                      self->read_body();
                    });
}

void Session::read_body() {
  stream_.expires_after(world_.options.body_time);
  beast::http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_body(error); });
}

void Session::on_body(beast::error_code error) {
  if (error == beast::http::error::body_limit)
    return refuse({Code::too_large, "the body is too large", {}}, true);
  if (error == beast::error::timeout)
    return refuse({Code::request_timeout, "the body took too long", {}}, true);
  if (error == beast::http::error::partial_message || error == asio::error::connection_reset ||
      error == asio::error::eof) {
    --world_.handling;
    return finish(false);
  }
  if (error) return refuse({Code::malformed_request, error.message(), {}}, true);
  dispatch();
}

void Session::dispatch() {
  request_.body = std::move(parser_->get().body());
  stream_.expires_never();
  auto self = shared_from_this();
  handler_timer_.expires_after(world_.options.handle_time);
  handler_timer_.async_wait([self, turn = turn_](beast::error_code error) {
    if (!error && turn == self->turn_ && !self->answered_) {
      self->refuse({Code::overloaded, "no answer in time", {}}, true);
    }
  });
  world_.handler.handle(std::move(request_), [self, turn = turn_](Response response) {
    auto boxed = std::make_shared<Response>(std::move(response));
    asio::dispatch(self->stream_.get_executor(), [self, turn, boxed] {
      if (turn == self->turn_ && !self->answered_) self->answer(std::move(*boxed));
    });
  });
}

void Session::refuse(const Error& error, bool close) {
  if (close) keep_alive_ = false;
  answer(problem(error, request_.request_id));
}

beast::http::response_header<> Session::make_head(Response& response) const {
  beast::http::response_header<> head;
  head.version(11);
  head.result(static_cast<unsigned>(response.status));
  if (!response.content_type.empty())
    head.set(beast::http::field::content_type, response.content_type);
  head.set("X-Content-Type-Options", "nosniff");
  head.set(beast::http::field::cache_control, "no-store");
  for (const Header& header : response.headers) head.set(header.name, header.value);
  head.set("X-Request-Id", request_.request_id);
  if (!keep_alive_) head.set(beast::http::field::connection, "close");
  return head;
}

void Session::answer(Response response) {
  answered_ = true;
  handler_timer_.cancel();
  stream_.expires_after(world_.options.write_time);
  if (response.stream) return begin_stream(std::move(response));
  if (response.file) return write_file(std::move(response));
  write_plain(std::move(response));
}

void Session::write_plain(Response response) {
  plain_.emplace(make_head(response));
  const bool bodiless = response.status == 204 || response.status == 304;
  if (!bodiless) plain_->content_length(response.body.size());
  if (!head_only_ && !bodiless) plain_->body() = std::move(response.body);
  beast::http::async_write(stream_, *plain_,
                           [self = shared_from_this()](beast::error_code error, std::size_t) {
                             --self->world_.handling;
                             self->finish(!error);
                           });
}

void Session::write_file(Response response) {
  file_ = ::open(response.file->path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0 || ::lseek(file_, response.file->offset, SEEK_SET) < 0) {
    return refuse({Code::internal, "a file that should be there cannot be read", {}}, true);
  }
  file_left_ = response.file->length;
  head_.emplace(make_head(response));
  head_->content_length(static_cast<std::uint64_t>(file_left_));
  head_writer_.emplace(*head_);
  beast::http::async_write_header(
      stream_, *head_writer_, [self = shared_from_this()](beast::error_code error, std::size_t) {
        if (error || self->head_only_) self->file_left_ = 0;
        if (error) self->keep_alive_ = false;
        self->write_file_piece();
      });
}

void Session::write_file_piece() {
  if (file_left_ == 0) {
    ::close(file_);
    file_ = -1;
    --world_.handling;
    return finish(true);
  }
  piece_.resize(static_cast<std::size_t>(std::min<std::int64_t>(file_left_, kFilePiece)));
  const ssize_t size = ::read(file_, piece_.data(), piece_.size());
  if (size <= 0) {
    // The file has shrunk under us: the length was promised, so the connection must end.
    file_left_ = 0;
    keep_alive_ = false;
    return write_file_piece();
  }
  file_left_ -= size;
  stream_.expires_after(world_.options.write_time);
  asio::async_write(stream_, asio::buffer(piece_.data(), static_cast<std::size_t>(size)),
                    [self = shared_from_this()](beast::error_code error, std::size_t) {
                      if (error) self->file_left_ = 0;
                      if (error) self->keep_alive_ = false;
                      self->write_file_piece();
                    });
}

void Session::begin_stream(Response response) {
  keep_alive_ = false;
  head_.emplace(make_head(response));
  head_->chunked(true);
  head_writer_.emplace(*head_);
  beast::http::async_write_header(stream_, *head_writer_,
                                  [self = shared_from_this(), open = std::move(response.stream)](
                                      beast::error_code error, std::size_t) {
                                    if (error || self->head_only_) {
                                      --self->world_.handling;
                                      return self->finish(false);
                                    }
                                    self->stream_.expires_never();
                                    auto stream = std::make_shared<Stream>(self);
                                    stream->watch();
                                    open(stream);
                                  });
}

void Session::finish(bool ok) {
  if (ok && keep_alive_ && !world_.draining) return read_head();
  beast::error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  // A short wait lets the peer read an error that was sent before its own data was read.
  stream_.expires_after(std::chrono::seconds(1));
  if (!ok) return stream_.close();
  auto sink = std::make_shared<std::array<char, 4096>>();
  stream_.async_read_some(
      asio::buffer(*sink),
      [self = shared_from_this(), sink](beast::error_code, std::size_t) { self->stream_.close(); });
}
}  // namespace mc::http
