// What people are asked, and what they say.
#include <algorithm>
#include <array>

#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/page.h"
#include "base/json.h"

namespace mc::api {
namespace {
constexpr std::size_t kCommentMax = 4096;

Result<std::string> read_status(const Call& call) {
  const std::string& status = call.query("status");
  constexpr std::array<std::string_view, 7> kStatuses = {
      "", "waiting", "decided", "approved", "rejected", "expired", "cancelled"};
  if (std::ranges::find(kStatuses, status) != kStatuses.end()) return status;
  return Error{Code::invalid_field,
               "status: one of waiting, decided, approved, rejected, expired, cancelled is wanted",
               {}};
}
}  // namespace

void list_approvals(const CallPtr& call) {
  const Result<std::string> status = read_status(*call);
  if (!status) return call->fail(status.error());
  answer_page(call, "approvals", "id", [&](conductor::Done<std::string> done) {
    call->service().approvals(call->principal, *status, std::move(done));
  });
}

void list_run_approvals(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const Result<std::string> status = read_status(*call);
  if (!status) return call->fail(status.error());
  call->service().run_approvals(call->principal, *id, *status, json_or_error(call));
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
