// Events of a run and of all runs: as lists, and as server-sent events that can be resumed.
#include <atomic>

#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/json.h"

namespace mc::api {
namespace {
using conductor::FeedEvent;

constexpr int kPage = 500;
constexpr int kEventsMax = 1000;

Result<std::int64_t> read_after(const Call& call, std::int64_t fallback) {
  const std::string* last = call.request.header("last-event-id");
  if (last == nullptr || last->empty()) return read_number(call, "after", fallback, 0, INT64_MAX);
  const auto after = read_integer(*last, 0, INT64_MAX);
  if (!after) return Error{Code::malformed_request, "Last-Event-ID is not a number", {}};
  return *after;
}

// The events of one run to a stream, ending after run.finished. What the Service calls back runs on
// the conductor's thread, which therefore owns all but the tickets. Held by the writer's on_close.
class RunFollower : public std::enable_shared_from_this<RunFollower> {
 public:
  RunFollower(CallPtr call, Uuid run, std::int64_t after, bool final)
      : call_(std::move(call)), run_(run), last_(after), final_(final) {}

  void open(const std::shared_ptr<http::StreamWriter>& writer) {
    const Gate::Guest inside = call_->world->gate.enter();
    if (!inside) return writer->close();
    writer_ = writer;
    stream_ = call_->world->streams.add(writer);
    if (stream_ == 0) return writer->close();
    const std::weak_ptr<RunFollower> weak = shared_from_this();
    subscription_ =
        call_->service().subscribe(call_->principal, run_, [weak](const FeedEvent& event) {
          if (const auto self = weak.lock()) self->hear(event);
        });
    writer->on_close([self = shared_from_this()] {
      self->call_->world->streams.remove(self->stream_);
      if (const Gate::Guest within = self->call_->world->gate.enter())
        self->call_->service().unsubscribe(self->subscription_);
    });
    catch_up();
  }

 private:
  void catch_up() {
    call_->service().events(
        call_->principal, run_, last_, kPage,
        [self = shared_from_this()](const Result<std::vector<FeedEvent>>& events) {
          if (!events) return self->writer_->close();
          for (const FeedEvent& event : *events) {
            if (!self->send(event)) return;
          }
          if (!events->empty()) return self->catch_up();
          self->caught_up_ = true;
          const std::vector<FeedEvent> heard = std::move(self->heard_);
          for (const FeedEvent& event : heard) {
            if (!self->send(event)) return;
          }
          if (self->final_) self->writer_->close();
        });
  }
  void hear(const FeedEvent& event) {
    if (caught_up_) {
      send(event);
    } else if (heard_.size() < kHeardMax) {
      heard_.push_back(event);
    } else {
      writer_->close();  // too much at once: the client comes back with its last id
    }
  }
  bool send(const FeedEvent& event) {
    if (event.event.seq <= last_) return true;
    last_ = event.event.seq;
    const std::string_view type = type_of(event.event);
    if (!writer_->write(sse_frame(std::to_string(last_), type, event.json))) return false;
    if (type != RunFinished::kType) return true;
    writer_->close();
    return false;
  }

  static constexpr std::size_t kHeardMax = 10'000;
  const CallPtr call_;
  const Uuid run_;
  std::int64_t last_;
  const bool final_;
  bool caught_up_ = false;
  std::vector<FeedEvent> heard_;  // while catching up
  std::shared_ptr<http::StreamWriter> writer_;
  std::uint64_t stream_ = 0, subscription_ = 0;
};

void list_of_run(const CallPtr& call, Uuid id, std::int64_t after, int limit) {
  call->service().events(call->principal, id, after, limit,
                         [call](const Result<std::vector<FeedEvent>>& events) {
                           if (!events) return call->fail(events.error());
                           JsonWriter out;
                           out.open('{').key("items").open('[');
                           for (const FeedEvent& event : *events) out.raw(event.json);
                           call->json(out.close(']').close('}').take());
                         });
}

void follow_run(const CallPtr& call, Uuid id, std::int64_t after) {
  call->service().run(
      call->principal, id, [call, id, after](const Result<conductor::RunView>& view) {
        if (!view) return call->fail(view.error());
        const bool final = is_final(view->status);
        const auto stream = [call, id, after, final] {
          auto follower = std::make_shared<RunFollower>(call, id, after, final);
          call->answer(sse_response([follower](const std::shared_ptr<http::StreamWriter>& writer) {
            follower->open(writer);
          }));
        };
        if (!final || after == 0) return stream();
        // 204 tells an EventSource that has seen everything not to come back.
        call->service().events(call->principal, id, after, 1,
                               [call, stream](const Result<std::vector<FeedEvent>>& events) {
                                 if (events && events->empty()) return call->no_content();
                                 stream();
                               });
      });
}
}  // namespace

void list_run_events(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const Result<std::int64_t> after = read_after(*call, 0);
  if (!after) return call->fail(after.error());
  const Result<int> limit = read_limit(*call, kPage, kEventsMax);
  if (!limit) return call->fail(limit.error());
  if (call->accepts("text/event-stream")) return follow_run(call, *id, *after);
  list_of_run(call, *id, *after, *limit);
}
}  // namespace mc::api
