#include "worker/job_cache.h"

#include "base/clip.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "worker/globs.h"
#include "worker/storage.h"

namespace mc::worker {
namespace {
constexpr std::size_t kShownBytesMax = 300;

Result<std::vector<std::string>> globs_of(const std::vector<std::string>& templates,
                                          const lang::Scope& scope, std::string_view what) {
  std::vector<std::string> globs;
  for (const std::string& text : templates) {
    auto glob = lang::evaluate_text(text, scope);
    if (!glob.ok())
      return Error{
          glob.error().code, "cache." + std::string(what) + ": " + glob.error().message, {}};
    globs.push_back(std::move(*glob));
  }
  return globs;
}

// The values that the job's steps are given: their own environments are not made yet. Of the jobs
// it mentions only the outputs: one that was reused gives what it gave before.
void write_mentioned(JsonWriter& out, const References& mentioned, const lang::Scope& scope) {
  const auto context = [&](bool wanted, std::string_view root) {
    return wanted && scope.context ? scope.context(root) : nullptr;
  };
  if (const Value* inputs = context(mentioned.inputs, "inputs")) out.value(*inputs);
  if (const Value* event = context(mentioned.event, "event")) out.value(*event);
  const auto some = [&](const std::vector<std::string>& names, std::string_view root,
                        std::string_view part) {
    const Value* all = context(!names.empty(), root);
    for (const std::string& name : names) {
      const Value* one = all != nullptr ? all->find(name) : nullptr;
      if (one != nullptr && !part.empty()) one = one->find(part);
      if (one != nullptr) out.item(name).value(*one);
    }
  };
  some(mentioned.vars, "vars", "");
  some(mentioned.needs, "needs", "outputs");
}
}  // namespace

Result<CacheKey> job_cache_key(const JobSpec& job, const lang::Scope& scope, const Value& env,
                               const Value* matrix, const std::string& files) {
  const auto shown = lang::evaluate_text(job.cache->key, scope);
  if (!shown.ok()) return Error{shown.error().code, "cache.key: " + shown.error().message, {}};
  const auto globs = globs_of(job.cache->inputs, scope, "inputs");
  if (!globs.ok()) return globs.error();
  const auto inputs = hash_files(files, *globs);
  if (!inputs.ok()) return inputs.error();
  JsonWriter all;
  all.open('[').item(*shown).item(*inputs).value(job.source).value(env);
  if (matrix != nullptr) all.value(*matrix);
  write_mentioned(all, job.references, scope);
  all.close(']');
  return CacheKey{
      *shown, "job/" + std::string(head_of(*shown, kShownBytesMax)) + "/" + sha256_hex(all.text())};
}

Status JobCache::make_key() {
  const auto workspace = run_.workspace();
  if (!workspace.ok()) return workspace.error();
  auto key = job_cache_key(run_.job(), run_.scope(), run_.env.object(), run_.spec().find("matrix"),
                           (*workspace)->files());
  if (!key.ok()) return key.error();
  key_ = std::move(*key);
  return {};
}

Result<bool> JobCache::look_up(TaskResult& result) {
  if (Status made = make_key(); !made) return made.error();
  result.cache = CacheResult{.key = key_.shown};
  if (run_.settings().no_cache) return false;
  const auto found = run_.api().cache_get(run_.hold(), cache_scope(run_), key_.whole);
  if (!found.ok()) {
    run_.say("", "[maestro: the cache could not be asked: " + found.error().message + "]");
    return false;
  }
  if (!*found) return false;
  if (const Status restored = restore_from_cache(run_, **found); !restored) {
    run_.say("",
             "[maestro: the cache entry could not be restored: " + restored.error().message + "]");
    return false;
  }
  result.cache->hit = true;
  result.cache->from_run = (*found)->run;
  result.cache->from_job = (*found)->job;
  result.cache->saved_ms = (*found)->duration_ms;
  result.outputs = (*found)->outputs;
  run_.artifacts = std::move((*found)->artifacts);  // as if its steps had uploaded them again
  run_.say("", "[maestro: reused from run " + to_string((*found)->run) + ", which took " +
                   format_duration(Millis((*found)->duration_ms)) + "; key " + key_.shown + "]");
  return true;
}

void JobCache::save(const TaskResult& result, std::int64_t duration_ms) {
  client::CacheEntry entry{.digest = {},
                           .run = run_.task().run_id,
                           .job = run_.task().job,
                           .duration_ms = duration_ms,
                           .outputs = result.outputs,
                           .artifacts = run_.artifacts};
  const auto outputs = globs_of(run_.job().cache->outputs, run_.scope(), "outputs");
  const Status kept = outputs.ok() ? keep_in_cache(run_, key_.whole, *outputs, std::move(entry))
                                   : Status(outputs.error());
  // The job has succeeded all the same; the next run just cannot be spared.
  run_.say("", kept.ok() ? "[maestro: cached under " + key_.shown + "]"
                         : "[maestro: not cached: " + kept.error().message + "]");
}

}  // namespace mc::worker
