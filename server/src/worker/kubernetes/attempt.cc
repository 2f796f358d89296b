#include "worker/kubernetes/attempt.h"

#include "base/clip.h"
#include "base/rng.h"
#include "kube/objects.h"
#include "worker/kubernetes/handover.h"

namespace mc::worker {
namespace {
using Steady = std::chrono::steady_clock;
constexpr Duration kRetryFirst{200}, kRetryMax{10'000};
constexpr Millis kLookAgain{5'000};                  // changes wake earlier
constexpr Millis kTryAgain{500};                     // while something is due besides changes
constexpr auto kPodHeard = std::chrono::seconds(2);  // after its Job, at most
// A pod that has just reported ends by itself before anybody has to end it.
constexpr auto kOwnEnd = std::chrono::seconds(5);
// One whose Job cannot be deleted for so long is left to the Job's deadline.
constexpr auto kLostMost = std::chrono::minutes(1);
constexpr std::size_t kMessageBytesMax = 4096;
constexpr int kInvalid = 422;
constexpr const char* kLastWords = "/log?container=job&tailLines=40&limitBytes=16384";

Error wrong(const kube::Reply& reply, const std::string& what) {
  Error error = kube::refusal(reply, what);
  // What the API server finds invalid came from the workflow: an image, an amount.
  if (reply.status == kInvalid) error.code = Code::invalid_field;
  return error;
}

std::string member(const kube::Reply& reply, std::string_view name) {
  const Value* metadata = reply.body.find("metadata");
  return metadata == nullptr ? std::string() : metadata->string_or(name, "");
}
}  // namespace

Attempt::Attempt(Cluster& cluster, const Task& task, TaskControl& control, const SendLog& send_log)
    : cluster_(cluster),
      task_(task),
      control_(control),
      send_log_(send_log),
      name_(kube::job_name(task.task_id, task.fence)),
      path_(kube::jobs_path(cluster.options.plan.namespace_name) + "/" + name_),
      api_(cluster.options.access),
      backoff_(kRetryFirst, kRetryMax, random_seed()) {}

std::optional<TaskResult> Attempt::begin() {
  const auto plan = plan_job(task_, cluster_.options.plan, system_clock().now());
  if (!plan.ok()) {
    return report(Outcome::failed, FailureKind::user, plan.error().message, false);
  }
  say("Job " + plan->namespace_name + "/" + name_ + ", image " + plan->image);
  const Status given = hand_over(*plan);
  if (given.ok()) return follow();
  if (cluster_.leaving) return std::nullopt;
  remove();
  if (control_.lost()) return std::nullopt;
  if (control_.cancelled())
    return report(Outcome::cancelled, FailureKind::none, "cancelled", false);
  const bool own =
      given.error().code == Code::invalid_field || given.error().code == Code::limit_exceeded;
  return report(Outcome::failed, own ? FailureKind::user : FailureKind::infra,
                given.error().message, false);
}

std::optional<TaskResult> Attempt::resume() { return follow(); }

// --- the Job and its Secret ---

void Attempt::pause() {
  const std::size_t seen = cluster_.board.tick();
  if (!over()) cluster_.board.wait(seen, backoff_.next());
}

template <class Call>
auto Attempt::insist(const Call& call) -> decltype(call()) {
  for (;;) {
    auto done = call();
    if (done.ok() || !is_passing(done.error()) || over() || control_.cancelled()) return done;
    notice({.message = done.error().message});
    pause();
  }
}

// Each step may be repeated: an earlier life, or a call whose answer was lost, may have done it.
Status Attempt::hand_over(const kube::JobPlan& plan) {
  const auto uid = insist([&] { return create_job(plan); });
  if (!uid.ok()) return uid.error();
  const Status secret = insist([&] { return create_secret(plan, *uid); });
  if (!secret.ok()) return secret;
  return insist([&]() -> Status {
    const auto reply = api_.patch(path_, kube::resume_patch());
    if (!reply.ok()) return reply.error();
    return reply->good() ? Status() : Status(wrong(*reply, "starting the Job"));
  });
}

Result<std::string> Attempt::create_job(const kube::JobPlan& plan) {
  auto reply = api_.create(kube::jobs_path(plan.namespace_name), kube::job_object(plan));
  if (reply.ok() && reply->status == kube::kConflict) reply = api_.get(path_);
  if (!reply.ok()) return reply.error();
  if (!reply->good()) return wrong(*reply, "the Job");
  return member(*reply, "uid");
}

Status Attempt::create_secret(const kube::JobPlan& plan, const std::string& job_uid) {
  Handover handover{.urls = cluster_.options.plan.urls,
                    .token = cluster_.options.token,
                    .worker = cluster_.options.plan.worker,
                    .no_cache = cluster_.options.no_cache,
                    .task = task_};
  {
    const std::scoped_lock lock(cluster_.mutex);
    handover.standing = cluster_.standing;
  }
  const std::string text = encode(handover);
  if (text.size() > kube::kSecretBytesMax - 4096) {
    return Error{Code::limit_exceeded,
                 "what this job is told (inputs, outputs of other jobs, secrets) has " +
                     std::to_string(text.size()) +
                     " bytes, and a Kubernetes Secret takes 1 MiB; pass more as an artifact",
                 {}};
  }
  const auto reply = api_.create(kube::secrets_path(plan.namespace_name),
                                 kube::secret_object(plan, job_uid, text));
  if (!reply.ok()) return reply.error();
  if (reply->good() || reply->status == kube::kConflict) return {};
  return wrong(*reply, "the Secret of the Job");
}

Result<kube::Reply> Attempt::job() { return api_.get(path_); }

// Deleted already is deleted. False: it cannot be deleted now; it ends by its deadline.
bool Attempt::remove() {
  const auto done = insist([&]() -> Status {
    const auto reply = api_.remove(path_);
    if (!reply.ok()) return reply.error();
    const bool gone = reply->good() || reply->status == kube::kNotFound;
    return gone ? Status() : Status(wrong(*reply, "deleting the Job"));
  });
  if (!done.ok() && !std::exchange(told_, true))
    cluster_.options.report(name_ + ": " + done.error().message);
  return done.ok();
}

// The board wakes for whatever happens; an API server that refuses is asked less and less often.
bool Attempt::remove_when_due() {
  if (Steady::now() < remove_again_) return false;
  if (remove()) return true;
  remove_again_ = Steady::now() + std::max(kTryAgain, Millis(backoff_.next()));
  return false;
}

// --- its course ---

std::optional<TaskResult> Attempt::follow() {
  const std::stop_callback cancelled(control_.cancel_token(), [this] { cluster_.board.wake(); });
  const std::stop_callback lost(control_.lost_token(), [this] { cluster_.board.wake(); });
  while (!cluster_.leaving) {
    const std::size_t seen = cluster_.board.tick();
    const kube::Verdict verdict = cluster_.board.look(name_);
    if (ended(verdict) && !may_hear_more(verdict)) return conclude(verdict);
    if (control_.lost()) {
      if (!lost_since_) lost_since_ = Steady::now();
      const auto lost_for = Steady::now() - *lost_since_;
      if (lost_for > kOwnEnd && (remove_when_due() || lost_for > kLostMost)) return std::nullopt;
    } else if (control_.cancelled() && !removed_) {
      removed_ = remove_when_due();
    }
    if (auto result = block(verdict)) return result;
    notice(verdict);
    const bool tries_again = lost_since_ || unclear_since_ || (control_.cancelled() && !removed_);
    cluster_.board.wait(seen, tries_again ? kTryAgain : kLookAgain);
  }
  return std::nullopt;
}

// The board may be behind: that a Job is gone is asked of the API server itself.
bool Attempt::ended(const kube::Verdict& verdict) {
  if (verdict.stage == kube::Stage::ended) return true;
  if (verdict.stage != kube::Stage::gone) return false;
  const auto reply = job();
  return reply.ok() && reply->status == kube::kNotFound;
}

// Jobs and pods are heard of by connections of their own: how the pod ended may come last.
bool Attempt::may_hear_more(const kube::Verdict& verdict) {
  if (verdict.certain) return false;
  if (!unclear_since_) unclear_since_ = Steady::now();
  return Steady::now() - *unclear_since_ < kPodHeard;
}

// A pod that cannot start is given up after a while.
std::optional<TaskResult> Attempt::block(const kube::Verdict& verdict) {
  if (verdict.stage != kube::Stage::blocked) {
    blocked_since_.reset();
    return std::nullopt;
  }
  if (!blocked_since_) blocked_since_ = Steady::now();
  if (Steady::now() - *blocked_since_ < cluster_.options.start_patience) return std::nullopt;
  remove();
  if (control_.lost()) return std::nullopt;
  return report(Outcome::failed, FailureKind::infra, "the pod cannot start: " + verdict.message,
                false);
}

void Attempt::notice(const kube::Verdict& verdict) {
  // Once it runs, the log is the pod's.
  if (verdict.stage == kube::Stage::running || verdict.message.empty()) return;
  if (verdict.stage == kube::Stage::gone || verdict.stage == kube::Stage::ended) return;
  if (verdict.message == noticed_) return;
  noticed_ = verdict.message;
  say(verdict.message);
}

// --- its end ---

std::optional<TaskResult> Attempt::conclude(const kube::Verdict& verdict) {
  if (control_.lost()) return std::nullopt;
  if (control_.cancelled())
    return report(Outcome::cancelled, FailureKind::none, "cancelled", false);
  const std::string why = verdict.message.empty() ? "" : ": " + verdict.message;
  if (verdict.stage == kube::Stage::gone)
    return report(Outcome::failed, FailureKind::lost_worker, verdict.message, false);
  switch (verdict.cause) {
    case kube::Cause::none:
    case kube::Cause::finished:
      return report(Outcome::failed, FailureKind::infra, "its pod ended without a result", true);
    case kube::Cause::failed:
      return report(Outcome::failed, FailureKind::infra, "its pod failed" + why, true);
    case kube::Cause::memory:
      return report(Outcome::failed, FailureKind::oom, "out of memory" + why, true);
    case kube::Cause::deadline:
      return report(Outcome::timed_out, FailureKind::timeout, "its Job was over its deadline" + why,
                    false);
    case kube::Cause::disrupted:
      return report(Outcome::failed, FailureKind::lost_worker, "its pod was taken away" + why,
                    false);
  }
  return std::nullopt;
}

void Attempt::say(const std::string& line) {
  const Result<std::int64_t> end = send_log_(0, {});
  if (!end.ok()) return;
  // What cannot be sent now is not worth more calls.
  const auto sent = send_log_(*end, {{.t = system_clock().now().ms,
                                      .step = "",
                                      .stream = "system",
                                      .text = "[maestro: " + line + "]\n"}});
  if (!sent.ok()) return;
}

std::optional<TaskResult> Attempt::report(Outcome outcome, FailureKind kind,
                                          const std::string& message, bool last_words) {
  const auto held = insist([&] { return send_log_(0, {}); });
  if (over()) return std::nullopt;
  // The attempt is over at the server: the pod has told its result.
  if (!held.ok() && !is_passing(held.error())) return std::nullopt;
  const std::string pod = cluster_.board.pod_of(name_);
  if (last_words && !pod.empty()) {
    const auto words =
        api_.text(kube::pods_path(cluster_.options.plan.namespace_name) + "/" + pod + kLastWords);
    if (words.ok() && !words->empty()) say("the pod's last words:\n" + *words);
  }
  if (outcome != Outcome::cancelled) say(message);
  TaskResult result{.task_id = task_.task_id, .fence = task_.fence, .outcome = outcome};
  result.failure_kind = kind;
  result.message = clip(message, kMessageBytesMax);
  return result;
}

}  // namespace mc::worker
