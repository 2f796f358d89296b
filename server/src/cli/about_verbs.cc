// schema, completion, man, version.
#include "base/json.h"
#include "cli/manual.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "cli/version.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

Result<int> schema(Session& session, const Args&) {
  session.out(lang::workflow_schema() + "\n");
  return 0;
}

Result<int> completion(Session& session, const Args& args) {
  const std::string shell = args.get("SHELL");
  const std::string script = completion_script(shell);
  if (script.empty())
    return Error{Code::usage, "completion wants bash, zsh or fish, not `" + shell + "`", {}};
  session.out(script);
  return 0;
}

Result<int> manual(Session& session, const Args& args) {
  session.out(args.has("--markdown") ? reference_markdown() : manual_page());
  return 0;
}

Result<int> version(Session& session, const Args&) {
  Value value{Object{}};
  value.set("version", kVersion);
  Table table;
  table.rows.push_back({{std::string("maestro ") + kVersion}});
  session.print_one(value, table, "version");
  return 0;
}

}  // namespace

std::vector<Verb> about_verbs() {
  return {
      {"schema", "Print the JSON Schema of workflow files, for editors", {}, {}, schema},
      {"completion",
       "Print a completion script",
       {{"SHELL", "bash, zsh or fish"}},
       {},
       completion,
       "bash: source <(maestro completion bash)\nzsh:  source <(maestro completion zsh)\n"
       "fish: maestro completion fish | source"},
      {"man",
       "Print the manual page (maestro man | man -l -)",
       {},
       {{"--markdown", "", "", "as Markdown, as in docs/reference/cli.md"}},
       manual},
      {"version", "Print the version", {}, {}, version},
  };
}

}  // namespace mc::cli
