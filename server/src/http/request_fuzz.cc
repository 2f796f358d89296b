// Any bytes, cut in any way, must give the same verdict, and what is let through must be sound.
#include <cstdint>
#include <cstdlib>

#include "base/check.h"
#include "base/text.h"
#include "http/pass_on.h"
#include "http/range.h"
#include "http/request_reader.h"
#include "http/response_head.h"

namespace mc::http {
namespace {

struct Outcome {
  RequestReader::State state = RequestReader::State::head;
  Code code = Code::internal;
  std::string target, path, body;
  std::size_t headers = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read_by(std::string_view bytes, std::size_t step) {
  RequestReader reader(4 << 10);
  std::string pending;
  bool limited = false;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    pending += bytes.substr(at, step);
    for (std::size_t used = 1;
         used > 0 && !pending.empty() && reader.state() < RequestReader::State::done;) {
      used = reader.feed(pending);
      MC_CHECK(used <= pending.size());
      pending.erase(0, used);
      if (!limited && reader.state() == RequestReader::State::body) {
        limited = true;
        reader.limit_body(1000);
      }
    }
  }
  Outcome outcome{.state = reader.state()};
  if (outcome.state == RequestReader::State::failed) outcome.code = reader.error().code;
  if (outcome.state == RequestReader::State::done) {
    outcome.target = reader.request().target;
    outcome.path = reader.request().path;
    outcome.body = reader.request().body;
    outcome.headers = reader.request().headers.size();
  }
  return outcome;
}

void check_sound(const Outcome& outcome) {
  if (outcome.state != RequestReader::State::done) return;
  MC_CHECK(outcome.path.starts_with('/'));
  MC_CHECK(outcome.body.size() <= 1000);
  MC_CHECK(!find_invalid_utf8(outcome.path));
  for (const std::string& part : split(outcome.path, '/')) MC_CHECK(part != "." && part != "..");
  MC_CHECK(outcome.path.find('\0') == std::string::npos);
}

// Another server reads a request that was passed on to it as it was read here.
void check_passed_on(std::string_view bytes, const Outcome& whole) {
  if (whole.state != RequestReader::State::done) return;
  RequestReader reader(4 << 10);
  const std::size_t head = reader.feed(bytes);
  std::size_t connections = 0;
  for (const Header& header : reader.request().headers)
    connections += same_name(header.name, "connection") ? 1 : 0;
  const std::string passed = pass_on(bytes.substr(0, head), {{"Shard", "3"}});
  RequestReader other(8 << 10);
  MC_CHECK(other.feed(passed) == passed.size());
  MC_CHECK(other.state() == reader.state());
  MC_CHECK(other.request().target == whole.target);
  MC_CHECK(other.request().headers.size() == whole.headers - connections + 2);
  MC_CHECK(*other.request().header("shard") == "3");
  MC_CHECK(other.framing().chunked == reader.framing().chunked);
  MC_CHECK(other.framing().content_length == reader.framing().content_length);
  MC_CHECK(!other.framing().keep_alive);
}

}  // namespace
}  // namespace mc::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mc::http;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read_by(bytes, size + 1);
  check_sound(whole);
  if (size < 4000) check_passed_on(bytes, whole);
  // A head over the limit may be seen earlier or later, by what is wrong with the rest of it.
  if (whole.code != mc::Code::header_too_large && size < 4000) {
    MC_CHECK(read_by(bytes, 1) == whole);
    MC_CHECK(read_by(bytes, 7) == whole);
  }
  ByteRange range;
  if (parse_range(bytes, 1000, range) == RangeKind::range)
    MC_CHECK(range.offset >= 0 && range.length > 0 && range.offset + range.length <= 1000);
  const Response response{.content_type = std::string(bytes),
                          .headers = {{"X", std::string(bytes)}}};
  const std::string head = encode_head(response, {.request_id = "r", .date = "d"});
  MC_CHECK(head.find("\r\n\r\n") == head.size() - 4);
  return 0;
}
