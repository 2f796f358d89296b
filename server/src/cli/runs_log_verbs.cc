// runs watch, logs, events, diff, open.
#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "cli/follow.h"
#include "cli/log_tail.h"
#include "cli/reference.h"
#include "cli/report.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

constexpr Millis kFollowPause{200};

Result<int> watch_run(Session& session, const Args& args) {
  Result<Millis> timeout = args.duration("--timeout", Millis(0));
  if (!timeout.ok()) return timeout.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  return follow_and_report(session, found->id, *timeout);
}

bool is_failed(std::string_view status) {
  return status == "failed" || status == "timed_out" || status == "denied";
}

// The keys asked for: JOB names a job, or all cells of its matrix.
Result<std::vector<std::string>> chosen_jobs(Server& server, const std::string& run,
                                             const std::string& wanted, bool failed_only) {
  Result<Value> jobs = server.get(run_path(run) + "/jobs");
  if (!jobs.ok()) return jobs.error();
  std::vector<std::string> keys, all;
  const Value* items = jobs->find("items");
  if (items == nullptr || !items->is_list()) return keys;
  for (const Value& job : items->as_list()) {
    const std::string key = job.string_or("key", "");
    all.push_back(key);
    if (!wanted.empty() && key != wanted && !key.starts_with(wanted + "[")) continue;
    if (failed_only && !is_failed(job.string_or("status", ""))) continue;
    if (wanted.empty() && job.int_or("attempt", 0) == 0) continue;  // never started: no log
    keys.push_back(key);
  }
  if (keys.empty() && !wanted.empty() && std::find(all.begin(), all.end(), wanted) == all.end()) {
    std::string message = "the run has no job `" + wanted + "`";
    if (const auto near = nearest(wanted, all)) message += "; did you mean `" + *near + "`?";
    return Error{Code::job_not_found, message, {}};
  }
  return keys;
}

// The log as it was written, byte for byte.
Status print_raw(Session& session, Server& server, const std::string& path) {
  client::Call call;
  call.path = path;
  call.headers.emplace_back("Accept", "text/plain");
  call.timeout = Millis(600'000);
  Result<client::Answer> answer = server.send(std::move(call));
  if (!answer.ok()) return answer.error();
  if (answer->status >= 400) return Server::problem_of(*answer);
  session.out(answer->body);
  return {};
}

Status print_prefixed(Session& session, Server& server, const std::string& path,
                      const std::string& job) {
  client::Call call;
  call.path = path;
  call.headers.emplace_back("Accept", "text/plain");
  call.timeout = Millis(600'000);
  Result<client::Answer> answer = server.send(std::move(call));
  if (!answer.ok()) return answer.error();
  if (answer->status == 404) return {};
  if (answer->status >= 400) return Server::problem_of(*answer);
  const std::string margin = session.paint()(Tone::busy, printable(job)) + " │ ";
  std::string_view rest = answer->body;
  std::string text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    text += margin;
    text += rest.substr(0, end);
    text += '\n';
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  session.out(text);
  return {};
}

// One job's log to its end, as it grows.
Result<int> follow_log(Session& session, Server& server, const std::string& run,
                       const std::string& job, int attempt) {
  session.io().interrupts->handled = true;
  std::int64_t offset = 0;
  for (;;) {
    Result<Value> state = server.get(job_path(run, job));
    if (!state.ok()) return state.error();
    const std::string status = state->string_or("status", "");
    const bool over = is_final_status(status) || status == "skipped" || status == "reused";
    client::Call call;
    call.path = log_path(run, job, attempt, "");
    call.headers.emplace_back("Range", "bytes=" + std::to_string(offset) + "-");
    Result<client::Answer> answer = server.send(std::move(call));
    if (!answer.ok()) return answer.error();
    if (answer->status == 200 || answer->status == 206) {
      std::string_view fresh = answer->body;
      if (answer->status == 200)
        fresh.remove_prefix(std::min(fresh.size(), static_cast<std::size_t>(offset)));
      offset += static_cast<std::int64_t>(fresh.size());
      session.out(fresh);
    }
    if (over) return 0;
    if (session.io().interrupts->count.load() > 0) return 130;
    session.io().interrupts->wait(1, kFollowPause);
  }
}

Result<int> show_logs(Session& session, const Args& args) {
  Result<std::int64_t> attempt = args.number("--attempt", 0, 1, 1'000'000);
  if (!attempt.ok()) return attempt.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"), true);
  if (!found.ok()) return found.error();
  const std::string job = args.get("JOB", found->job);
  if (args.has("--follow") && job.empty()) return follow_and_report(session, found->id, Millis(0));
  Result<std::vector<std::string>> keys =
      chosen_jobs(**server, found->id, job, args.has("--failed"));
  if (!keys.ok()) return keys.error();
  const bool single = keys->size() == 1 && keys->front() == job;
  if (args.has("--follow") && single)
    return follow_log(session, **server, found->id, job, static_cast<int>(*attempt));
  for (const std::string& key : *keys) {
    const std::string path =
        log_path(found->id, key, static_cast<int>(*attempt), args.get("--step"));
    const Status done =
        single ? print_raw(session, **server, path) : print_prefixed(session, **server, path, key);
    if (!done.ok()) return done.error();
  }
  return 0;
}

std::vector<Column> event_columns() {
  const auto of_data = [](const char* name) {
    return [name](const Value& item) {
      const Value* data = item.find("data");
      Cell cell = data == nullptr ? Cell{} : text_cell(*data, name);
      if (std::string_view(name) == "status") cell.tone = tone_of(cell.text);
      return cell;
    };
  };
  return {{"SEQ", [](const Value& item) { return text_cell(item, "seq"); }},
          {"TIME", [](const Value& item) { return Cell{shown(item, "time"), Tone::dim}; }},
          {"TYPE", [](const Value& item) { return text_cell(item, "type"); }},
          {"JOB", of_data("job")},
          {"STATUS", of_data("status")},
          {"REASON", of_data("reason")},
          {"MESSAGE", of_data("message")}};
}

Result<int> show_events(Session& session, const Args& args) {
  Result<std::int64_t> after = args.number("--after", 0, 0, INT64_MAX);
  if (!after.ok()) return after.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  List all;
  for (std::int64_t from = *after;;) {
    Result<Value> page =
        (*server)->get(run_path(found->id) + "/events?after=" + std::to_string(from));
    if (!page.ok()) return page.error();
    const Value* items = page->find("items");
    if (items == nullptr || !items->is_list() || items->as_list().empty()) break;
    from = items->as_list().back().int_or("seq", from + 1);
    all.insert(all.end(), items->as_list().begin(), items->as_list().end());
  }
  Value answer{Object{}};
  answer.set("items", std::move(all));
  session.print_list(answer, event_columns(), "seq");
  return 0;
}

// Field by field, then job by job: {field, a, b} for whatever differs.
struct Difference {
  List items;
  void note(const std::string& field, const std::string& a, const std::string& b) {
    if (a == b) return;
    Value item{Object{}};
    item.set("field", field);
    item.set("a", a);
    item.set("b", b);
    items.push_back(std::move(item));
  }
};

void compare_objects(Difference& difference, const std::string& field, const Value& a,
                     const Value& b) {
  static const Value kNone{Object{}};
  const Value* left = a.find(field);
  const Value* right = b.find(field);
  const Value& one = left != nullptr && left->is_object() ? *left : kNone;
  const Value& two = right != nullptr && right->is_object() ? *right : kNone;
  std::set<std::string> names;
  for (const Value* side : {&one, &two})
    for (const auto& [name, value] : side->as_object()) names.insert(name);
  for (const std::string& name : names)
    difference.note(field + "." + name, shown(one, name), shown(two, name));
}

std::string job_text(const Value& job) {
  std::string text = job.string_or("status", "");
  const auto began = parse_rfc3339(job.string_or("started_at", ""));
  const auto ended = parse_rfc3339(job.string_or("finished_at", ""));
  if (began && ended) text += " in " + format_duration(*ended - *began);
  return text;
}

Result<int> compare_jobs(Server& server, const FoundRun& a, const FoundRun& b,
                         Difference& difference) {
  std::map<std::string, std::pair<std::string, std::string>> rows;
  for (const bool first : {true, false}) {
    Result<Value> jobs = server.get(run_path(first ? a.id : b.id) + "/jobs");
    if (!jobs.ok()) return jobs.error();
    const Value* items = jobs->find("items");
    if (items == nullptr || !items->is_list()) continue;
    for (const Value& job : items->as_list()) {
      auto& row = rows[job.string_or("key", "")];
      (first ? row.first : row.second) = job_text(job);
    }
  }
  for (const auto& [key, row] : rows) difference.note("jobs." + key, row.first, row.second);
  return 0;
}

Result<int> diff_runs(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> a = find_run(**server, args.get("A"));
  if (!a.ok()) return a.error();
  Result<FoundRun> b = find_run(**server, args.get("B"));
  if (!b.ok()) return b.error();
  Result<Value> left = (*server)->get(run_path(a->id));
  if (!left.ok()) return left.error();
  Result<Value> right = (*server)->get(run_path(b->id));
  if (!right.ok()) return right.error();
  Difference difference;
  for (const char* field : {"workflow", "version", "digest", "status", "failure_kind", "message",
                            "actor", "ref", "commit", "duration_ms"})
    difference.note(field, shown(*left, field), shown(*right, field));
  for (const char* field : {"inputs", "outputs", "labels"})
    compare_objects(difference, field, *left, *right);
  Result<int> jobs = compare_jobs(**server, *a, *b, difference);
  if (!jobs.ok()) return jobs;
  Value answer{Object{}};
  answer.set("a", a->id);
  answer.set("b", b->id);
  answer.set("items", std::move(difference.items));
  session.print_list(
      answer,
      {{"FIELD", [](const Value& item) { return Cell{shown(item, "field"), Tone::bold}; }},
       {"A", [](const Value& item) { return text_cell(item, "a"); }},
       {"B", [](const Value& item) { return text_cell(item, "b"); }}},
      "field");
  return 0;
}

Result<int> open_run(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<FoundRun> found = find_run(**server, args.get("RUN"));
  if (!found.ok()) return found.error();
  session.out(run_page(session, found->id) + "\n");
  return 0;
}

const Argument kRun{"RUN",
                    "an id, its first 4 or more characters, #NUMBER, @latest or a console address"};

}  // namespace

std::vector<Verb> runs_log_verbs() {
  return {
      {"runs watch",
       "Follow a run to its end",
       {kRun},
       {{"--timeout", "", "TIME", "give up after this long (exit 5); the run goes on"}},
       watch_run,
       "The exit code is the run's: 0 succeeded, 1 failed, 3 cancelled or denied."},
      {"runs logs",
       "Print what jobs wrote",
       {kRun, {"JOB", "a job's key; of a matrix job: one cell's key, or all cells", false}},
       {{"--failed", "", "", "only jobs that failed"},
        {"--step", "", "STEP", "only one step"},
        {"--attempt", "", "N", "an attempt that is not the newest"},
        {"--follow", "-f", "", "go on until the job has ended"}},
       show_logs,
       "One job's log is printed as it was written; several have `job │ ` before each line.\n"
       "A failed run does not make this fail."},
      {"runs events",
       "Print a run's history",
       {kRun},
       {{"--after", "", "SEQ", "only later events"}},
       show_events},
      {"runs diff",
       "Show in what two runs differ",
       {{"A", "a run"}, {"B", "another run"}},
       {},
       diff_runs},
      {"runs open", "Print the address of a run's page", {kRun}, {}, open_run},
  };
}

}  // namespace mc::cli
