// A piece of a job's log on its way from a worker to the server. Two forms, which mean the same:
//   raw   what our worker sends: a line of JSON, {worker_id, task_id, fence, offset,
//         chunks: [{t, step, stream, size}]}, then the bytes of the chunks, one after the other.
//         Any bytes, nothing to escape, nothing for the server to parse but the line.
//   JSON  the same fields with `text`, or `base64` for bytes that are not UTF-8: for workers in
//         languages where that is easier.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::wire {

inline constexpr std::string_view kRawLogs = "application/octet-stream";  // its Content-Type

struct LogChunk {
  std::int64_t t = 0;  // ms since the epoch
  std::string step;
  std::string stream;  // stdout, stderr, system
  std::string text;    // any bytes
};
struct LogsRequest {
  std::string worker_id;
  std::string task_id;
  std::int64_t fence = 0;
  std::int64_t offset =
      0;  // bytes of log sent before, over the attempt; a gap or overlap is refused or cut
  std::vector<LogChunk> chunks;
};

std::string encode_raw(const LogsRequest& request);
// Errors: malformed_json; unknown_field, missing_field, invalid_field, also when the sizes and the
// bytes do not agree.
Result<LogsRequest> decode_raw_logs(std::string_view body);
Result<LogsRequest> decode_logs_request(const Value& body);

}  // namespace mc::wire
