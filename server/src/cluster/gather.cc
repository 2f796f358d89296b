#include "cluster/gather.h"

#include <memory>
#include <mutex>

#include "base/text.h"

namespace mc::cluster {
namespace {
// What a shard's API looks at; the rest describes the connection, or the body that was.
constexpr std::string_view kPassedOn[] = {"authorization", "content-type", "accept", "user-agent",
                                          "x-request-id"};
}  // namespace

http::Request request_like(const http::Request& from, std::string target, std::string body) {
  http::Request request{.method = from.method,
                        .target = target,
                        .path = target.substr(0, target.find('?')),
                        .query = from.query,
                        .body = std::move(body),
                        .remote = from.remote,
                        .request_id = from.request_id,
                        .gone = from.gone};
  for (const http::Header& header : from.headers) {
    const std::string name = to_lower(header.name);
    for (const std::string_view passed_on : kPassedOn) {
      if (name == passed_on) request.headers.push_back(header);
    }
  }
  return request;
}

void gather(Shards& shards, std::vector<std::pair<int, http::Request>> calls,
            std::function<void(Answers)> done) {
  struct State {
    std::mutex mutex;  // guards what follows
    Answers answers;
    std::size_t missing = 0;
    std::function<void(Answers)> done;
  };
  // Shared by the calls; the last answer ends it.
  const auto state = std::make_shared<State>();
  state->answers.resize(static_cast<std::size_t>(shards.count()));
  state->missing = calls.size();
  state->done = std::move(done);
  for (auto& [shard, request] : calls) {
    shards.call(shard, std::move(request),
                [state, at = static_cast<std::size_t>(shard)](http::Response response) {
                  {
                    const std::lock_guard lock(state->mutex);
                    state->answers[at] = std::move(response);
                    if (--state->missing > 0) return;
                  }
                  state->done(std::move(state->answers));
                });
  }
}

}  // namespace mc::cluster
