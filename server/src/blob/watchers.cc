#include "blob/watchers.h"

#include <algorithm>

namespace mc::blob {

std::uint64_t Watchers::add(Uuid run, Changed changed) {
  Ref watcher = std::make_shared<Watcher>();
  watcher->changed = std::move(changed);
  const std::scoped_lock lock(mutex_);
  watcher->ticket = ++last_ticket_;
  runs_[watcher->ticket] = run;
  by_run_[run].push_back(std::move(watcher));
  return last_ticket_;
}

void Watchers::remove(std::uint64_t ticket) {
  Ref gone;
  {
    const std::scoped_lock lock(mutex_);
    const auto run = runs_.find(ticket);
    if (run == runs_.end()) return;
    auto& watchers = by_run_[run->second];
    const auto at = std::ranges::find(watchers, ticket, [](const Ref& w) { return w->ticket; });
    if (at != watchers.end()) {
      gone = *at;
      watchers.erase(at);
    }
    if (watchers.empty()) by_run_.erase(run->second);
    runs_.erase(run);
  }
  if (!gone) return;
  const std::scoped_lock calling(gone->calling);
  gone->removed = true;
}

void Watchers::notify(Uuid run, std::uint32_t node, int attempt) {
  std::vector<Ref> watchers;
  {
    const std::scoped_lock lock(mutex_);
    const auto at = by_run_.find(run);
    if (at == by_run_.end()) return;
    watchers = at->second;
  }
  for (const Ref& watcher : watchers) {
    const std::scoped_lock calling(watcher->calling);
    if (!watcher->removed) watcher->changed(node, attempt);
  }
}

}  // namespace mc::blob
