#include "http/open_stream.h"

#include <charconv>

#include "http/connection.h"

namespace mc::http {
namespace {
void append_chunk(std::string& out, std::string_view bytes) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, bytes.size(), 16).ptr);
  out.append("\r\n").append(bytes).append("\r\n");
}
}  // namespace

bool OpenStream::write(std::string chunk) {
  bool wake_now = false;
  bool taken = true;
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || closing_ || cut_) return false;
    if (chunk.empty()) return true;
    const std::size_t behind = waiting_.size() + under_way_;
    if (behind > 0 && behind + chunk.size() > queue_max_) {
      cut_ = true;
      taken = false;
    } else if (chunked_) {
      append_chunk(waiting_, chunk);
    } else {
      waiting_ += chunk;
    }
    // A cut does not wait for the batch that is under way: it is what the reader does not read.
    wake_now = !wake_due_ || cut_;
    wake_due_ = true;
  }
  if (wake_now) wake();
  return taken;
}

void OpenStream::close() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_ || closing_) return;
    closing_ = true;
    if (wake_due_) return;
    wake_due_ = true;
  }
  wake();
}

void OpenStream::wake() {
  peer_->mailbox->post(peer_->id, [](Connection& connection) { connection.flush_stream(); });
}

void OpenStream::on_close(std::function<void()> closed) {
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      closed_ = std::move(closed);
      return;
    }
  }
  closed();
}

OpenStream::Batch OpenStream::take() {
  const std::lock_guard lock(mutex_);
  wake_due_ = false;
  Batch batch{.bytes = std::move(waiting_), .last = closing_};
  waiting_.clear();
  if (closing_ && chunked_) batch.bytes += "0\r\n\r\n";
  under_way_ = batch.bytes.size();
  // While a batch is under way the connection comes back by itself.
  wake_due_ = under_way_ > 0;
  return batch;
}

bool OpenStream::is_cut() {
  const std::lock_guard lock(mutex_);
  return cut_;
}

void OpenStream::end() {
  std::function<void()> closed;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    waiting_.clear();
    closed = std::move(closed_);
    closed_ = nullptr;
  }
  if (closed) closed();
}

}  // namespace mc::http
