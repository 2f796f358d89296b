#include "engine/conditions.h"

#include <algorithm>

namespace mc::engine {
namespace {
// Phases after the graph see the whole graph as their needs.
bool sees_all_jobs(const RunState& run, NodeIndex node) {
  return node == kNoNode || run.jobs.at(node).phase != Phase::graph;
}
}  // namespace

Value need_value(const RunState&, const JobState& job) {
  Object need;
  need.emplace_back("status", Value(to_name(job.status)));
  need.emplace_back("outputs", job.outputs);
  return Value(std::move(need));
}

Value run_context(const RunState& run, int attempt, const std::string& public_url) {
  const RunQueued& facts = run.facts;
  Object context;
  context.emplace_back("id", Value(to_string(run.id)));
  context.emplace_back("number", Value(facts.number));
  context.emplace_back("url", Value(public_url + "/runs/" + to_string(run.id)));
  context.emplace_back("ref", Value(facts.ref));
  context.emplace_back("commit", Value(facts.commit));
  context.emplace_back("repository", Value(facts.repository));
  context.emplace_back("actor", Value(facts.actor));
  context.emplace_back("trigger", Value(facts.trigger.string_or("kind", "api")));
  context.emplace_back("attempt", Value(attempt));
  context.emplace_back("workflow", Value(facts.workflow));
  return Value(std::move(context));
}

lang::StatusView status_view(const RunState& run, const JobState& job) {
  lang::StatusView view;
  view.cancelled = run.cancel_requested;
  view.failure = job.ancestor_failed;
  if (job.phase == Phase::graph) {
    const NodeIndex first = first_node(run, Phase::graph);
    for (const JobIndex need : job.spec->needs) {
      view.success &= is_fine(run.jobs.at(first + need));
    }
    view.success &= !run.cancel_requested;
    return view;
  }
  // `finally` and `on_failure` jobs run because the graph is over, whatever came of it; among
  // themselves, needs count as in the graph.
  if (job.phase != Phase::compensate) {
    const NodeIndex first = first_node(run, job.phase);
    for (const JobIndex need : job.spec->needs) {
      view.success &= is_fine(run.jobs.at(first + need));
    }
  }
  view.failure |= std::any_of(run.jobs.begin(), run.jobs.end(), [](const JobState& other) {
    return other.phase == Phase::graph && is_bad(other);
  });
  return view;
}

lang::Scope RunScope::scope() {
  lang::Scope scope;
  scope.context = [this](std::string_view root) { return context(root); };
  if (node_ != kNoNode) {
    scope.status = status_view(run_, run_.jobs.at(node_));
  } else {
    scope.status.success = run_.status == RunStatus::running;
    scope.status.cancelled = run_.cancel_requested;
  }
  return scope;
}

const Value* RunScope::context(std::string_view root) {
  if (root == "inputs") return &run_.facts.inputs;
  if (root == "vars") return &run_.facts.vars;
  if (root == "event") return &run_.facts.event;
  const auto known = made_.find(root);
  if (known != made_.end()) return &known->second;
  Value made;
  if (root == "needs") {
    made = make_needs();
  } else if (root == "run") {
    made = make_run();
  } else if (root == "matrix" && node_ != kNoNode) {
    made = run_.jobs.at(node_).matrix;
  } else if (root == "env") {
    // Only literal values: templates in env are the worker's to evaluate.
    Object env;
    for (const auto& [name, text] : run_.definition->spec.env) env.emplace_back(name, Value(text));
    made = Value(std::move(env));
  } else {
    return nullptr;
  }
  return &made_.emplace(std::string(root), std::move(made)).first->second;
}

Result<std::vector<std::string>> labels_of(const RunState& run, const JobState& job) {
  const std::vector<std::string>& given = job.spec->runs_on;
  const bool plain = std::none_of(given.begin(), given.end(), [](const std::string& label) {
    return label.find("${{") != std::string::npos;
  });
  if (plain) return given;
  const Ambient nowhere;
  RunScope world(run, static_cast<NodeIndex>(&job - run.jobs.data()), nowhere);
  std::vector<std::string> labels;
  for (const std::string& label : given) {
    const Result<Value> made = lang::evaluate_template(label, world.scope());
    if (!made) return made.error();
    const List one = {*made};
    for (const Value& item : made->is_list() ? made->as_list() : one) {
      if (!item.is_string() || item.as_string().empty())
        return Error{Code::invalid_field, "`runs_on` gives a label that is no text: " + label, {}};
      labels.push_back(item.as_string());
    }
  }
  return labels;
}

std::string shown_name(const RunState& run, const JobState& job) {
  const std::string& name = job.spec->name;
  if (name.empty() || job.phase == Phase::compensate) return job.key;
  if (name.find("${{") == std::string::npos) return name;
  const bool early = job.open_needs > 0 && !job.spec->references.needs.empty();
  if (early || job.group) return job.key;
  const Ambient nowhere;
  RunScope world(run, static_cast<NodeIndex>(&job - run.jobs.data()), nowhere);
  const Result<std::string> made = lang::evaluate_text(name, world.scope());
  return made && !made->empty() ? *made : job.key;
}

Value RunScope::make_needs() const {
  Object needs;
  if (sees_all_jobs(run_, node_)) {
    for (const JobSpec& spec : run_.definition->spec.jobs) {
      const JobState* job = find_job(run_, spec.key);
      if (job != nullptr) needs.emplace_back(spec.key, need_value(run_, *job));
    }
    return Value(std::move(needs));
  }
  for (const std::string& key : run_.jobs.at(node_).spec->references.needs) {
    const JobState* job = find_job(run_, key);
    if (job != nullptr) needs.emplace_back(key, need_value(run_, *job));
  }
  return Value(std::move(needs));
}

Value RunScope::make_run() const {
  const int attempt = node_ == kNoNode ? 1 : std::max(1, run_.jobs.at(node_).attempt);
  return run_context(run_, attempt, ambient_.public_url);
}
}  // namespace mc::engine
