#include "lang/parse.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lang/check.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
constexpr std::size_t kJobsMax = 10'000;

// Members of `defaults` that a job does not give itself.
YamlNode with_defaults(const YamlNode& job, const YamlNode* defaults) {
  YamlNode merged = job;
  if (defaults == nullptr || !is_object(job) || !is_object(*defaults)) return merged;
  // Only a job of steps runs on a worker: the others take no defaults.
  if (job.find("steps") == nullptr) return merged;
  for (const auto& member : defaults->members) {
    const bool dashed = member.first.raw == "runs_on" && job.find("runs-on") != nullptr;
    if (job.find(member.first.raw) == nullptr && !dashed) merged.members.push_back(member);
  }
  return merged;
}

struct JobList {
  std::vector<YamlNode> nodes;  // what RawJob points into
  std::vector<RawJob> jobs;
};

void check_key(Reader& r, const YamlNode& key) {
  const auto fine = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  const std::string& text = key.raw;
  if (text.empty() || text.size() > 100 || !std::all_of(text.begin(), text.end(), fine) ||
      (std::isalpha(static_cast<unsigned char>(text[0])) == 0 && text[0] != '_')) {
    r.error(
        key, "bad_name",
        "a job's name has letters, digits, _ and - only, and begins with a letter: `" + text + "`");
  }
}

void read_jobs(Reader& r, const YamlNode& node, std::string_view what, const YamlNode* defaults,
               JobList& into) {
  if (!is_object(node) || node.members.empty()) {
    r.error(node, "wrong_type",
            std::string(what) + " must be a mapping with at least one job, not " + kind_name(node));
    return;
  }
  if (node.members.size() > kJobsMax) {
    r.error(node, "limit_exceeded",
            std::string(what) + " has " + std::to_string(node.members.size()) +
                " jobs, more than 10,000");
    return;
  }
  into.nodes.reserve(node.members.size());
  into.jobs.resize(node.members.size());
  for (std::size_t i = 0; i < node.members.size(); ++i) {
    const auto& [key, value] = node.members[i];
    check_key(r, key);
    into.nodes.push_back(with_defaults(value, defaults));
    into.jobs[i].spec.key = key.raw;
    read_job(r, into.nodes.back(), into.jobs[i]);
  }
}

// Names to indices; unknown ones and a job that needs itself are reported.
void resolve_needs(Reader& r, JobList& list) {
  std::map<std::string, JobIndex, std::less<>> index;
  for (JobIndex i = 0; i < list.jobs.size(); ++i) index.emplace(list.jobs[i].spec.key, i);
  std::vector<std::string> names;
  for (RawJob& job : list.jobs) {
    for (const auto& [name, at] : job.needs) {
      const auto found = index.find(name);
      if (found != index.end()) {
        auto& needs = job.spec.needs;
        if (std::find(needs.begin(), needs.end(), found->second) == needs.end())
          needs.push_back(found->second);
        continue;
      }
      if (names.empty()) {
        for (const auto& [key, i] : index) names.push_back(key);
      }
      const auto near = nearest(name, names);
      r.error(*at, "missing_need", "there is no job `" + name + "` to need",
              near ? "did you mean `" + *near + "`?" : "");
    }
  }
}

void read_defaults(Reader& r, const YamlNode& defaults) {
  if (!r.keys(defaults, "`defaults`", {"runs_on", "shell", "retry", "timeout"})) return;
}

void read_root(Reader& r, const YamlNode& root, const ParseOptions& options, WorkflowSpec& spec,
               JobList& graph, JobList& on_failure, JobList& finally) {
  if (!r.keys(root, "a workflow",
              {"name", "description", "on", "inputs", "env", "concurrency", "timeout", "defaults",
               "jobs", "on_failure", "finally", "outputs"})) {
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
  r.bindings(root, "env", spec.env);
  if (const YamlNode* concurrency = root.find("concurrency"))
    read_concurrency(r, *concurrency, spec.concurrency);
  r.duration(root, "timeout", spec.timeout);
  const YamlNode* defaults = root.find("defaults");
  if (defaults != nullptr) read_defaults(r, *defaults);
  if (const YamlNode* jobs = root.find("jobs")) {
    read_jobs(r, *jobs, "`jobs`", defaults, graph);
  } else {
    r.error(root, "missing_key", "a workflow needs `jobs`");
  }
  if (const YamlNode* jobs = root.find("on_failure"))
    read_jobs(r, *jobs, "`on_failure`", defaults, on_failure);
  if (const YamlNode* jobs = root.find("finally"))
    read_jobs(r, *jobs, "`finally`", defaults, finally);
  r.bindings(root, "outputs", spec.outputs);
}

std::vector<JobSpec> take_specs(JobList& list) {
  std::vector<JobSpec> specs;
  specs.reserve(list.jobs.size());
  for (RawJob& job : list.jobs) specs.push_back(std::move(job.spec));
  return specs;
}

void unique_keys(Reader& r, const JobList& graph, const JobList& other) {
  for (const RawJob& job : other.jobs) {
    for (const RawJob& first : graph.jobs) {
      if (first.spec.key == job.spec.key && job.node != nullptr) {
        r.error(*job.node, "duplicate_key",
                "a job of the graph is called `" + job.spec.key + "` already");
      }
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
    JobList graph, on_failure, finally;
    read_root(reader, yaml.root, options, parsed.spec, graph, on_failure, finally);
    for (JobList* list : {&graph, &on_failure, &finally}) {
      resolve_needs(reader, *list);
      find_cycle(reader, list->jobs);
    }
    unique_keys(reader, graph, on_failure);
    unique_keys(reader, graph, finally);
    check_expressions(reader, yaml.root, parsed.spec, graph.jobs, on_failure.jobs, finally.jobs);
    parsed.spec.jobs = take_specs(graph);
    parsed.spec.on_failure = take_specs(on_failure);
    parsed.spec.finally = take_specs(finally);
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
