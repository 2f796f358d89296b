// Requests of workers, from whoever sends them: read or refused, never more. What is read is
// written so that it is read the same again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/logs_codec.h"
#include "wire/task_codec.h"

namespace {
template <class Request>
void check(const mc::Value& body, mc::Result<Request> (*decode)(const mc::Value&)) {
  const mc::Result<Request> request = decode(body);
  if (!request.ok()) return;
  const std::string written = mc::wire::encode(*request);
  const mc::Result<mc::Value> parsed = mc::parse_json(written);
  MC_CHECK(parsed.ok());
  const mc::Result<Request> again = decode(*parsed);
  MC_CHECK(again.ok());
  MC_CHECK(mc::wire::encode(*again) == written);
}

// Both forms of a piece of log are written as the raw one.
void check_raw(const mc::Result<mc::wire::LogsRequest>& request) {
  if (!request.ok()) return;
  const std::string written = mc::wire::encode_raw(*request);
  const auto again = mc::wire::decode_raw_logs(written);
  MC_CHECK(again.ok());
  MC_CHECK(mc::wire::encode_raw(*again) == written);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_raw(mc::wire::decode_raw_logs(text));
  const mc::Result<mc::Value> body = mc::parse_json(text);
  if (!body.ok()) return 0;
  check(*body, mc::wire::decode_register_request);
  check(*body, mc::wire::decode_poll_request);
  check(*body, mc::wire::decode_heartbeat_request);
  check(*body, mc::wire::decode_complete_request);
  check_raw(mc::wire::decode_logs_request(*body));
  return 0;
}
