// Server-sent events out of the pieces of a body (HTML Standard, 9.2). Pure; fuzzed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mc::http {

struct SseEvent {
  std::string id;     // the latest one that was sent, also by an earlier event
  std::string event;  // empty: "message"
  std::string data;
};

class SseParser {
 public:
  // A line, or the data of one event, that grows beyond this is cut off there.
  static constexpr std::size_t kEventBytesMax = 16 << 20;

  // The events that `piece` completes. Pieces may end anywhere.
  std::vector<SseEvent> feed(std::string_view piece);

 private:
  void take_line(std::vector<SseEvent>& events);
  void take_field(std::string_view name, std::string_view value);

  std::string line_;
  SseEvent open_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool first_line_ = true;
};

}  // namespace mc::http
