#include "http/problem.h"

#include "base/clip.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::http {
namespace {
// Of one sentence: enough for what is said, and not for what a client sent to be sent back.
constexpr std::size_t kSentenceMax = 1024;

std::string sentence(std::string_view text) { return to_valid_utf8(clip(text, kSentenceMax)); }
}  // namespace

Response problem(const Error& error, std::string_view request_id) {
  Response response{.status = http_status(error.code), .content_type = "application/problem+json"};
  JsonWriter out;
  out.open('{').field("type", "/docs/errors#" + std::string(code_name(error.code)));
  out.field("title", code_title(error.code)).field("status", response.status);
  out.field("detail", sentence(error.message)).field("code", code_name(error.code));
  out.field("request_id", request_id);
  if (!error.problems.empty()) {
    out.key("errors").open('[');
    for (const Problem& each : error.problems) {
      out.open('{').field("line", each.line).field("column", each.column).field("code", each.code);
      out.field("message", sentence(each.message)).field("hint", sentence(each.hint));
      out.close('}');
    }
    out.close(']');
  }
  response.body = out.close('}').take();
  if (response.status == 503 || response.status == 429)
    response.headers.push_back({"Retry-After", "1"});
  return response;
}

}  // namespace mc::http
