// A reply as a server writes it: for tests and the fuzzer, to be read again.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "redis/resp.h"

namespace mc::redis {

inline std::string written(const Reply& reply) {
  const auto items = [&](char type, std::size_t count) {
    std::string out = fmt::format("{}{}\r\n", type, count);
    for (const Reply& item : reply.items) out += written(item);
    return out;
  };
  const auto bytes = [&](char type) {
    return fmt::format("{}{}\r\n{}\r\n", type, reply.text.size(), reply.text);
  };
  switch (reply.kind) {
    case Reply::Kind::null: return "_\r\n";
    case Reply::Kind::text: return bytes('$');
    case Reply::Kind::error: return bytes('!');
    case Reply::Kind::integer: return fmt::format(":{}\r\n", reply.integer);
    case Reply::Kind::boolean: return reply.integer != 0 ? "#t\r\n" : "#f\r\n";
    case Reply::Kind::number:
      return std::isnan(reply.number) ? ",nan\r\n" : fmt::format(",{}\r\n", reply.number);
    case Reply::Kind::list: return items('*', reply.items.size());
    case Reply::Kind::map: return items('%', reply.items.size() / 2);
    case Reply::Kind::push: return items('>', reply.items.size());
  }
  return {};
}

}  // namespace mc::redis
