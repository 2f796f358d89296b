// GET /api/v1/events: the feed of all runs of a project. Its positions are those of commits, so
// that a reader can go on where it was, over restarts too.
#include <atomic>

#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/json.h"

namespace mc::api {
namespace {
using conductor::FeedEvent;

constexpr int kPage = 200;  // commits of runs read at once
constexpr int kEventsMax = 1000;

struct Page {
  std::vector<FeedEvent> events;
  std::int64_t position = 0;  // behind what was looked at
  bool end = false;
};

// Reads one page. The feed is of all projects; the position of what is left out is known only from
// the store, so that a reader never gets stuck before other people's events.
void read_page(const CallPtr& call, std::int64_t after, int limit,
               std::function<void(Result<Page>)> done) {
  const bool taken = call->world->pool.run([call, after, limit, done] {
    auto groups = call->service().store().read_feed(after, limit);
    if (!groups) return done(groups.error());
    if (groups->empty()) return done(Page{{}, after, true});
    const std::int64_t last = groups->back().position;
    call->service().feed(call->principal, std::move(*groups),
                         [done, last](Result<std::vector<FeedEvent>> events) {
                           if (!events) return done(events.error());
                           done(Page{std::move(*events), last, false});
                         });
  });
  if (!taken) done(Error{Code::overloaded, "too many requests wait: try again soon", {}});
}

std::string with_position(const FeedEvent& event) {
  return "{\"position\":" + std::to_string(event.position) + "," + event.json.substr(1);
}

// Woken by each commit, reads the feed from where it was. Held by the writer's on_close.
class FeedFollower : public std::enable_shared_from_this<FeedFollower> {
 public:
  FeedFollower(CallPtr call, std::int64_t after) : call_(std::move(call)), position_(after) {}

  void open(const std::shared_ptr<http::StreamWriter>& writer) {
    const Gate::Guest inside = call_->world->gate.enter();
    if (!inside) return writer->close();
    writer_ = writer;
    stream_ = call_->world->streams.add(writer);
    if (stream_ == 0) return writer->close();
    const std::weak_ptr<FeedFollower> weak = shared_from_this();
    subscription_ = call_->service().subscribe(call_->principal, Uuid{}, [weak](const FeedEvent&) {
      if (const auto self = weak.lock()) self->poke();
    });
    writer->on_close([self = shared_from_this()] {
      self->call_->world->streams.remove(self->stream_);
      if (const Gate::Guest within = self->call_->world->gate.enter())
        self->call_->service().unsubscribe(self->subscription_);
    });
    poke();
  }

 private:
  void poke() {
    again_ = true;
    if (!reading_.exchange(true)) read();
  }
  void read() {
    again_ = false;
    read_page(call_, position_, kPage, [self = shared_from_this()](const Result<Page>& page) {
      if (!page) return self->writer_->close();
      if (!self->send(*page)) return;
      if (!page->end) return self->read();
      self->reading_ = false;
      // A commit that came between the read and this line.
      if (self->again_ && !self->reading_.exchange(true)) self->read();
    });
  }
  bool send(const Page& page) {
    std::string frames;
    for (std::size_t i = 0; i < page.events.size(); ++i) {
      const FeedEvent& event = page.events[i];
      // The events of one commit share a position: only the last one may move a reader behind it.
      const bool last =
          i + 1 == page.events.size() || page.events[i + 1].position != event.position;
      frames += sse_frame(last ? std::to_string(event.position) : "", type_of(event.event),
                          with_position(event));
    }
    position_ = page.position;
    return frames.empty() || writer_->write(std::move(frames));
  }

  const CallPtr call_;
  std::int64_t position_;  // the reader's; one read at a time
  std::atomic<bool> again_ = false;
  std::atomic<bool> reading_ = false;
  std::shared_ptr<http::StreamWriter> writer_;
  std::uint64_t stream_ = 0, subscription_ = 0;
};

Result<std::int64_t> read_position(const Call& call, std::int64_t fallback) {
  const std::string* last = call.request.header("last-event-id");
  if (last == nullptr || last->empty()) return read_number(call, "after", fallback, 0, INT64_MAX);
  const auto after = read_integer(*last, 0, INT64_MAX);
  if (!after) return Error{Code::malformed_request, "Last-Event-ID is not a position", {}};
  return *after;
}

void follow(const CallPtr& call) {
  offload(call, [call] {
    const auto end = call->service().store().feed_end();
    if (!end) return call->fail(end.error());
    const Result<std::int64_t> after = read_position(*call, *end);
    if (!after) return call->fail(after.error());
    auto follower = std::make_shared<FeedFollower>(call, *after);
    call->answer(sse_response(
        [follower](const std::shared_ptr<http::StreamWriter>& writer) { follower->open(writer); }));
  });
}

// Goes on until there is something to show, or the end.
void list_from(const CallPtr& call, std::int64_t after, int limit) {
  read_page(call, after, limit, [call, limit](const Result<Page>& page) {
    if (!page) return call->fail(page.error());
    if (page->events.empty() && !page->end) return list_from(call, page->position, limit);
    JsonWriter out;
    out.open('{').key("items").open('[');
    for (const FeedEvent& event : page->events) out.raw(with_position(event));
    call->json(out.close(']').field("next_after", page->position).close('}').take());
  });
}
}  // namespace

void list_events(const CallPtr& call) {
  if (call->accepts("text/event-stream")) return follow(call);
  const Result<std::int64_t> after = read_position(*call, 0);
  if (!after) return call->fail(after.error());
  const Result<int> limit = read_limit(*call, kPage, kEventsMax);
  if (!limit) return call->fail(limit.error());
  list_from(call, *after, *limit);
}
}  // namespace mc::api
