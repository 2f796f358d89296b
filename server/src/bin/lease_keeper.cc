#include "bin/lease_keeper.h"

#include <utility>

#include "base/log.h"

namespace mc::bin {
using Steady = std::chrono::steady_clock;

LeaseKeeper::LeaseKeeper(std::unique_ptr<db::Lease> lease, std::string name, std::string own,
                         ReplicaGate& gate, http::Server& server)
    : lease_(std::move(lease)),
      name_(std::move(name)),
      own_(std::move(own)),
      gate_(gate),
      server_(server) {
  thread_ = std::thread([this] { keep(); });
}

LeaseKeeper::~LeaseKeeper() { stop(); }

void LeaseKeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  lease_->wake();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::give_back() {
  stop();
  if (const Status given = lease_->release(); !given)
    log_warn("the lease was not given back: others wait until it lapses",
             {{"reason", given.error().message}});
}

void LeaseKeeper::doubt() {
  log_warn("a commit was given up that may be made all the same");
  become(Role::lost);
}

LeaseKeeper::Role LeaseKeeper::role() const {
  const std::lock_guard lock(mutex_);
  return role_;
}

db::Leadership LeaseKeeper::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

LeaseKeeper::Role LeaseKeeper::wait_for_change(Role role, Millis patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return role_ != role; });
  return role_;
}

void LeaseKeeper::keep() {
  for (;;) {
    const auto asked = Steady::now();
    const Result<db::Leadership> found = lease_->claim();
    found.ok() ? take(*found, asked) : miss(found.error(), Steady::now());
    lease_->wait(asked + db::Tenure::kEvery);
    const std::lock_guard lock(mutex_);
    if (stopping_ || role_ == Role::lost) return;
  }
}

void LeaseKeeper::take(const db::Leadership& found, ReplicaGate::Deadline asked) {
  gate_.note_database({});
  if (std::exchange(troubled_, false)) log_info("the database answers again");
  const Role before = tenure_.role();
  switch (tenure_.answered(found, asked)) {
    case Role::lost: return become(Role::lost);
    case Role::follows: return follow(found);
    case Role::leads: break;
  }
  gate_.lead_until(tenure_.until(), found.name);
  if (before == Role::leads) return;
  {
    const std::lock_guard lock(mutex_);
    held_ = found;
  }
  server_.cut_tunnels();  // to the one that led before
  become(Role::leads);
}

void LeaseKeeper::follow(const db::Leadership& found) {
  // One's own address is that of an earlier life, until its lease lapses.
  if (found.address == own_ && found.name != name_) {
    log_warn("another replica says that it is reached where this one is: set MAESTRO_ADVERTISE",
             {{"leader", found.name}, {"address", own_}});
  }
  const std::string address = found.address == own_ ? "" : found.address;
  if (address != leader_) {
    log_info("another replica leads", {{"leader", found.name}, {"address", address}});
    leader_ = address;
    gate_.follow(address.empty() ? "" : found.name, address);
    server_.cut_tunnels();
  }
}

void LeaseKeeper::miss(const Error& error, ReplicaGate::Deadline now) {
  gate_.note_database(error.message);
  if (!std::exchange(troubled_, true))
    log_warn("the database does not answer", {{"reason", error.message}});
  if (tenure_.missed(now) == Role::lost) become(Role::lost);
}

void LeaseKeeper::become(Role role) {
  if (role == Role::lost) gate_.shut();
  {
    const std::lock_guard lock(mutex_);
    role_ = role;
  }
  changed_.notify_all();
}

}  // namespace mc::bin
