// Workers as people see them.
#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/page.h"

namespace mc::api {
namespace {
void set_drain(const CallPtr& call, bool drain) {
  Body body(call->request.body, {});
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  call->service().drain_worker(call->principal, call->params.at(0), drain, json_or_error(call));
}
}  // namespace

void list_workers(const CallPtr& call) {
  answer_page(call, "workers", "id", [&](conductor::Done<std::string> done) {
    call->service().workers(call->principal, std::move(done));
  });
}
void drain_worker(const CallPtr& call) { set_drain(call, true); }
void resume_worker(const CallPtr& call) { set_drain(call, false); }
}  // namespace mc::api
