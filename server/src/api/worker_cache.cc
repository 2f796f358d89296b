// What caches keep under their keys, and the artifacts of runs, for workers. The project is that of
// the task's run: a worker cannot read another one's by naming it.
#include <algorithm>

#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/hold.h"
#include "base/json.h"
#include "conductor/records.h"
#include "wire/task_codec.h"

namespace mc::api {
namespace {
constexpr std::size_t kKeyMax = 512;
constexpr std::size_t kArtifactsMax = 1000;

Result<std::string> record_key(const Call& call, const std::string& project) {
  const std::string& scope = call.query("scope");
  const std::string& key = call.query("key");
  if (key.empty()) return Error{Code::missing_field, "key: is missing", {}};
  if (key.size() > kKeyMax || scope.size() > kKeyMax)
    return Error{Code::invalid_field, "key: at most 512 bytes are taken", {}};
  return conductor::cache_record_key(project, scope, key);
}

void give_entry(const Call& call, const Held& held) {
  const Result<std::string> key = record_key(call, held.project);
  if (!key) return call.fail(key.error());
  const Error none{Code::not_found, "nothing is cached under this key", {}};
  const auto record = call.service().store().get_record(conductor::kCacheKind, *key);
  if (!record) return call.fail(record.error());
  if (!*record) return call.fail(none);
  const Result<Value> entry = parse_json((*record)->json);
  blob::BlobStore& blobs = call.service().blobs();
  if (!entry || !blobs.has(entry->string_or("digest", ""))) return call.fail(none);
  if (const Value* artifacts = entry->find("artifacts"); artifacts != nullptr) {
    const bool there = std::ranges::all_of(artifacts->as_list(), [&](const Value& artifact) {
      return blobs.has(artifact.string_or("digest", ""));
    });
    if (!there) return call.fail(none);
  }
  call.json((*record)->json);
}

// What the job uploaded: artifacts whose blobs are there.
Value read_artifacts(Body& body, blob::BlobStore& blobs) {
  const Value* given = body.value("artifacts");
  if (given == nullptr) return List{};
  const bool fits = given->is_list() && given->as_list().size() <= kArtifactsMax &&
                    std::ranges::all_of(given->as_list(), [&](const Value& item) {
                      const auto artifact = wire::read_artifact(item);
                      return artifact && blobs.has(artifact->digest);
                    });
  if (fits) return *given;
  body.wrong("artifacts", "a list of artifacts whose blobs are there is wanted");
  return List{};
}

void keep_entry(const CallPtr& call, const Held& held) {
  const Result<std::string> key = record_key(*call, held.project);
  if (!key) return call->fail(key.error());
  Body body(call->request.body,
            {"digest", "size", "run", "job", "duration_ms", "outputs", "artifacts", "created_at"});
  body.require("digest");
  const std::string digest = body.text("digest");
  const std::int64_t size = body.integer("size", 0, 0, INT64_MAX);
  const std::int64_t duration = body.integer("duration_ms", 0, 0, INT64_MAX);
  body.text("run");
  body.text("job");
  const Value outputs = body.object("outputs");
  const Value artifacts = read_artifacts(body, call->service().blobs());
  if (body.status() && !call->service().blobs().has(digest))
    body.wrong("digest", "there is no such blob: send it first");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  // Who made it is known from the hold, whatever the body says.
  JsonWriter out;
  out.open('{').field("digest", digest).field("size", size).field("run", held.target.run);
  out.field("job", held.target.job).field("duration_ms", duration).field("outputs", outputs);
  out.field("artifacts", artifacts);
  out.field("created_at", call->now()).close('}');
  call->service().put_records({{std::string(conductor::kCacheKind), *key, out.take(), {}}},
                              std::nullopt, no_content_or_error(call));
}

// {items}: those of this name, the latest first.
std::string pick(const Value& all, const std::string& name) {
  std::vector<const Value*> found;
  const Value* items = all.find("items");
  if (items != nullptr && items->is_list()) {
    for (const Value& item : items->as_list()) {
      if (name.empty() || item.string_or("name", "") == name) found.push_back(&item);
    }
  }
  std::sort(found.begin(), found.end(), [](const Value* a, const Value* b) {
    return std::pair(a->string_or("created_at", ""), a) >
           std::pair(b->string_or("created_at", ""), b);
  });
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const Value* item : found) out.value(*item);
  return out.close(']').close('}').take();
}
}  // namespace

void worker_get_cache(const CallPtr& call) {
  with_hold(call, [call](const Held& held) { give_entry(*call, held); });
}

void worker_put_cache(const CallPtr& call) {
  with_hold(call, [call](const Held& held) { keep_entry(call, held); });
}

void worker_list_artifacts(const CallPtr& call) {
  with_hold(call, [call](const Held& held) {
    const std::string& text = call->query("run");
    const auto run = text.empty() ? std::optional(held.target.run) : parse_uuid(text);
    if (!run) return call->fail({Code::run_not_found, "there is no run " + text, {}});
    auth::Principal reader = call->principal;
    reader.project = held.project;
    call->service().artifacts(reader, *run, [call](const Result<std::string>& all) {
      if (!all) return call->fail(all.error());
      const Result<Value> list = parse_json(*all);
      if (!list) return call->fail(list.error());
      call->json(pick(*list, call->query("name")));
    });
  });
}
}  // namespace mc::api
