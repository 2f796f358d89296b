#include "bin/token_reader.h"

#include "base/log.h"

namespace mc::bin {
namespace {
// Whoever guesses tokens makes us read no more often than this.
constexpr std::chrono::milliseconds kBetween{200};
constexpr std::size_t kMissingMax = 10'000;
}  // namespace

TokenReader::TokenReader(std::unique_ptr<db::Store> store) : store_(std::move(store)) {}

Result<std::unique_ptr<TokenReader>> TokenReader::start(std::unique_ptr<db::Store> store) {
  // tidy: allow banned: the constructor is private
  std::unique_ptr<TokenReader> reader(new TokenReader(std::move(store)));
  if (const Status read = reader->table_->refresh(*reader->store_); !read) return read.error();
  reader->thread_ = std::thread([raw = reader.get()] { raw->read_on(); });
  return reader;
}

TokenReader::~TokenReader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TokenReader::refresh() {
  {
    const std::lock_guard lock(mutex_);
    asked_ = begun_ + 1;
  }
  wanted_.notify_all();
}

TokenReader::Project TokenReader::project_of(std::string_view token) {
  if (auto project = table_->project_of(token)) return {Known::yes, std::move(*project)};
  if (!auth::is_token(token)) return {};
  const auth::TokenHash hash = auth::hash_token(token);
  {
    const std::lock_guard lock(mutex_);
    if (missing_.size() >= kMissingMax) missing_.clear();
    // A reading that has begun may have passed over it.
    const auto [entry, is_new] = missing_.try_emplace(hash, begun_ + 1);
    if (!is_new && entry->second <= ended_) return {};
    asked_ = std::max(asked_, entry->second);
  }
  wanted_.notify_all();
  return {Known::not_yet, {}};
}

void TokenReader::read_on() {
  bool troubled = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return stopping_ || asked_ > begun_; });
    if (stopping_) return;
    const std::uint64_t number = ++begun_;
    lock.unlock();
    const Status read = table_->refresh(*store_);
    if (!read && !troubled) log_warn("tokens cannot be read", {{"reason", read.error().message}});
    troubled = !read;
    lock.lock();
    if (read) ended_ = number;
    if (!read) asked_ = begun_ + 1;
    wanted_.wait_for(lock, kBetween, [this] { return stopping_; });
  }
}

}  // namespace mc::bin
