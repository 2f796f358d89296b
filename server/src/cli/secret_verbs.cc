// secrets set, list, delete; vars set, list, delete.
#include "base/json.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

constexpr std::size_t kSecretMax = 64U << 10;

Column column(const char* head, const char* field) {
  return {head, [field](const Value& item) { return text_cell(item, field); }};
}

std::string thing_path(const std::string& kind, const std::string& name) {
  return "/api/v1/" + kind + "/" + percent_encode(name);
}

// Never from the command line: other users of the machine can read that.
Result<std::string> secret_value(const Session& session, const Args& args) {
  if (!args.has("--file") && session.io().in_terminal) {
    return Error{Code::usage,
                 "a secret is read from standard input or --file: printf %s \"$VALUE\" | maestro "
                 "secrets set " +
                     args.get("NAME"),
                 {}};
  }
  Result<std::string> value =
      args.has("--file") ? read_file(args.get("--file")) : session.io().read_input();
  if (!value.ok()) return value;
  // The newline that `echo` adds is no part of it.
  if (!args.has("--file") && value->ends_with("\n")) value->pop_back();
  if (value->empty()) return Error{Code::usage, "the secret is empty", {}};
  if (value->size() > kSecretMax) return Error{Code::usage, "the secret is larger than 64 KiB", {}};
  return value;
}

Result<int> put(Session& session, const std::string& kind, const std::string& name,
                const std::string& value) {
  Value body{Object{}};
  body.set("value", value);
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->put(thing_path(kind, name), body);
  if (!answer.ok()) return answer.error();
  Value shown_answer = answer->is_object() ? *answer : Value(Object{});
  shown_answer.set("name", name);
  Table table;
  table.rows.push_back({{"set", Tone::good}, {name}});
  session.print_one(shown_answer, table, "name");
  return 0;
}

Result<int> set_secret(Session& session, const Args& args) {
  Result<std::string> value = secret_value(session, args);
  if (!value.ok()) return value.error();
  return put(session, "secrets", args.get("NAME"), *value);
}

Result<int> set_variable(Session& session, const Args& args) {
  return put(session, "vars", args.get("NAME"), args.get("VALUE"));
}

Handler list_of(const std::string& kind) {
  return [kind](Session& session, const Args&) -> Result<int> {
    Result<Server*> server = session.server();
    if (!server.ok()) return server.error();
    Result<Value> answer = (*server)->get_all("/api/v1/" + kind);
    if (!answer.ok()) return answer.error();
    std::vector<Column> columns = {column("NAME", "name")};
    if (kind == "vars") columns.push_back(column("VALUE", "value"));
    columns.push_back(column("CHANGED", "updated_at"));
    session.print_list(*answer, columns, "name");
    return 0;
  };
}

Handler removal_of(const std::string& kind) {
  return [kind](Session& session, const Args& args) -> Result<int> {
    Result<Server*> server = session.server();
    if (!server.ok()) return server.error();
    if (Status done = (*server)->remove(thing_path(kind, args.get("NAME"))); !done.ok())
      return done.error();
    Value answer{Object{}};
    answer.set("name", args.get("NAME"));
    answer.set("deleted", true);
    Table table;
    table.rows.push_back({{"deleted"}, {args.get("NAME")}});
    session.print_one(answer, table, "name");
    return 0;
  };
}

}  // namespace

std::vector<Verb> secret_verbs() {
  const Argument name{"NAME", "its name"};
  return {
      {"secrets set",
       "Keep a secret, read from standard input",
       {name},
       {{"--file", "", "FILE", "read it from a file instead, as it is"}},
       set_secret,
       "The value is never taken from the command line, where other users could read it."},
      {"secrets list", "List the names of secrets", {}, {}, list_of("secrets")},
      {"secrets delete", "Delete a secret", {name}, {}, removal_of("secrets")},
      {"vars set", "Set a variable", {name, {"VALUE", "its value"}}, {}, set_variable},
      {"vars list", "List variables", {}, {}, list_of("vars")},
      {"vars delete", "Delete a variable", {name}, {}, removal_of("vars")},
  };
}

}  // namespace mc::cli
