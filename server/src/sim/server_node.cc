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
  if (!loop_ || paused_ || !loop_->usable()) return std::nullopt;
  return clock();
}

// --- life ---

void ServerNode::boot() {
  ++life_;
  paused_ = false;
  held_.clear();
  last_clock_ = {};
  conductor::Options options = options_;
  options.seed = rng_.next() | 1;
  CoreLoop::Process& process = *this;
  loop_ = std::make_unique<CoreLoop>(timeline_, process, reads_, std::move(options));
  checker_.recovered(clock());
  if (!loop_->recover(clock())) {
    loop_.reset();
    return restart_after(kBetweenBoots);
  }
  loop_->pump();
}

void ServerNode::restart_after(Millis delay) {
  timeline_.after(delay, [this, life = life_] {
    if (life == life_ && !loop_) boot();
  });
}

void ServerNode::crash() {
  if (!loop_) return;
  checker_.note("the server is killed");
  ++crashes_;
  loop_.reset();
  // The machine's clock may have been set back meanwhile.
  if (!calm_ && faults_.clock_jump_every.count() > 0 && rng_.chance(0.3)) skew_ = Millis(0);
  restart_after(Millis(static_cast<std::int64_t>(rng_.below(calm_ ? 100 : 20'000))));
}

void ServerNode::pause(Millis time) {
  if (!loop_ || paused_) return;
  checker_.note("the server stands still");
  paused_ = true;
  timeline_.after(time, [this, life = life_] {
    if (life != life_ || !loop_) return;
    paused_ = false;
    for (auto& action : std::exchange(held_, {})) {
      if (loop_) action();
    }
    if (loop_) loop_->pump();
  });
}

void ServerNode::drain() {
  if (!loop_ || paused_) return;
  loop_->drain();
  loop_->pump();
}

void ServerNode::drained() {
  loop_.reset();
  restart_after(kBetweenBoots);
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
    if (life != life_ || !loop_) return;
    if (paused_) return held_.push_back(std::move(action));
    action();
  });
}

void ServerNode::receive(int, Call call) {
  if (!loop_) return;
  loop_->receive([handle = std::move(call.handle)](conductor::Core& core, Instant now) {
    handle(core, now, Exit{});
  });
}

// --- commits ---

Millis ServerNode::commit_time() {
  const std::int64_t most = calm_ ? 2 : faults_.commit_max.count();
  return Millis(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most) + 1)));
}

void ServerNode::write(const CoreLoop::Pending& commit) {
  Cut cut = Cut::none;
  if (!calm_ && rng_.chance(faults_.crash_at_commit)) {
    constexpr Cut kCuts[] = {Cut::before, Cut::between, Cut::after};
    cut = kCuts[rng_.below(3)];
    ++injected_;
  }
  later(commit_time(), [this, commit, cut] { apply(commit, cut); });
}

void ServerNode::apply(const CoreLoop::Pending& commit, Cut cut) {
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

void ServerNode::finish(const CoreLoop::Pending& commit, const Status& result, Cut cut) {
  loop_->finished(commit, result);
  if (cut == Cut::after) return crash();
  loop_->pump();
}

}  // namespace mc::sim
