#include "sim/server_node.h"

#include "db/memory/memory_store.h"

namespace mc::sim {
namespace {
constexpr Millis kBetweenBoots{1'000};
}  // namespace

ServerNode::ServerNode(Timeline& timeline, const Faults& faults, conductor::Options options,
                       Checker& checker, std::uint64_t seed)
    : timeline_(timeline),
      faults_(faults),
      options_(std::move(options)),
      checker_(checker),
      rng_(seed),
      disk_(db::make_memory_store()),
      reads_(*disk_) {
  reads_.arm_chances(rng_.next(), {.fail_read = faults.fail_read});
}

Instant ServerNode::clock() {
  last_clock_ = std::max(last_clock_, timeline_.now() + skew_);
  return last_clock_;
}

std::optional<Instant> ServerNode::up() {
  if (!core_ || paused_ || !core_->usable()) return std::nullopt;
  return clock();
}

// --- life ---

void ServerNode::boot() {
  ++life_;
  paused_ = draining_ = committing_ = false;
  held_.clear();
  requests_.clear();
  wake_ = {};
  last_clock_ = {};
  conductor::Options options = options_;
  options.seed = rng_.next() | 1;
  core_ = std::make_unique<conductor::Core>(reads_, std::move(options));
  checker_.recovered(clock());
  if (!core_->recover(clock())) {
    core_.reset();
    return restart_after(kBetweenBoots);
  }
  pump();
}

void ServerNode::restart_after(Millis delay) {
  timeline_.after(delay, [this, life = life_] {
    if (life == life_ && !core_) boot();
  });
}

void ServerNode::crash() {
  if (!core_) return;
  checker_.note("the server is killed");
  ++crashes_;
  core_.reset();
  // The machine's clock may have been set back meanwhile.
  if (!calm_ && faults_.clock_jump_every.count() > 0 && rng_.chance(0.3)) skew_ = Millis(0);
  restart_after(Millis(static_cast<std::int64_t>(rng_.below(calm_ ? 100 : 20'000))));
}

void ServerNode::pause(Millis time) {
  if (!core_ || paused_) return;
  checker_.note("the server stands still");
  paused_ = true;
  timeline_.after(time, [this, life = life_] {
    if (life != life_ || !core_) return;
    paused_ = false;
    for (auto& action : std::exchange(held_, {})) {
      if (core_) action();
    }
    if (core_) pump();
  });
}

void ServerNode::drain() {
  if (!core_ || paused_) return;
  draining_ = true;
  core_->drain();
  pump();
}

void ServerNode::jump_clock(Millis by) {
  checker_.note("the server's clock jumps " + std::to_string(by.count()) + " ms");
  skew_ += by;
}

void ServerNode::calm() {
  calm_ = true;
  reads_.disarm();
}

void ServerNode::later(Millis delay, std::function<void()> action) {
  timeline_.after(delay, [this, life = life_, action = std::move(action)]() mutable {
    if (life != life_ || !core_) return;
    if (paused_) return held_.push_back(std::move(action));
    action();
  });
}

// --- the loop of service.cc ---

void ServerNode::receive(std::function<void(conductor::Core&, Instant)> request) {
  if (!core_) return;
  requests_.push_back(std::move(request));
  pump();
}

void ServerNode::pump() {
  if (!core_ || paused_) return;
  const Instant now = clock();
  if (!core_->usable()) {
    core_->tick(now);
    if (!core_->usable()) return arm_wake();
    checker_.recovered(now);
  }
  for (auto& request : std::exchange(requests_, {})) request(*core_, now);
  core_->tick(now);
  while (!committing_ && core_->has_commit()) begin_commit();
  if (draining_ && !committing_ && !core_->has_commit()) {
    core_.reset();
    return restart_after(kBetweenBoots);
  }
  arm_wake();
}

void ServerNode::arm_wake() {
  Instant wake = core_->next_wake();
  if (!wake) return;
  wake = std::max(wake - skew_, timeline_.now() + Millis(1));
  if (wake_ && wake_ > timeline_.now() && wake_ <= wake) return;
  wake_ = wake;
  later(wake - timeline_.now(), [this] { pump(); });
}

// --- commits ---

Millis ServerNode::commit_time() {
  const std::int64_t most = calm_ ? 2 : faults_.commit_max.count();
  return Millis(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most) + 1)));
}

void ServerNode::begin_commit() {
  auto commit = std::make_shared<conductor::Commit>(core_->take_commit());
  // Nothing to write: what waits for it waits for nothing.
  if (commit->batch.empty()) return core_->finish_commit(std::move(*commit), {}, clock());
  committing_ = true;
  Cut cut = Cut::none;
  if (!calm_ && rng_.chance(faults_.crash_at_commit)) {
    constexpr Cut kCuts[] = {Cut::before, Cut::between, Cut::after};
    cut = kCuts[rng_.below(3)];
    ++injected_;
  }
  later(commit_time(), [this, commit, cut] { apply(commit, cut); });
}

void ServerNode::apply(const std::shared_ptr<conductor::Commit>& commit, Cut cut) {
  if (cut == Cut::before) return crash();
  Status result;
  if (!calm_ && rng_.chance(faults_.refuse_commit)) {
    checker_.note("the store refuses a commit");
    ++injected_;
    result = Error{Code::store_failed, "the disk is full (injected)", {}};
  } else {
    ++commits_;
    result = disk_->commit(commit->batch);
    result ? checker_.durable(commit->batch) : checker_.refused_commit(result.error());
    if (!calm_ && rng_.chance(faults_.lose_answer)) {
      checker_.note("the store wrote a commit and says it did not");
      ++injected_;
      result = Error{Code::store_failed, "the answer was lost (injected)", {}};
    }
  }
  if (cut == Cut::between) return crash();
  later(commit_time(), [this, commit, result, cut] { finish(commit, result, cut); });
}

void ServerNode::finish(const std::shared_ptr<conductor::Commit>& commit, const Status& result,
                        Cut cut) {
  committing_ = false;
  if (!result) checker_.recovered(clock());  // the conductor reads everything back
  core_->finish_commit(std::move(*commit), result, clock());
  if (cut == Cut::after) return crash();
  pump();
}

}  // namespace mc::sim
