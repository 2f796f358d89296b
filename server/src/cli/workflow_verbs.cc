// workflows apply, list, show, delete, versions.
#include "base/json.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

std::string workflow_path(const std::string& name) {
  return "/api/v1/workflows/" + percent_encode(name);
}

Column column(const char* head, const char* field) {
  return {head, [field](const Value& item) { return text_cell(item, field); }};
}

// A definition file that was read and found valid.
struct Definition {
  std::string text;
  std::string name;
};

void print_stored(Session& session, const Value& stored, std::string_view what) {
  Table table;
  table.rows.push_back({{std::string(what), Tone::good},
                        {shown(stored, "name") + " version " + shown(stored, "version")},
                        {shown(stored, "digest"), Tone::dim}});
  session.print_one(stored, table, "name");
}

Result<Definition> check_file(Session& session, const std::string& file) {
  Result<std::string> text = read_definition_file(session.io(), file);
  if (!text.ok()) return text.error();
  const lang::Parsed parsed = lang::parse_workflow(*text, {.default_name = name_of_file(file)});
  if (!parsed.ok()) {
    session.err(lang::render_problems(file, *text, parsed.errors, "error", session.err_paint().on));
    return Error{Code::invalid_definition,
                 file + " has " + std::to_string(parsed.errors.size()) +
                     (parsed.errors.size() == 1 ? " error" : " errors") + "; nothing was stored",
                 {}};
  }
  session.err(
      lang::render_problems(file, *text, parsed.warnings, "warning", session.err_paint().on));
  return Definition{std::move(*text), parsed.spec.name};
}

Status store(Session& session, Server& server, const Definition& definition) {
  const Result<Value> before = server.get(workflow_path(definition.name));
  const std::string old = before.ok() ? shown(*before, "version") : "";
  Result<Value> stored = server.put_text(workflow_path(definition.name), definition.text);
  if (!stored.ok()) return stored.error();
  const bool same = shown(*stored, "version") == old;
  print_stored(session, *stored,
               server.last_status() == 201 ? "created"
               : same                      ? "unchanged"
                                           : "stored");
  return {};
}

Result<int> apply(Session& session, const Args& args) {
  const std::vector<std::string>& files = args.all("FILE");
  if (args.has("--name") && files.size() > 1)
    return Error{Code::usage, "--name wants a single FILE", {}};
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  // All are read before the first is stored.
  std::vector<Definition> definitions;
  for (const std::string& file : files) {
    Result<Definition> read = check_file(session, file);
    if (!read.ok()) return read.error();
    definitions.push_back(std::move(*read));
  }
  if (args.has("--name")) definitions.front().name = args.get("--name");
  for (const Definition& definition : definitions)
    if (Status done = store(session, **server, definition); !done.ok()) return done.error();
  return 0;
}

Result<int> list(Session& session, const Args&) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get_all("/api/v1/workflows");
  if (!answer.ok()) return answer.error();
  const Instant now = system_clock().now();
  session.print_list(
      *answer,
      {column("NAME", "name"),
       column("VERSION", "version"),
       {"STORED", [now](const Value& item) { return ago_cell(item, "created_at", now); }},
       {"DIGEST",
        [](const Value& item) { return Cell{cut(shown(item, "digest"), 20), Tone::dim}; }}},
      "name");
  return 0;
}

Result<int> show(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get(workflow_path(args.get("NAME")));
  if (!answer.ok()) return answer.error();
  if (session.for_people()) {
    session.out(answer->string_or("definition", ""));
    return 0;
  }
  session.print_one(*answer, {}, "name");
  return 0;
}

Result<int> versions(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get(workflow_path(args.get("NAME")) + "/versions");
  if (!answer.ok()) return answer.error();
  session.print_list(*answer,
                     {column("VERSION", "version"), column("STORED", "created_at"),
                      column("BY", "by"), column("DIGEST", "digest")},
                     "version");
  return 0;
}

Result<int> remove(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  for (const std::string& name : args.all("NAME")) {
    if (Status done = (*server)->remove(workflow_path(name)); !done.ok()) return done.error();
    Value answer{Object{}};
    answer.set("name", name);
    answer.set("deleted", true);
    Table table;
    table.rows.push_back({{"deleted"}, {name}});
    session.print_one(answer, table, "name");
  }
  return 0;
}

}  // namespace

std::vector<Verb> workflow_verbs() {
  const Argument name{"NAME", "the workflow's name"};
  return {
      {"workflows apply",
       "Store definitions, as new versions where they differ",
       {{"FILE", "definition files, or - for standard input", true, true}},
       {{"--name", "", "NAME", "store under this name"}},
       apply},
      {"workflows list", "List stored workflows", {}, {}, list},
      {"workflows show", "Print a stored definition as it was written", {name}, {}, show},
      {"workflows versions", "List the versions of a workflow", {name}, {}, versions},
      {"workflows delete",
       "Delete stored workflows; their runs stay",
       {{"NAME", "names of workflows", true, true}},
       {},
       remove},
  };
}

}  // namespace mc::cli
