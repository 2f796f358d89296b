// A workflow definition after it was checked whole: what lang/parse makes and the engine, the
// worker and the API read. Texts that may hold ${{ … }} are marked `template` and kept as written;
// they are evaluated by lang/expression when their turn comes. Durations of 0 mean "not given".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "base/value.h"
#include "model/resources.h"

namespace mc {

using Bindings = std::vector<std::pair<std::string, std::string>>;  // name → template
using JobIndex = std::uint32_t;  // place of a job in WorkflowSpec::jobs

enum class InputType : std::uint8_t { string, integer, number, boolean, list, object };
struct InputSpec {
  std::string name;
  InputType type = InputType::string;
  bool required = true;  // false when `required: false` or a default is given
  std::optional<Value> default_value;
  std::vector<Value> choices;  // `enum`
  std::optional<double> min, max;
  std::string pattern;  // RE2, full match wanted by its own anchors
  std::optional<std::int64_t> max_length;
  std::string description;
};

enum class OnOverflow : std::uint8_t { queue, cancel_pending, cancel_running, reject };
enum class LockOrder : std::uint8_t { queue, commit };
struct ConcurrencySpec {
  std::string group;  // template
  int limit = 1;
  LockOrder order = LockOrder::queue;
  OnOverflow on_overflow = OnOverflow::queue;
};

enum class Overlap : std::uint8_t { skip, queue_one, queue_all, cancel_running };
enum class CatchUp : std::uint8_t { none, last, all };
struct ScheduleSpec {
  std::string cron;
  std::string timezone = "UTC";
  Overlap overlap = Overlap::skip;
  CatchUp catch_up = CatchUp::last;
  Millis catch_up_window{0};
  Millis jitter{0};
  Value inputs = Object{};
};

struct PushTrigger {
  std::vector<std::string> branches, branches_ignore, tags, paths, paths_ignore;
};
struct Triggers {
  std::optional<PushTrigger> push, pull_request;
  std::vector<ScheduleSpec> schedules;
  bool webhook = false;
};

struct RetrySpec {
  int attempts = 1;  // the first try counts
  Millis backoff{1000};
  double factor = 2;
  Millis max{60'000};
  double jitter = 0.2;  // share of the delay, added or taken away
  // Classes as in FailureKind, or any. Default: infra, timeout, lost_worker.
  std::vector<std::string> on = {"infra", "timeout", "lost_worker"};
  std::vector<int> exit_codes;
  // False when neither the job nor `defaults` says `retry`: then a lost worker alone is retried, up
  // to twice, unless the effects are external.
  bool given = false;
};

enum class Shell : std::uint8_t { bash, sh };
struct StepSpec {
  std::string id;    // given or empty; unique in its job
  std::string name;  // template; what people see: `name`, else the id, else the first line of `run`
  std::string condition;  // the inside of `if`, without ${{ }}; empty: success()
  std::string run;        // exactly one of run and uses
  std::string uses;  // checkout, artifact/upload, artifact/download, cache/restore, cache/save,
                     // http, notify, noop
  Bindings with;
  Bindings env;
  Millis timeout{0};
  std::string working_directory;  // template
  Shell shell = Shell::bash;
  bool continue_on_error = false;
  // Templates, instead of the two above; empty: none. The worker evaluates them before the step.
  std::string late_timeout;
  std::string late_continue_on_error;
};

struct ServiceSpec {
  std::string name;
  std::string run;    // a command, or
  std::string image;  // a container image
  std::string ready;  // command polled until it exits 0; empty: ready when started
  Bindings env;
  std::vector<std::string> ports;
  Millis timeout{30'000};
};

struct CacheSpec {
  std::string key;  // template, evaluated on the worker after the job's checkout steps
  std::vector<std::string> inputs;   // templates of globs; hashed into the key
  std::vector<std::string> outputs;  // templates of globs; kept and restored
};
struct ArtifactSpec {
  std::string name;  // template
  std::string path;  // template, glob allowed
  Millis keep{0};    // 0: the server's default
};

// Static `matrix`: axes in the order written. Exactly one of `expression` and axes/include is used.
struct MatrixAxis {
  std::string name;
  std::vector<Value> values;  // literal values, or
  std::string expression;     // one ${{ }} giving a list
};
struct MatrixSpec {
  std::string
      expression;  // the whole matrix as one ${{ }}: an object of lists or a list of objects
  std::vector<MatrixAxis> axes;
  std::vector<Value> include, exclude;                 // objects, or
  std::string include_expression, exclude_expression;  // one ${{ }} giving a list of them
  int max_cells = 256;
};

struct ApproveSpec {
  std::vector<std::string>
      by;  // templates of "user:NAME", "group:NAME", "role:NAME"; empty: any operator or admin
  int count = 1;
  Millis expires{0};
  std::string prompt;  // template
  bool self = true;    // may whoever started the run decide
};
// Exactly one is set.
struct WaitSpec {
  std::string duration;  // template giving a duration, or
  std::string until;     // template giving RFC 3339, or
  std::string event;     // template: name of a signal
  Millis timeout{0};     // for `event`; 0: the run's own
};
struct ChildSpec {
  std::string name;                                   // template: the workflow to run
  std::vector<std::pair<std::string, Value>> inputs;  // strings in them may be templates
};

enum class JobKind : std::uint8_t { steps, approve, wait, workflow };
enum class Effects : std::uint8_t { none, idempotent, external };

// What a job's templates mention, found when it was checked: decides what travels to the worker.
struct References {
  std::vector<std::string> needs;    // job keys
  std::vector<std::string> secrets;  // names
  std::vector<std::string> vars;
  bool inputs = false;
  bool event = false;
};

struct JobSpec {
  std::string key;
  std::string name;  // template; empty: the key
  JobKind kind = JobKind::steps;
  std::vector<JobIndex> needs;
  std::string condition;             // the inside of `if`; empty: success()
  std::vector<std::string> runs_on;  // templates
  Resources resources;               // of its worker, while it runs
  std::optional<MatrixSpec> matrix;
  int max_parallel = 0;  // 0: no limit
  bool fail_fast = true;
  RetrySpec retry;
  Millis timeout_queue{0};
  Millis timeout_run{0};
  bool continue_on_error = false;
  Effects effects = Effects::none;
  Bindings env;
  Shell shell = Shell::bash;
  std::vector<StepSpec> steps;
  std::vector<StepSpec> on_failure;
  std::vector<StepSpec> finally;
  std::vector<StepSpec> compensate;
  Bindings outputs;
  std::optional<CacheSpec> cache;
  std::vector<ArtifactSpec> artifacts;
  std::vector<ServiceSpec> services;
  std::string container_image;  // template; empty: none
  bool sandbox = false;
  std::optional<ConcurrencySpec> concurrency;
  std::optional<ApproveSpec> approve;
  std::optional<WaitSpec> wait;
  std::optional<ChildSpec> child;
  References references;
  // Places in `source` of settings that are expressions, such as "retry.attempts" (lang/late.h):
  // they have their defaults here until the job's turn comes.
  std::vector<std::string> late;
  // The job as written, with the workflow's defaults merged in: lang::parse_job reads it back.
  Value source;
  // `source` as JSON, made once: what the worker protocol carries.
  std::string source_json;
};

// Phases of a run, in order; each phase's jobs start when the one before has settled.
enum class Phase : std::uint8_t { graph, on_failure, compensate, finally };

// Of a run's ready jobs among those of other runs; higher goes first.
inline constexpr int kPriorityMin = -100;
inline constexpr int kPriorityMax = 100;

struct WorkflowSpec {
  std::string name;
  std::string description;
  Triggers on;
  std::vector<InputSpec> inputs;
  Bindings env;
  std::optional<ConcurrencySpec> concurrency;
  Millis timeout{0};
  int priority = 0;                 // kPriorityMin to kPriorityMax
  std::vector<JobSpec> jobs;        // the graph, in the order written
  std::vector<JobSpec> on_failure;  // `needs` here index within the same list
  std::vector<JobSpec> finally;
  Bindings outputs;
  std::string digest;  // "sha256:…" of the text
  std::string text;    // as written
};
using WorkflowRef =
    std::shared_ptr<const WorkflowSpec>;  // shared: a definition outlives any one run

}  // namespace mc
