#include "redis/rate_script.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <chrono>

#include "redis/refusal.h"

namespace mc::redis {
namespace {
constexpr const char* kPrefix = "maestro:rate:";
constexpr double kMicrosASecond = 1e6;

// What somebody else put under the key counts as none. Numbers stay below 2^53 until the year 2255.
constexpr const char* kScript = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken, used = tonumber(ARGV[3]), tonumber(ARGV[4])
local full_at = tonumber(redis.pcall('GET', KEYS[1]))
if full_at == nil or full_at ~= full_at then
  full_at = now + used * interval
else
  full_at = math.max(full_at, now) + taken * interval
end
full_at = math.min(full_at, now + 2 * burst * interval)
if full_at > now then
  local expiry = math.ceil((full_at - now) / 1000) + 1
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', string.format('%.0f', expiry))
end
return math.ceil(full_at - now)
)lua";

// What EVALSHA knows the script by.
const std::string& script_digest() {
  static const std::string digest = [] {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    std::size_t size = 0;
    const std::string script = kScript;
    MC_CHECK(EVP_Q_digest(nullptr, "SHA1", nullptr, script.data(), script.size(), bytes.data(),
                          &size) == 1);
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes.at(i));
    return out;
  }();
  return digest;
}

Command command_of(bool whole, const RateTerms& terms, const RateCharge& charge) {
  return {whole ? "EVAL" : "EVALSHA",
          whole ? kScript : script_digest(),
          "1",
          kPrefix + charge.who,
          fmt::format("{}", kMicrosASecond / terms.per_second),
          fmt::format("{}", terms.burst),
          fmt::format("{}", charge.taken),
          fmt::format("{}", charge.used)};
}

bool lacks_script(const Reply& reply) {
  return reply.is_error() && reply.error_code() == "NOSCRIPT";
}
}  // namespace

Result<Charged> charge(Connection& connection, const RateTerms& terms,
                       std::span<const RateCharge> charges, Millis time) {
  std::vector<Command> commands;
  for (const RateCharge& each : charges) commands.push_back(command_of(false, terms, each));
  const auto deadline = std::chrono::steady_clock::now() + time;
  Result<std::vector<Reply>> replies = connection.exchange(commands, time);
  if (!replies) return replies.error();
  // A server that began anew has no script. Another client may bring it while these are on their
  // way: then some of them were run.
  std::vector<std::size_t> lacking;
  commands.clear();
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!lacks_script((*replies)[i])) continue;
    commands.push_back(command_of(lacking.empty(), terms, charges[i]));
    lacking.push_back(i);
  }
  if (!lacking.empty()) {
    const auto left = deadline - std::chrono::steady_clock::now();
    Result<std::vector<Reply>> again =
        connection.exchange(commands, std::chrono::duration_cast<Millis>(left));
    if (!again) return again.error();
    for (std::size_t i = 0; i < lacking.size(); ++i)
      (*replies)[lacking[i]] = std::move((*again)[i]);
  }
  Charged out;
  const double interval = kMicrosASecond / terms.per_second;
  for (const Reply& reply : *replies) {
    if (reply.is_error()) {
      if (out.first_refusal) out.first_refusal = refusal(reply, connection.place());
      out.used.emplace_back();
    } else {
      // The script gives an integer; whatever else answers here counts as nothing used.
      out.used.emplace_back(static_cast<double>(reply.integer) / interval);
    }
  }
  return out;
}

Status probe(Connection& connection, Millis time) {
  // A name that is no token's id and no address; gone after a millisecond or two.
  const RateCharge nobody{.who = "nobody", .taken = 1, .used = 1};
  const auto charged =
      charge(connection, {.per_second = kMicrosASecond, .burst = 1}, std::span(&nobody, 1), time);
  return charged ? charged->first_refusal : Status(charged.error());
}

}  // namespace mc::redis
