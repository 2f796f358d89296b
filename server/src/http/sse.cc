#include "http/sse.h"

#include <algorithm>

namespace mc::http {

std::vector<SseEvent> SseParser::feed(std::string_view piece) {
  std::vector<SseEvent> events;
  while (!piece.empty()) {
    if (after_cr_ && piece.front() == '\n') piece.remove_prefix(1);
    after_cr_ = false;
    const std::size_t end = std::min(piece.find_first_of("\r\n"), piece.size());
    line_.append(piece.substr(0, std::min(end, kEventBytesMax - line_.size())));
    if (end == piece.size()) break;
    after_cr_ = piece[end] == '\r';
    piece.remove_prefix(end + 1);
    take_line(events);
    line_.clear();
  }
  return events;
}

void SseParser::take_line(std::vector<SseEvent>& events) {
  std::string_view line = line_;
  if (first_line_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  first_line_ = false;
  if (line.empty()) {
    if (has_data_) events.push_back(open_);
    open_.event.clear();
    open_.data.clear();
    has_data_ = false;
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  take_field(line.substr(0, colon), value);  // a comment has the empty name
}

void SseParser::take_field(std::string_view name, std::string_view value) {
  if (name == "id") {
    if (value.find('\0') == std::string_view::npos) open_.id = value;
  } else if (name == "event") {
    open_.event = value;
  } else if (name == "data") {
    if (has_data_ && open_.data.size() < kEventBytesMax) open_.data += '\n';
    open_.data += value.substr(0, kEventBytesMax - open_.data.size());
    has_data_ = true;
  }
}

}  // namespace mc::http
