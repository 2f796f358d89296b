#include "db/postgres/feed.h"

#include <algorithm>
#include <iterator>

#include "db/postgres/read.h"

namespace mc::db::pg {
namespace {
// Of a sequence that has given nothing, the last value is the first that it will give.
#define MC_PG_LAST_GIVEN "(SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM positions)"
}  // namespace

Result<std::vector<FeedGroup>> Feed::read(std::int64_t after, int limit) {
  if (ordered_) return read_feed_page(readers_, after, INT64_MAX, limit);
  std::vector<FeedGroup> page;
  const std::int64_t known = known_;
  if (after < known) {
    auto first = read_feed_page(readers_, after, known, limit);
    if (!first || std::ssize(*first) >= limit) return first;
    page = std::move(*first);
  }
  const Result<std::int64_t> settled_up_to = settled();
  if (!settled_up_to) return settled_up_to.error();
  const std::int64_t from = std::max(after, known);
  if (from >= *settled_up_to) return page;
  auto rest =
      read_feed_page(readers_, from, *settled_up_to, limit - static_cast<int>(std::ssize(page)));
  if (!rest) return rest;
  std::move(rest->begin(), rest->end(), std::back_inserter(page));
  return page;
}

Result<std::int64_t> Feed::end() {
  std::int64_t settled_up_to = INT64_MAX;
  if (!ordered_) {
    const Result<std::int64_t> answer = settled();
    if (!answer) return answer.error();
    settled_up_to = *answer;
  }
  const Result<Rows> rows =
      readers_.ask({"SELECT coalesce(max(position), 0) FROM events WHERE position <= $1",
                    Params().add(settled_up_to)});
  if (!rows) return rows.error();
  return rows->integer(0, 0);
}

// One question at a time, for all who came before it was asked.
Result<std::int64_t> Feed::settled() {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = asked_ + 1;
  answered_.wait(lock, [&] { return !asking_ || answers_ >= wanted; });
  if (answers_ >= wanted) return known_.load();
  asking_ = true;
  const std::uint64_t mine = ++asked_;
  lock.unlock();
  const Result<std::int64_t> answer = ask();
  lock.lock();
  asking_ = false;
  if (answer) {
    known_ = *answer;
    answers_ = mine;
  }
  answered_.notify_all();
  return answer;
}

// A commit holds its shard's row from before it takes a position to its end.
Result<std::int64_t> Feed::ask() {
  const std::int64_t known = known_;
  const auto answer = readers_.ask(
      std::vector<Statement>{
          {"SELECT set_config('synchronous_commit', 'off', true)", {}},
          {"SELECT 1 FROM feeds WHERE " MC_PG_LAST_GIVEN " <> $1 ORDER BY shard FOR SHARE",
           Params().add(known)},
          {"SELECT " MC_PG_LAST_GIVEN, {}}},
      Kind::write);
  if (!answer) return answer.error();
  // Without the locks a position may have been given in between.
  return (*answer)[1].size() == 0 ? known : (*answer)[2].integer(0, 0);
}

}  // namespace mc::db::pg
