#include "http/pass_on.h"

#include "http/response_head.h"

namespace mc::http {

std::string pass_on(std::string_view head, const std::vector<Header>& added) {
  constexpr std::size_t kAddedBytes = 256;
  const auto next_line = [&head] {
    const std::string_view line = head.substr(0, head.find('\n') + 1);
    head.remove_prefix(line.size());
    return line;
  };
  std::string out;
  out.reserve(head.size() + kAddedBytes);
  out.append(next_line());
  for (const Header& header : added) append_header(out, header.name, header.value);
  append_header(out, "Connection", "close");
  while (!head.empty()) {
    const std::string_view line = next_line();
    if (!same_name(line.substr(0, line.find(':')), "connection")) out.append(line);
  }
  return out;
}

}  // namespace mc::http
