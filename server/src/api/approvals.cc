// What people are asked, and what they say.
#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/json.h"

namespace mc::api {
namespace {
constexpr std::size_t kCommentMax = 4096;

Result<std::string> read_status(const Call& call) {
  const std::string& status = call.query("status");
  if (status.empty() || status == "waiting" || status == "decided") return status;
  return Error{Code::invalid_field, "status: waiting or decided is wanted", {}};
}
}  // namespace

void list_approvals(const CallPtr& call) {
  const Result<std::string> status = read_status(*call);
  if (!status) return call->fail(status.error());
  call->service().approvals(call->principal, *status, json_or_error(call));
}

void list_run_approvals(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const Result<std::string> status = read_status(*call);
  if (!status) return call->fail(status.error());
  const auto show = [call, id = to_string(*id)](const Result<std::string>& all) {
    if (!all) return call->fail(all.error());
    const Result<Value> list = parse_json(*all);
    const Value* items = list ? list->find("items") : nullptr;
    JsonWriter out;
    out.open('{').key("items").open('[');
    if (items != nullptr && items->is_list()) {
      for (const Value& item : items->as_list()) {
        if (item.string_or("run", "") == id) out.value(item);
      }
    }
    call->json(out.close(']').key("next_cursor").null().close('}').take());
  };
  // Asked first, so that an unknown run is an error and not an empty list.
  call->service().run(call->principal, *id,
                      [call, status = *status, show](const Result<conductor::RunView>& view) {
                        if (!view) return call->fail(view.error());
                        call->service().approvals(call->principal, status, show);
                      });
}

void decide_approval(const CallPtr& call) {
  const auto id = parse_uuid(call->params.at(0));
  if (!id) {
    return call->fail({Code::not_found, "there is no approval " + call->params.at(0), {}});
  }
  Body body(call->request.body, {"decision", "comment"});
  body.require("decision");
  const bool approve = body.choice("decision", {"approve", "reject"}, 0) == 0;
  const std::string comment = body.text("comment", kCommentMax);
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  call->service().decide(
      {.principal = call->principal, .approval = *id, .approve = approve, .comment = comment},
      json_or_error(call));
}
}  // namespace mc::api
