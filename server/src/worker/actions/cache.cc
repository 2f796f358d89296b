// cache/restore {key, path?, restore_keys?}; cache/save {key, path}
#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/storage.h"

namespace mc::worker {
namespace {
constexpr std::size_t kKeyBytesMax = 512;

// Keys of steps and of jobs do not meet.
std::string full_key(const std::string& key) { return "step/" + key; }

bool is_key(const std::string& key) { return !key.empty() && key.size() <= kKeyBytesMax - 8; }
}  // namespace

// A cache never fails a job: what cannot be restored is made again.
ActionResult restore_cache(ActionCall& call) {
  const std::string key = call.get("key");
  if (!is_key(key))
    return failed(FailureKind::user, "with.key is missing, or longer than 504 bytes");
  Value outputs = Object{};
  outputs.set("hit", "false");
  const auto found =
      call.run.api().cache_get(call.run.hold(), cache_scope(call.run), full_key(key));
  if (!found.ok()) {
    call.say("the cache could not be asked: " + found.error().message);
  } else if (!*found) {
    call.say("nothing is cached under " + key);
  } else if (const Status restored = restore_from_cache(call.run, **found); !restored) {
    call.say("the cache entry could not be restored: " + restored.error().message);
  } else {
    outputs.set("hit", "true");
    call.say("restored " + format_size((*found)->size) + " from the cache under " + key);
  }
  return {.outputs = std::move(outputs)};
}

ActionResult save_cache(ActionCall& call) {
  const std::string key = call.get("key");
  if (!is_key(key))
    return failed(FailureKind::user, "with.key is missing, or longer than 504 bytes");
  const auto patterns = path_lines(call.get("path"));
  if (patterns.empty()) return failed(FailureKind::user, "with.path is missing: what to keep");
  client::CacheEntry entry{.digest = {}, .run = call.run.task().run_id, .job = call.run.task().job};
  const Status kept = keep_in_cache(call.run, full_key(key), patterns, std::move(entry));
  call.say(kept.ok() ? "cached under " + key : "not cached: " + kept.error().message);
  return {};
}

}  // namespace mc::worker
