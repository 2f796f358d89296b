#include "worker/kubernetes/handover.h"

#include "base/json.h"
#include "wire/own_json.h"

namespace mc::worker {

std::string encode(const Handover& handover) {
  JsonWriter out;
  out.open('{').key("urls").open('[');
  for (const std::string& url : handover.urls) out.item(url);
  out.close(']').field("token", handover.token).field("worker", handover.worker);
  out.key("standing").raw(wire::encode(handover.standing));
  out.field("no_cache", handover.no_cache);
  out.key("grant").raw(wire::encode_tasks({handover.task}));
  return out.close('}').take();
}

Result<Handover> decode_handover(std::string_view text) {
  const auto body = parse_json(text, wire::kOwnJson);
  if (!body.ok()) return Error{Code::malformed_json, "what was handed over is not JSON", {}};
  const Value* urls = body->find("urls");
  const Value* standing = body->find("standing");
  const Value* grant = body->find("grant");
  if (urls == nullptr || !urls->is_list() || standing == nullptr || grant == nullptr)
    return Error{Code::missing_field, "what was handed over is not whole", {}};
  Handover out;
  for (const Value& url : urls->as_list()) {
    if (url.is_string()) out.urls.push_back(url.as_string());
  }
  auto tasks = wire::decode_tasks(*grant);
  if (!tasks.ok()) return tasks.error();
  if (out.urls.empty() || tasks->size() != 1)
    return Error{Code::missing_field, "what was handed over has no server, or no task", {}};
  auto reply = wire::decode_register_reply(*standing);
  if (!reply.ok()) return reply.error();
  out.token = body->string_or("token", "");
  out.worker = body->string_or("worker", "");
  out.no_cache = body->bool_or("no_cache", false);
  out.standing = std::move(*reply);
  out.task = std::move(tasks->front());
  return out;
}

}  // namespace mc::worker
