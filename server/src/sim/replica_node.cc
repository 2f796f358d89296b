#include "sim/replica_node.h"

namespace mc::sim {
namespace {
// As bin/serve.cc and http/server.h have them.
constexpr int kShard = 0;  // the only one
constexpr Millis kLeasePatience{2'000};
constexpr Millis kLookAround{1'000};
constexpr Millis kParked{10'000};
constexpr Millis kParkedLook{100};
constexpr Millis kBetweenBoots{1'000};
constexpr std::uint64_t kTakeOverMaxMs = 400;

const Error kUnreachable{Code::unreachable, "the connection is refused", {}};
const Error kNobodyLeads{Code::overloaded, "no replica leads at the moment", {}};
}  // namespace

ReplicaNode::ReplicaNode(std::string name, const Site& site, double pace, std::uint64_t seed)
    : name_(std::move(name)),
      site_(site),
      pace_(pace),
      born_(site.timeline.now()),
      rng_(seed),
      reads_(site.database.disk()) {}

// --- time ---

Instant ReplicaNode::clock() {
  last_clock_ = std::max(last_clock_, site_.timeline.now() + skew_);
  return last_clock_;
}

// Its own steady clock, which goes on while it stands still.
db::Tenure::Moment ReplicaNode::moment() const {
  const Millis since = site_.timeline.now() - born_;
  return db::Tenure::Moment(std::chrono::microseconds(
      static_cast<std::int64_t>(1'000.0 * pace_ * static_cast<double>(since.count()))));
}

void ReplicaNode::later(Millis delay, std::function<void()> action) {
  site_.timeline.after(delay, [this, life = life_, action = std::move(action)]() mutable {
    if (life != life_ || !alive_) return;
    if (paused_) return held_.push_back(std::move(action));
    watch_database();
    action();
  });
}

// --- life ---

void ReplicaNode::boot() {
  alive_ = true;
  begin_life();
}

void ReplicaNode::begin_life() {
  ++life_;
  holder_ = name_ + "/" + std::to_string(life_);
  paused_ = stopping_ = waits_ = told_ = false;
  reads_fail_.reset();
  held_.clear();
  tenure_ = {};
  leader_.clear();
  ++tunnels_;
  last_clock_ = {};
  claim();
}

void ReplicaNode::end_life() {
  ++life_;
  alive_ = false;
  loop_.reset();
  writer_.reset();
}

void ReplicaNode::restart_after(Millis delay) {
  site_.timeline.after(delay, [this, life = life_] {
    if (life == life_ && !alive_) boot();
  });
}

void ReplicaNode::start_over() {
  site_.checker.note(name_ + " no longer leads: it starts over");
  end_life();
  restart_after(Millis(1 + static_cast<std::int64_t>(rng_.below(300))));
}

void ReplicaNode::crash() {
  if (!alive_) return;
  site_.checker.note(name_ + " is killed");
  ++crashes_;
  end_life();
  if (!calm_ && site_.faults.clock_jump_every.count() > 0 && rng_.chance(0.3)) skew_ = Millis(0);
  restart_after(Millis(static_cast<std::int64_t>(rng_.below(calm_ ? 100 : 20'000))));
}

void ReplicaNode::pause(Millis time) {
  if (!alive_ || paused_) return;
  site_.checker.note(name_ + " stands still for " + std::to_string(time.count()) + " ms");
  paused_ = true;
  site_.timeline.after(time, [this, life = life_] {
    if (life != life_ || !alive_) return;
    site_.checker.note(name_ + " goes on");
    paused_ = false;
    for (auto& action : std::exchange(held_, {})) {
      // What it did before may have ended it, and begun another life.
      if (life == life_) action();
    }
    if (life == life_ && loop_) loop_->pump();
  });
}

void ReplicaNode::stop() {
  if (!alive_ || paused_ || stopping_) return;
  site_.checker.note(name_ + " is stopped");
  stopping_ = true;
  if (!loop_) return drained();
  loop_->drain();
  loop_->pump();
}

void ReplicaNode::drained() {
  give_back();
  end_life();
  restart_after(kBetweenBoots);
}

// The statement is on its way when the process ends; what comes of it nobody asks.
void ReplicaNode::give_back() {
  site_.database.send(
      name_, Millis(0), kLeasePatience,
      [&database = site_.database, holder = holder_] { database.release(holder); }, [](bool) {});
}

void ReplicaNode::jump_clock(Millis by) {
  site_.checker.note("the clock of " + name_ + " jumps " + std::to_string(by.count()) + " ms");
  skew_ += by;
}

void ReplicaNode::calm() {
  calm_ = true;
  reads_fail_.reset();
}

// --- the lease: bin/lease_keeper.cc ---

void ReplicaNode::claim() {
  waits_ = false;
  const Instant began = site_.timeline.now();
  const auto asked = moment();
  auto found = std::make_shared<db::ShardLease>();
  site_.database.send(
      name_, Millis(0), kLeasePatience,
      [&database = site_.database, found, holder = holder_, name = name_] {
        *found = database.claim(holder, name, name, db::Tenure::kTime);
      },
      [this, life = life_, found, asked, began](bool answered) {
        if (life != life_) return;
        later(Millis(0), [this, found, asked, began, answered] {
          answered ? take(*found, asked) : miss();
          if (tenure_.lost()) return;
          claim_at(began + (answered ? db::Tenure::kEvery : db::Tenure::kAgain));
        });
      });
}

// Then, or when somebody gives the lease back.
void ReplicaNode::claim_at(Instant when) {
  if (std::exchange(told_, false)) return claim();
  waits_ = true;
  const std::int64_t own = ++next_claim_;
  later(std::max(Millis(0), when - site_.timeline.now()), [this, own] {
    if (waits_ && own == next_claim_) claim();
  });
}

void ReplicaNode::hear_of_release() {
  if (!alive_) return;
  told_ = true;
  later(Millis(0), [this] {
    if (waits_ && std::exchange(told_, false)) claim();
  });
}

void ReplicaNode::take(const db::ShardLease& found, db::Tenure::Moment asked) {
  const bool led = leads();
  tenure_.answered({{found}, {}}, asked);
  if (tenure_.lost()) return later(Millis(0), [this] { start_over(); });
  if (!leads()) {
    const std::string leader = found.address == name_ ? "" : found.address;
    if (std::exchange(leader_, leader) != leader) ++tunnels_;
    return;
  }
  if (led) return;
  leader_.clear();
  ++tunnels_;
  // To open the store and read it takes its time.
  later(Millis(1 + static_cast<std::int64_t>(rng_.below(kTakeOverMaxMs))), [this] { lead(); });
  look_around();
}

void ReplicaNode::miss() {
  tenure_.missed(moment());
  if (tenure_.lost()) later(Millis(0), [this] { start_over(); });
}

// By its own clock, too: the claim may be waiting for an answer.
void ReplicaNode::look_around() {
  later(kLookAround, [this] { tenure_.leads(kShard, moment()) ? look_around() : start_over(); });
}

// --- leading: bin/serve.cc ---

void ReplicaNode::lead() {
  if (!leads() || stopping_) return;
  const db::ShardLease& held = tenure_.held().at(kShard);
  site_.checker.note(name_ + " leads under epoch " + std::to_string(held.epoch));
  writer_ = std::make_unique<StoreClient>(
      site_.timeline, site_.database, name_, Database::Fence{held.epoch, held.holder},
      [this, life = life_](Millis delay, std::function<void()> action) {
        if (life == life_) later(delay, std::move(action));
      },
      rng_.next());
  conductor::Options options = site_.options;
  options.seed = rng_.next() | 1;
  CoreLoop::Process& process = *this;
  loop_ = std::make_unique<CoreLoop>(site_.timeline, process, reads_, std::move(options));
  site_.checker.recovered(clock());
  if (!loop_->recover(clock())) {
    give_back();
    return start_over();
  }
  loop_->pump();
}

// While the database cannot be reached, every read fails.
void ReplicaNode::watch_database() {
  const bool fail = !site_.database.answers(name_);
  if (reads_fail_ == fail) return;
  reads_fail_ = fail;
  const double chance = fail ? 1 : calm_ ? 0 : site_.faults.fail_read;
  reads_.arm_chances(rng_.next(), {.fail_read = chance});
}

void ReplicaNode::write(const CoreLoop::Pending& commit) {
  const std::int64_t most = calm_ ? 2 : site_.faults.commit_max.count();
  const Millis work(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most) + 1)));
  if (!calm_ && rng_.chance(site_.faults.crash_at_commit)) {
    ++injected_;
    later(Millis(static_cast<std::int64_t>(
              rng_.below(static_cast<std::uint64_t>(2 * work.count() + 10)))),
          [this] { crash(); });
  }
  writer_->commit(commit->batch, work,
                  [this, commit](const Status& result) { committed(commit, result); });
}

void ReplicaNode::committed(const CoreLoop::Pending& commit, const Status& result) {
  if (writer_->in_doubt()) {
    give_back();
    return start_over();
  }
  if (!result && result.error().code == Code::conflict)
    site_.checker.refused_commit(result.error());
  loop_->finished(commit, result);
  loop_->pump();
}

// --- the gate: bin/replica_gate.cc ---

bool ReplicaNode::leads() const { return tenure_.held().contains(kShard); }

bool ReplicaNode::serves() { return alive_ && loop_ && tenure_.leads(kShard, moment()); }

std::optional<Instant> ReplicaNode::up() {
  if (!serves() || paused_ || !loop_->usable()) return std::nullopt;
  return clock();
}

void ReplicaNode::receive(Call call, bool passed_on) {
  if (!alive_) return call.refuse(kUnreachable);
  later(Millis(0), [this, call = std::move(call), passed_on] {
    route(call, passed_on, site_.timeline.now() + kParked);
  });
}

void ReplicaNode::route(const Call& call, bool passed_on, Instant until) {
  if (serves()) return serve(call);
  if (!passed_on && !leader_.empty()) return pass_on(call, leader_);
  if (site_.timeline.now() >= until) return call.refuse(kNobodyLeads);
  later(kParkedLook, [this, call, passed_on, until] { route(call, passed_on, until); });
}

// The connection's bytes go on, both ways, as long as this replica and the connection live.
void ReplicaNode::pass_on(const Call& call, const std::string& leader) {
  ReplicaNode* other = site_.find(leader);
  const auto whole = [this, life = life_, tunnel = tunnels_] {
    return life == life_ && tunnel == tunnels_ && !paused_;
  };
  Call on;
  on.handle = [handle = call.handle, whole](conductor::Core& core, Instant now, const Exit& exit) {
    Exit through = exit;
    through.is_whole = whole;
    handle(core, now, through);
  };
  on.refuse = [refuse = call.refuse, whole](const Error& error) {
    if (whole()) refuse(error);
  };
  const bool sent = other != nullptr &&
                    site_.network.pass(name_, leader, [other, on] { other->receive(on, true); });
  if (!sent) call.refuse(kUnreachable);
}

void ReplicaNode::serve(const Call& call) {
  Exit exit;
  exit.epoch = tenure_.held().at(kShard).epoch;
  exit.lets_out = [this, life = life_] { return life == life_ && tenure_.leads(kShard, moment()); };
  loop_->receive([handle = call.handle, exit](conductor::Core& core, Instant now) {
    handle(core, now, exit);
  });
}

}  // namespace mc::sim
