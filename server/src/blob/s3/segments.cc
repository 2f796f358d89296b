#include "blob/s3/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/json.h"

namespace mc::blob {
namespace {
constexpr std::size_t kOffsetDigits = 16;
constexpr std::size_t kEpochDigits = 8;

bool read_hex(std::string_view digits, std::int64_t& out) {
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out, 16);
  return read.ec == std::errc{} && read.ptr == digits.data() + digits.size() && out >= 0;
}

bool read_name(const std::string& key, Segment& out) {
  const std::string_view name = std::string_view(key).substr(key.rfind('/') + 1);
  if (name.size() != kOffsetDigits + 1 + kEpochDigits || name[kOffsetDigits] != '-') return false;
  out.key = key;
  return read_hex(name.substr(0, kOffsetDigits), out.offset) &&
         read_hex(name.substr(kOffsetDigits + 1), out.epoch);
}
}  // namespace

std::string segment_key(const std::string& log, std::int64_t offset, std::int64_t epoch) {
  return fmt::format("logs/{}/{:016x}-{:08x}", log, offset, epoch);
}

std::vector<Segment> pick_segments(const std::vector<std::string>& keys) {
  std::vector<Segment> all;
  for (const std::string& key : keys) {
    if (Segment segment; read_name(key, segment)) all.push_back(std::move(segment));
  }
  std::ranges::sort(all, {},
                    [](const Segment& each) { return std::tuple(each.epoch, each.offset); });
  std::vector<Segment> out;
  for (Segment& next : all) {
    const auto is_older = [&] { return !out.empty() && out.back().epoch < next.epoch; };
    while (is_older() && out.back().offset >= next.offset) out.pop_back();
    if (is_older()) out.back().end_max = next.offset;
    out.push_back(std::move(next));
  }
  return out;
}

std::string write_segment(const std::vector<LogPiece>& pieces) {
  std::string out;
  for (const LogPiece& piece : pieces) {
    JsonWriter line;
    line.open('{').field("n", piece.text.size()).field("t", piece.t);
    line.field("s", piece.step).field("c", piece.stream).close('}');
    out += line.text() + "\n" + piece.text;
  }
  return out;
}

Result<std::vector<LogPiece>> read_segment(std::string_view bytes) {
  const Error damaged{Code::store_failed, "a segment of a log in S3 is damaged", {}};
  std::vector<LogPiece> out;
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    if (newline == std::string_view::npos) return damaged;
    const Result<Value> line = parse_json(bytes.substr(0, newline));
    bytes.remove_prefix(newline + 1);
    const std::int64_t length = line && line->is_object() ? line->int_or("n", -1) : -1;
    if (length < 0 || length > static_cast<std::int64_t>(bytes.size())) return damaged;
    const auto size = static_cast<std::size_t>(length);
    out.push_back({line->int_or("t", 0), line->string_or("s", ""), line->string_or("c", ""),
                   std::string(bytes.substr(0, size))});
    bytes.remove_prefix(size);
  }
  return out;
}

void cut_pieces(std::vector<LogPiece>& pieces, std::int64_t length) {
  std::int64_t left = std::max<std::int64_t>(length, 0);
  for (LogPiece& piece : pieces) {
    const std::int64_t size = std::min(left, static_cast<std::int64_t>(piece.text.size()));
    piece.text.resize(static_cast<std::size_t>(size));
    left -= size;
  }
  std::erase_if(pieces, [](const LogPiece& piece) { return piece.text.empty(); });
}

}  // namespace mc::blob
