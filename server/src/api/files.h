// Answers whose body is a file on disk, whole or the range that was asked for.
#pragma once

#include <cstdint>
#include <string>

#include "api/call.h"
#include "blob/blob_store.h"

namespace mc::api {

// 200 with all of it, 206 with a range, 416 when there are no such bytes. `response` has the head.
void answer_file(const Call& call, http::Response response, const std::string& path,
                 std::int64_t size);
// The same for bytes in memory.
void answer_bytes(const Call& call, http::Response response, std::string bytes);

// {t, step, stream, text}: a piece of a log as NDJSON lines and streams show it.
std::string log_piece_json(const blob::LogPiece& piece);
inline constexpr std::int64_t kTailLinesMax = 100'000;
// Where the last `lines` lines of a log (of one of its steps, if named) begin. Looks at the last
// 8 MiB only.
Result<std::int64_t> tail_offset(blob::BlobStore& blobs, const conductor::LogTarget& target,
                                 const std::string& step, std::int64_t lines);

}  // namespace mc::api
