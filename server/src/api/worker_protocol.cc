// The worker protocol: register, poll, heartbeat, complete, logs.
#include <memory>

#include "api/call.h"
#include "api/handlers.h"
#include "base/json.h"
#include "wire/logs_codec.h"
#include "wire/offer.h"
#include "wire/task_codec.h"

namespace mc::api {
namespace {
// Bodies up to this are read on the connection's thread: a hop would cost more than the reading.
constexpr std::size_t kReadHere = 64 << 10;

// Reads the body with `decode`, off the connection's thread when it is large, and goes on with it.
template <class Decode, class GoOn>
void with_bytes(const CallPtr& call, Decode decode, GoOn go_on) {
  const auto read = [call, decode, go_on] {
    auto request = decode(call->request.body);
    if (!request.ok()) return call->fail(request.error());
    go_on(std::move(*request));
  };
  if (call->request.body.size() <= kReadHere) return read();
  offload(call, read);
}

template <class Request>
Result<Request> read_json(std::string_view body, Result<Request> (*decode)(const Value&)) {
  const Result<Value> value = parse_json(body);
  return value.ok() ? decode(*value) : value.error();
}

template <class Request, class GoOn>
void with_body(const CallPtr& call, Result<Request> (*decode)(const Value&), GoOn go_on) {
  with_bytes(
      call, [decode](std::string_view body) { return read_json(body, decode); }, std::move(go_on));
}

Result<wire::LogsRequest> read_logs(std::string_view body, bool raw) {
  return raw ? wire::decode_raw_logs(body) : read_json(body, wire::decode_logs_request);
}

template <class Reply>
conductor::Done<Reply> encoded_or_error(const CallPtr& call) {
  return [call](const Result<Reply>& reply) {
    reply ? call->json(wire::encode(*reply)) : call->fail(reply.error());
  };
}

void append(const CallPtr& call, const conductor::LogTarget& target, wire::LogsRequest& request) {
  std::vector<blob::LogPiece> pieces;
  pieces.reserve(request.chunks.size());
  for (wire::LogChunk& chunk : request.chunks)
    pieces.push_back({chunk.t, chunk.step, chunk.stream, std::move(chunk.text)});
  const Result<std::int64_t> end = call->service().blobs().append_log(
      target.run, target.node, target.attempt, request.offset, pieces);
  if (!end) return call->fail(end.error());
  call->json("{\"next_offset\":" + std::to_string(*end) + "}");
}
}  // namespace

void worker_register(const CallPtr& call) {
  with_body(call, wire::decode_register_request, [call](wire::RegisterRequest request) {
    call->service().register_worker(call->principal, std::move(request),
                                    encoded_or_error<wire::RegisterReply>(call));
  });
}

void worker_poll(const CallPtr& call) {
  with_body(call, wire::decode_poll_request, [call](wire::PollRequest request) {
    // Shared by the conductor and the answer.
    const auto aside = std::make_shared<conductor::PollAside>();
    const auto answer = [call, aside](const Result<std::vector<Task>>& tasks) {
      if (!tasks) return call->fail(tasks.error());
      http::Response response{.content_type = "application/json",
                              .body = wire::encode_tasks(*tasks)};
      if (aside->drains) response.headers.push_back({std::string(wire::kDrainingHeader), "1"});
      if (aside->next) {
        response.headers.push_back(
            {std::string(wire::kNextHeader), wire::encode_next(aside->next->offer)});
      }
      call->answer(std::move(response));
    };
    call->service().poll(std::move(request), call->request.gone, answer, aside);
  });
}

void worker_heartbeat(const CallPtr& call) {
  with_body(call, wire::decode_heartbeat_request, [call](wire::HeartbeatRequest request) {
    call->service().heartbeat(std::move(request), encoded_or_error<wire::HeartbeatReply>(call));
  });
}

void worker_complete(const CallPtr& call) {
  with_body(call, wire::decode_complete_request, [call](wire::CompleteRequest request) {
    call->service().complete(std::move(request), encoded_or_error<wire::CompleteReply>(call));
  });
}

void worker_logs(const CallPtr& call) {
  const bool raw = media_type(call->request) == wire::kRawLogs;
  const auto read = [raw](std::string_view body) { return read_logs(body, raw); };
  with_bytes(call, read, [call](wire::LogsRequest request) {
    // Shared by the two continuations; the last one lets go of it.
    const auto shared = std::make_shared<wire::LogsRequest>(std::move(request));
    call->service().check_hold(
        shared->task_id, shared->fence, [call, shared](const Result<conductor::LogTarget>& target) {
          if (!target) return call->fail(target.error());
          offload(call, [call, shared, target = *target] { append(call, target, *shared); });
        });
  });
}
}  // namespace mc::api
