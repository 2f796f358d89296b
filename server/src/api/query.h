// The `q` language of GET /api/v1/runs: `key:value` terms with spaces between, values quoted when
// they have spaces. Every term must fit; several `status` terms are alternatives.
//   status:failed workflow:ci label.team:api created:>2026-01-01 ref:"refs/heads/my branch"
#pragma once

#include <string_view>

#include "base/error.h"
#include "db/store.h"

namespace mc::api {

inline constexpr std::size_t kQueryBytesMax = 2000;
inline constexpr std::size_t kQueryTermsMax = 50;

struct RunFilter {
  db::RunQuery query;    // project, limit and before_number are the caller's
  bool nothing = false;  // the terms exclude each other
};

// Errors: invalid_query; its problem has the column (1-based, in bytes) and a hint.
Result<RunFilter> parse_run_query(std::string_view text);

}  // namespace mc::api
