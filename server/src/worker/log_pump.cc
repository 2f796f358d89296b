#include "worker/log_pump.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "base/text.h"

namespace mc::worker {
namespace {
constexpr std::size_t kReadBytes = 64 << 10;
constexpr std::size_t kPipeBytes = 64 << 10;  // what a pipe holds at most
constexpr std::int64_t kSameChunkMs = 100;    // output this close together shares a time
constexpr std::size_t kChunkBytesMax = 64 << 10;
constexpr auto kFirstDelay = std::chrono::milliseconds(20);
constexpr int kGapsMax = 3;
constexpr int kServerError = 500;

// Takes the first `size` bytes off the chunk.
wire::LogChunk cut_front(wire::LogChunk& chunk, std::size_t size) {
  wire::LogChunk front = chunk;
  front.text.resize(size);
  chunk.text.erase(0, size);
  return front;
}

bool passes(Code code) {
  return code == Code::unreachable || code == Code::worker_not_found ||
         code == Code::rate_limited || http_status(code) >= kServerError;
}
}  // namespace

LogPump::LogPump(SendLog send, const std::vector<std::string>& secrets, LogOptions options)
    : send_(std::move(send)), options_(options), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  for (const std::string& secret : secrets) secrets_.add(secret);
  secrets_.build();
}

LogPump::~LogPump() {
  discard();
  finish();
}

void LogPump::start() {
  if (started_) return;
  started_ = true;
  thread_ = std::jthread([this] { loop(); });
}

void LogPump::wake() const {
  const std::uint64_t one = 1;
  // A full counter wakes just as well.
  if (::write(wake_.get(), &one, sizeof one) < 0) return;
}

void LogPump::add(Fd pipe, std::string step, std::string stream) {
  ::fcntl(pipe.get(), F_SETFL, ::fcntl(pipe.get(), F_GETFL) | O_NONBLOCK);
  auto source = std::make_unique<Source>();
  source->pipe = std::move(pipe);
  source->step = std::move(step);
  source->stream = std::move(stream);
  const std::scoped_lock lock(mutex_);
  added_.push_back(std::move(source));
  start();
  wake();
}

void LogPump::say(std::string step, std::string line) {
  const std::scoped_lock lock(mutex_);
  if (discarding_) return;
  said_.emplace_back(std::move(step), std::move(line) + "\n");
  start();
  wake();
}

void LogPump::settle(const std::string& step) {
  std::unique_lock lock(mutex_);
  if (!started_) return;
  settling_.push_back(step);
  wake();
  changed_.wait(lock, [&] {
    return discarding_ || over_ || std::ranges::find(settling_, step) == settling_.end();
  });
}

void LogPump::hide(const std::string& value) {
  const std::scoped_lock lock(mutex_);
  secrets_.add(value);
  secrets_.build();
  ++secrets_version_;
}

std::string LogPump::masked(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  return secrets_.mask(text);
}

List LogPump::annotations() {
  const std::scoped_lock lock(mutex_);
  return annotations_;
}

void LogPump::finish() {
  {
    const std::scoped_lock lock(mutex_);
    finishing_ = true;
    wake();
  }
  if (thread_.joinable()) thread_.join();
}

void LogPump::discard() {
  const std::scoped_lock lock(mutex_);
  discarding_ = true;
  changed_.notify_all();
  wake();
}

void LogPump::loop() {
  while (wait_for_work()) {
    read_sources();
    if (is_send_due()) send_pending();
  }
  const std::scoped_lock lock(mutex_);
  over_ = true;
  changed_.notify_all();
}

// Takes over what others left for this thread. False: everything is done.
bool LogPump::collect() {
  const std::scoped_lock lock(mutex_);
  for (auto& source : added_) sources_.push_back(std::move(source));
  added_.clear();
  if (discarding_) {
    pending_.clear();
    pending_bytes_ = 0;
  }
  if (finishing_ && sources_.empty() && dropped_ > 0 && !drop_told_) {
    drop_told_ = true;
    push("", "system",
         "[maestro: " + std::to_string(dropped_) + " bytes of the log were dropped]\n");
  }
  hurrying_ = finishing_;
  const bool idle = sources_.empty() && said_.empty() && pending_.empty();
  return !finishing_ || !(idle || discarding_);
}

// Waits until there is something to read, to send or to say. False: everything is done.
bool LogPump::wait_for_work() {
  if (!collect()) return false;
  std::vector<pollfd> fds{{.fd = wake_.get(), .events = POLLIN}};
  if (pending_bytes_ < kPendingBytesMax) {
    for (const auto& source : sources_) fds.push_back({.fd = source->pipe.get(), .events = POLLIN});
  }
  int timeout = is_send_due() ? 0 : -1;
  if (!pending_.empty() && timeout < 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_send_ - Steady::now());
    timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }
  ::poll(fds.data(), fds.size(), timeout);
  std::uint64_t count = 0;
  if (::read(wake_.get(), &count, sizeof count) < 0 && errno != EAGAIN) return true;
  return true;
}

void LogPump::read_sources() {
  std::vector<std::string> settling;
  std::vector<std::pair<std::string, std::string>> said;
  bool finishing = false;
  {
    const std::scoped_lock lock(mutex_);
    settling = settling_;
    said.swap(said_);
    finishing = finishing_;
    for (auto& source : added_) sources_.push_back(std::move(source));
    added_.clear();
  }
  bool all_read = true;
  for (const auto& source : sources_) {
    const bool read = read_source(*source);
    all_read &= read;
    // The job is over: what still holds an empty pipe open is not of interest.
    if (finishing && read && !source->over) end_source(*source);
  }
  std::erase_if(sources_, [](const auto& source) { return source->over; });
  for (auto& [step, line] : said) keep(step, "system", masked(line));
  if (!all_read || settling.empty()) return;
  const std::scoped_lock lock(mutex_);
  std::erase_if(settling_, [&](const std::string& step) {
    return std::ranges::find(settling, step) != settling.end();
  });
  changed_.notify_all();
}

// Reads until the pipe is empty, a pipe's fill has been read, or no memory is left. False in the
// last case: text that was in the pipe when this began may still be there.
bool LogPump::read_source(Source& source) {
  std::string buffer(kReadBytes, '\0');
  std::size_t got = 0;
  while (pending_bytes_ < kPendingBytesMax && got < kPipeBytes) {
    const ssize_t n = ::read(source.pipe.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      end_source(source);
      return true;
    }
    got += static_cast<std::size_t>(n);
    take_in(source, std::string_view(buffer).substr(0, static_cast<std::size_t>(n)));
  }
  return got >= kPipeBytes;
}

void LogPump::renew(Source& source) {
  if (source.secrets_seen == secrets_version_) return;
  source.secrets_seen = secrets_version_;
  source.masker.renew(secrets_);
}

void LogPump::take_in(Source& source, std::string_view bytes) {
  std::string out;
  const auto text = [&](std::string_view part) {
    const std::scoped_lock lock(mutex_);
    renew(source);
    out += source.masker.feed(part, secrets_);
  };
  source.scanner.feed(bytes, text, [this](std::string_view line) { heed(line); });
  keep(source.step, source.stream, std::move(out));
}

void LogPump::end_source(Source& source) {
  std::string out;
  const auto text = [&](std::string_view part) {
    const std::scoped_lock lock(mutex_);
    renew(source);
    out += source.masker.feed(part, secrets_);
  };
  source.scanner.finish(text, [this](std::string_view line) { heed(line); });
  out += source.masker.finish();
  keep(source.step, source.stream, std::move(out));
  source.over = true;
}

void LogPump::heed(std::string_view line) {
  const auto command = parse_command(line);
  if (!command) return;
  if (command->name == "add-mask") return hide(command->text);
  auto annotation = annotation_of(*command);
  if (!annotation) return;
  const std::scoped_lock lock(mutex_);
  if (annotations_.size() >= kAnnotationsMax) return;
  annotation->set("message", secrets_.mask(annotation->string_or("message", "")));
  annotations_.push_back(std::move(*annotation));
}

// Applies the size limit, once with a line that says so.
void LogPump::keep(const std::string& step, const std::string& stream, std::string text) {
  if (text.empty()) return;
  const auto size = static_cast<std::int64_t>(text.size());
  const std::int64_t room = std::max<std::int64_t>(0, options_.bytes_max - accepted_);
  // Maestro's own lines are few and say how the job ended: they always have room.
  if (stream == "system" || size <= room) {
    if (stream != "system") accepted_ += size;
    return push(step, stream, text);
  }
  if (room > 0)
    push(step, stream, std::string_view(text).substr(0, static_cast<std::size_t>(room)));
  accepted_ += room;
  if (dropped_ == 0) {
    push(step, "system",
         "\n[maestro: the log is over " + format_size(options_.bytes_max) +
             "; what follows is dropped]\n");
  }
  dropped_ += size - room;
}

void LogPump::push(const std::string& step, const std::string& stream, std::string_view text) {
  if (pending_.empty()) {
    next_send_ = std::max(next_send_, Steady::now() + kFirstDelay);
  }
  const std::int64_t now = system_clock().now().ms;
  pending_bytes_ += text.size();
  if (!pending_.empty()) {
    wire::LogChunk& last = pending_.back();
    if (last.step == step && last.stream == stream && now - last.t <= kSameChunkMs &&
        last.text.size() < kChunkBytesMax) {
      last.text += text;
      return;
    }
  }
  pending_.push_back({.t = now, .step = step, .stream = stream, .text = std::string(text)});
}

// A whole batch, and what is left when the job is over, wait only for the pause after a failure.
bool LogPump::is_send_due() const {
  if (pending_.empty()) return false;
  const bool whole = pending_bytes_ >= options_.batch_bytes || hurrying_;
  return (whole && retry_.count() == 0) || Steady::now() >= next_send_;
}

void LogPump::send_pending() {
  {
    const std::scoped_lock lock(mutex_);
    if (discarding_) return;
  }
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < pending_.size() && bytes < options_.batch_bytes)
    bytes += pending_[count++].text.size();
  const std::vector<wire::LogChunk> batch(pending_.begin(),
                                          pending_.begin() + static_cast<std::ptrdiff_t>(count));
  const Result<std::int64_t> end = send_(offset_, batch);
  if (!end.ok()) return after_failure(end.error());
  retry_ = {};
  gaps_ = 0;
  const std::int64_t taken =
      std::clamp<std::int64_t>(*end - offset_, 0, static_cast<std::int64_t>(bytes));
  offset_ += taken;
  keep_sent(taken);
  if (taken == 0) retry_ = options_.retry_first;
  next_send_ = Steady::now() + options_.batch_time;
}

void LogPump::keep_sent(std::int64_t count) {
  auto left = static_cast<std::size_t>(count);
  pending_bytes_ -= left;
  sent_bytes_ += left;
  auto chunk = pending_.begin();
  for (; chunk != pending_.end() && chunk->text.size() <= left; ++chunk) {
    left -= chunk->text.size();
    sent_.push_back(std::move(*chunk));
  }
  pending_.erase(pending_.begin(), chunk);
  if (left > 0) sent_.push_back(cut_front(pending_.front(), left));
  while (!sent_.empty() && (sent_.size() > kSentChunksKept ||
                            sent_bytes_ - sent_.front().text.size() >= kSentBytesKept)) {
    sent_bytes_ -= sent_.front().text.size();
    sent_.pop_front();
  }
}

// What the server has beyond `end` no more is sent again, as far as it is still here.
void LogPump::take_back(std::int64_t end) {
  auto missing = static_cast<std::size_t>(std::max<std::int64_t>(0, offset_ - end));
  std::vector<wire::LogChunk> again;
  while (missing > 0 && !sent_.empty()) {
    wire::LogChunk last = std::move(sent_.back());
    sent_.pop_back();
    sent_bytes_ -= last.text.size();
    if (last.text.size() > missing) {
      sent_.push_back(cut_front(last, last.text.size() - missing));
      sent_bytes_ += sent_.back().text.size();
    }
    missing -= last.text.size();
    pending_bytes_ += last.text.size();
    again.push_back(std::move(last));
  }
  if (missing > 0) {
    std::string notice =
        "\n[maestro: " + std::to_string(missing) + " bytes of the log were lost with a server]\n";
    pending_bytes_ += notice.size();
    again.push_back(
        {.t = system_clock().now().ms, .step = "", .stream = "system", .text = std::move(notice)});
  }
  pending_.insert(pending_.begin(), std::make_move_iterator(again.rbegin()),
                  std::make_move_iterator(again.rend()));
  offset_ = end;
}

void LogPump::after_failure(const Error& error) {
  if (error.code == Code::invalid_field && ++gaps_ <= kGapsMax && find_server_end()) return;
  if (!passes(error.code)) return discard();
  retry_ = std::clamp(retry_ * 2, options_.retry_first, options_.retry_max);
  next_send_ = Steady::now() + retry_;
}

// The server has less than it said before: it died with text that was not on its disk yet, or
// another leads that was not given all. The log goes on where it ends there.
bool LogPump::find_server_end() {
  const Result<std::int64_t> end = send_(0, {});
  if (!end.ok()) return false;
  take_back(*end);
  next_send_ = Steady::now();
  return true;
}

}  // namespace mc::worker
