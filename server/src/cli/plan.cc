#include "cli/plan.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "cli/exec.h"
#include "cli/inputs.h"
#include "cli/session.h"
#include "lang/expression.h"
#include "lang/matrix.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

std::string_view kind_name(JobKind kind) {
  switch (kind) {
    case JobKind::steps: return "steps";
    case JobKind::approve: return "approve";
    case JobKind::wait: return "wait";
    case JobKind::workflow: return "workflow";
  }
  return "";
}

// What is known before the run starts: its inputs. Any other context makes an expression unknown.
struct Beforehand {
  const Value& inputs;
  bool unknown = false;

  lang::Scope scope() {
    lang::Scope scope;
    scope.context = [this](std::string_view root) -> const Value* {
      if (root == "inputs") return &inputs;
      unknown = true;
      return nullptr;
    };
    return scope;
  }
};

// run, skip, or later (it hangs on what happens before).
std::string decide_condition(const JobSpec& job, const Value& inputs) {
  if (job.condition.empty()) return "run";
  Beforehand known{inputs};
  const Result<bool> holds = lang::evaluate_condition(job.condition, known.scope());
  if (known.unknown || !holds.ok()) return "later";
  for (const char* word : {"success", "failure", "cancelled"})
    if (job.condition.find(std::string(word) + "(") != std::string::npos && !job.needs.empty())
      return "later";
  return *holds ? "run" : "skip";
}

Value cells_of(const JobSpec& job, const Value& inputs) {
  if (!job.matrix) return Value();
  Beforehand known{inputs};
  const Result<std::vector<lang::Cell>> cells = lang::expand_matrix(*job.matrix, known.scope());
  if (known.unknown || !cells.ok()) return Value("later");
  List labels;
  for (const lang::Cell& cell : *cells) labels.emplace_back(cell.label);
  return labels;
}

// {key, hit, …} of the job, or {cells: […], hits} of a matrix whose cells are known.
Value cache_of(const JobSpec& job, const Value& inputs, PlanCache& cache) {
  if (!job.cache) return {};
  if (!job.matrix) return cache.look_up(job, nullptr);
  Beforehand known{inputs};
  const Result<std::vector<lang::Cell>> cells = lang::expand_matrix(*job.matrix, known.scope());
  if (known.unknown || !cells.ok()) return {};
  List found;
  std::int64_t hits = 0;
  for (const lang::Cell& cell : *cells) {
    found.push_back(cache.look_up(job, &cell.values));
    hits += found.back().is_object() && found.back().bool_or("hit", false) ? 1 : 0;
  }
  const bool all = !found.empty() && hits == static_cast<std::int64_t>(found.size());
  Value answer{Object{}};
  answer.set("cells", std::move(found));
  answer.set("hits", hits);
  answer.set("hit", all);
  return answer;
}

// What is decided of a job, once it is known whether it was built before.
std::string decide(const JobSpec& job, const Value& inputs, const Value& cache) {
  std::string decision = decide_condition(job, inputs);
  if (decision == "run" && cache.is_object() && cache.bool_or("hit", false)) return "reuse";
  return decision;
}

Value plan_of_job(const std::vector<JobSpec>& jobs, const JobSpec& job, const Value& inputs,
                  PlanCache& cache) {
  Value item{Object{}};
  item.set("key", job.key);
  item.set("kind", kind_name(job.kind));
  List needs;
  for (const JobIndex need : job.needs) needs.emplace_back(jobs[need].key);
  item.set("needs", std::move(needs));
  item.set("if", job.condition.empty() ? Value() : Value(job.condition));
  const Value found = cache_of(job, inputs, cache);
  item.set("decision", decide(job, inputs, found));
  item.set("matrix", cells_of(job, inputs));
  item.set("steps", static_cast<std::int64_t>(job.steps.size()));
  item.set("cache_key", job.cache ? Value(job.cache->key) : Value());
  item.set("cache", found);
  return item;
}

std::vector<int> stages_of(const std::vector<JobSpec>& jobs) {
  std::vector<int> stage(jobs.size(), 0);
  for (std::size_t round = 0; round < jobs.size(); ++round) {
    bool moved = false;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      for (const JobIndex need : jobs[i].needs) {
        if (stage[i] > stage[need]) continue;
        stage[i] = stage[need] + 1;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return stage;
}

List plan_of_jobs(const std::vector<JobSpec>& jobs, const Value& inputs, PlanCache& cache) {
  const std::vector<int> stage = stages_of(jobs);
  const int last = stage.empty() ? -1 : *std::max_element(stage.begin(), stage.end());
  List stages;
  for (int at = 0; at <= last; ++at) {
    List items;
    for (std::size_t i = 0; i < jobs.size(); ++i)
      if (stage[i] == at) items.push_back(plan_of_job(jobs, jobs[i], inputs, cache));
    Value one{Object{}};
    one.set("stage", at + 1);
    one.set("jobs", std::move(items));
    stages.push_back(std::move(one));
  }
  return stages;
}

std::string cache_text(const Value& job) {
  const Value* key = job.find("cache_key");
  if (key == nullptr || !key->is_string()) return "";
  const Value* found = job.find("cache");
  if (found == nullptr || !found->is_object()) return ", cached under a key known when it is ready";
  if (const Value* cells = found->find("cells"))
    return ", " + std::to_string(found->int_or("hits", 0)) + " of " +
           std::to_string(cells->as_list().size()) + " built before";
  if (!found->bool_or("hit", false)) return ", not built before: " + found->string_or("key", "");
  return ", reused, saves " + format_duration(Millis(found->int_or("saved_ms", 0))) + ": " +
         found->string_or("key", "");
}

std::string detail_of(const Value& job) {
  std::string text = job.string_or("kind", "");
  if (text == "steps")
    text =
        std::to_string(job.int_or("steps", 0)) + (job.int_or("steps", 0) == 1 ? " step" : " steps");
  const Value* matrix = job.find("matrix");
  if (matrix != nullptr && matrix->is_list())
    text += ", " + std::to_string(matrix->as_list().size()) + " cells";
  if (matrix != nullptr && matrix->is_string()) text += ", matrix known when it is ready";
  text += cache_text(job);
  const std::string decision = job.string_or("decision", "");
  if (decision == "skip") text += ", skipped: `" + job.string_or("if", "") + "` does not hold";
  if (decision == "later") text += ", if `" + job.string_or("if", "") + "`";
  return text;
}

void add_rows(Table& table, const std::string& phase, const Value& stages) {
  for (const Value& stage : stages.as_list()) {
    for (const Value& job : stage.find("jobs")->as_list()) {
      std::vector<std::string> needs;
      for (const Value& need : job.find("needs")->as_list()) needs.push_back(need.as_string());
      const bool skipped = job.string_or("decision", "") == "skip";
      const std::string place = phase.empty() ? shown(stage, "stage") : phase;
      table.rows.push_back({{place},
                            {printable(job.string_or("key", "")), skipped ? Tone::dim : Tone::bold},
                            {join(needs, ", ")},
                            {printable(detail_of(job))}});
      const Value* cells = job.find("matrix");
      if (cells == nullptr || !cells->is_list()) continue;
      for (const Value& cell : cells->as_list())
        table.rows.push_back({{""}, {"  [" + printable(cell.as_string()) + "]", Tone::dim}});
    }
  }
}

}  // namespace

Value make_plan(const WorkflowSpec& spec, const Value& inputs, PlanCache& cache) {
  Value plan{Object{}};
  plan.set("workflow", spec.name);
  plan.set("inputs", inputs);
  plan.set("stages", plan_of_jobs(spec.jobs, inputs, cache));
  plan.set("on_failure", plan_of_jobs(spec.on_failure, inputs, cache));
  plan.set("finally", plan_of_jobs(spec.finally, inputs, cache));
  return plan;
}

Result<int> plan_file(Session& session, const Args& args) {
  const std::string file = args.get("FILE");
  Result<std::string> text = read_definition_file(session.io(), file);
  if (!text.ok()) return text.error();
  const lang::Parsed parsed = lang::parse_workflow(*text, {.default_name = name_of_file(file)});
  session.err(lang::render_problems(file, *text, parsed.errors, "error", session.err_paint().on));
  if (!parsed.ok()) return Error{Code::invalid_definition, file + " has errors", {}};
  Result<Value> given = inputs_from(args.all("--input"));
  if (!given.ok()) return given.error();
  Result<Value> inputs = lang::resolve_inputs(parsed.spec.inputs, *given);
  if (!inputs.ok()) return inputs.error();
  PlanCache cache(session.doors(), local_place(session.io()), parsed.spec, *inputs,
                  variable_or(session.io(), "PATH", "/usr/bin:/bin"));
  const Value plan = make_plan(parsed.spec, *inputs, cache);
  if (!session.for_people()) {
    session.print_value(plan);
    return 0;
  }
  Table table;
  table.heads = {"STAGE", "JOB", "NEEDS", "WHAT"};
  add_rows(table, "", *plan.find("stages"));
  add_rows(table, "failed", *plan.find("on_failure"));
  add_rows(table, "end", *plan.find("finally"));
  const std::size_t width =
      session.io().out_terminal ? static_cast<std::size_t>(session.io().columns) : 0;
  session.out(render_table(table, session.paint(), width));
  return 0;
}

}  // namespace mc::cli
