#include "redis/resp.h"

#include <algorithm>

namespace mc::redis {

void write_command(const Command& command, std::string& out) {
  out += '*' + std::to_string(command.size()) + "\r\n";
  for (const std::string& argument : command)
    out += '$' + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
}

std::string_view Reply::error_code() const {
  constexpr std::size_t kCodeMax = 24;
  const std::string_view all = text;
  const std::string_view word = all.substr(0, all.find(' '));
  const bool fine = word.size() <= kCodeMax && std::ranges::all_of(word, [](char c) {
                      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
                    });
  return fine ? word : std::string_view();
}

}  // namespace mc::redis
