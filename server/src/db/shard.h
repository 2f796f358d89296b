// Which shard a project belongs to (ADR 0015). Pure. The database's own `maestro_shard_of` says the
// same (migrations/postgres/0003_shards.sql).
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/sha256.h"

namespace mc::db {

inline constexpr int kShardsMax = 64;

// 0 to shards - 1: the first four bytes of the name's SHA-256, the highest first, modulo the number
// of shards. Requires: shards >= 1.
inline int shard_of(std::string_view project, int shards) {
  MC_CHECK(shards >= 1);
  constexpr int kDigits = 8, kBase = 16;
  const std::string digest = sha256_hex(project);
  std::uint32_t head = 0;
  std::from_chars(digest.data(), digest.data() + kDigits, head, kBase);
  return static_cast<int>(head % static_cast<std::uint32_t>(shards));
}

}  // namespace mc::db
