#include "api/files.h"

#include <fmt/format.h>

#include "http/problem.h"
#include "http/range.h"

namespace mc::api {
namespace {
http::RangeKind wanted_range(const Call& call, std::int64_t size, http::ByteRange& range) {
  range = {0, size};
  const std::string* header = call.request.header("range");
  return header == nullptr ? http::RangeKind::none : http::parse_range(*header, size, range);
}

void refuse_range(const Call& call, std::int64_t size) {
  http::Response response =
      http::problem({Code::range_not_satisfiable, fmt::format("there are {} bytes", size), {}},
                    call.request.request_id);
  response.headers.push_back({"Content-Range", fmt::format("bytes */{}", size)});
  call.answer(std::move(response));
}

void mark_range(http::Response& response, const http::ByteRange& range, std::int64_t size) {
  response.status = 206;
  response.headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", range.offset,
                                                           range.offset + range.length - 1, size)});
}
}  // namespace

void answer_file(const Call& call, http::Response response, const std::string& path,
                 std::int64_t size) {
  http::ByteRange range;
  const http::RangeKind kind = wanted_range(call, size, range);
  if (kind == http::RangeKind::unsatisfiable) return refuse_range(call, size);
  if (kind == http::RangeKind::range) mark_range(response, range, size);
  if (kind == http::RangeKind::none) range = {0, size};
  response.headers.push_back({"Accept-Ranges", "bytes"});
  response.file = http::FileBody{path, range.offset, range.length};
  call.answer(std::move(response));
}

void answer_bytes(const Call& call, http::Response response, std::string bytes) {
  http::ByteRange range;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const http::RangeKind kind = wanted_range(call, size, range);
  if (kind == http::RangeKind::unsatisfiable) return refuse_range(call, size);
  response.headers.push_back({"Accept-Ranges", "bytes"});
  if (kind == http::RangeKind::range) {
    mark_range(response, range, size);
    bytes = bytes.substr(static_cast<std::size_t>(range.offset),
                         static_cast<std::size_t>(range.length));
  }
  response.body = std::move(bytes);
  call.answer(std::move(response));
}
}  // namespace mc::api
