#include "cluster/shards.h"

#include <charconv>

namespace mc::cluster {

std::string task_prefix(int shard) { return "s" + std::to_string(shard) + "."; }

std::optional<int> shard_of_task(std::string_view task_id) {
  const std::size_t dot = task_id.find('.');
  if (dot == std::string_view::npos || dot < 2 || task_id.front() != 's') return std::nullopt;
  const std::string_view digits = task_id.substr(1, dot - 1);
  // One way to write each number: nothing else is an id that was given.
  if (digits.front() == '-' || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  int shard = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, shard);
  if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return shard;
}

}  // namespace mc::cluster
