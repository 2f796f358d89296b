#include "bin/gate.h"

#include "base/error.h"
#include "base/json.h"

namespace mc::bin {
namespace {

http::Response starting(const std::string& request_id) {
  JsonWriter out;
  out.open('{').field("type", "about:blank").field("title", code_title(Code::overloaded));
  out.field("status", http_status(Code::overloaded)).field("detail", "the server is starting");
  out.field("code", code_name(Code::overloaded)).field("request_id", request_id).close('}');
  http::Response response;
  response.status = http_status(Code::overloaded);
  response.content_type = "application/problem+json";
  response.headers = {{"Retry-After", "1"}};
  response.body = out.take();
  return response;
}

}  // namespace

http::Admission Gate::admit(const http::Request& head) {
  if (http::Handler* inner = inner_.load()) return inner->admit(head);
  http::Admission admission;
  admission.refusal = starting(head.request_id);
  return admission;
}

void Gate::handle(http::Request request, http::Reply reply) {
  if (http::Handler* inner = inner_.load())
    return inner->handle(std::move(request), std::move(reply));
  reply(starting(request.request_id));
}

}  // namespace mc::bin
