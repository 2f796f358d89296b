#include "cluster/known_again.h"

#include <utility>

#include "base/json.h"
#include "cluster/gather.h"
#include "cluster/paths.h"
#include "cluster/split.h"

namespace mc::cluster {
namespace {
bool is_of_a_worker(const http::Request& request) {
  return request.path == kPoll || request.path == kHeartbeat || request.path == kComplete;
}

// Who asks, unless it only says that it leaves; else empty.
std::string worker_of(const http::Request& request) {
  const Result<Value> body = parse_json(request.body);
  if (!body || !body->is_object()) return {};
  const bool is_look = body->find("wants_next") != nullptr;
  if (request.path == kPoll && body->int_or("max", 1) == 0 && !is_look) return {};
  return body->string_or("worker_id", "");
}
// One that is led here, which answers at once, if there is one.
int another_than(int shard, const Shards& shards) {
  for (int i = 1; i < shards.count(); ++i) {
    const int other = (shard + i) % shards.count();
    if (shards.is_here(other)) return other;
  }
  return (shard + 1) % shards.count();
}

// A poll that asks, and changes nothing.
std::string question_of(const std::string& worker) {
  JsonWriter out;
  out.open('{').field("worker_id", worker).field("max", 0).field("wait_ms", 0);
  return out.field("wants_next", true).close('}').take();
}

std::string with_draining(const std::string& registration, bool drains) {
  Result<Value> body = parse_json(registration);
  if (!drains || !body) return registration;
  body->set("draining", true);
  return to_json(*body);
}
}  // namespace

KnownAgain::KnownAgain(Shards& shards, std::shared_ptr<const Guests> guests)
    : shards_(shards), guests_(std::move(guests)) {}

// Another shard knows whether it drains; what is remembered here may have changed elsewhere.
void KnownAgain::call(int shard, http::Request request, std::function<void(http::Response)> done) {
  if (!is_of_a_worker(request) || request.body.size() > kBodyMax)
    return shards_.call(shard, std::move(request), std::move(done));
  http::Request kept = request;
  auto answered = [&shards = shards_, guests = guests_, stopped = stopped_, shard,
                   request = std::move(kept), done = std::move(done)](http::Response first) {
    if (!is_worker_not_found(first) || *stopped || request.client_gone())
      return done(std::move(first));
    const std::string worker = worker_of(request);
    std::string registration = worker.empty() ? "" : guests->registration_of(worker);
    if (registration.empty()) return done(std::move(first));
    auto introduce = [&shards, stopped, shard, request, done, first,
                      registration = std::move(registration)](bool drains) {
      http::Request introduction =
          request_like(request, std::string(kRegister), with_draining(registration, drains));
      shards.call(shard, std::move(introduction),
                  [&shards, stopped, shard, request, done, first](http::Response answer) {
                    if (is_failure(answer)) return done(std::move(answer));
                    if (!is_good(answer) || *stopped || request.client_gone()) return done(first);
                    shards.call(shard, request, done);
                  });
    };
    if (shards.count() == 1) return introduce(guests->drains(worker));
    const int other = another_than(shard, shards);
    shards.call(other, request_like(request, std::string(kPoll), question_of(worker)),
                [guests, worker, introduce](const http::Response& answer) {
                  introduce(is_good(answer) ? says_draining(answer) : guests->drains(worker));
                });
  };
  shards_.call(shard, std::move(request), std::move(answered));
}

}  // namespace mc::cluster
