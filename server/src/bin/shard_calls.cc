#include "bin/shard_calls.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cluster/shards.h"
#include "http/problem.h"
#include "wire/task_codec.h"

namespace mc::bin {
namespace {
// Less than a worker waits for the answer to a heartbeat (client/worker_api.cc).
constexpr Millis kPatience{3'000};
// What of a request's head says who asks for what; the rest is of its connection.
constexpr std::array kCarried = {"authorization", "content-type", "accept", "x-request-id"};

Error away(int shard) {
  return {
      Code::overloaded, "shard " + std::to_string(shard) + " is led by nobody at the moment", {}};
}

http::Peers::Call outgoing(const std::string& address, int shard, http::Request& request) {
  http::Peers::Call call{.address = address,
                         .method = request.method,
                         .target = request.target,
                         .headers = {},
                         .body = std::move(request.body),
                         .timeout = kPatience};
  call.headers.push_back({std::string(http::kPassedOn), "1"});
  call.headers.push_back({std::string(cluster::kShardHeader), std::to_string(shard)});
  for (http::Header& header : request.headers) {
    const std::string name = to_lower(header.name);
    if (std::ranges::find(kCarried, name) != kCarried.end()) call.headers.push_back(header);
  }
  return call;
}

http::Response incoming(http::ClientResponse response) {
  http::Response out{.status = response.status, .body = std::move(response.body)};
  for (http::Header& header : response.headers) {
    if (header.name == "content-type") out.content_type = std::move(header.value);
    if (header.name == "retry-after") out.headers.push_back({"Retry-After", header.value});
    for (const std::string_view said : {wire::kDrainingHeader, wire::kNextHeader})
      if (header.name == to_lower(said)) out.headers.push_back({std::string(said), header.value});
  }
  return out;
}
}  // namespace

void ShardCalls::call(int shard, http::Request request, http::Reply done) {
  Seats::Seat seat = seats_.find(shard);
  const std::string id = request.request_id;
  if (seat.stack) {
    api::Api& api = seat.stack->api();
    return api.handle(std::move(request), [this, id, stack = seat.stack,
                                           done = std::move(done)](http::Response response) {
      done(seats_.leads() ? std::move(response)
                          : http::problem({Code::overloaded, "no replica leads", {}}, id));
    });
  }
  if (seat.address.empty()) return done(http::problem(away(shard), id));
  peers_.send(outgoing(seat.address, shard, request),
              [id, done = std::move(done)](Result<http::ClientResponse> answer) {
                done(answer ? incoming(std::move(*answer))
                            : http::problem({Code::overloaded, answer.error().message, {}}, id));
              });
}

}  // namespace mc::bin
