#include "redis/refusal.h"

#include <array>
#include <string>

namespace mc::redis {
namespace {
struct Meaning {
  std::string_view code;
  Code ours;
  std::string_view message;
};

constexpr std::string_view kOfACluster =
    "it is a node of a Redis Cluster, which is not supported: name a server that stands alone, or "
    "the primary of a failover pair";
constexpr std::array kMeanings = {
    Meaning{"WRONGPASS", Code::invalid_setting,
            "the user or the password in REDIS_URL is wrong, or the user is switched off: set "
            "redis://USER:PASSWORD@HOST as the server has them (requirepass or ACL LIST)"},
    Meaning{"NOAUTH", Code::invalid_setting,
            "it wants a password and REDIS_URL has none: write redis://:PASSWORD@HOST"},
    Meaning{"NOPROTO", Code::invalid_setting,
            "it does not speak RESP3: Redis 6 or newer is needed"},
    Meaning{"MOVED", Code::invalid_setting, kOfACluster},
    Meaning{"CROSSSLOT", Code::invalid_setting, kOfACluster},
    Meaning{"OOM", Code::store_failed,
            "its memory is full: raise maxmemory, or set maxmemory-policy to volatile-ttl"},
    Meaning{"READONLY", Code::store_failed,
            "it is a read-only replica: REDIS_URL has to name the primary"},
    Meaning{"MISCONF", Code::store_failed, "it cannot save to its disk and takes no writes"},
    Meaning{"NOREPLICAS", Code::store_failed, "it has too few replicas and takes no writes"},
    Meaning{"MASTERDOWN", Code::store_failed, "it is a replica that has lost its primary"},
    Meaning{"LOADING", Code::store_failed, "it is loading its data"},
    Meaning{"BUSY", Code::store_failed, "it is busy with somebody's script"},
};
}  // namespace

Error refusal(const Reply& reply, const Place& place) {
  const std::string_view code = reply.error_code();
  const std::string who = "Redis at " + place.shown() + ": ";
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == code)
      return {
          meaning.ours, who + std::string(meaning.message) + " (" + std::string(code) + ")", {}};
  }
  if (code == "NOPERM") {
    return {Code::invalid_setting,
            who + "the user in REDIS_URL may not do what is needed: " + std::string(kAccessList) +
                " (NOPERM)",
            {}};
  }
  // Redis has one code for many things; what it says of them may hold what was sent.
  const std::string_view text = reply.text;
  if (text.starts_with("ERR DB index") || text.starts_with("ERR invalid DB index") ||
      text.starts_with("ERR SELECT is not allowed")) {
    return {Code::invalid_setting,
            who + "it has no database " + std::to_string(place.database) +
                ": REDIS_URL ends with a smaller number, or the server's `databases` is raised",
            {}};
  }
  if (text.starts_with("ERR unknown command")) {
    return {Code::invalid_setting,
            who + "it does not know a command that is needed: Redis 6 or newer is wanted",
            {}};
  }
  if (text.starts_with("ERR max number of clients"))
    return {Code::unreachable, who + "it has too many clients: raise maxclients", {}};
  return {Code::unreachable,
          who + "it refuses (" + (code.empty() ? "no reason" : std::string(code)) + ")",
          {}};
}

}  // namespace mc::redis
