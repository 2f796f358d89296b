// A run under test: a definition as text, a clock that is told the time, and a check of every
// invariant after every command.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/decide.h"
#include "engine/invariants.h"
#include "lang/parse.h"

namespace mc::engine {

using Keys = std::vector<std::string>;

inline constexpr const char* kDiamond = R"(
name: diamond
jobs:
  a: {steps: [{run: "true"}]}
  b: {needs: a, steps: [{run: "true"}]}
  c: {needs: a, steps: [{run: "true"}]}
  d: {needs: [b, c], steps: [{run: "true"}]}
)";

// Everything that matters of a state, as text: two states that print the same behave the same.
inline std::string print(const RunState& run) {
  std::string text =
      fmt::format("{} {} phase={} seq={} deadline={} open={} warnings={} outputs={} msg={}\n",
                  to_name(run.status), to_name(run.reason), to_name(run.phase), run.seq,
                  run.deadline.ms, run.phase_open, run.warnings, to_json(run.outputs), run.message);
  for (const JobState& job : run.jobs) {
    text += fmt::format(
        "  {} {} {} kind={} att={} fence={} needs={} active={} next={} due={} lock={} tol={} "
        "out={} m={} w={}\n",
        job.key, to_name(job.status), to_name(job.reason), to_name(job.failure_kind), job.attempt,
        job.fence, job.open_needs, job.active_cells, job.next_cell, job.due.ms, job.holds_lock,
        job.tolerated, to_json(job.outputs), to_json(job.matrix), job.wait_detail);
  }
  for (const std::uint32_t n : run.counts) text += std::to_string(n) + " ";
  return text;
}

class Rig {
 public:
  explicit Rig(const std::string& yaml) {
    lang::Parsed parsed = lang::parse_workflow(yaml);
    for (const Problem& p : parsed.errors)
      ADD_FAILURE() << p.line << ":" << p.column << " " << p.message;
    definition_ = make_definition(std::move(parsed.spec));
    run_ = empty_run(Uuid{1, 2}, definition_);
  }

  // Queues and begins the run.
  Rig& start(Value inputs = Object{}, std::vector<KeptJob> kept = {}) {
    RunQueued facts;
    facts.number = 7;
    facts.project = "default";
    facts.workflow = definition_->spec.name;
    facts.inputs = std::move(inputs);
    facts.actor = "ada";
    facts.kept = std::move(kept);
    take(queue_run(run_, std::move(facts), ambient()));
    take(begin_run(run_, ambient()));
    return *this;
  }

  const RunState& run() const { return run_; }
  const JobState& job(const std::string& key) const {
    const JobState* found = find_job(run_, key);
    EXPECT_NE(found, nullptr) << key;
    return found != nullptr ? *found : run_.jobs.at(0);
  }
  std::string status(const std::string& key) const { return std::string(to_name(job(key).status)); }
  std::string run_status() const { return std::string(to_name(run_.status)); }
  NodeIndex node(const std::string& key) const { return run_.by_key.at(key); }
  std::vector<std::string> keys_in(JobStatus status) const {
    std::vector<std::string> keys;
    for (const JobState& job : run_.jobs) {
      if (job.status == status && is_listed(run_, job)) keys.push_back(job.key);
    }
    return keys;
  }
  std::vector<std::string> ready() const { return keys_in(JobStatus::ready); }

  void grant(const std::string& key) { take(grant_job(run_, node(key), "w1", ambient())); }
  TaskResult result(const std::string& key, Outcome outcome, Value outputs = Object{}) const {
    TaskResult result;
    result.fence = job(key).fence;
    result.outcome = outcome;
    result.outputs = std::move(outputs);
    if (outcome == Outcome::failed) {
      result.exit_code = 1;
      result.failure_kind = FailureKind::user;
    }
    return result;
  }
  void complete(const std::string& key, const TaskResult& result) {
    take(complete_job(run_, node(key), result, ambient()));
  }
  void succeed(const std::string& key, Value outputs = Object{}) {
    if (job(key).status == JobStatus::ready) grant(key);
    complete(key, result(key, Outcome::succeeded, std::move(outputs)));
  }
  void fail(const std::string& key) {
    if (job(key).status == JobStatus::ready) grant(key);
    complete(key, result(key, Outcome::failed));
  }
  void cancel() { take(cancel_run(run_, {"ada", "enough", false}, ambient())); }
  void pass(Millis time) {
    now_ = now_ + time;
    take(fire_timers(run_, ambient()));
  }
  void take(Result<Events> events) {
    ASSERT_TRUE(events.ok()) << events.error().message;
    take(std::move(*events));
  }
  void take(Events events) {
    for (Event& event : events) history_.push_back(std::move(event));
    check();
  }
  const std::vector<Event>& history() const { return history_; }
  Ambient ambient() const { return {now_, "http://x"}; }
  RunState& mutable_run() { return run_; }
  Instant now() const { return now_; }

  void check() const {
    const auto wrong = violation(run_);
    EXPECT_FALSE(wrong.has_value()) << *wrong << "\n" << print(run_);
    const auto again = replay(run_.id, definition_, history_);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(print(*again), print(run_)) << "replaying the log gives another state";
  }

 private:
  DefinitionRef definition_;
  RunState run_;
  std::vector<Event> history_;
  Instant now_{1'700'000'000'000};
};

}  // namespace mc::engine
