#include "bin/replica_gate.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/api.h"
#include "base/json.h"
#include "bin/shared_limits.h"
#include "cluster/shards.h"
#include "db/shard.h"
#include "http/problem.h"
#include "wire/logs_codec.h"

namespace mc::bin {
namespace {
constexpr std::array kAlive = {"/healthz", "/health", "/api/health"};
constexpr std::array kReady = {"/readyz", "/ready", "/api/ready"};
constexpr std::string_view kFigures = "/metrics";
constexpr std::string_view kWorkers = "/api/v1/worker/";
constexpr std::string_view kLogs = "/api/v1/worker/logs";
constexpr std::string_view kHooks = "/api/v1/hooks/", kGithub = "/api/v1/webhooks/";
const Error kNobodyLeads{Code::overloaded, "no replica leads at the moment", {}};

bool is_one_of(const auto& paths, std::string_view path) {
  return std::ranges::find(paths, path) != paths.end();
}

bool is_own(std::string_view path) {
  return is_one_of(kAlive, path) || is_one_of(kReady, path) || path == kFigures;
}

Result<wire::LogsRequest> read_json_logs(const std::string& body) {
  const Result<Value> value = parse_json(body);
  return value ? wire::decode_logs_request(*value) : value.error();
}

// Deletes nothing: holds what takes a body, and the Stack that it belongs to.
struct KeepsStack {
  std::shared_ptr<Stack> stack;
  std::shared_ptr<http::BodySink> sink;
  void operator()(http::BodySink*) const {}
};

std::optional<int> named_shard(const http::Request& head) {
  const std::string* text = head.header(cluster::kShardHeader);
  int shard = -1;
  if (text == nullptr) return std::nullopt;
  std::from_chars(text->data(), text->data() + text->size(), shard);
  return shard;
}
}  // namespace

void ReplicaGate::open(TokenReader& tokens, cluster::Lobby& lobby, cluster::Shards& calls) {
  calls_ = &calls;
  lobby_ = &lobby;
  tokens_ = &tokens;
}

void ReplicaGate::note_database(const Status& answers) {
  const std::lock_guard lock(mutex_);
  database_ = answers;
}

void ReplicaGate::watch(const redis::Keeper* redis) {
  const std::lock_guard lock(mutex_);
  redis_ = redis;
}

ReplicaGate::Aim ReplicaGate::aim_of(const http::Request& head) const {
  if (is_own(head.path)) return {.kind = Aim::Kind::own};
  if (tokens_ == nullptr || seats_.count() == 0) return {.kind = Aim::Kind::unknown};
  const std::string_view token = api::bearer_of(head);
  TokenReader::Project project;
  if (!token.empty()) project = tokens_.load()->project_of(token);
  if (project.known == TokenReader::Known::not_yet) return {.kind = Aim::Kind::unknown};
  if (seats_.count() == 1) return {Aim::Kind::shard, 0};
  // A client may say it, too, and harms nobody: workers serve all projects.
  if (cluster::Lobby::takes(head)) {
    const auto shard = named_shard(head);
    return shard ? Aim{Aim::Kind::shard, *shard} : Aim{.kind = Aim::Kind::lobby};
  }
  if (head.path.starts_with(kWorkers)) return aim_by_task(head);
  if (head.path.starts_with(kHooks) || head.path.starts_with(kGithub)) {
    const std::string* named = head.query_value("project");
    project = {TokenReader::Known::yes,
               named == nullptr || named->empty() ? std::string(api::kDefaultProject) : *named};
  }
  // Whoever is asked refuses a token that nobody knows.
  if (project.known != TokenReader::Known::yes) return {};
  return {Aim::Kind::shard, db::shard_of(project.name, seats_.count())};
}

// Calls of a worker that name their task.
ReplicaGate::Aim ReplicaGate::aim_by_task(const http::Request& head) const {
  const std::string* task = head.query_value("task_id");
  if (task == nullptr && head.path == kLogs) return {.kind = Aim::Kind::log};
  const auto shard = task != nullptr ? cluster::shard_of_task(*task) : std::nullopt;
  // Any shard says that it does not know such a task.
  return shard && *shard < seats_.count() ? Aim{Aim::Kind::shard, *shard} : Aim{};
}

Seats::Seat ReplicaGate::seat_for(const Aim& aim) const {
  return aim.kind == Aim::Kind::shard ? seats_.find(aim.shard) : seats_.any();
}

std::optional<http::Elsewhere> ReplicaGate::elsewhere(const http::Request& head) {
  const Aim aim = aim_of(head);
  if (aim.kind == Aim::Kind::own) return std::nullopt;
  if (aim.kind == Aim::Kind::unknown) return http::Elsewhere{};
  Seats::Seat seat = seat_for(aim);
  if (seat.stack) return std::nullopt;
  // Whoever asks for a lobby has others to ask and must not wait here.
  if (head.header(cluster::kShardHeader) != nullptr && cluster::Lobby::takes(head))
    return std::nullopt;
  // Who has passed it on may know less than this replica: once more, then it is refused.
  const std::string* passed = head.header(http::kPassedOn);
  if (!seat.address.empty() && passed != nullptr && *passed != "1") return std::nullopt;
  return http::Elsewhere{
      .address = std::move(seat.address),
      .headers = {{std::string(http::kPassedOn), passed == nullptr ? "1" : "2"}}};
}

http::Admission ReplicaGate::admit(const http::Request& head) {
  http::Admission admission;
  if (is_own(head.path)) return admission;
  const Seats::Seat seat = seat_for(aim_of(head));
  if (!seat.stack) {
    admission.refusal = answer(head);
    return admission;
  }
  admission = seat.stack->api().admit(head);
  // What takes the body writes to the Stack's store of blobs.
  if (http::BodySink* sink = admission.sink.get())
    admission.sink = {sink, KeepsStack{seat.stack, std::move(admission.sink)}};
  return admission;
}

void ReplicaGate::handle(http::Request request, http::Reply reply) {
  if (request.path == kFigures) return tell_figures(std::move(request), std::move(reply));
  if (is_own(request.path)) return reply(answer(request));
  const Aim aim = aim_of(request);
  const Seats::Seat seat = seat_for(aim);
  const auto* admitted = std::get_deleter<KeepsStack>(request.sink);
  // What took the body belongs to a Stack of before.
  const bool moved = admitted != nullptr && admitted->stack != seat.stack;
  if (!seat.stack || moved) return reply(answer(request));
  if (aim.kind == Aim::Kind::lobby)
    return lobby_.load()->handle(std::move(request), std::move(reply));
  if (aim.kind == Aim::Kind::log) return pass_log(std::move(request), std::move(reply));
  // Asked again when the answer leaves: the process may have stood still in between, and what it
  // remembers may no longer be true.
  const std::string id = request.request_id;
  api::Api& api = seat.stack->api();
  api.handle(std::move(request),
             [this, id, stack = seat.stack, reply = std::move(reply)](http::Response response) {
               reply(seats_.leads() ? std::move(response) : http::problem(kNobodyLeads, id));
             });
}

http::Response ReplicaGate::answer(const http::Request& request) const {
  if (is_one_of(kAlive, request.path))
    return {.content_type = "application/json", .body = "{\"status\":\"ok\"}"};
  if (is_one_of(kReady, request.path)) return readiness();
  return http::problem(kNobodyLeads, request.request_id);
}

// Workers of a release that knew no shards name the task in the body alone.
void ReplicaGate::pass_log(http::Request request, http::Reply reply) const {
  const std::string* type = request.header("content-type");
  Result<wire::LogsRequest> logs = type != nullptr && *type == wire::kRawLogs
                                       ? wire::decode_raw_logs(request.body)
                                       : read_json_logs(request.body);
  // Any shard says what is wrong with it.
  const auto shard = logs ? cluster::shard_of_task(logs->task_id) : std::nullopt;
  calls_.load()->call(shard.value_or(0), std::move(request), std::move(reply));
}

void ReplicaGate::tell_figures(http::Request request, http::Reply reply) const {
  const auto here = seats_.leads() ? seats_.here() : std::vector<std::shared_ptr<Stack>>();
  std::string text =
      "# HELP maestro_leading How many shards this replica leads.\n"
      "# TYPE maestro_leading gauge\nmaestro_leading " +
      std::to_string(here.size()) + "\n";
  if (here.empty()) {
    const std::lock_guard lock(mutex_);
    if (redis_ != nullptr) text += redis_metrics(*redis_);
    return reply({.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text});
  }
  // Any of them tells of all: they share what they count.
  api::Api& api = here.front()->api();
  api.handle(std::move(request),
             [text, stack = here.front(), reply = std::move(reply)](http::Response response) {
               if (response.status == 200) response.body.insert(0, text);
               reply(std::move(response));
             });
}

// Ready means that requests here are served, by this replica or through it, but for those to shards
// that go from one replica to another just now: those wait.
http::Response ReplicaGate::readiness() const {
  const std::vector<Seats::Standing> all = seats_.standings();
  const auto mine = std::ranges::count_if(all, &Seats::Standing::is_mine);
  const bool served = std::ranges::any_of(all, &Seats::Standing::is_served);
  const bool takes_over = std::ranges::any_of(
      all, [](const Seats::Standing& each) { return each.is_mine && !each.is_served; });
  const std::lock_guard lock(mutex_);
  const bool ready = database_.ok() && served && tokens_ != nullptr;
  const std::string trouble = database_.ok() ? "" : database_.error().message;
  const bool is_schema = !database_.ok() && database_.error().code == Code::schema_unfit;
  JsonWriter out;
  out.open('{').field("status", ready ? "ready" : "not_ready").key("checks").open('{');
  out.field("database", database_.ok() || is_schema ? "ok" : trouble);
  // Where the database does not answer, nobody knows of its schema.
  out.field("migrations", database_.ok() ? "ok" : is_schema ? trouble : "unknown");
  out.field("lease", takes_over ? "takes over"
                     : mine > 0 ? "leads"
                     : served   ? "follows"
                                : "nobody leads");
  if (redis_ != nullptr) out.field("redis", redis_->state());
  out.close('}').field("leads", static_cast<std::int64_t>(mine));
  out.key("shards").open('[');
  for (const Seats::Standing& standing : all) {
    out.open('{').field("shard", std::int64_t{standing.shard});
    out.text_or_null("leader", standing.leader);
    if (!standing.trouble.empty()) out.field("trouble", standing.trouble);
    out.close('}');
  }
  out.close(']').close('}');
  http::Response response{.status = ready ? 200 : 503, .content_type = "application/json"};
  if (!ready) response.headers.push_back({"Retry-After", "1"});
  response.body = out.take();
  return response;
}

}  // namespace mc::bin
