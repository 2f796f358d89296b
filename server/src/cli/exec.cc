#include "cli/exec.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "cli/approval.h"
#include "cli/follow.h"
#include "cli/inputs.h"
#include "cli/narrow.h"
#include "cli/reference.h"
#include "cli/report.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

constexpr std::size_t kSiblingsMax = 1000;

struct Definition {
  std::string file;
  std::string text;
  WorkflowSpec spec;
};

Result<Definition> read_definition(Session& session, const std::string& file) {
  Result<std::string> text = read_definition_file(session.io(), file);
  if (!text.ok()) return text.error();
  lang::Parsed parsed = lang::parse_workflow(*text, {.default_name = name_of_file(file)});
  const bool colour = session.err_paint().on;
  session.err(lang::render_problems(file, *text, parsed.errors, "error", colour));
  if (!session.quiet())
    session.err(lang::render_problems(file, *text, parsed.warnings, "warning", colour));
  if (!parsed.ok()) {
    const std::size_t count = parsed.errors.size();
    return Error{Code::invalid_definition,
                 file + " has " + std::to_string(count) + (count == 1 ? " error" : " errors"),
                 {}};
  }
  return Definition{file, *text, std::move(parsed.spec)};
}

Result<LocalOptions> local_options(const Session& session, const Args& args) {
  LocalOptions options = local_place(session.io());
  options.pass_env = args.all("--pass-env");
  options.no_cache = args.has("--no-cache");
  Result<std::int64_t> slots = args.number("--slots", 0, 1, 1024);
  if (!slots.ok()) return slots.error();
  options.slots = static_cast<int>(*slots);
  for (const std::string& name : args.all("--secret")) {
    const std::optional<std::string> value = session.io().variable(name);
    if (!value)
      return Error{Code::usage, "--secret " + name + ": the variable " + name + " is not set", {}};
    options.secrets.emplace_back(name, *value);
  }
  return options;
}

bool starts_children(const WorkflowSpec& spec) {
  for (const auto* jobs : {&spec.jobs, &spec.on_failure, &spec.finally})
    for (const JobSpec& job : *jobs)
      if (job.kind == JobKind::workflow) return true;
  return false;
}

// Child workflows are found by name beside the file and in .maestro/.
Status store_siblings(Session& session, Server& server, const std::string& file) {
  std::set<std::string> files;
  std::error_code ignored;
  const std::filesystem::path beside = std::filesystem::absolute(file, ignored).parent_path();
  for (const std::filesystem::path& folder : {beside, std::filesystem::path(".maestro")}) {
    for (std::filesystem::directory_iterator at(folder, ignored), end; at != end && !ignored;
         at.increment(ignored)) {
      const std::string extension = at->path().extension().string();
      if (extension == ".yaml" || extension == ".yml")
        files.insert(std::filesystem::absolute(at->path(), ignored).string());
      if (files.size() >= kSiblingsMax) break;
    }
  }
  for (const std::string& path : files) {
    Result<std::string> text = read_file(path);
    if (!text.ok()) continue;
    const lang::Parsed parsed = lang::parse_workflow(*text, {.default_name = name_of_file(path)});
    if (!parsed.ok()) {
      session.note("maestro: " + path +
                   " is not a valid workflow: no child can be started from it");
      continue;
    }
    Result<Value> stored =
        server.put_text("/api/v1/workflows/" + percent_encode(parsed.spec.name), *text);
    if (!stored.ok()) return stored.error();
  }
  return {};
}

// Whether an approval is given: by --approve, or by whoever sits at the terminal.
Result<bool> answer_approval(Session& session, Server& server, const Args& args,
                             const Value& approval) {
  const std::string job = approval.string_or("job", "");
  const std::vector<std::string>& given = args.all("--approve");
  const auto named = [&given](const std::string& name) {
    return std::find(given.begin(), given.end(), name) != given.end();
  };
  bool approved = named("all") || named(job);
  std::string comment = approved ? "by --approve" : "nobody could be asked";
  if (!approved && session.io().in_terminal) {
    const std::string prompt = approval.string_or("prompt", "");
    session.err("approve `" + printable(job) + "`" +
                (prompt.empty() ? "" : ": " + printable(prompt)) + " [y/N] ");
    const std::string line = to_lower(trim(session.io().read_line().value_or("")));
    approved = line == "y" || line == "yes";
    comment = "at the terminal";
  } else if (!approved) {
    session.err("maestro: `" + printable(job) +
                "` waits for an approval and nobody can be asked here: it is "
                "rejected. Give --approve " +
                job + " or --approve all.\n");
  }
  Result<Value> done = decide(server, approval.string_or("id", ""), approved, comment);
  if (!done.ok()) return done.error();
  return true;
}

Table summary(const Value& jobs, std::int64_t* saved_ms) {
  Table table = job_table(jobs, system_clock().now());
  const Value* items = jobs.find("items");
  if (items == nullptr || !items->is_list()) return table;
  for (const Value& job : items->as_list())
    if (const Value* cache = job.find("cache"); cache != nullptr && cache->bool_or("hit", false))
      *saved_ms += cache->int_or("saved_ms", 0);
  return table;
}

void print_summary(Session& session, const Value& run, const Value& jobs) {
  if (!session.for_people()) {
    if (session.quiet()) return;
    session.print_value(exec_result(run, jobs));
    return;
  }
  std::int64_t saved_ms = 0;
  const Table table = summary(jobs, &saved_ms);
  const std::size_t width =
      session.io().out_terminal ? static_cast<std::size_t>(session.io().columns) : 0;
  session.out("\n" + render_table(table, session.paint(), width));
  const std::string status = run.string_or("status", "");
  std::string line = session.paint()(tone_of(status), std::string(sign_of(status)) + " " + status) +
                     " in " + format_duration(Millis(run.int_or("duration_ms", 0)));
  if (saved_ms > 0) line += ", " + format_duration(Millis(saved_ms)) + " saved by the cache";
  const std::string message = run.string_or("message", "");
  if (!message.empty() && status != "succeeded") line += ": " + printable(message);
  session.out(line + "\n");
}

FollowOptions follow_options(Session& session, Server& server, LocalServer& local, const Args& args,
                             const std::string& id) {
  FollowOptions options;
  options.run = id;
  options.to_err = !session.for_people();
  options.logs = !session.quiet();
  options.live = session.for_people() && session.io().out_terminal &&
                 variable_or(session.io(), "TERM", "") != "dumb";
  options.on_approval = [&session, &server, &args](const Value& approval) {
    return answer_approval(session, server, args, approval);
  };
  options.on_interrupt = [&session, &server, &local, id](int count) {
    if (count > 1) return local.kill();
    session.err("maestro: cancelling; Ctrl-C again kills\n");
    Value body{Object{}};
    body.set("reason", "interrupted");
    (void)server.post(run_path(id) + "/cancel", body);
  };
  return options;
}

Result<int> follow_exec(Session& session, LocalServer& local, const Args& args,
                        const std::string& id) {
  Result<Millis> timeout = args.duration("--timeout", Millis(0));
  if (!timeout.ok()) return timeout.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  FollowOptions options = follow_options(session, **server, local, args, id);
  options.timeout = *timeout;
  options.on_timeout = [&] {
    session.err("maestro: the run is cancelled after " + format_duration(*timeout) + "\n");
    (void)(*server)->post(run_path(id) + "/cancel", Value(Object{}));
  };
  Result<Followed> followed = follow_run(session, options);
  if (!followed.ok()) return followed.error();
  Result<Value> jobs = (*server)->get(run_path(id) + "/jobs");
  if (!jobs.ok()) return jobs.error();
  print_summary(session, followed->run, *jobs);
  return followed->late ? 5 : exit_code_of_run(followed->run.string_or("status", ""));
}

}  // namespace

Result<std::vector<std::string>> job_with_needs(const WorkflowSpec& spec, const std::string& job) {
  std::vector<std::string> names;
  std::vector<JobIndex> open;
  std::vector<bool> wanted(spec.jobs.size(), false);
  for (JobIndex i = 0; i < spec.jobs.size(); ++i) {
    names.push_back(spec.jobs[i].key);
    if (spec.jobs[i].key == job) open.push_back(i);
  }
  if (open.empty()) {
    std::string message = "the workflow has no job `" + job + "`";
    if (const auto near = nearest(job, names)) message += "; did you mean `" + *near + "`?";
    return Error{Code::usage, message, {}};
  }
  while (!open.empty()) {
    const JobIndex at = open.back();
    open.pop_back();
    if (wanted[at]) continue;
    wanted[at] = true;
    for (const JobIndex need : spec.jobs[at].needs) open.push_back(need);
  }
  std::vector<std::string> keys;
  for (JobIndex i = 0; i < spec.jobs.size(); ++i)
    if (wanted[i]) keys.push_back(names[i]);
  return keys;
}

Value exec_result(const Value& run, const Value& jobs) {
  Value by_key{Object{}};
  const Value* items = jobs.find("items");
  if (items != nullptr && items->is_list()) {
    for (const Value& job : items->as_list()) {
      const Value* attempts = job.find("attempts");
      const bool tried = attempts != nullptr && attempts->is_list() && !attempts->as_list().empty();
      const Value* code = tried ? attempts->as_list().back().find("exit_code") : nullptr;
      const Value* outputs = job.find("outputs");
      Value one{Object{}};
      one.set("status", job.string_or("status", ""));
      // A job of steps that went well names no code of its own: every step gave 0.
      const bool went_well =
          job.string_or("status", "") == "succeeded" && job.string_or("kind", "") == "steps";
      const bool coded = code != nullptr && !code->is_null();
      one.set("exit_code", coded ? *code : went_well ? Value(0) : Value());
      one.set("outputs", outputs == nullptr ? Value(Object{}) : *outputs);
      one.set("attempts",
              tried ? static_cast<std::int64_t>(attempts->as_list().size()) : std::int64_t{0});
      by_key.set(job.string_or("key", ""), std::move(one));
    }
  }
  const Value* outputs = run.find("outputs");
  Value result{Object{}};
  result.set("status", run.string_or("status", ""));
  result.set("jobs", std::move(by_key));
  result.set("outputs", outputs == nullptr ? Value(Object{}) : *outputs);
  result.set("duration_ms", run.int_or("duration_ms", 0));
  return result;
}

LocalOptions local_place(const Io& io) {
  LocalOptions options;
  options.cache = cache_folder(io) + "/exec";
  std::error_code ignored;
  options.folder = std::filesystem::current_path(ignored).string();
  return options;
}

Result<int> exec_file(Session& session, const Args& args) {
  const std::string file = args.get("FILE");
  Result<Definition> definition = read_definition(session, file);
  if (!definition.ok()) return definition.error();
  if (args.has("--job")) {
    Result<std::vector<std::string>> keys = job_with_needs(definition->spec, args.get("--job"));
    if (!keys.ok()) return keys.error();
    definition->text = narrowed(definition->spec, *keys);
  }
  Result<Value> inputs = inputs_from(args.all("--input"));
  if (!inputs.ok()) return inputs.error();
  Result<LocalOptions> options = local_options(session, args);
  if (!options.ok()) return options.error();
  Result<std::unique_ptr<LocalServer>> local = session.doors().local_server(*options);
  if (!local.ok()) return local.error();
  session.io().interrupts->handled = true;
  session.use((*local)->connect());
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  if (starts_children(definition->spec) && file != "-") {
    if (Status stored = store_siblings(session, **server, file); !stored.ok())
      return stored.error();
  }
  Value body{Object{}};
  body.set("definition", definition->text);
  body.set("inputs", *inputs);
  Result<Value> run = (*server)->create("/api/v1/runs", body);
  Result<int> code = run.ok() ? follow_exec(session, **local, args, run->string_or("id", ""))
                              : Result<int>(run.error());
  session.use(nullptr);  // the local server's connections end before it does
  return code;
}

}  // namespace mc::cli
