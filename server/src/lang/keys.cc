#include "lang/keys.h"

#include <algorithm>
#include <array>

namespace mc::lang {

const Key* Section::find(std::string_view key) const {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Key& known) { return known.name == key; });
  return found != keys.end() ? &*found : nullptr;
}

namespace sections {
const Section kWorkflow{
    "workflow",
    "a workflow",
    {{"name", "What the workflow is called. Default: the file's name without its ending."},
     {"description", "One line for people."},
     {"on", "How runs start besides by hand and by API."},
     {"inputs", "What a run is given when it starts, by name."},
     {"env", "Environment of every step; a job's and a step's own values win."},
     {"concurrency", "How many runs of a group may be open at once."},
     {"timeout", "How long the whole run may take."},
     {"priority", "Whose ready jobs workers take first: -100 to 100, higher goes first."},
     {"defaults", "What jobs of steps have unless they say otherwise."},
     {"jobs", "The graph of jobs, by name."},
     {"on_failure", "Jobs that run after the graph when the run has failed."},
     {"finally", "Jobs that run last, however the run ends."},
     {"outputs", "What the run gives back; `needs` names any job here."}}};
const Section kTriggers{
    "triggers",
    "`on`",
    {{"push", "A push to a branch or tag."},
     {"pull_request", "A pull request that is opened or updated."},
     {"schedule", "Times, by cron."},
     {"webhook", "A signed POST to /api/v1/hooks/<name>; its body is `event`."}}};
const Section kPush{"push",
                    "a trigger",
                    {{"branches", "Globs; one must match. For pull requests: the target branch."},
                     {"branches_ignore", "Globs; none may match."},
                     {"tags", "Globs of tags."},
                     {"paths", "Globs; a changed file must match one."},
                     {"paths_ignore", "Globs; changes in these alone start nothing."}}};
const Section kSchedule{
    "schedule",
    "a schedule",
    {{"cron", "Five fields (minute hour day month weekday), or @hourly, @daily and the like."},
     {"timezone", "Name of the time zone that the fields are in, like Europe/Berlin."},
     {"overlap", "What happens when the run before is still open."},
     {"catch_up", "Which missed times are made up for after the server was down."},
     {"catch_up_window", "How old a missed time may be to be made up for."},
     {"jitter", "Each fire is put off by a random part of this."},
     {"inputs", "Inputs of the runs it starts."}}};
const Section kInput{"input",
                     "an input",
                     {{"type", "Type of the value."},
                      {"enum", "The values to choose from."},
                      {"default", "The value when none is given."},
                      {"description", "What people are told."},
                      {"required", "Whether a value must be given; with a default it need not."},
                      {"min", "Smallest number."},
                      {"max", "Largest number."},
                      {"pattern", "RE2 pattern that must be found in a string; anchor it for all."},
                      {"max_length", "Most bytes of a string."}}};
const Section kConcurrency{"concurrency",
                           "`concurrency`",
                           {{"group", "Name of the group."},
                            {"limit", "How many may hold the group at once."},
                            {"order", "Who is next: by queue place or by commit."},
                            {"on_overflow", "What happens to those beyond the limit."}}};
const Section kDefaults{"defaults",
                        "`defaults`",
                        {{"runs_on", "Labels that a worker must have."},
                         {"shell", "The shell of `run`."},
                         {"retry", "When and how failed attempts are repeated."},
                         {"timeout", "Limits of a job's time."}}};
const Section kRetry{"retry",
                     "`retry`",
                     {{"attempts", "How many attempts at most; the first counts."},
                      {"backoff", "Wait before the second attempt."},
                      {"factor", "Each further wait is this many times longer."},
                      {"max", "Longest wait."},
                      {"jitter", "Share of the wait that chance adds or takes away."},
                      {"on", "Kinds of failure to repeat after; any: all of them."},
                      {"exit_codes", "Exit codes to repeat after, whatever `on` says."}}};
const Section kTimeout{
    "timeouts",
    "`timeout`",
    {{"queue", "How long a job may wait for a worker."}, {"run", "How long an attempt may run."}}};
const Section kResources{"resources",
                         "`resources`",
                         {{"cpu", "Processors: 2, 0.5."}, {"memory", "Memory: 512MiB, 4GiB."}}};
const Section kJob{
    "job",
    "a job",
    {{"name", "What people see. Default: the job's key."},
     {"needs", "Jobs that must be final before this one starts."},
     {"if", "Whether it runs, once its needs are final. Default: success()."},
     {"runs_on", "Labels that a worker must have, all of them. None: any worker."},
     {"resources", "What it takes of its worker: no worker is given more than it has."},
     {"matrix", "One job for each combination of values."},
     {"max_parallel", "How many cells of the matrix run at once."},
     {"fail_fast", "Whether the first failed cell cancels the others."},
     {"retry", "When and how failed attempts are repeated."},
     {"timeout", "Limits of its time; a plain duration means `run`."},
     {"continue_on_error", "Whether its failure is only a warning."},
     {"effects", "What it changes outside: asked before a re-run repeats it."},
     {"env", "Environment of its steps."},
     {"shell", "The shell of `run`."},
     {"steps", "What it does, in order, on one worker, in one workspace."},
     {"approve", "People decide whether the run goes on."},
     {"wait", "It waits for a time or an event."},
     {"workflow", "It runs another workflow; that run's outputs are its own."},
     {"on_failure", "Steps in the same workspace when the job has failed."},
     {"finally", "Steps in the same workspace, always, also after a cancel."},
     {"compensate", "Steps that undo the job when the run ends badly."},
     {"outputs", "What later jobs can read of it."},
     {"cache", "When nothing it depends on has changed, its files and outputs are reused."},
     {"artifacts", "Files kept after the job."},
     {"services", "Programs that run beside the steps."},
     {"container", "The image its steps run in."},
     {"sandbox", "Whether its steps run under bubblewrap."},
     {"concurrency", "How many jobs of a group may run at once, over all runs."}}};
const Section kStep{"step",
                    "a step",
                    {{"id", "Name by which later steps read its outputs."},
                     {"name", "What people see."},
                     {"if", "Whether it runs. Default: success()."},
                     {"run", "A shell script. Values reach it through `env` only."},
                     {"uses", "A built-in action."},
                     {"with", "Inputs of the action."},
                     {"env", "Environment of this step."},
                     {"timeout", "How long it may run."},
                     {"working_directory", "Folder in the workspace."},
                     {"shell", "The shell of `run`."},
                     {"continue_on_error", "Whether the job goes on when it fails."}}};
const Section kApprove{"approve",
                       "`approve`",
                       {{"by", "Who may decide: user:NAME, group:NAME, role:NAME."},
                        {"count", "How many must approve."},
                        {"expires", "After this long without a decision it is denied."},
                        {"prompt", "What they are asked."},
                        {"self", "Whether who started the run may decide."}}};
const Section kWait{"wait",
                    "`wait`",
                    {{"duration", "How long."},
                     {"until", "A time as RFC 3339."},
                     {"event", "Name of a signal to the run."},
                     {"timeout", "How long to wait for the signal."}}};
const Section kChild{
    "child", "`workflow`", {{"name", "The workflow to run."}, {"inputs", "Its inputs."}}};
const Section kCache{"cache",
                     "`cache`",
                     {{"key", "What the entry is called, with what it depends on."},
                      {"inputs", "Globs of files whose contents belong to the key."},
                      {"outputs", "Globs of files to keep and to restore."}}};
const Section kArtifact{"artifact",
                        "an artifact",
                        {{"name", "What it is called in the run."},
                         {"path", "A file, a folder or a glob in the workspace."},
                         {"keep", "How long it is kept. Default: the server's."}}};
const Section kService{"service",
                       "a service",
                       {{"run", "A command that serves until the job ends."},
                        {"image", "A container image that does."},
                        {"ready", "A command tried until it succeeds; then the steps begin."},
                        {"env", "Environment of the service."},
                        {"ports", "Ports of the container, like 5432:5432."},
                        {"timeout", "How long it may take to be ready."}}};
const Section kContainer{"container", "`container`", {{"image", "The image."}}};
}  // namespace sections

std::span<const Section* const> all_sections() {
  using namespace sections;
  static const std::array<const Section*, 19> kAll = {
      &kWorkflow, &kTriggers, &kPush,      &kSchedule, &kInput,    &kConcurrency, &kDefaults,
      &kRetry,    &kTimeout,  &kResources, &kJob,      &kStep,     &kApprove,     &kWait,
      &kChild,    &kCache,    &kArtifact,  &kService,  &kContainer};
  return kAll;
}
}  // namespace mc::lang
