#include "cli/report.h"

#include "base/json.h"
#include "base/text.h"
#include "cli/reference.h"

namespace mc::cli {
namespace {

std::string counted(std::int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string jobs_text(const Value& run) {
  const Value* jobs = run.find("jobs");
  if (jobs == nullptr || !jobs->is_object()) return "";
  std::string text = counted(jobs->int_or("total", 0), "job");
  for (const auto& [name, count] : jobs->as_object())
    if (name != "total" && count.is_number() && count.as_int() > 0)
      text += ", " + std::to_string(count.as_int()) + " " + name;
  return text;
}

// A failure that is allowed has a sign of its own.
Cell job_status_cell(const Value& job) {
  const std::string status = job.string_or("status", "");
  if (!job.bool_or("tolerated", false) || status == "succeeded") return status_cell(job);
  return {std::string(kToleratedSign) + " " + status + " (allowed)", Tone::warning};
}

Result<int> report_end(Session& session, const std::string& id, const Followed& followed) {
  switch (followed.end) {
    case Followed::End::detached:
      session.err("detached: the run goes on. `maestro runs cancel " + id +
                  "` cancels it, `maestro runs watch " + id + "` follows it again.\n");
      return 130;
    case Followed::End::timed_out:
      session.err("maestro: the run is not over yet; it goes on (" + id + ")\n");
      if (!session.for_people() && !followed.run.is_null()) print_run(session, followed.run);
      return 5;
    case Followed::End::finished: break;
  }
  return exit_code_of_run(followed.run.string_or("status", ""));
}

}  // namespace

std::string run_page(const Session& session, const std::string& id) {
  return session.url() + "/runs/" + id;
}

Table run_table(const Session& session, const Value& run) {
  Table table;
  const auto row = [&table](const std::string& name, Cell cell) {
    if (cell.text.empty()) return;
    cell.text = printable(cell.text);
    table.rows.push_back({{name, Tone::dim}, std::move(cell)});
  };
  const std::string workflow = shown(run, "workflow");
  row("run", {"#" + shown(run, "number") + " " + workflow, Tone::bold});
  row("id", text_cell(run, "id"));
  row("status", status_cell(run));
  for (const char* field : {"message", "failure_kind", "actor", "ref", "commit", "rerun_of"})
    if (shown(run, field) != "none") row(field, text_cell(run, field));
  row("jobs", {jobs_text(run)});
  for (const char* field : {"inputs", "outputs", "labels"}) {
    const std::string text = shown(run, field);
    if (text != "{}") row(field, {text});
  }
  if (run.int_or("warnings", 0) > 0) row("warnings", text_cell(run, "warnings"));
  row("created", text_cell(run, "created_at"));
  row("took", duration_cell(run, "duration_ms"));
  if (!session.url().empty()) row("page", {run_page(session, shown(run, "id"))});
  return table;
}

void print_run(Session& session, const Value& run) {
  session.print_one(run, run_table(session, run));
}

std::vector<Column> run_columns(Instant now) {
  const auto field = [](const char* name) {
    return [name](const Value& item) { return text_cell(item, name); };
  };
  return {{"RUN", [](const Value& item) { return Cell{"#" + shown(item, "number")}; }},
          {"WORKFLOW", field("workflow")},
          {"STATUS", status_cell},
          {"ACTOR", field("actor")},
          {"REF", field("ref")},
          {"TOOK", [](const Value& item) { return duration_cell(item, "duration_ms"); }},
          {"CREATED", [now](const Value& item) { return ago_cell(item, "created_at", now); }},
          {"ID", [](const Value& item) { return Cell{shown(item, "id"), Tone::dim}; }}};
}

Table job_table(const Value& jobs, Instant now) {
  Table table;
  table.heads = {"JOB", "STATUS", "TRY", "TOOK", "MESSAGE"};
  const Value* items = jobs.find("items");
  if (items == nullptr || !items->is_list()) return table;
  for (const Value& job : items->as_list()) {
    const auto started = parse_rfc3339(job.string_or("started_at", ""));
    const Instant ended = parse_rfc3339(job.string_or("finished_at", "")).value_or(now);
    const std::int64_t attempt = job.int_or("attempt", 0);
    table.rows.push_back({{printable(shown(job, "key"))},
                          job_status_cell(job),
                          {attempt > 0 ? std::to_string(attempt) : ""},
                          {started ? format_duration(ended - *started) : ""},
                          {printable(shown(job, "message"))}});
  }
  return table;
}

Result<int> follow_and_report(Session& session, const std::string& id, Millis timeout) {
  FollowOptions options;
  options.run = id;
  options.timeout = timeout;
  options.to_err = !session.for_people();
  options.logs = !session.quiet();
  options.live = session.for_people() && session.io().out_terminal &&
                 variable_or(session.io(), "TERM", "") != "dumb";
  Result<Followed> followed = follow_run(session, options);
  if (!followed.ok()) return followed.error();
  if (followed->end == Followed::End::finished) {
    if (!session.for_people()) {
      print_run(session, followed->run);
    } else if (!session.url().empty()) {
      session.out(run_page(session, id) + "\n");
    }
  }
  return report_end(session, id, *followed);
}

Result<int> wait_and_report(Session& session, const std::string& id, Millis timeout) {
  Result<Followed> followed = wait_for_run(session, id, timeout);
  if (!followed.ok()) return followed.error();
  if (followed->end == Followed::End::finished) print_run(session, followed->run);
  return report_end(session, id, *followed);
}

}  // namespace mc::cli
