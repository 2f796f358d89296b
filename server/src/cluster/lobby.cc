#include "cluster/lobby.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <thread>

#include "base/rng.h"
#include "base/text.h"
#include "base/uuid.h"
#include "cluster/gather.h"
#include "cluster/known_again.h"
#include "cluster/paths.h"
#include "cluster/split.h"
#include "http/problem.h"
#include "http/target.h"
#include "wire/own_json.h"

namespace mc::cluster {
namespace {
constexpr std::string_view kWorkers = "/api/v1/workers";
constexpr std::string_view kDrain = "/drain", kResume = "/resume";

// As the API has them (api/route.h).
constexpr std::uint64_t kSmallBody = 64 << 10, kHeartbeatBody = 1 << 20, kCompleteBody = 64 << 20;
// Bodies up to this are read on the connection's thread: a hop would cost more than the reading.
constexpr std::size_t kReadHere = 64 << 10;
constexpr std::int64_t kMaxOfPoll = 100'000;
constexpr std::int64_t kWaitMax = 60'000;
constexpr int kPageMax = 100, kPageUsual = 50;
constexpr int kPagesMax = 1'000;
using Items = std::vector<std::string_view>;

http::Response json(std::string body) {
  return {.status = 200, .content_type = "application/json", .body = std::move(body)};
}

// The {id} of /api/v1/workers/{id}/drain or /resume.
std::optional<std::string> worker_of(std::string_view path, std::string_view action) {
  if (!path.starts_with(kWorkers) || !path.ends_with(action)) return std::nullopt;
  path.remove_prefix(kWorkers.size());
  path.remove_suffix(action.size());
  if (path.size() < 2 || path.front() != '/') return std::nullopt;
  path.remove_prefix(1);
  if (path.find('/') != std::string_view::npos) return std::nullopt;
  return std::string(path);
}

bool is_good_answer(const std::optional<http::Response>& answer) {
  return answer && is_good(*answer);
}

PollWish wish_of(const http::Request& request, Guests::Sort sort) {
  return {.head = request_like(request, std::string(kPoll), {}),
          .kind = std::move(sort.kind),
          .alike = std::move(sort.alike),
          .is_counted = sort.is_counted,
          .drains = sort.drains};
}
}  // namespace

class Lobby::State : public std::enable_shared_from_this<State> {
 public:
  State(Shards& shards, Clock& clock, const LobbyOptions& options)
      : shards_(shards, guests_),
        clock_(clock),
        options_(options),
        count_(shards.count()),
        rng_(options.seed == 0 ? random_seed() : options.seed) {}

  void start(std::function<void(int)> tell_ready) {
    Polls::Outside outside{.shards = shards_, .clock = clock_, .tell_ready = std::move(tell_ready)};
    outside.note_draining = [this](const auto& id, bool drains) { note_draining(id, drains); };
    outside.wake_at = [this](Instant at) { wake_at(at); };
    polls_ = Polls::make(std::move(outside), options_.polls);
    if (!options_.has_own_thread) return;
    thread_ = std::thread([this] { run(); });
    reader_ = std::thread([this] { read_large(); });
  }

  void stop() {
    if (stopped_.exchange(true)) return;
    shards_.stop();
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    if (reader_.joinable()) reader_.join();
    polls_->stop();
  }

  Polls& polls() { return *polls_; }

  void handle(http::Request request, http::Reply reply) {
    if (stopped_)
      return refuse(request, reply, {Code::shutting_down, "the server is stopping", {}});
    if (request.path == kPoll) return poll(request, reply);
    if (requests_.fetch_add(1) >= options_.requests_max) {
      --requests_;
      return refuse(request, reply, {Code::overloaded, "too many workers ask at once", {}});
    }
    // Shared with the calls under way, for the count's sake.
    http::Reply counted = [self = shared_from_this(),
                           reply = std::move(reply)](http::Response response) {
      --self->requests_;
      reply(std::move(response));
    };
    if (request.body.size() <= kReadHere || !options_.has_own_thread)
      return serve(request, counted);
    const std::lock_guard lock(mutex_);
    large_.push_back([this, request = std::move(request), counted] { serve(request, counted); });
    changed_.notify_all();
  }

 private:
  static void refuse(const http::Request& request, const http::Reply& reply, const Error& error) {
    reply(http::problem(error, request.request_id));
  }

  void serve(const http::Request& request, const http::Reply& reply) {
    if (request.path == kRegister) return register_worker(request, reply);
    if (request.path == kHeartbeat) return heartbeat(request, reply);
    if (request.path == kComplete) return complete(request, reply);
    if (request.path == kWorkers) return list(request, reply);
    if (const auto id = worker_of(request.path, kDrain)) return drain(request, reply, *id, true);
    if (const auto id = worker_of(request.path, kResume)) return drain(request, reply, *id, false);
    forward(request, reply);
  }

  // To one shard, as it is.
  void forward(const http::Request& request, const http::Reply& reply) {
    int shard = 0;
    for (int i = count_ - 1; i >= 0; --i) {
      if (shards_.is_here(i)) shard = i;
    }
    shards_.call(shard, request_like(request, request.target, request.body), reply);
  }

  // The calls of `body`, one for each shard that is `wanted`.
  std::vector<std::pair<int, http::Request>> calls_to(const std::vector<bool>& wanted,
                                                      const http::Request& request,
                                                      const std::vector<std::string>& bodies) {
    std::vector<std::pair<int, http::Request>> calls;
    for (int i = 0; i < count_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (!wanted[at]) continue;
      calls.emplace_back(
          i, request_like(request, request.target, bodies.size() == 1 ? bodies[0] : bodies[at]));
    }
    return calls;
  }
  std::vector<bool> all() const {
    return std::vector<bool>(static_cast<std::size_t>(count_), true);
  }

  std::string make_id() {
    const std::lock_guard lock(mutex_);
    return to_string(make_uuid(clock_.now(), rng_));
  }

  void register_worker(const http::Request& request, const http::Reply& reply) {
    Result<Value> body = parse_json(request.body);
    if (!body || !body->is_object()) return forward(request, reply);
    const std::string id = make_id();
    body->set("worker_id", id);
    auto calls = calls_to(all(), request, {to_json(*body)});
    gather(shards_, std::move(calls),
           [self = shared_from_this(), reply, id, body = std::move(*body)](const Answers& answers) {
             if (const http::Response* no = refusal_of(answers)) return reply(*no);
             // Its name may be somebody's yet.
             for (const auto& answer : answers)
               if (answer && is_unavailable(*answer)) return reply(*answer);
             const auto good = std::ranges::find_if(answers, is_good_answer);
             if (good == answers.end()) return reply(*failure_of(answers));
             self->guests_->registered(id, body, self->now());
             // Each shard says the id that it was told; the rhythm is everybody's. Those that are
             // away are told once they do not know it (known_again.h).
             reply(**good);
           });
  }

  void poll(const http::Request& request, const http::Reply& reply) {
    const Result<Value> body = parse_json(request.body);
    const std::string worker = body ? body->string_or("worker_id", "") : "";
    const auto max = body ? integer_of(*body, "max", 1, 1, kMaxOfPoll) : std::nullopt;
    const auto wait = body ? integer_of(*body, "wait_ms", 0, INT64_MIN, INT64_MAX) : std::nullopt;
    if (worker.empty() || !max || !wait) return forward(request, reply);
    PollWish wish = wish_of(request, guests_->sort_of(worker, holds_of(*body), now()));
    wish.worker_id = worker;
    wish.members = members_but(*body, {"max", "wait_ms", "parks_ms", "wants_next", "priority_min"});
    wish.max = static_cast<int>(*max);
    wish.wait = Millis(std::clamp<std::int64_t>(*wait, 0, kWaitMax));
    wish.done = [reply](PollEnd end) {
      reply(end.refusal ? std::move(*end.refusal) : json(tasks_body(end.tasks)));
    };
    if (!polls_->add(std::move(wish)))
      refuse(request, reply, {Code::overloaded, "too many workers wait for tasks", {}});
  }

  void heartbeat(const http::Request& request, const http::Reply& reply) {
    const auto parts = split(request.body, "tasks", count_);
    if (!parts) return forward(request, reply);
    const std::vector<bool> wanted =
        guests_->beats(parts->worker_id, parts->has_some, options_.polls.keep_alive, now());
    auto calls = calls_to(wanted, request, parts->bodies);
    // Somebody has to look at the token, and whether the worker is known.
    if (calls.empty()) return forward(request, reply);
    gather(shards_, std::move(calls), [reply, has_some = parts->has_some](const Answers& answers) {
      if (const http::Response* no = refusal_of(answers)) return reply(*no);
      std::vector<std::string> good;
      for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& answer = answers[i];
        if (answer && is_good(*answer)) good.push_back(answer->body);
        if (answer && is_failure(*answer) && has_some[i]) return reply(*answer);
      }
      if (good.empty()) return reply(*failure_of(answers));
      reply(json(merge_heartbeats(good, static_cast<int>(answers.size()))));
    });
  }

  // The one shard whose tasks these are.
  static std::optional<int> only_shard(const Parts& parts) {
    if (std::ranges::count(parts.has_some, true) != 1) return std::nullopt;
    return static_cast<int>(std::ranges::find(parts.has_some, true) - parts.has_some.begin());
  }

  void complete(const http::Request& request, const http::Reply& reply) {
    const auto parts = split(request.body, "results", count_);
    if (!parts) return forward(request, reply);
    Guests::Sort sort = guests_->sort_of(parts->worker_id, parts->holds, now());
    if (const auto shard = only_shard(*parts); shard && polls_->is_only(sort.kind, *shard)) {
      return shards_.call(*shard, request_like(request, request.target, request.body),
                          [reply, polls = polls_, worker = parts->worker_id,
                           is_counted = sort.is_counted](http::Response response) {
                            const bool is_given =
                                is_counted &&
                                !items_of(response.body, "tasks").value_or(Items()).empty();
                            reply(std::move(response));
                            if (is_given) polls->end_polls_of(worker);
                          });
    }
    auto calls = calls_to(parts->has_some, request, parts->bodies);
    // Shared by the two halves of the request.
    const auto said = std::make_shared<std::vector<std::string>>();
    std::uint64_t ticket = 0;
    if (parts->max > 0) {
      PollWish wish = wish_of(request, std::move(sort));
      wish.worker_id = parts->worker_id;
      wish.ended = parts->has_some;
      wish.members = parts->poll_members;
      wish.max = parts->max;
      wish.done = [reply, said, polls = polls_, worker = parts->worker_id,
                   is_counted = wish.is_counted, is_alone = calls.empty()](PollEnd end) {
        if (is_alone && end.refusal) return reply(std::move(*end.refusal));
        reply(json(merge_completions(*said, end.tasks)));
        if (is_counted && !end.tasks.empty()) polls->end_polls_of(worker);
      };
      ticket = polls_->announce(std::move(wish));
    }
    if (calls.empty()) return ticket == 0 ? forward(request, reply) : polls_->go(ticket);
    gather(shards_, std::move(calls),
           [polls = polls_, reply, said, ticket](const Answers& answers) {
             const http::Response* no = refusal_of(answers);
             if (no == nullptr) no = failure_of(answers);
             if (no != nullptr) {
               polls->drop(ticket);
               return reply(*no);
             }
             for (const auto& answer : answers) {
               if (answer) said->push_back(answer->body);
             }
             ticket == 0 ? reply(json(merge_completions(*said, {}))) : polls->go(ticket);
           });
  }

  void drain(const http::Request& request, const http::Reply& reply, const std::string& worker,
             bool draining) {
    // First: its next empty answers say nothing of others.
    if (draining) note_draining(worker, true);
    gather(shards_, calls_to(all(), request, {request.body}),
           [self = shared_from_this(), reply, worker, draining](const Answers& answers) {
             const auto good = std::ranges::find_if(answers, is_good_answer);
             const bool is_drained = draining && good != answers.end();
             self->note_draining(worker, is_drained);
             const http::Response* no = failure_of(answers);
             // A shard with a new leader may not know the worker yet, nor give it anything.
             if (no == nullptr && good == answers.end()) no = refusal_of(answers);
             reply(no != nullptr ? *no : **good);
           });
  }

  void note_draining(const std::string& worker, bool draining) {
    if (const auto kind = guests_->set_draining(worker, draining, now()))
      polls_->set_kind(worker, *kind);
  }

  // --- the list of workers ---

  struct Listing {
    http::Request request;
    http::Reply reply;
    std::string after;
    std::size_t limit = 0;
    std::vector<List> lists;           // by shard
    std::vector<std::string> cursors;  // by shard: of its next page
    int pages = 0;
  };

  // All pages of all shards each time: the list is small, and the shards' cursors are their own.
  // The cursor is the id after which the next page begins.
  void list(const http::Request& request, const http::Reply& reply) {
    const std::string* limit = request.query_value("limit");
    const std::string* cursor = request.query_value("cursor");
    int size = kPageUsual;
    if (limit != nullptr) {
      const char* end = limit->data() + limit->size();
      const auto read = std::from_chars(limit->data(), end, size);
      if (read.ec != std::errc{} || read.ptr != end || size < 1 || size > kPageMax)
        return forward(request, reply);
    }
    if (cursor != nullptr && !cursor->empty() && !parse_uuid(*cursor)) {
      return refuse(request, reply,
                    {Code::invalid_cursor,
                     "send the next_cursor of the page before, or none for the first",
                     {}});
    }
    // Shared by the pages that are asked for.
    const auto listing = std::make_shared<Listing>();
    listing->request = request;
    listing->request.body.clear();
    listing->reply = reply;
    listing->after = cursor == nullptr ? "" : *cursor;
    listing->limit = static_cast<std::size_t>(size);
    listing->lists.resize(static_cast<std::size_t>(count_));
    listing->cursors.resize(static_cast<std::size_t>(count_));
    ask_pages(listing, all());
  }

  void ask_pages(const std::shared_ptr<Listing>& listing, const std::vector<bool>& wanted) {
    std::vector<std::pair<int, http::Request>> calls;
    for (int i = 0; i < count_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (!wanted[at]) continue;
      std::string target = std::string(kWorkers) + "?limit=" + std::to_string(kPageMax);
      if (!listing->cursors[at].empty())
        target += "&cursor=" + percent_encode(listing->cursors[at]);
      http::Request request = request_like(listing->request, target, {});
      request.query.clear();
      if (http::read_target(target, request)) calls.emplace_back(i, std::move(request));
    }
    gather(shards_, std::move(calls), [self = shared_from_this(), listing](const Answers& answers) {
      self->take_pages(listing, answers);
    });
  }

  void take_pages(const std::shared_ptr<Listing>& listing, const Answers& answers) {
    if (const http::Response* no = refusal_of(answers)) return listing->reply(*no);
    const bool is_first = listing->pages++ == 0;
    std::vector<bool> more(answers.size(), false);
    bool has_more = false, has_good = false;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i] || !is_good(*answers[i])) continue;
      const Result<Value> body = parse_json(answers[i]->body, wire::kOwnJson);
      const Value* items = body ? body->find("items") : nullptr;
      if (items == nullptr || !items->is_list()) continue;
      has_good = true;
      List& list = listing->lists[i];
      list.insert(list.end(), items->as_list().begin(), items->as_list().end());
      listing->cursors[i] = body->string_or("next_cursor", "");
      more[i] = !listing->cursors[i].empty() && listing->pages < kPagesMax;
      has_more |= more[i];
    }
    if (is_first && !has_good) {
      const http::Response* no = failure_of(answers);
      return listing->reply(no != nullptr ? *no : *answers.front());
    }
    if (has_more) return ask_pages(listing, more);
    show(*listing);
  }

  static void show(const Listing& listing) {
    const List workers = merge_workers(listing.lists);
    JsonWriter out;
    out.open('{').key("items").open('[');
    std::string last, next;
    std::size_t shown = 0;
    for (const Value& worker : workers) {
      const std::string id = worker.string_or("id", "");
      if (id <= listing.after) continue;
      if (shown++ == listing.limit) {
        next = last;
        break;
      }
      out.value(worker);
      last = id;
    }
    listing.reply(json(out.close(']').text_or_null("next_cursor", next).close('}').take()));
  }

  // --- its own threads ---

  Instant now() const { return clock_.now(); }

  void wake_at(Instant at) {
    const std::lock_guard lock(mutex_);
    if (due_ && due_ <= at) return;
    due_ = at;
    changed_.notify_all();
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!is_over_) {
      if (!due_) {
        changed_.wait(lock);
      } else if (const Millis left = due_ - now(); left > Millis(0)) {
        changed_.wait_for(lock, left);
      } else {
        due_ = {};
        lock.unlock();
        polls_->tick();
        lock.lock();
      }
    }
  }

  // Aside: rounds of polls do not wait for it.
  void read_large() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return is_over_ || !large_.empty(); });
      if (large_.empty()) return;
      std::function<void()> serve = std::move(large_.front());
      large_.pop_front();
      lock.unlock();
      serve();
      serve = nullptr;
      lock.lock();
    }
  }

  const std::shared_ptr<Guests> guests_ = std::make_shared<Guests>();  // before shards_
  KnownAgain shards_;
  Clock& clock_;
  const LobbyOptions options_;
  const int count_;
  std::shared_ptr<Polls> polls_;  // shared with the calls under way
  std::atomic<int> requests_{0};
  std::atomic<bool> stopped_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Rng rng_;
  Instant due_;                              // when polls_ wants a tick; 0: not at all
  std::deque<std::function<void()>> large_;  // requests whose reading takes long
  bool is_over_ = false;
  std::thread thread_, reader_;
};

Lobby::Lobby(Shards& shards, Clock& clock, LobbyOptions options,
             std::function<void(int)> tell_ready)
    : state_(std::make_shared<State>(shards, clock, options)) {
  state_->start(std::move(tell_ready));
}

Lobby::~Lobby() { stop(); }

bool Lobby::takes(const http::Request& head) {
  if (head.method == "GET") return head.path == kWorkers;
  if (head.method != "POST") return false;
  return head.path == kRegister || head.path == kPoll || head.path == kHeartbeat ||
         head.path == kComplete || worker_of(head.path, kDrain) || worker_of(head.path, kResume);
}

http::Admission Lobby::admit(const http::Request& head) {
  if (head.path == kComplete) return {.body_max = kCompleteBody};
  return {.body_max = head.path == kHeartbeat ? kHeartbeatBody : kSmallBody};
}

void Lobby::handle(http::Request request, http::Reply reply) {
  state_->handle(std::move(request), std::move(reply));
}

void Lobby::ready(int shard, bool here) { state_->polls().ready(shard, here); }
void Lobby::shards_changed() { state_->polls().shards_changed(); }
void Lobby::tick() { state_->polls().tick(); }
void Lobby::stop() { state_->stop(); }
std::size_t Lobby::polls() const { return state_->polls().size(); }

}  // namespace mc::cluster
