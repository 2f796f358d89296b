// exec, validate, plan: what needs no server.
#include "base/json.h"
#include "cli/exec.h"
#include "cli/inputs.h"
#include "cli/plan.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

void add_problems(List& to, const std::string& file, const std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    Value item{Object{}};
    item.set("file", file);
    item.set("line", problem.line);
    item.set("column", problem.column);
    item.set("code", problem.code);
    item.set("message", problem.message);
    item.set("hint", problem.hint.empty() ? Value() : Value(problem.hint));
    to.push_back(std::move(item));
  }
}

Result<int> validate(Session& session, const Args& args) {
  List errors, warnings;
  for (const std::string& file : args.all("FILE")) {
    Result<std::string> text = read_definition_file(session.io(), file);
    if (!text.ok()) {  // the other files are looked at all the same
      add_problems(errors, file, {{0, 0, "unreadable", text.error().message, {}}});
      if (session.format() == Format::table) session.err("maestro: " + text.error().message + "\n");
      continue;
    }
    const lang::Parsed parsed = lang::parse_workflow(*text, {.default_name = name_of_file(file)});
    add_problems(errors, file, parsed.errors);
    add_problems(warnings, file, parsed.warnings);
    if (session.format() != Format::table) continue;
    const bool colour = session.err_paint().on;
    session.err(lang::render_problems(file, *text, parsed.errors, "error", colour));
    session.err(lang::render_problems(file, *text, parsed.warnings, "warning", colour));
    if (parsed.ok() && !session.quiet())
      session.out(file + ": " + session.paint()(Tone::good, "valid") + "\n");
  }
  const bool valid = errors.empty();
  if (session.format() != Format::table) {
    Value answer{Object{}};
    answer.set("valid", valid);
    answer.set("errors", std::move(errors));
    answer.set("warnings", std::move(warnings));
    session.print_value(answer);
  }
  return valid ? 0 : 2;
}

}  // namespace

std::vector<Verb> local_verbs() {
  const Argument file{"FILE", "a workflow file"};
  const Option input{"--input", "-i", "K=V", "an input; K=@FILE reads the value from a file", true};
  return {
      {"exec",
       "Run a workflow here, without a server",
       {file},
       {input,
        {"--job", "", "NAME", "only this job and what it needs"},
        {"--pass-env", "", "NAME", "a variable of this process that jobs may see", true},
        {"--secret", "", "NAME", "a secret, its value taken from the variable of that name", true},
        {"--approve", "", "JOB", "approve this job when it asks, or `all`", true},
        {"--no-cache", "", "", "take nothing from the cache"},
        {"--slots", "", "N", "jobs at the same time (one a processor)"},
        {"--timeout", "", "TIME", "cancel the run after this long (exit 5)"}},
       exec_file,
       "`checkout` takes the working tree as it is. The exit code is the run's. With -o json the "
       "result goes to standard output and the logs to standard error.\n"
       "Ctrl-C cancels the run; a second one kills it."},
      {"validate",
       "Check definitions and show every problem",
       {{"FILE", "workflow files, or -", true, true}},
       {},
       validate,
       "Exit code 2 when there are errors."},
      {"plan",
       "Show what would run, in which order and why, and what was built before",
       {file},
       {input},
       plan_file},
  };
}

}  // namespace mc::cli
