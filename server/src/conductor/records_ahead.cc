#include "conductor/records_ahead.h"

#include <algorithm>

namespace mc::conductor {
namespace {
constexpr std::size_t kRememberedMax = 2'000;
constexpr std::size_t kRememberedBytesMax = 4 << 10;
}  // namespace

Result<std::optional<std::string>> RecordsAhead::get(std::string_view kind, std::string_view key) {
  Key place{kind, key};
  if (const auto found = ahead_.find(place); found != ahead_.end()) return found->second.json;
  if (const auto found = read_.find(place); found != read_.end())
    return std::optional(found->second);
  auto record = store_.get_record(kind, key);
  if (!record) return record.error();
  if (!*record) return std::optional<std::string>{};
  std::string& json = (*record)->json;
  if (json.size() <= kRememberedBytesMax) {
    if (read_.size() >= kRememberedMax) read_.clear();
    read_.emplace(std::move(place), json);
  }
  return std::optional(std::move(json));
}

bool RecordsAhead::has(std::string_view kind, std::string_view key) const {
  return ahead_.contains({std::string(kind), std::string(key)});
}

void RecordsAhead::put(std::vector<db::RecordPut>& batch, db::RecordPut put) {
  read_.erase({put.kind, put.key});
  Ahead& ahead = ahead_[{put.kind, put.key}];
  const bool is_there = ahead.batch == gathering_;
  ahead = {put.json, gathering_};
  if (!is_there) return batch.push_back(std::move(put));
  const auto earlier = std::find_if(batch.begin(), batch.end(), [&](const db::RecordPut& p) {
    return p.kind == put.kind && p.key == put.key;
  });
  MC_CHECK(earlier != batch.end());
  put.expected = earlier->expected;
  *earlier = std::move(put);
}

void RecordsAhead::landed(const std::vector<db::RecordPut>& batch) {
  for (const db::RecordPut& put : batch) {
    const auto found = ahead_.find({put.kind, put.key});
    if (found != ahead_.end() && found->second.batch < gathering_) ahead_.erase(found);
  }
}

}  // namespace mc::conductor
