// tokens create, list, revoke.
#include "base/json.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

Column column(const char* head, const char* field) {
  return {head, [field](const Value& item) { return text_cell(item, field); }};
}

void print_secret(Session& session, const Value& token) {
  // Alone on its line, so that $(maestro tokens create …) is the token.
  if (session.for_people() || session.quiet()) {
    for (const char* field : {"secret", "token"}) {
      const std::string secret = token.string_or(field, "");
      if (!secret.empty()) return session.out(secret + "\n");
    }
  }
  session.print_value(token);
}

Result<int> create_direct(Session& session, const Args& args, Millis expires_in) {
  const NewToken wanted{.name = args.get("NAME"),
                        .role = args.get("--role"),
                        .data = store_folder(session.io(), args),
                        .expires_in = expires_in};
  Result<std::string> secret = session.doors().direct_token(wanted);
  if (!secret.ok()) return secret.error();
  Value token{Object{}};
  token.set("name", wanted.name);
  token.set("role", wanted.role);
  token.set("secret", *secret);
  print_secret(session, token);
  return 0;
}

Result<int> create(Session& session, const Args& args) {
  if (!args.has("--role"))
    return Error{Code::usage, "--role is missing: viewer, operator, admin or worker", {}};
  Result<Millis> expires_in = args.duration("--expires-in", Millis(0));
  if (!expires_in.ok()) return expires_in.error();
  if (args.has("--direct")) return create_direct(session, args, *expires_in);
  Value body{Object{}};
  body.set("name", args.get("NAME"));
  body.set("role", args.get("--role"));
  if (args.has("--project")) body.set("project", args.get("--project"));
  if (expires_in->count() > 0)
    body.set("expires_at", to_rfc3339(system_clock().now() + *expires_in));
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> token = (*server)->create("/api/v1/tokens", body);
  if (!token.ok()) return token.error();
  print_secret(session, *token);
  return 0;
}

Result<int> list(Session& session, const Args&) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get_all("/api/v1/tokens");
  if (!answer.ok()) return answer.error();
  session.print_list(
      *answer, {column("NAME", "name"),
                column("ROLE", "role"),
                column("PROJECT", "project"),
                column("CREATED", "created_at"),
                column("EXPIRES", "expires_at"),
                {"ID", [](const Value& item) { return Cell{shown(item, "id"), Tone::dim}; }}});
  return 0;
}

// People name tokens by name; the API by id.
Result<std::string> token_id(Server& server, const std::string& name) {
  Result<Value> answer = server.get_all("/api/v1/tokens");
  if (!answer.ok()) return answer.error();
  const Value* items = answer->find("items");
  std::vector<std::string> found;
  if (items != nullptr && items->is_list()) {
    for (const Value& token : items->as_list()) {
      if (shown(token, "id") == name) return name;
      if (shown(token, "name") == name) found.push_back(shown(token, "id"));
    }
  }
  if (found.empty()) return Error{Code::not_found, "there is no token `" + name + "`", {}};
  if (found.size() > 1)
    return Error{Code::conflict, "several tokens are called `" + name + "`: give an id", {}};
  return found.front();
}

Result<int> revoke(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<std::string> id = token_id(**server, args.get("TOKEN"));
  if (!id.ok()) return id.error();
  if (Status done = (*server)->remove("/api/v1/tokens/" + percent_encode(*id)); !done.ok())
    return done.error();
  Value answer{Object{}};
  answer.set("id", *id);
  answer.set("revoked", true);
  Table table;
  table.rows.push_back({{"revoked"}, {args.get("TOKEN")}, {*id, Tone::dim}});
  session.print_one(answer, table);
  return 0;
}

}  // namespace

std::vector<Verb> token_verbs() {
  return {
      {"tokens create",
       "Make a token and print its secret, once",
       {{"NAME", "who or what it is for"}},
       {{"--role",
         "",
         "ROLE",
         "viewer, operator, admin or worker",
         false,
         {"viewer", "operator", "admin", "worker"}},
        {"--project", "", "NAME", "the project it is for"},
        {"--expires-in", "", "TIME", "such as 90d; never when left out"},
        {"--direct", "", "", "write into the store itself, for the first token"},
        {"--data", "", "DIR", "with --direct: the data folder"}},
       create},
      {"tokens list", "List tokens", {}, {}, list},
      {"tokens revoke", "Revoke a token at once", {{"TOKEN", "a token's name or id"}}, {}, revoke},
  };
}

}  // namespace mc::cli
