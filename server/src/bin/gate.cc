#include "bin/gate.h"

#include "http/problem.h"

namespace mc::bin {
namespace {
const Error kStarting{Code::overloaded, "the server is starting", {}};
}

http::Admission Gate::admit(const http::Request& head) {
  if (http::Handler* inner = inner_.load()) return inner->admit(head);
  http::Admission admission;
  admission.refusal = http::problem(kStarting, head.request_id);
  return admission;
}

void Gate::handle(http::Request request, http::Reply reply) {
  if (http::Handler* inner = inner_.load())
    return inner->handle(std::move(request), std::move(reply));
  reply(http::problem(kStarting, request.request_id));
}

}  // namespace mc::bin
