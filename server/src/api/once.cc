// Idempotency keys: the first answer, kept with the project and token that asked.
#include <algorithm>

#include "api/call.h"
#include "base/sha256.h"
#include "http/problem.h"

namespace mc::api {
namespace {
constexpr std::size_t kKeyMax = 255;
constexpr int kFirstError = 300;

std::string seal_name(const conductor::Idempotency& key) {
  return "receipt/" + key.scope + "/" + key.key;
}

void replay(const Call& call, const conductor::Idempotency& key, const db::Receipt& receipt,
            bool sealed) {
  if (receipt.request_digest != key.request_digest) {
    return call.fail({Code::idempotency_key_reused,
                      "this key came before with another request: use a fresh key",
                      {}});
  }
  http::Response response{.status = receipt.status, .content_type = "application/json"};
  response.body = receipt.body;
  if (sealed) {
    Result<std::string> body = call.world->secrets->box().unseal(seal_name(key), receipt.body);
    if (!body) return call.fail(body.error());
    response.body = std::move(*body);
  }
  if (!receipt.location.empty()) response.headers.push_back({"Location", receipt.location});
  response.headers.push_back({"Idempotency-Replayed", "true"});
  call.answer(std::move(response));
}

// Keeps a good answer before it is given.
void keep(const CallPtr& call, const conductor::Idempotency& key, bool sealed,
          http::Response response) {
  World& world = *call->world;
  const auto release = [call, id = key.scope + "\n" + key.key] {
    const std::lock_guard lock(call->world->in_flight_mutex);
    call->world->in_flight.erase(id);
  };
  if (response.status >= kFirstError) {
    release();
    return call->reply(std::move(response));
  }
  db::Receipt receipt{.scope = key.scope,
                      .key = key.key,
                      .request_digest = key.request_digest,
                      .status = response.status,
                      .body = response.body,
                      .created_at = call->now()};
  for (const http::Header& header : response.headers) {
    if (header.name == "Location") receipt.location = header.value;
  }
  if (sealed) receipt.body = world.secrets->box().seal(seal_name(key), response.body);
  world.service.put_records(
      {}, std::move(receipt),
      [call, release, response = std::move(response)](const Result<bool>& kept) {
        release();
        if (kept) return call->reply(response);
        call->reply(http::problem(kept.error(), call->request.request_id));
      });
}
}  // namespace

Result<std::optional<conductor::Idempotency>> idempotency_of(const Call& call) {
  const std::string* key = call.request.header("idempotency-key");
  if (key == nullptr) return std::optional<conductor::Idempotency>{};
  const bool fine =
      !key->empty() && key->size() <= kKeyMax &&
      std::all_of(key->begin(), key->end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!fine) {
    return Error{
        Code::invalid_field, "Idempotency-Key: 1 to 255 visible characters are wanted", {}};
  }
  const http::Request& request = call.request;
  return std::optional(conductor::Idempotency{
      .scope = call.principal.project + "/" + call.principal.token_id,
      .key = *key,
      .request_digest = sha256_hex(request.method + "\n" + request.target + "\n" + request.body)});
}

void once(const CallPtr& call, bool sealed, std::function<void(const CallPtr&)> work) {
  const auto key = idempotency_of(*call);
  if (!key) return call->fail(key.error());
  if (!*key) return work(call);
  offload(call, [call, sealed, key = **key, work = std::move(work)] {
    World& world = *call->world;
    {
      const std::lock_guard lock(world.in_flight_mutex);
      if (!world.in_flight.insert(key.scope + "\n" + key.key).second) {
        return call->fail(
            {Code::idempotency_in_flight, "a request with this key is being worked on", {}});
      }
    }
    const auto receipt = world.service.store().get_receipt(key.scope, key.key);
    if (!receipt || *receipt) {
      {
        const std::lock_guard lock(world.in_flight_mutex);
        world.in_flight.erase(key.scope + "\n" + key.key);
      }
      if (!receipt) return call->fail(receipt.error());
      return replay(*call, key, **receipt, sealed);
    }
    // The same call, but its answer is kept on its way out.
    auto kept = std::make_shared<Call>(*call);
    kept->reply = [call, key, sealed](http::Response response) {
      keep(call, key, sealed, std::move(response));
    };
    work(kept);
  });
}
}  // namespace mc::api
