// A log in S3 is a row of segments, `logs/<run>/<node>.<attempt>/<offset>-<epoch>`: the offset of
// its first byte of text as 16 hex digits, the epoch of the leader that wrote it as 8. A segment
// holds pieces, each a line and as many bytes of text as it says:
//   {"n":12,"t":1700000000000,"s":"compile","c":"stdout"}
// The segments of one epoch follow each other. A later epoch begins where its leader found the end;
// what an earlier one has from there on was written by a leader that no longer led, and is not part
// of the log. Pure. docs/internals/store.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "blob/blob_store.h"

namespace mc::blob {

struct Segment {
  std::string key;
  std::int64_t offset = 0;
  std::int64_t epoch = 0;
  std::int64_t end_max = INT64_MAX;  // text from here on is not part of the log
};

// `log` is "<run>/<node>.<attempt>".
std::string segment_key(const std::string& log, std::int64_t offset, std::int64_t epoch);
// Those that make up the log, in order. Keys of another form are left out.
std::vector<Segment> pick_segments(const std::vector<std::string>& keys);

std::string write_segment(const std::vector<LogPiece>& pieces);
// Errors: store_failed: damaged.
Result<std::vector<LogPiece>> read_segment(std::string_view bytes);
// The first `length` bytes of text.
void cut_pieces(std::vector<LogPiece>& pieces, std::int64_t length);

}  // namespace mc::blob
