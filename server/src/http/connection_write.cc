// How a Connection answers: whole bodies, files piece by piece, and streams.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "http/connection.h"
#include "http/open_stream.h"
#include "http/problem.h"
#include "http/response_head.h"

namespace mc::http {
namespace {
constexpr std::int64_t kFilePiece = 256 << 10;

// The file, if all of what was promised is there.
std::shared_ptr<Fd> open_whole(const FileBody& file) {
  auto fd = std::make_shared<Fd>(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts{};
  const bool fine = *fd && file.offset >= 0 && file.length >= 0 &&
                    ::fstat(fd->get(), &facts) == 0 && S_ISREG(facts.st_mode) &&
                    facts.st_size - file.offset >= file.length;
  return fine ? fd : nullptr;
}

// Empty when the file has shrunk or cannot be read.
std::string read_piece(int fd, std::int64_t offset, std::int64_t left) {
  std::string piece(static_cast<std::size_t>(std::min(left, kFilePiece)), '\0');
  const ssize_t size = ::pread(fd, piece.data(), piece.size(), offset);
  piece.resize(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
  return piece;
}
}  // namespace

std::string Connection::head_of(const Response& response, std::optional<std::uint64_t> length,
                                bool chunked) {
  HeadFacts facts{.request_id = request_id_, .date = loop_.date()};
  facts.keep_alive = keep_alive_ = keep_alive_ && !loop_.state().draining;
  facts.chunked = chunked;
  if (may_have_body(response.status)) facts.content_length = length;
  return encode_head(response, facts);
}

void Connection::respond(Response response) {
  phase_ = Phase::writing;
  if (response.stream) return begin_stream(std::move(response));
  if (response.file) return open_file(std::move(response));
  std::string head = head_of(response, response.body.size(), false);
  if (reader_.framing().head_only || !may_have_body(response.status)) response.body.clear();
  send(std::move(head), std::move(response.body), Next::finish);
}

void Connection::open_file(Response response) {
  std::string head = head_of(response, static_cast<std::uint64_t>(response.file->length), false);
  if (reader_.framing().head_only) return send(std::move(head), {}, Next::finish);
  set_deadline(options().write_time);
  asio::post(loop_.state().files,
             [peer = peer_, file = std::move(*response.file), head = std::move(head)] {
               auto fd = open_whole(file);
               peer->mailbox->post(peer->id, [fd, head, file](Connection& connection) {
                 connection.begin_file(fd, head, file);
               });
             });
}

void Connection::begin_file(std::shared_ptr<Fd> fd, std::string head, const FileBody& file) {
  if (phase_ != Phase::writing) return;
  if (fd == nullptr) {
    return respond(
        problem({Code::internal, "a file that should be there cannot be read", {}}, request_id_));
  }
  file_ = {.fd = std::move(fd), .offset = file.offset, .left = file.length};
  send(std::move(head), {}, Next::file_piece);
}

void Connection::read_file_piece() {
  if (file_.left == 0) {
    file_ = {};
    return finish();
  }
  set_deadline(options().write_time);
  asio::post(loop_.state().files, [peer = peer_, file = file_] {
    std::string piece = read_piece(file.fd->get(), file.offset, file.left);
    peer->mailbox->post(peer->id, [piece = std::move(piece)](Connection& connection) mutable {
      connection.on_file_piece(std::move(piece));
    });
  });
}

void Connection::on_file_piece(std::string piece) {
  if (phase_ != Phase::writing || !file_.fd) return;
  // The length was promised, so the connection must end for the client to notice.
  if (piece.empty()) return close();
  const auto size = static_cast<std::int64_t>(piece.size());
  file_.offset += size;
  file_.left -= size;
  send({}, std::move(piece), Next::file_piece);
}

void Connection::begin_stream(Response response) {
  const bool chunked = reader_.framing().http_11;
  keep_alive_ = keep_alive_ && chunked;
  std::string head = head_of(response, std::nullopt, chunked);
  if (reader_.framing().head_only || !may_have_body(response.status))
    return send(std::move(head), {}, Next::finish);
  phase_ = Phase::streaming;
  stream_ = std::make_shared<OpenStream>(peer_, options().stream_queue_max, chunked);
  const auto stream = stream_;
  send(std::move(head), {}, Next::stream);
  response.stream(stream);
  // Notices that the client hangs up while nothing is written.
  if (phase_ == Phase::streaming) read_more();
  if (loop_.state().draining) stream->close();
}

void Connection::flush_stream() {
  flush_again_ = true;
  if (flushing_) return;
  const auto self = shared_from_this();
  if (stream_ && stream_->is_cut()) return close();
  flushing_ = true;
  bool over = false;
  while (flush_again_ && phase_ == Phase::streaming && !write_busy_) {
    flush_again_ = false;
    if (stream_last_) {
      over = true;
      break;
    }
    OpenStream::Batch batch = stream_->take();
    stream_last_ = batch.last;
    flush_again_ = batch.last;
    if (batch.bytes.empty()) {
      no_deadline();
    } else {
      send({}, std::move(batch.bytes), Next::stream);
    }
  }
  flushing_ = false;
  if (over) end_stream();
}

void Connection::end_stream() {
  stream_last_ = false;
  phase_ = Phase::writing;
  if (const auto stream = std::exchange(stream_, nullptr)) stream->end();
  finish();
}

void Connection::send(std::string head, std::string body, Next next) {
  out_head_ = std::move(head);
  out_body_ = std::move(body);
  sent_ = 0;
  next_ = next;
  write_busy_ = true;
  write_some();
}

void Connection::write_some() {
  const std::size_t total = out_head_.size() + out_body_.size();
  while (sent_ < total) {
    const std::size_t head_sent = std::min(sent_, out_head_.size());
    const std::array<asio::const_buffer, 2> rest{asio::buffer(out_head_) + head_sent,
                                                 asio::buffer(out_body_) + (sent_ - head_sent)};
    boost::system::error_code error;
    sent_ += socket_.write_some(rest, error);
    if (error == asio::error::would_block || error == asio::error::try_again) break;
    if (error) return close();
  }
  if (sent_ == total) {
    write_busy_ = false;
    return after_write();
  }
  set_deadline(options().write_time);
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (self->phase_ == Phase::closed) return;
                       error ? self->close() : self->write_some();
                     });
}

void Connection::after_write() {
  switch (next_) {
    case Next::body:
      phase_ = Phase::body;
      set_deadline(options().body_time);
      return pump();
    case Next::finish: return finish();
    case Next::file_piece: return read_file_piece();
    case Next::stream: return flush_stream();
  }
}

void Connection::finish() {
  out_head_.clear();
  std::string().swap(out_body_);
  if (!keep_alive_ || loop_.state().draining) {
    if (body_unread_ || !input_.empty()) return linger();
    return close();
  }
  request_id_.clear();
  body_unread_ = false;
  reader_.reset();
  phase_ = Phase::head;
  head_clock_due_ = input_.empty();
  set_deadline(input_.empty() ? options().idle_time : options().header_time);
  pump();
}

// Closing with unread bytes resets the connection, and the answer may be lost with it: so the rest
// is read and thrown away for a moment.
void Connection::linger() {
  phase_ = Phase::lingering;
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  if (peer_done_) return close();
  input_.consume(input_.data().size());
  set_deadline(options().linger_time);
  read_more();
}

}  // namespace mc::http
