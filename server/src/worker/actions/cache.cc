// cache/restore {key, path?, restore_keys?}; cache/save {key, path}
#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/storage.h"

namespace mc::worker {
namespace {
constexpr std::size_t kKeyBytesMax = 504;
constexpr const char* kBadKey = "with.key is missing, or longer than 504 bytes";

// Keys of steps and of jobs do not meet.
std::string full_key(const std::string& key) { return "step/" + key; }

bool is_key(const std::string& key) { return !key.empty() && key.size() <= kKeyBytesMax; }

bool restore(ActionCall& call, const std::string& key) {
  const auto found =
      call.run.api().cache_get(call.run.hold(), cache_scope(call.run), full_key(key));
  if (!found.ok()) {
    call.say("the cache could not be asked: " + found.error().message);
    return false;
  }
  if (!*found) return false;
  if (const Status restored = restore_from_cache(call.run, **found); !restored) {
    call.say("the cache entry could not be restored: " + restored.error().message);
    return false;
  }
  call.say("restored " + format_size((*found)->size) + " from the cache under " + key);
  return true;
}
}  // namespace

// A cache never fails a job: what cannot be restored is made again. `restore_keys` are tried in
// order when there is nothing under `key`.
ActionResult restore_cache(ActionCall& call) {
  const std::string key = call.get("key");
  if (!is_key(key)) return failed(FailureKind::user, kBadKey);
  std::vector<std::string> keys = path_lines(call.get("restore_keys"));
  keys.insert(keys.begin(), key);
  Value outputs = Object{};
  outputs.set("hit", "false");
  for (const std::string& tried : keys) {
    if (!is_key(tried) || !restore(call, tried)) continue;
    outputs.set("hit", tried == key ? "true" : "false");
    outputs.set("key", tried);
    return {.outputs = std::move(outputs)};
  }
  call.say("nothing is cached under " + key);
  return {.outputs = std::move(outputs)};
}

ActionResult save_cache(ActionCall& call) {
  const std::string key = call.get("key");
  if (!is_key(key)) return failed(FailureKind::user, kBadKey);
  const auto patterns = path_lines(call.get("path"));
  if (patterns.empty()) return failed(FailureKind::user, "with.path is missing: what to keep");
  client::CacheEntry entry{.digest = {}, .run = call.run.task().run_id, .job = call.run.task().job};
  const Status kept = keep_in_cache(call.run, full_key(key), patterns, std::move(entry));
  call.say(kept.ok() ? "cached under " + key : "not cached: " + kept.error().message);
  return {};
}

}  // namespace mc::worker
