// runs list, show, cancel, rerun, delete.
#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "cli/follow.h"
#include "cli/inputs.h"
#include "cli/reference.h"
#include "cli/report.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

constexpr int kPageMax = 100;

// Words that filters are given as become the API's `q`.
std::string query_of(const Args& args) {
  std::vector<std::string> words = args.all("QUERY");
  if (args.has("--status")) words.push_back("status:" + args.get("--status"));
  if (args.has("--workflow")) words.push_back("workflow:" + args.get("--workflow"));
  return join(words, " ");
}

Result<int> list_runs(Session& session, const Args& args) {
  Result<std::int64_t> limit = args.number("--limit", 20, 1, 10'000);
  if (!limit.ok()) return limit.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  const std::string query = query_of(args);
  std::string cursor = args.get("--cursor");
  List items;
  while (static_cast<std::int64_t>(items.size()) < *limit) {
    const std::int64_t want =
        std::min<std::int64_t>(kPageMax, *limit - static_cast<std::int64_t>(items.size()));
    std::string path = "/api/v1/runs?limit=" + std::to_string(want);
    if (!query.empty()) path += "&q=" + percent_encode(query);
    if (!cursor.empty()) path += "&cursor=" + percent_encode(cursor);
    Result<Value> page = (*server)->get(path);
    if (!page.ok()) return page.error();
    const Value* more = page->find("items");
    if (more == nullptr || !more->is_list()) break;
    items.insert(items.end(), more->as_list().begin(), more->as_list().end());
    cursor = page->string_or("next_cursor", "");
    if (cursor.empty()) break;
  }
  Value answer{Object{}};
  answer.set("items", std::move(items));
  answer.set("next_cursor", cursor.empty() ? Value() : Value(cursor));
  session.print_list(answer, run_columns(system_clock().now()));
  return 0;
}

Result<int> show_run(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  Result<Value> run = (*server)->get(run_path(found->id));
  if (!run.ok()) return run.error();
  if (!session.for_people()) {
    print_run(session, *run);
    return 0;
  }
  Result<Value> jobs = (*server)->get(run_path(found->id) + "/jobs");
  if (!jobs.ok()) return jobs.error();
  print_run(session, *run);
  const std::size_t width =
      session.io().out_terminal ? static_cast<std::size_t>(session.io().columns) : 0;
  session.out("\n" + render_table(job_table(*jobs, system_clock().now()), session.paint(), width));
  return 0;
}

// Does the same to each run named. The worst exit code wins.
Result<int> for_each_run(Session& session, const Args& args,
                         const std::function<Result<int>(Server&, const std::string& id)>& act) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  int worst = 0;
  for (const std::string& name : args.all("RUN")) {
    Result<FoundRun> found = find_run(**server, name);
    Result<int> done = found.ok() ? act(**server, found->id) : Result<int>(found.error());
    if (!done.ok() && args.all("RUN").size() == 1) return done.error();
    if (!done.ok())
      print_error(session.io(), session.err_paint(), done.error(), (*server)->request_id());
    worst = std::max(worst, done.ok() ? *done : exit_code(done.error().code));
  }
  return worst;
}

Result<int> cancel_runs(Session& session, const Args& args) {
  return for_each_run(session, args, [&](Server& server, const std::string& id) -> Result<int> {
    Value body{Object{}};
    if (args.has("--reason")) body.set("reason", args.get("--reason"));
    Result<Value> run = server.post(run_path(id) + "/cancel", body);
    if (!run.ok()) return run.error();
    if (args.has("--wait")) {
      Result<Followed> end = wait_for_run(session, id, Millis(0));
      if (!end.ok()) return end.error();
      run = end->run;
    }
    print_run(session, *run);
    return 0;
  });
}

Result<int> delete_runs(Session& session, const Args& args) {
  return for_each_run(session, args, [&](Server& server, const std::string& id) -> Result<int> {
    if (Status done = server.remove(run_path(id)); !done.ok()) return done.error();
    if (session.quiet()) {
      session.out(id + "\n");
    } else if (session.for_people()) {
      session.out("deleted " + id + "\n");
    } else {
      Value answer{Object{}};
      answer.set("id", id);
      answer.set("deleted", true);
      session.print_value(answer);
    }
    return 0;
  });
}

Result<Value> rerun_body(const Args& args) {
  if (args.has("--failed") && args.has("--from"))
    return Error{Code::usage, "--failed and --from exclude each other", {}};
  Value body{Object{}};
  body.set("scope", args.has("--failed") ? "failed" : args.has("--from") ? "from" : "all");
  if (args.has("--from")) body.set("from", args.get("--from"));
  if (args.has("--latest")) body.set("definition", "latest");
  if (args.has("--accept-effects")) body.set("accept_effects", true);
  if (args.has("--input")) {
    Result<Value> inputs = inputs_from(args.all("--input"));
    if (!inputs.ok()) return inputs.error();
    body.set("inputs", *inputs);
  }
  return body;
}

// --input changes single inputs: the others stay what the run was given.
Status complete_inputs(Server& server, const std::string& id, Value& body) {
  const Value* given = body.find("inputs");
  if (given == nullptr) return {};
  Result<Value> run = server.get(run_path(id));
  if (!run.ok()) return run.error();
  const Value* had = run->find("inputs");
  Value inputs = had != nullptr && had->is_object() ? *had : Value(Object{});
  for (const auto& [name, value] : given->as_object()) inputs.set(name, value);
  body.set("inputs", std::move(inputs));
  return {};
}

Result<int> rerun(Session& session, const Args& args) {
  Result<Value> body = rerun_body(args);
  if (!body.ok()) return body.error();
  Result<Millis> timeout = args.duration("--timeout", Millis(0));
  if (!timeout.ok()) return timeout.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  if (Status fine = complete_inputs(**server, found->id, *body); !fine.ok()) return fine.error();
  Result<Value> run = (*server)->create(run_path(found->id) + "/rerun", *body);
  if (!run.ok()) return run.error();
  const std::string id = run->string_or("id", "");
  if (args.has("--follow")) return follow_and_report(session, id, *timeout);
  if (args.has("--wait")) return wait_and_report(session, id, *timeout);
  print_run(session, *run);
  return 0;
}

const Argument kRun{"RUN",
                    "an id, its first 4 or more characters, #NUMBER, @latest or a console address"};
const Argument kRuns{
    "RUN", "runs: ids, their first characters, #NUMBER, @latest or console addresses", true, true};

}  // namespace

std::vector<Verb> runs_verbs() {
  return {
      {"runs list",
       "List runs, newest first",
       {{"QUERY", "filters: status:failed workflow:ci label.team:api", false, true}},
       {{"--limit", "-n", "N", "at most this many (20)"},
        {"--cursor", "", "CURSOR", "go on where an answer ended"},
        {"--status", "-s", "STATUS", "only runs of this status"},
        {"--workflow", "-w", "NAME", "only runs of this workflow"}},
       list_runs},
      {"runs show", "Show one run and its jobs", {kRun}, {}, show_run},
      {"runs cancel",
       "Cancel runs",
       {kRuns},
       {{"--reason", "", "TEXT", "why, for the record"},
        {"--wait", "-w", "", "wait until they have ended"}},
       cancel_runs},
      {"runs rerun",
       "Run again, whole or in part",
       {kRun},
       {{"--failed", "", "", "only what failed and what depends on it"},
        {"--from", "", "JOB", "this job and what depends on it"},
        {"--input", "-i", "K=V", "change an input", true},
        {"--latest", "", "", "with the newest definition"},
        {"--accept-effects", "", "", "repeat jobs with effects on the outside"},
        {"--wait", "-w", "", "wait for the end"},
        {"--follow", "-f", "", "show progress and logs until the end"},
        {"--timeout", "", "TIME", "give up waiting after this long (exit 5)"}},
       rerun},
      {"runs delete", "Delete runs that are over", {kRuns}, {}, delete_runs},
  };
}

}  // namespace mc::cli
