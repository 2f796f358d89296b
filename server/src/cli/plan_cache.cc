#include "cli/plan_cache.h"

#include <cstdlib>
#include <filesystem>

#include "lang/expression.h"
#include "lang/parse.h"
#include "worker/environment.h"
#include "worker/globs.h"
#include "worker/job_cache.h"
#include "worker/process.h"
#include "worker/working_tree.h"

namespace mc::cli {
namespace {
namespace fs = std::filesystem;

// What is known beforehand; asking for anything else makes the answer unknown.
struct Known {
  const Value& inputs;
  const Value* matrix;
  Value env = Object{};
  std::string files;
  bool unknown = false;

  lang::Scope scope() {
    lang::Scope scope;
    scope.context = [this](std::string_view root) -> const Value* {
      if (root == "inputs") return &inputs;
      if (root == "env") return &env;
      if (root == "matrix" && matrix != nullptr) return matrix;
      unknown = true;
      return nullptr;
    };
    scope.hash_files = [this](const std::vector<std::string>& globs) {
      return worker::hash_files(files, globs);
    };
    return scope;
  }
  // As a job's environment is made: each binding sees those of the outer levels.
  bool add(const Bindings& bindings) {
    Object fresh = env.as_object();
    worker::Environment all;
    for (const auto& [name, value] : fresh) all.set(name, value.as_string());
    for (const auto& [name, text] : bindings) {
      const Result<std::string> value = lang::evaluate_text(text, scope());
      if (!value.ok() || unknown) return false;
      all.set(name, *value);
    }
    env = all.object();
    return true;
  }
};

// A checkout that takes this working tree, as it is.
bool is_plain_checkout(const StepSpec& step) {
  return step.uses == "checkout" && step.with.empty() && step.condition.empty();
}
}  // namespace

// A folder that goes away with this.
class PlanCache::Tree {
 public:
  static Result<std::unique_ptr<Tree>> make() {
    std::string path = (fs::temp_directory_path() / "maestro-plan-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr)
      return Error{Code::store_failed, "cannot make a folder in the temporary one", {}};
    return std::unique_ptr<Tree>(new Tree(std::move(path)));
  }
  ~Tree() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

  Status fill(const std::string& from, const std::string& path) const {
    if (worker::is_in_git(from)) {
      std::vector<std::string> quiet = {"bash", "-c", "exec \"$@\" >/dev/null 2>&1", "--"};
      for (std::string& word : worker::copy_tree_command()) quiet.push_back(std::move(word));
      auto copy = worker::spawn({.argv = std::move(quiet),
                                 .env = {"FROM=" + from, "TO=" + path_, "PATH=" + path, "HOME=/"},
                                 .folder = from,
                                 .path = path});
      if (copy.ok() && copy->wait().exit_code == 0) return {};
    }
    std::error_code failed;
    fs::copy(from, path_,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks |
                 fs::copy_options::overwrite_existing,
             failed);
    if (failed)
      return Error{Code::store_failed, "cannot copy " + from + ": " + failed.message(), {}};
    return {};
  }

 private:
  explicit Tree(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

PlanCache::PlanCache(const Doors& doors, LocalOptions place, const WorkflowSpec& spec,
                     const Value& inputs, std::string path)
    : doors_(doors),
      place_(std::move(place)),
      spec_(spec),
      inputs_(inputs),
      path_(std::move(path)) {}
PlanCache::~PlanCache() = default;

// The workspace as it is after the job's checkout steps. Errors: not_found (known in a run only).
Result<std::string> PlanCache::files_of(const JobSpec& job) {
  bool checks_out = false;
  for (const StepSpec& step : job.steps) {
    if (step.uses != "checkout") continue;
    if (!is_plain_checkout(step)) return Error{Code::not_found, "the checkout is not plain", {}};
    checks_out = true;
  }
  std::unique_ptr<Tree>& tree = checks_out ? full_ : empty_;
  if (!tree) {
    auto made = Tree::make();
    if (!made.ok()) return made.error();
    if (checks_out) {
      if (Status filled = (*made)->fill(place_.folder, path_); !filled) return filled.error();
    }
    tree = std::move(*made);
  }
  return tree->path();
}

Value PlanCache::look_up(const JobSpec& job, const Value* matrix) {
  if (!job.cache || !doors_.local_cache) return {};
  Result<std::string> files = files_of(job);
  if (!files.ok()) return {};
  Known known{.inputs = inputs_, .matrix = matrix, .files = std::move(*files)};
  if (!known.add(spec_.env) || !known.add(job.env)) return {};
  // As a worker reads it: what the workflow's `env` mentions is in the environment already.
  const Result<JobSpec> own = lang::parse_job(job.key, job.source);
  if (!own.ok()) return {};
  const auto key = worker::job_cache_key(*own, known.scope(), known.env, matrix, known.files);
  if (!key.ok() || known.unknown) return {};
  Value found{Object{}};
  found.set("key", key->shown);
  const Value entry = doors_.local_cache(place_, key->whole);
  found.set("hit", entry.is_object());
  if (entry.is_object()) {
    found.set("saved_ms", entry.int_or("duration_ms", 0));
    found.set("from_run", entry.string_or("run", ""));
  }
  return found;
}
}  // namespace mc::cli
