#include "cluster/guests.h"

#include <functional>
#include <set>

#include "base/json.h"

namespace mc::cluster {
namespace {
// Longer than a poll waits.
constexpr Millis kForget{180'000};
constexpr std::size_t kGuestsMax = 100'000;

// What it holds may be long, and is one of two things for a kind: the same as before or not.
std::string own_kind(const std::string& worker_id, const std::string& holds) {
  return "worker " + worker_id + "\n" + std::to_string(std::hash<std::string>{}(holds));
}
}  // namespace

Guests::Guest& Guests::find(const std::string& worker_id, Instant now) {
  if (now >= next_sweep_ || guests_.size() >= kGuestsMax) {
    next_sweep_ = now + kForget;
    std::erase_if(guests_, [&](const auto& entry) { return entry.second.seen + kForget <= now; });
    if (guests_.size() >= kGuestsMax) guests_.clear();
    registrations_ = 0;
    for (const auto& [id, guest] : guests_) registrations_ += guest.registration.size();
  }
  Guest& guest = guests_[worker_id];
  guest.seen = now;
  return guest;
}

void Guests::registered(const std::string& worker_id, const Value& body, Instant now) {
  const bool is_limited = body.int_or("cpu_milli", 0) > 0 || body.int_or("memory", 0) > 0;
  std::set<std::string> sorted;
  const Value* labels = body.find("labels");
  if (labels != nullptr && labels->is_list()) {
    for (const Value& label : labels->as_list())
      sorted.insert(label.is_string() ? label.as_string() : "");
  }
  std::string kind = "labels";
  for (const std::string& label : sorted) kind += "\n" + label;
  Value again = body;
  again.set("worker_id", worker_id);
  again.set("again", true);
  std::string registration = to_json(again);
  if (registration.size() > kRegistrationMax) registration.clear();
  const std::lock_guard lock(mutex_);
  Guest& guest = find(worker_id, now);
  guest.labels = is_limited ? "" : kind;
  guest.alike = kind + "\n\n" + std::to_string(body.int_or("cpu_milli", 0)) + " " +
                std::to_string(body.int_or("memory", 0));
  registrations_ -= guest.registration.size();
  if (registrations_ + registration.size() > kRegistrationsMax) registration.clear();
  registrations_ += registration.size();
  guest.registration = std::move(registration);
}

std::string Guests::registration_of(const std::string& worker_id) const {
  const std::lock_guard lock(mutex_);
  const auto known = guests_.find(worker_id);
  return known == guests_.end() ? "" : known->second.registration;
}

bool Guests::drains(const std::string& worker_id) const {
  const std::lock_guard lock(mutex_);
  const auto known = guests_.find(worker_id);
  return known != guests_.end() && known->second.is_draining;
}

Guests::Sort Guests::sort_of(const std::string& worker_id, const std::string& holds, Instant now) {
  const std::lock_guard lock(mutex_);
  const Guest& guest = find(worker_id, now);
  const bool is_common = !guest.labels.empty() && !guest.is_draining;
  return {.kind = is_common ? guest.labels : own_kind(worker_id, holds),
          .alike = guest.alike.empty() ? own_kind(worker_id, "") : guest.alike,
          .is_counted = guest.labels.empty(),
          .drains = guest.is_draining};
}

std::optional<std::string> Guests::set_draining(const std::string& worker_id, bool draining,
                                                Instant now) {
  const std::lock_guard lock(mutex_);
  const auto known = guests_.find(worker_id);
  if (known == guests_.end()) return std::nullopt;
  Guest& guest = known->second;
  guest.seen = now;
  guest.is_draining = draining;
  if (guest.labels.empty()) return std::nullopt;
  return draining ? own_kind(worker_id, "") : guest.labels;
}

std::vector<bool> Guests::beats(const std::string& worker_id, std::vector<bool> must, Millis every,
                                Instant now) {
  const std::lock_guard lock(mutex_);
  Guest& guest = find(worker_id, now);
  guest.beats.resize(must.size());
  for (std::size_t i = 0; i < must.size(); ++i) {
    if (!must[i]) must[i] = guest.beats[i] + every <= now;
    if (must[i]) guest.beats[i] = now;
  }
  return must;
}

std::size_t Guests::size() const {
  const std::lock_guard lock(mutex_);
  return guests_.size();
}

}  // namespace mc::cluster
