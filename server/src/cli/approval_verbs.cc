// approve, reject, signal, why.
#include "base/json.h"
#include "base/text.h"
#include "cli/approval.h"
#include "cli/inputs.h"
#include "cli/reference.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

Error several(const std::vector<std::string>& jobs) {
  return Error{
      Code::conflict, "several jobs wait for a decision: name one of " + join(jobs, ", "), {}};
}

Result<int> decide_run(Session& session, const Args& args, bool approve) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"), true);
  if (!found.ok()) return found.error();
  const std::string job = args.get("JOB", found->job);
  Result<std::vector<Value>> waiting = waiting_approvals(**server, found->id);
  if (!waiting.ok()) return waiting.error();
  std::vector<std::string> jobs;
  const Value* chosen = nullptr;
  for (const Value& approval : *waiting) {
    jobs.push_back(approval.string_or("job", ""));
    if (job.empty() || jobs.back() == job) chosen = &approval;
  }
  if (job.empty() && jobs.size() > 1) return several(jobs);
  if (chosen == nullptr) {
    const std::string what = job.empty() ? "nothing in this run waits for a decision"
                                         : "`" + job + "` does not wait for a decision";
    return Error{Code::conflict, what, {}};
  }
  Result<Value> done =
      decide(**server, chosen->string_or("id", ""), approve, args.get("--comment"));
  if (!done.ok()) return done.error();
  Table table;
  table.rows.push_back({{approve ? "approved" : "rejected", approve ? Tone::good : Tone::bad},
                        {chosen->string_or("job", "")},
                        {found->id, Tone::dim}});
  session.print_one(*done, table);
  return 0;
}

Result<int> send_signal(Session& session, const Args& args) {
  Value body{Object{}};
  body.set("event", args.get("EVENT"));
  if (args.has("--data")) {
    Result<Value> data = parse_json(args.get("--data"));
    if (!data.ok()) return Error{Code::usage, "--data is not JSON: " + data.error().message, {}};
    body.set("data", *data);
  }
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  Result<Value> run = (*server)->create(run_path(found->id) + "/signals", body);
  if (!run.ok()) return run.error();
  Table table;
  table.rows.push_back({{"signalled"}, {args.get("EVENT")}, {found->id, Tone::dim}});
  session.print_one(*run, table);
  return 0;
}

// "since 3m 02s ago; lifted by run #12; usually 40 s more (12 runs); until 2026-…".
std::string wait_line(const Value& item, Instant now) {
  std::vector<std::string> parts;
  if (const std::string since = ago_cell(item, "since", now).text; !since.empty())
    parts.push_back("since " + since);
  std::vector<std::string> lifters;
  if (const Value* lifted = item.find("lifted_by"); lifted != nullptr && lifted->is_list()) {
    for (const Value& lifter : lifted->as_list()) {
      if (lifter.string_or("kind", "") != "time") lifters.push_back(lifter.string_or("name", ""));
    }
  }
  if (!lifters.empty()) parts.push_back("lifted by " + join(lifters, " or "));
  if (const Value* estimate = item.find("estimate"); estimate != nullptr && estimate->is_object()) {
    const Millis left(estimate->int_or("remaining_ms", 0));
    const std::int64_t runs = estimate->int_or("runs", 0);
    parts.push_back(
        (left.count() > 0 ? "usually " + format_duration(left) + " more" : "usually over by now") +
        " (" + std::to_string(runs) + (runs == 1 ? " run)" : " runs)"));
  }
  if (const std::string until = shown(item, "until"); !until.empty())
    parts.push_back("until " + until);
  return join(parts, "; ");
}

Result<int> why(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"), true);
  if (!found.ok()) return found.error();
  std::string path = run_path(found->id) + "/why";
  if (!found->job.empty()) path += "?job=" + percent_encode(found->job);
  Result<Value> answer = (*server)->get(path);
  if (!answer.ok()) return answer.error();
  if (!session.for_people()) {
    session.print_list(*answer, {}, "job");
    return 0;
  }
  const Value* items = answer->find("items");
  if (items == nullptr || !items->is_list()) return 0;
  const Instant now = system_clock().now();
  Table table{.heads = {"JOB", "STATUS", "WAITS FOR"}, .rows = {}};
  for (const Value& item : items->as_list()) {
    table.rows.push_back(
        {text_cell(item, "job"), status_cell(item), {printable(shown(item, "waits_for"))}});
    table.rows.push_back({{}, {}, {printable(wait_line(item, now)), Tone::dim}});
  }
  session.print_one(*answer, table);
  return 0;
}

const Argument kRun{"RUN", "a run, or RUN/JOB"};

}  // namespace

Result<std::vector<Value>> waiting_approvals(Server& server, const std::string& run) {
  Result<Value> answer = server.get_all("/api/v1/approvals?status=waiting");
  if (!answer.ok()) return answer.error();
  std::vector<Value> found;
  const Value* items = answer->find("items");
  if (items == nullptr || !items->is_list()) return found;
  for (const Value& item : items->as_list())
    if (item.string_or("run_id", item.string_or("run", "")) == run) found.push_back(item);
  return found;
}

Result<Value> decide(Server& server, const std::string& approval, bool approve,
                     const std::string& comment) {
  Value body{Object{}};
  body.set("decision", approve ? "approve" : "reject");
  if (!comment.empty()) body.set("comment", comment);
  return server.post("/api/v1/approvals/" + percent_encode(approval), body);
}

std::vector<Verb> approval_verbs() {
  const Argument job{"JOB", "the job that waits; may be left out when only one does", false};
  const std::vector<Option> options = {
      {"--comment", "-m", "TEXT", "a remark, kept with the decision"}};
  return {
      {"approve",
       "Approve what a run waits for",
       {kRun, job},
       options,
       [](Session& session, const Args& args) { return decide_run(session, args, true); }},
      {"reject",
       "Reject what a run waits for",
       {kRun, job},
       options,
       [](Session& session, const Args& args) { return decide_run(session, args, false); }},
      {"signal",
       "Send an event to a run",
       {{"RUN", "a run"}, {"EVENT", "the event's name"}},
       {{"--data", "", "JSON", "what comes with it"}},
       send_signal},
      {"why",
       "Say what a run or a job waits for, since when, who can end it, and for how long it usually "
       "is",
       {kRun},
       {},
       why},
  };
}

}  // namespace mc::cli
