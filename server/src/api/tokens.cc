// API tokens: made, listed, revoked. A secret is shown once, in the answer that makes it.
#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/page.h"
#include "base/json.h"
#include "base/text.h"
#include "conductor/records.h"

namespace mc::api {
namespace {
constexpr std::size_t kNameMax = 128;
constexpr std::size_t kGroupsMax = 64;

// Admins of the default project see to all projects; others to their own.
bool may_touch(const auth::Principal& by, std::string_view project) {
  return by.project == kDefaultProject || by.project == project;
}

std::string with_secret(const MintedToken& minted) {
  std::string json = token_json(minted.row);
  json.pop_back();
  // "token" is the same under the name that some clients look for.
  return json + ",\"secret\":\"" + minted.secret + "\",\"token\":\"" + minted.secret + "\"}";
}
}  // namespace

void list_tokens(const CallPtr& call) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const TokenRow& row : call->world->tokens->list()) {
    if (!row.lent && may_touch(call->principal, row.project)) out.raw(token_json(row));
  }
  answer_page(call, "tokens", "id",
              [text = out.close(']').close('}').take()](const conductor::Done<std::string>& done) {
                done(text);
              });
}

void create_token(const CallPtr& call) {
  Body body(call->request.body, {"name", "role", "project", "groups", "expires_at"});
  body.require("name");
  body.require("role");
  const std::string name = body.text("name", kNameMax);
  const std::size_t role = body.choice("role", {"viewer", "operator", "admin", "worker"}, 0);
  std::string project = body.text("project");
  const std::vector<std::string> groups = body.texts("groups", kGroupsMax);
  const Instant expires_at = body.time("expires_at");
  if (body.status() && trim(name).empty()) body.wrong("name", "this is empty");
  if (project.empty()) project = call->principal.project;
  if (body.status() && !is_name(project)) body.wrong("project", "this is not a name");
  if (body.status() && expires_at && expires_at <= call->now())
    body.wrong("expires_at", "this time is over");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  if (!may_touch(call->principal, project)) {
    return call->fail({Code::forbidden, "this token may touch its own project only", {}});
  }
  once(call, true, [=](const CallPtr& asked) {
    MintedToken minted = mint(name, static_cast<auth::Role>(role), project, asked->now());
    minted.row.groups = groups;
    minted.row.expires_at = expires_at;
    minted.row.created_by = asked->principal.name;
    db::RecordPut put{std::string(conductor::kTokenKind), minted.row.id, token_record(minted.row),
                      0};
    asked->service().put_records({std::move(put)}, std::nullopt,
                                 [asked, minted = std::move(minted)](const Result<bool>& kept) {
                                   if (!kept) return asked->fail(kept.error());
                                   asked->world->tokens->put(minted.row);
                                   asked->created(with_secret(minted),
                                                  "/api/v1/tokens/" + minted.row.id);
                                 });
  });
}

void delete_token(const CallPtr& call) {
  const std::string& id = call->params.at(0);
  const auto row = call->world->tokens->find(id);
  if (!row || !may_touch(call->principal, row->project))
    return call->fail({Code::not_found, "there is no token " + id, {}});
  db::RecordPut put{std::string(conductor::kTokenKind), id, std::nullopt, std::nullopt};
  call->service().put_records({std::move(put)}, std::nullopt,
                              [call, id](const Result<bool>& removed) {
                                if (!removed) return call->fail(removed.error());
                                call->world->tokens->remove(id);
                                call->no_content();
                              });
}
}  // namespace mc::api
