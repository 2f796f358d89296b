#include "lang/parse.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lang/check.h"
#include "lang/late.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
constexpr std::size_t kJobsMax = 10'000;

// Adds the members of `defaults` that a job does not give itself. Only a job of steps runs on a
// worker: the others take none.
void add_defaults(YamlNode& job, const YamlNode& defaults) {
  if (!is_object(job) || job.find("steps") == nullptr) return;
  for (const auto& member : defaults.members) {
    const std::string& key = member.first.raw;
    const bool dashed = (key == "runs_on" && job.find("runs-on") != nullptr) ||
                        (key == "runs-on" && job.find("runs_on") != nullptr) ||
                        (key == "timeout" && job.find("timeout-minutes") != nullptr);
    if (job.find(key) == nullptr && !dashed) job.members.push_back(member);
  }
}

using JobList = std::vector<RawJob>;
struct Graphs {
  JobList graph, on_failure, finally;
};

void read_jobs(Reader& r, const YamlNode& node, std::string_view what, JobList& into) {
  if (!is_object(node) || node.members.empty()) {
    r.error(node, "wrong_type",
            std::string(what) + " must be a mapping with at least one job, not " + kind_name(node));
    return;
  }
  into.resize(node.members.size());
  for (std::size_t i = 0; i < node.members.size(); ++i) {
    const auto& [key, value] = node.members[i];
    if (!is_identifier(key.raw))
      r.error(key, "bad_name", std::string("a job's key ") + kIdentifierRule);
    into[i].spec.key = key.raw;
    into[i].key = &key;
    read_job(r, value, into[i]);
  }
}

// Names to indices; unknown ones and a job that needs itself are reported.
void resolve_needs(Reader& r, JobList& jobs) {
  std::map<std::string, JobIndex, std::less<>> index;
  for (JobIndex i = 0; i < jobs.size(); ++i) index.emplace(jobs[i].spec.key, i);
  std::vector<std::string> names;
  for (RawJob& job : jobs) {
    std::unordered_set<JobIndex> there;
    for (const auto& [name, at] : job.needs) {
      const auto found = index.find(name);
      if (found != index.end()) {
        if (there.insert(found->second).second) job.spec.needs.push_back(found->second);
        continue;
      }
      if (r.full()) return;
      if (names.empty()) {
        for (const auto& [key, i] : index) names.push_back(key);
      }
      r.error(*at, "missing_need", "there is no job `" + name + "` to need",
              r.suggest(name, names));
    }
  }
}

// Reports what is wrong with `defaults` itself, once, also when no job takes them.
void read_defaults(Reader& r, const YamlNode& defaults) {
  if (!r.keys(defaults, sections::kDefaults)) return;
  RawJob unused;
  YamlNode job;
  job.kind = YamlNode::Kind::object;
  for (const auto& member : defaults.members) {
    if (sections::kDefaults.find(member.first.raw) != nullptr) job.members.push_back(member);
  }
  read_policy(r, without(job, late_settings(job)), unused.spec);
}

// The definition's jobs, before any is read: a file of too many is refused at once.
bool few_enough(Reader& r, const YamlNode& root) {
  std::size_t count = 0;
  const YamlNode* at = &root;
  for (const char* list : {"jobs", "on_failure", "finally"}) {
    const YamlNode* jobs = root.find(list);
    if (jobs == nullptr) continue;
    count += jobs->members.size();
    if (count <= kJobsMax) continue;
    at = jobs;
    break;
  }
  if (count <= kJobsMax) return true;
  r.error(*at, "limit_exceeded",
          "the definition has " + std::to_string(count) + " jobs, more than 10,000");
  return false;
}

// `defaults` are copied into every job: what that makes in all is bounded.
bool light_enough(Reader& r, const YamlNode& defaults, const YamlNode& root) {
  constexpr std::size_t kNodesMax = 250'000, kBytesMax = 4 << 20;
  std::size_t jobs = 1;
  for (const char* list : {"jobs", "on_failure", "finally"}) {
    if (const YamlNode* found = root.find(list)) jobs += found->members.size();
  }
  Weight weight;
  weigh(defaults, weight);
  if (weight.nodes * jobs <= kNodesMax && weight.bytes * jobs <= kBytesMax) return true;
  r.error(defaults, "limit_exceeded", "`defaults` are too large for so many jobs");
  return false;
}

void read_root(Reader& r, YamlNode& root, const ParseOptions& options, WorkflowSpec& spec,
               Graphs& jobs) {
  if (!r.keys(root, sections::kWorkflow)) {
    return;
  }
  spec.name = options.default_name;
  if (const YamlNode* name = r.text(root, "name", spec.name)) {
    if (!is_name(spec.name)) {
      r.error(*name, "bad_name",
              "`name` must be [a-z0-9][a-z0-9._-]{0,62}, not `" + spec.name + "`");
    }
  }
  r.text(root, "description", spec.description);
  if (const YamlNode* on = root.find("on")) read_triggers(r, *on, spec.on);
  if (const YamlNode* inputs = root.find("inputs")) read_inputs(r, *inputs, spec.inputs);
  r.environment(root, spec.env);
  if (const YamlNode* concurrency = root.find("concurrency"))
    read_concurrency(r, *concurrency, spec.concurrency);
  r.limit(root, "timeout", spec.timeout);
  r.integer(root, "priority", spec.priority, kPriorityMin, kPriorityMax);
  if (!few_enough(r, root)) return;
  const YamlNode* defaults = root.find("defaults");
  if (defaults != nullptr) read_defaults(r, *defaults);
  if (defaults != nullptr && !light_enough(r, *defaults, root)) return;
  const std::pair<const char*, JobList*> lists[] = {
      {"jobs", &jobs.graph}, {"on_failure", &jobs.on_failure}, {"finally", &jobs.finally}};
  for (auto& [key, value] : root.members) {
    for (const auto& [name, list] : lists) {
      if (key.raw != name) continue;
      if (defaults != nullptr) {
        for (auto& job : value.members) add_defaults(job.second, *defaults);
      }
      read_jobs(r, value, "`" + std::string(name) + "`", *list);
    }
  }
  if (root.find("jobs") == nullptr) r.error(root, "missing_key", "a workflow needs `jobs`");
  r.bindings(root, "outputs", spec.outputs);
}

std::vector<JobSpec> take_specs(JobList& list) {
  std::vector<JobSpec> specs;
  specs.reserve(list.size());
  for (RawJob& job : list) specs.push_back(std::move(job.spec));
  return specs;
}

void unique_keys(Reader& r, const Graphs& jobs) {
  std::unordered_set<std::string> keys;
  for (const JobList* list : {&jobs.graph, &jobs.on_failure, &jobs.finally}) {
    for (const RawJob& job : *list) {
      if (!keys.insert(job.spec.key).second && job.key != nullptr && list != &jobs.graph)
        r.error(*job.key, "duplicate_key",
                "another job of this workflow is called `" + job.spec.key + "`");
    }
  }
}

void by_place(std::vector<Problem>& problems) {
  std::sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column, a.code, a.message) <
           std::tie(b.line, b.column, b.code, b.message);
  });
}
}  // namespace

Parsed parse_workflow(std::string_view text, const ParseOptions& options) {
  Parsed parsed;
  YamlResult yaml = read_yaml(text);
  Reader reader;
  reader.errors = std::move(yaml.problems);
  const bool readable =
      std::all_of(reader.errors.begin(), reader.errors.end(), [](const Problem& p) {
        return p.code == "duplicate_key" || p.code == "unknown_tag" || p.code == "wrong_type";
      });
  if (readable) {
    Graphs jobs;
    read_root(reader, yaml.root, options, parsed.spec, jobs);
    for (JobList* list : {&jobs.graph, &jobs.on_failure, &jobs.finally}) {
      resolve_needs(reader, *list);
      find_cycles(reader, *list);
    }
    unique_keys(reader, jobs);
    check_expressions(reader, yaml.root, parsed.spec, jobs.graph, jobs.on_failure, jobs.finally);
    parsed.spec.jobs = take_specs(jobs.graph);
    parsed.spec.on_failure = take_specs(jobs.on_failure);
    parsed.spec.finally = take_specs(jobs.finally);
  }
  parsed.spec.text = std::string(text);
  parsed.spec.digest = "sha256:" + sha256_hex(text);
  parsed.errors = std::move(reader.errors);
  parsed.warnings = std::move(reader.warnings);
  by_place(parsed.errors);
  by_place(parsed.warnings);
  return parsed;
}

Result<JobSpec> parse_job(const std::string& key, const Value& source) {
  Reader reader;
  const YamlNode node = from_value(source);
  RawJob job;
  job.spec.key = key;
  read_job(reader, node, job);
  check_job(reader, job);
  if (!reader.errors.empty()) {
    return Error{Code::invalid_definition,
                 "the job " + key + " has errors: " + reader.errors.front().message,
                 std::move(reader.errors)};
  }
  return std::move(job.spec);
}

std::string render_problems(std::string_view file, std::string_view text,
                            const std::vector<Problem>& problems, std::string_view severity,
                            bool colour) {
  const std::vector<std::string> lines = split(text, '\n');
  const std::string strong = colour ? (severity == "error" ? "\033[1;31m" : "\033[1;33m") : "";
  const std::string bold = colour ? "\033[1m" : "", dim = colour ? "\033[2m" : "",
                    plain = colour ? "\033[0m" : "";
  std::string out;
  for (const Problem& problem : problems) {
    out += bold + std::string(file);
    if (problem.line > 0)
      out += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    out += ": " + plain + strong + std::string(severity) + "[" + problem.code + "]" + plain + ": " +
           problem.message + "\n";
    const auto line = static_cast<std::size_t>(problem.line);
    if (problem.line > 0 && line <= lines.size()) {
      constexpr std::size_t kShownMax = 160;
      const std::string number = std::to_string(problem.line);
      const std::string pad(5 - std::min<std::size_t>(4, number.size()), ' ');
      out += dim + pad + number + " | " + plain +
             to_valid_utf8(lines[line - 1].substr(0, kShownMax)) + "\n";
      const std::size_t caret = static_cast<std::size_t>(std::max(1, problem.column)) - 1;
      out += dim + std::string(pad.size() + number.size(), ' ') + " | " + plain +
             std::string(std::min(caret, kShownMax), ' ') + strong + "^" + plain +
             (problem.hint.empty() ? "" : " " + problem.hint) + "\n";
    } else if (!problem.hint.empty()) {
      out += "      " + problem.hint + "\n";
    }
  }
  return out;
}
}  // namespace mc::lang
