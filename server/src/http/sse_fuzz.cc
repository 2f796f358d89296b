// The same events however the body is cut.
#include <cstdint>

#include "base/check.h"
#include "http/sse.h"

namespace {
std::vector<mc::http::SseEvent> read_by(std::string_view bytes, std::size_t step) {
  mc::http::SseParser parser;
  std::vector<mc::http::SseEvent> events;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    for (auto& each : parser.feed(bytes.substr(at, step))) events.push_back(std::move(each));
  }
  return events;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = read_by(bytes, size + 1);
  const auto pieces = read_by(bytes, 1);
  MC_CHECK(whole.size() == pieces.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    MC_CHECK(whole[i].id == pieces[i].id && whole[i].event == pieces[i].event);
    MC_CHECK(whole[i].data == pieces[i].data);
    MC_CHECK(whole[i].data.size() <= bytes.size());
  }
  return 0;
}
