// What goes to Redis and what comes back, as plain values: the protocol RESP
// (https://redis.io/docs/reference/protocol-spec/, versions 2 and 3).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mc::redis {

// A command and its arguments; any bytes.
using Command = std::vector<std::string>;

// Appends the command as the server reads it: an array of strings.
void write_command(const Command& command, std::string& out);

struct Reply {
  // list: arrays and sets; map: key, value, key, value, …; push: said unasked.
  enum class Kind : std::uint8_t { null, text, error, integer, number, boolean, list, map, push };

  Kind kind = Kind::null;
  std::string text;          // text (also verbatim text and big numbers), error
  std::int64_t integer = 0;  // integer; boolean: 0 or 1
  double number = 0;
  std::vector<Reply> items;  // list, map, push

  bool is_error() const { return kind == Kind::error; }
  // "WRONGPASS" of "WRONGPASS invalid …": what may be shown. The rest may repeat what was sent,
  // passwords too. "" when it has none.
  std::string_view error_code() const;
  bool operator==(const Reply&) const = default;
};

}  // namespace mc::redis
