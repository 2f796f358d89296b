#include "worker/kubernetes/board.h"

#include "base/rng.h"
#include "kube/objects.h"
#include "worker/session.h"

namespace mc::worker {
namespace {
constexpr Duration kRetryFirst{200}, kRetryMax{10'000};
constexpr Millis kWatchTimeout{(kube::kWatchSeconds + 30) * 1000};
}  // namespace

Board::Board(const kube::Access& access, const std::string& namespace_name,
             const std::string& selector, std::function<void(const std::string&)> report)
    : access_(access),
      report_(std::move(report)),
      jobs_(kube::jobs_path(namespace_name), selector),
      pods_(kube::pods_path(namespace_name), selector) {
  job_thread_ = std::jthread([this](const std::stop_token& stop) { follow(stop, jobs_); });
  pod_thread_ = std::jthread([this](const std::stop_token& stop) { follow(stop, pods_); });
}

Board::~Board() {
  job_thread_.request_stop();
  pod_thread_.request_stop();
}

// One request and what the mirror makes of it. Errors: unreachable.
Result<kube::Reply> Board::ask(kube::Api& api, kube::Mirror& mirror, const std::stop_token& stop) {
  std::string path;
  bool watching = false;
  {
    const std::scoped_lock lock(mutex_);
    path = mirror.next_path();
    watching = mirror.watching();
  }
  const auto take = [&](std::string_view bytes) {
    const std::scoped_lock lock(mutex_);
    const std::size_t before = mirror.changes();
    const bool going_on = mirror.feed(bytes);
    if (mirror.changes() != before) remember_pods();
    return going_on;
  };
  auto reply = watching ? api.stream(path, kWatchTimeout, take, stop) : api.get(path);
  const std::scoped_lock lock(mutex_);
  if (watching) mirror.ended();
  if (!reply.ok()) return reply;
  if (!reply->good()) {
    mirror.refused(reply->status);
  } else if (!watching) {
    if (const Status taken = mirror.listed(reply->body); !taken) return taken.error();
    remember_pods();
  }
  return reply;
}

void Board::follow(const std::stop_token& stop, kube::Mirror& mirror) {
  kube::Api api(access_);
  Backoff backoff(kRetryFirst, kRetryMax, random_seed());
  bool told = false;
  while (!stop.stop_requested()) {
    const auto began = std::chrono::steady_clock::now();
    const bool listing = !mirror.watching();
    const auto reply = ask(api, mirror, stop);
    const bool good = reply.ok() && reply->good();
    if (good && std::exchange(told, false)) report_("the Kubernetes API server answers again");
    // A watch that ends at once, again and again, is no reason to hurry either.
    const bool long_enough = std::chrono::steady_clock::now() - began > kRetryFirst;
    if (good && long_enough) backoff.reset();
    if (good && (listing || long_enough)) continue;
    if (!good && !stop.stop_requested() && !std::exchange(told, true)) {
      report_(reply.ok() ? kube::refusal(*reply, "watching").message
                         : "watching failed, trying again: " + reply.error().message);
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, backoff.next(), [] { return false; });
  }
}

// Requires: the lock.
void Board::remember_pods() {
  for (const auto& [name, pod] : pods_.objects()) {
    const std::string job = kube::job_of(pod);
    Value& last = last_pods_[job];
    if (kube::version_of(last) != kube::version_of(pod)) last = pod;
  }
  std::erase_if(last_pods_, [this](const auto& last) {
    return !jobs_.objects().contains(last.first) &&
           !pods_.objects().contains(kube::name_of(last.second));
  });
  ++tick_;
  changed_.notify_all();
}

bool Board::wait_complete(Millis patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return jobs_.complete() && pods_.complete(); });
}

kube::Verdict Board::look(const std::string& job) {
  const std::scoped_lock lock(mutex_);
  const auto found = jobs_.objects().find(job);
  const auto pod = last_pods_.find(job);
  return kube::judge(found == jobs_.objects().end() ? nullptr : &found->second,
                     pod == last_pods_.end() ? nullptr : &pod->second);
}

std::string Board::pod_of(const std::string& job) {
  const std::scoped_lock lock(mutex_);
  const auto pod = last_pods_.find(job);
  return pod == last_pods_.end() ? std::string() : kube::name_of(pod->second);
}

std::vector<Value> Board::jobs() {
  const std::scoped_lock lock(mutex_);
  std::vector<Value> out;
  for (const auto& [name, job] : jobs_.objects()) out.push_back(job);
  return out;
}

std::size_t Board::tick() {
  const std::scoped_lock lock(mutex_);
  return tick_;
}

void Board::wait(std::size_t seen, Millis at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [&] { return tick_ != seen; });
}

void Board::wake() {
  const std::scoped_lock lock(mutex_);
  ++tick_;
  changed_.notify_all();
}

}  // namespace mc::worker
