// Follows a job's log as server-sent events until the attempt is over: `log` events whose id is the
// offset behind them (bytes of text), then `end`.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "api/body.h"
#include "api/call.h"
#include "api/files.h"
#include "api/handlers.h"
#include "base/json.h"

namespace mc::api {
namespace {
constexpr std::int64_t kPieceBytes = 64 << 10;
// A stream begins this far before the log's end at most: more would be cut off as a slow reader.
constexpr std::int64_t kBacklogMax = 512 << 10;

// Held by the writer's on_close until the stream ends.
class LogFollower : public std::enable_shared_from_this<LogFollower> {
 public:
  // Sends the pieces of `step`, or of all steps with an empty one.
  LogFollower(CallPtr call, conductor::LogTarget target, std::string step, std::int64_t offset)
      : call_(std::move(call)),
        target_(std::move(target)),
        step_(std::move(step)),
        offset_(offset) {}

  void open(const std::shared_ptr<http::StreamWriter>& writer) {
    const Gate::Guest inside = call_->world->gate.enter();
    if (!inside) return writer->close();
    writer_ = writer;
    conductor::Service& service = call_->service();
    stream_ = call_->world->streams.add(writer);
    if (stream_ == 0) return writer->close();
    const std::weak_ptr<LogFollower> weak = shared_from_this();
    watch_ = service.blobs().watch_logs(target_.run, [weak](std::uint32_t, int) {
      if (const auto self = weak.lock()) self->poke();
    });
    subscription_ =
        service.subscribe(call_->principal, target_.run, [weak](const conductor::FeedEvent& event) {
          if (const auto self = weak.lock()) self->hear(event);
        });
    writer->on_close([self = shared_from_this()] { self->end(); });
    ask_whether_over();
    poke();
  }

 private:
  void end() {
    call_->world->streams.remove(stream_);
    const Gate::Guest inside = call_->world->gate.enter();
    if (!inside) return;
    call_->service().blobs().unwatch_logs(watch_);
    call_->service().unsubscribe(subscription_);
  }

  // On the conductor's thread.
  void hear(const conductor::FeedEvent& event) {
    const std::string_view type = type_of(event.event);
    if (type == "job.finished" || type == "job.retrying" || type == "run.finished")
      ask_whether_over();
  }

  void ask_whether_over() {
    call_->service().job(call_->principal, target_.run, target_.job,
                         [self = shared_from_this()](const Result<std::string>& job) {
                           if (!job || attempt_over(*job, self->target_.attempt)) {
                             self->over_ = true;
                             self->poke();
                           }
                         });
  }

  static bool attempt_over(const std::string& json, int attempt) {
    const Result<Value> job = parse_json(json);
    if (!job) return true;
    const auto status = from_name<JobStatus>(job->string_or("status", ""));
    if (status && is_final(*status)) return true;
    const Value* attempts = job->find("attempts");
    if (attempts == nullptr || !attempts->is_list()) return false;
    for (const Value& each : attempts->as_list()) {
      if (each.int_or("attempt", 0) == attempt) return !each.string_or("finished_at", "").empty();
    }
    return false;
  }

  // Has the pool send what there is, unless it is at it.
  void poke() {
    {
      const std::lock_guard lock(mutex_);
      again_ = true;
      if (sending_) return;
      sending_ = true;
    }
    if (!call_->world->pool.run([self = shared_from_this()] { self->send(); })) writer_->close();
  }

  void send() {
    while (take_turn()) {
      const bool over = over_;  // read first: what was logged before the end is sent before it
      if (!send_rest()) return writer_->close();
      if (over) {
        writer_->write(sse_frame(std::to_string(offset_), "end", "{}"));
        return writer_->close();
      }
    }
  }

  bool take_turn() {
    const std::lock_guard lock(mutex_);
    sending_ = again_;
    again_ = false;
    return sending_;
  }

  bool send_rest() {
    while (true) {
      const Result<blob::LogRead> read = call_->service().blobs().read_log(
          target_.run, target_.node, target_.attempt, offset_, kPieceBytes);
      if (!read) return false;
      if (read->pieces.empty()) return true;
      std::string frames;
      for (const blob::LogPiece& piece : read->pieces) {
        offset_ += static_cast<std::int64_t>(piece.text.size());
        if (step_.empty() || piece.step == step_)
          frames += sse_frame(std::to_string(offset_), "log", log_piece_json(piece));
      }
      offset_ = read->next_offset;
      if (!frames.empty() && !writer_->write(std::move(frames))) return false;
    }
  }

  const CallPtr call_;
  const conductor::LogTarget target_;
  const std::string step_;
  std::int64_t offset_;  // the sender's
  std::shared_ptr<http::StreamWriter> writer_;
  std::uint64_t stream_ = 0, watch_ = 0, subscription_ = 0;
  std::atomic<bool> over_ = false;
  std::mutex mutex_;  // guards sending_, again_
  bool sending_ = false;
  bool again_ = false;
};

// Last-Event-ID, ?tail=, ?offset=, or what fits before the end.
Result<std::int64_t> begin_at(const Call& call, const conductor::LogTarget& target) {
  blob::BlobStore& blobs = call.service().blobs();
  const std::int64_t size = blobs.log_size(target.run, target.node, target.attempt);
  constexpr std::int64_t kOffsetMax = std::int64_t{1} << 50;
  const std::string* last = call.request.header("last-event-id");
  if (last != nullptr && !last->empty()) {
    const auto offset = read_integer(*last, 0, kOffsetMax);
    if (!offset) return Error{Code::malformed_request, "Last-Event-ID is not an offset", {}};
    return *offset;
  }
  const auto tail = read_number(call, "tail", 0, 1, kTailLinesMax);
  if (!tail) return tail.error();
  if (*tail > 0) return tail_offset(blobs, target, call.query("step"), *tail);
  return read_number(call, "offset", std::max<std::int64_t>(0, size - kBacklogMax), 0, kOffsetMax);
}
}  // namespace

void follow_logs(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const auto attempt = read_number(*call, "attempt", 0, 1, 1'000'000);
  if (!attempt) return call->fail(attempt.error());
  call->service().log_target(
      call->principal, *id, call->params.at(1), static_cast<int>(*attempt),
      [call](const Result<conductor::LogTarget>& target) {
        if (!target) return call->fail(target.error());
        offload(call, [call, target = *target] {
          const Result<std::int64_t> offset = begin_at(*call, target);
          if (!offset) return call->fail(offset.error());
          auto follower = std::make_shared<LogFollower>(call, target, call->query("step"), *offset);
          call->answer(sse_response([follower](const std::shared_ptr<http::StreamWriter>& writer) {
            follower->open(writer);
          }));
        });
      });
}
}  // namespace mc::api
