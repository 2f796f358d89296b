// run: starts a run and, when asked, waits for its end.
#include <filesystem>

#include "base/json.h"
#include "base/text.h"
#include "cli/follow.h"
#include "cli/inputs.h"
#include "cli/reference.h"
#include "cli/report.h"
#include "cli/verb.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

Status add_source(const Session& session, const std::string& name, Value& body) {
  Result<std::optional<std::string>> text = definition_text(session.io(), name);
  if (!text.ok()) return text.error();
  if (!text->has_value()) {
    body.set("workflow", name);
    return {};
  }
  body.set("definition", **text);
  return {};
}

Result<Value> body_of(const Session& session, const Args& args) {
  Value body{Object{}};
  if (Status fine = add_source(session, args.get("WORKFLOW"), body); !fine.ok())
    return fine.error();
  Result<Value> inputs = inputs_from(args.all("--input"));
  if (!inputs.ok()) return inputs.error();
  body.set("inputs", *inputs);
  Result<Value> labels = pairs_from(args.all("--label"), "--label");
  if (!labels.ok()) return labels.error();
  if (!labels->as_object().empty()) body.set("labels", *labels);
  for (const auto& [option, field] :
       {std::pair("--ref", "ref"), std::pair("--commit", "commit"),
        std::pair("--run-key", "run_key"), std::pair("--on-conflict", "on_conflict")})
    if (args.has(option)) body.set(field, args.get(option));
  Result<std::int64_t> version = args.number("--version", 0, 1, 1'000'000'000);
  if (!version.ok()) return version.error();
  if (*version > 0) body.set("version", *version);
  return body;
}

// A definition with problems is shown with its lines, which the server's answer cannot do.
Result<int> show_problems(Session& session, const Args& args, const Error& error) {
  const std::string name = args.get("WORKFLOW");
  Result<std::optional<std::string>> text = definition_text(session.io(), name);
  if (error.problems.empty() || name == "-" || !text.ok() || !text->has_value()) return error;
  session.err(lang::render_problems(name, **text, error.problems, "error", session.err_paint().on));
  return Error{error.code, error.message, {}};
}

Result<int> run_workflow(Session& session, const Args& args) {
  Result<Millis> timeout = args.duration("--timeout", Millis(0));
  if (!timeout.ok()) return timeout.error();
  if (args.has("--wait") + args.has("--follow") + args.has("--detach") > 1)
    return Error{Code::usage, "--wait, --follow and --detach exclude each other", {}};
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> body = body_of(session, args);
  if (!body.ok()) return body.error();
  Result<Value> run = (*server)->create("/api/v1/runs", *body);
  if (!run.ok()) {
    if (run.error().code == Code::invalid_definition)
      return show_problems(session, args, run.error());
    return run.error();
  }
  const std::string id = run->string_or("id", "");
  if (args.has("--follow")) return follow_and_report(session, id, *timeout);
  if (args.has("--wait") || timeout->count() > 0) return wait_and_report(session, id, *timeout);
  print_run(session, *run);
  return 0;
}

}  // namespace

std::vector<Verb> run_verbs() {
  return {
      {"run",
       "Start a run of a stored workflow, or of a file",
       {{"WORKFLOW", "name of a stored workflow, a file, or - for standard input"}},
       {{"--input", "-i", "K=V", "an input; K=@FILE reads the value from a file", true},
        {"--ref", "", "REF", "branch or tag the run is for"},
        {"--commit", "", "SHA", "commit the run is for"},
        {"--label", "-l", "K=V", "a label", true},
        {"--version", "", "N", "a version of the workflow that is not the newest"},
        {"--run-key", "", "KEY", "at most one open run has this key"},
        {"--on-conflict",
         "",
         "WHAT",
         "when the key is in use: reject, use_existing, cancel_existing",
         false,
         {"reject", "use_existing", "cancel_existing"}},
        {"--wait", "-w", "", "wait for the end, without output"},
        {"--follow", "-f", "", "show progress and logs until the end"},
        {"--detach", "-d", "", "print the run and return at once (the default)"},
        {"--timeout", "", "TIME", "give up waiting after this long (exit 5); the run goes on"}},
       run_workflow,
       "With --wait or --follow the exit code is the run's: 0 succeeded, 1 failed, 3 cancelled or "
       "denied.\nCtrl-C leaves the run alone and prints how to cancel it (exit 130)."}};
}

}  // namespace mc::cli
