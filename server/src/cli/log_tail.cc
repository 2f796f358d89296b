#include "cli/log_tail.h"

#include <optional>
#include <utility>

#include "base/text.h"
#include "cli/reference.h"

namespace mc::cli {
namespace {

// A line without an end is handed on in pieces of this size, so that memory stays bounded.
constexpr std::size_t kLineMax = 64U << 10;

// A line for people: commands that mark groups, errors and warnings as what they mean; nullopt when
// nothing of it is to be seen. In a pipe lines stay as they were written.
std::optional<std::string> on_terminal(const std::string& line, const Paint& paint) {
  const std::string_view text = line;
  if (text.starts_with("::endgroup::")) return std::nullopt;
  constexpr std::string_view kGroup = "::group::";
  if (text.starts_with(kGroup))
    return paint(Tone::bold, "▸ " + std::string(text.substr(kGroup.size())));
  if (text.starts_with("+++ ") || text.starts_with("--- ")) return paint(Tone::bold, line);
  for (const auto& [word, tone] :
       {std::pair("error", Tone::bad), std::pair("warning", Tone::warning),
        std::pair("notice", Tone::busy)}) {
    const std::string command = std::string("::") + word;
    if (!text.starts_with(command)) continue;
    const std::size_t end = text.find("::", command.size());
    const bool whole = end == command.size() || text.substr(command.size(), 1) == " ";
    if (end == std::string_view::npos || !whole) continue;
    return paint(tone, std::string(word) + ":") + " " + std::string(text.substr(end + 2));
  }
  return line;
}

}  // namespace

LogTail::LogTail(std::string run, std::string job, int attempt)
    : run_(std::move(run)), job_(std::move(job)), attempt_(attempt) {}

Result<bool> LogTail::read(Server& server, const Print& print, const Paint& paint) {
  bool some = false;
  for (;;) {
    client::Call call;
    call.path = log_path(run_, job_, attempt_, "");
    call.headers.emplace_back("Range", "bytes=" + std::to_string(offset_) + "-");
    call.headers.emplace_back("Accept", "text/plain");
    Result<client::Answer> answer = server.send(std::move(call));
    if (!answer.ok()) return answer.error();
    // Nothing was written yet, or nothing new.
    if (answer->status == 416 || answer->status == 404) return some;
    if (answer->status >= 400) return Server::problem_of(*answer);
    std::string_view fresh = answer->body;
    // A server that sends everything in spite of the range: skip what was seen.
    if (answer->status == 200)
      fresh.remove_prefix(std::min(fresh.size(), static_cast<std::size_t>(offset_)));
    if (fresh.empty()) return some;
    offset_ += static_cast<std::int64_t>(fresh.size());
    partial_ += fresh;
    some = true;
    hand_on(print, paint);
  }
}

void LogTail::hand_on(const Print& print, const Paint& paint) {
  const std::string margin = paint(Tone::busy, printable(job_)) + " │ ";
  std::size_t from = 0;
  for (;;) {
    std::size_t end = partial_.find('\n', from);
    const bool whole = end != std::string::npos;
    if (!whole) {
      if (partial_.size() - from < kLineMax) break;
      end = from + kLineMax;
    }
    std::string line = partial_.substr(from, end - from);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const std::optional<std::string> shown = paint.on ? on_terminal(line, paint) : line;
    if (shown) print(margin + *shown);
    from = whole ? end + 1 : end;
  }
  partial_.erase(0, from);
}

void LogTail::finish(const Print& print, const Paint& paint) {
  if (partial_.empty()) return;
  partial_ += '\n';
  hand_on(print, paint);
}

std::string log_path(const std::string& run, const std::string& job, int attempt,
                     const std::string& step) {
  std::string path = job_path(run, job) + "/logs";
  char separator = '?';
  if (attempt > 0) {
    path += separator + ("attempt=" + std::to_string(attempt));
    separator = '&';
  }
  if (!step.empty()) path += separator + ("step=" + percent_encode(step));
  return path;
}

}  // namespace mc::cli
