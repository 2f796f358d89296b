// GET …/logs as text (whole, a range, a step, the last lines) and as NDJSON. Following is in
// log_stream.cc.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "api/call.h"
#include "api/files.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::api {
namespace {
constexpr std::int64_t kPieceBytes = 1 << 20;
constexpr std::size_t kTextMax = 32 << 20;    // of one step's log in an answer
constexpr std::int64_t kTailMax = 8 << 20;    // bytes looked at for the last lines
constexpr std::int64_t kPageBytes = 8 << 20;  // of text in one NDJSON answer
constexpr std::int64_t kOffsetMax = std::int64_t{1} << 50;

struct Wanted {
  int attempt = 0;
  std::string step;
  std::int64_t tail = 0;
  std::int64_t offset = 0;
};

http::Response text_head(const conductor::LogTarget& target) {
  http::Response response{.content_type = "text/plain; charset=utf-8"};
  response.headers.push_back({"X-Attempt", std::to_string(target.attempt)});
  return response;
}

// The text of one step, or of all with an empty one, from `offset` on. What is beyond kTextMax is
// left out, and says so.
Result<std::string> read_text(blob::BlobStore& blobs, const conductor::LogTarget& target,
                              const std::string& step, std::int64_t offset) {
  std::string text;
  while (true) {
    Result<blob::LogRead> read =
        blobs.read_log(target.run, target.node, target.attempt, offset, kPieceBytes);
    if (!read) return read.error();
    if (read->pieces.empty()) return text;
    if (text.size() > kTextMax)
      return text + "\n[maestro] the rest is left out: the whole log, without `step`, has it\n";
    for (const blob::LogPiece& piece : read->pieces) {
      if (step.empty() || piece.step == step) text += piece.text;
    }
    offset = read->next_offset;
  }
}

Result<std::int64_t> begin_of(blob::BlobStore& blobs, const conductor::LogTarget& target,
                              const Wanted& wanted) {
  if (wanted.tail == 0) return wanted.offset;
  return tail_offset(blobs, target, wanted.step, wanted.tail);
}

void answer_text(const Call& call, const conductor::LogTarget& target, const Wanted& wanted) {
  blob::BlobStore& blobs = call.service().blobs();
  if (!wanted.step.empty() || wanted.tail > 0) {
    const Result<std::int64_t> from = begin_of(blobs, target, wanted);
    if (!from) return call.fail(from.error());
    Result<std::string> text = read_text(blobs, target, wanted.step, *from);
    if (!text) return call.fail(text.error());
    return answer_bytes(call, text_head(target), std::move(*text));
  }
  const auto file = blobs.log_file(target.run, target.node, target.attempt);
  if (!file) {
    if (file.error().code != Code::not_found) return call.fail(file.error());
    return answer_bytes(call, text_head(target), {});  // nothing was logged yet
  }
  answer_file(call, text_head(target), file->path, file->size);
}

// At most kPageBytes; what follows is at the link that the answer names.
void answer_ndjson(const Call& call, const conductor::LogTarget& target, const Wanted& wanted) {
  http::Response response = text_head(target);
  response.content_type = "application/x-ndjson";
  blob::BlobStore& blobs = call.service().blobs();
  const Result<std::int64_t> from = begin_of(blobs, target, wanted);
  if (!from) return call.fail(from.error());
  std::int64_t offset = *from;
  std::string lines;
  bool more = true;
  while (more && offset - *from < kPageBytes) {
    Result<blob::LogRead> read =
        blobs.read_log(target.run, target.node, target.attempt, offset, kPieceBytes);
    if (!read) return call.fail(read.error());
    more = !read->pieces.empty();
    for (const blob::LogPiece& piece : read->pieces) {
      if (!wanted.step.empty() && piece.step != wanted.step) continue;
      lines += log_piece_json(piece) + "\n";
    }
    if (more) offset = read->next_offset;
  }
  response.headers.push_back({"X-Next-Offset", std::to_string(offset)});
  if (more) {
    const std::string step = wanted.step.empty() ? "" : "&step=" + percent_encode(wanted.step);
    response.headers.push_back({"Link", fmt::format("<?attempt={}&offset={}{}>; rel=\"next\"",
                                                    target.attempt, offset, step)});
  }
  response.body = std::move(lines);
  call.answer(std::move(response));
}

Result<Wanted> read_wanted(const Call& call) {
  Wanted wanted;
  const auto attempt = read_number(call, "attempt", 0, 1, 1'000'000);
  if (!attempt) return attempt.error();
  const auto tail = read_number(call, "tail", 0, 1, kTailLinesMax);
  if (!tail) return tail.error();
  const auto offset = read_number(call, "offset", 0, 0, kOffsetMax);
  if (!offset) return offset.error();
  wanted.attempt = static_cast<int>(*attempt);
  wanted.tail = *tail;
  wanted.offset = *offset;
  wanted.step = call.query("step");
  return wanted;
}
}  // namespace

std::string log_piece_json(const blob::LogPiece& piece) {
  JsonWriter out;
  out.open('{').field("t", Instant{piece.t}).text_or_null("step", piece.step);
  out.field("stream", piece.stream).field("text", to_valid_utf8(piece.text));
  return out.close('}').take();
}

Result<std::int64_t> tail_offset(blob::BlobStore& blobs, const conductor::LogTarget& target,
                                 const std::string& step, std::int64_t lines) {
  const std::int64_t size = blobs.log_size(target.run, target.node, target.attempt);
  std::int64_t offset = std::max<std::int64_t>(0, size - kTailMax);
  std::deque<std::int64_t> begins;  // of the last lines
  bool fresh = true;                // the next byte begins a line
  while (true) {
    Result<blob::LogRead> read =
        blobs.read_log(target.run, target.node, target.attempt, offset, kPieceBytes);
    if (!read) return read.error();
    if (read->pieces.empty()) return begins.empty() ? offset : begins.front();
    for (const blob::LogPiece& piece : read->pieces) {
      const bool meant = step.empty() || piece.step == step;
      for (std::size_t at = 0; meant && at < piece.text.size();) {
        if (fresh) begins.push_back(offset + static_cast<std::int64_t>(at));
        if (static_cast<std::int64_t>(begins.size()) > lines) begins.pop_front();
        const std::size_t newline = piece.text.find('\n', at);
        fresh = newline != std::string::npos;
        at = fresh ? newline + 1 : piece.text.size();
      }
      offset += static_cast<std::int64_t>(piece.text.size());
    }
    offset = read->next_offset;
  }
}

void get_logs(const CallPtr& call) {
  if (call->accepts("text/event-stream")) return follow_logs(call);
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const Result<Wanted> wanted = read_wanted(*call);
  if (!wanted) return call->fail(wanted.error());
  call->service().log_target(call->principal, *id, call->params.at(1), wanted->attempt,
                             [call, wanted = *wanted](const Result<conductor::LogTarget>& target) {
                               if (!target) return call->fail(target.error());
                               const bool lines = call->accepts("application/x-ndjson");
                               offload(call, [call, wanted, lines, target = *target] {
                                 lines ? answer_ndjson(*call, target, wanted)
                                       : answer_text(*call, target, wanted);
                               });
                             });
}
}  // namespace mc::api
