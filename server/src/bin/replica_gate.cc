#include "bin/replica_gate.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "bin/shared_limits.h"
#include "http/problem.h"

namespace mc::bin {
namespace {
constexpr std::array kAlive = {"/healthz", "/health", "/api/health"};
constexpr std::array kReady = {"/readyz", "/ready", "/api/ready"};
constexpr std::string_view kFigures = "/metrics";
const Error kNobodyLeads{Code::overloaded, "no replica leads at the moment", {}};

bool is_one_of(const auto& paths, std::string_view path) {
  return std::ranges::find(paths, path) != paths.end();
}

bool is_own(std::string_view path) {
  return is_one_of(kAlive, path) || is_one_of(kReady, path) || path == kFigures;
}

// "GET /path?query HTTP/1.1": /path
std::string_view path_of(std::string_view start) {
  const std::size_t from = std::min(start.find(' '), start.size());
  std::string_view target = start.substr(std::min(from + 1, start.size()));
  return target.substr(0, target.find_first_of(" ?\r\n"));
}

bool was_passed_on(std::string_view start) {
  const std::size_t line = start.find("\r\n");
  return line != std::string_view::npos && start.substr(line + 2).starts_with(http::kPassedOn);
}
}  // namespace

void ReplicaGate::follow(const std::string& leader, const std::string& address) {
  const std::lock_guard lock(mutex_);
  leader_ = leader;
  address_ = address;
}

void ReplicaGate::lead_until(Deadline deadline, const std::string& own_name) {
  follow(own_name, {});
  leads_until_ = deadline;
  if (shut_) leads_until_ = Deadline::min();
}

void ReplicaGate::shut() {
  shut_ = true;
  leads_until_ = Deadline::min();
  follow({}, {});
}

void ReplicaGate::note_database(const std::string& trouble) {
  const std::lock_guard lock(mutex_);
  trouble_ = trouble;
}

void ReplicaGate::watch(const redis::Keeper* redis) {
  const std::lock_guard lock(mutex_);
  redis_ = redis;
}

bool ReplicaGate::leads() const { return std::chrono::steady_clock::now() < leads_until_.load(); }

http::Admission ReplicaGate::admit(const http::Request& head) {
  if (leads() && !is_one_of(kReady, head.path)) return api_.admit(head);
  http::Admission admission;
  if (!is_own(head.path)) admission.refusal = answer(head);
  return admission;
}

void ReplicaGate::handle(http::Request request, http::Reply reply) {
  if (!leads() || is_one_of(kReady, request.path)) return reply(answer(request));
  if (is_own(request.path)) return api_.handle(std::move(request), std::move(reply));
  // Asked again when the answer leaves: the process may have stood still in between, and what it
  // remembers may no longer be true.
  const std::string id = request.request_id;
  api_.handle(std::move(request), [this, id, reply = std::move(reply)](http::Response response) {
    reply(leads() ? std::move(response) : http::problem(kNobodyLeads, id));
  });
}

http::Response ReplicaGate::answer(const http::Request& request) const {
  if (is_one_of(kAlive, request.path))
    return {.content_type = "application/json", .body = "{\"status\":\"ok\"}"};
  if (is_one_of(kReady, request.path)) return readiness();
  if (request.path == kFigures) return figures();
  return http::problem(kNobodyLeads, request.request_id);
}

http::Response ReplicaGate::figures() const {
  const std::lock_guard lock(mutex_);
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body =
              "# HELP maestro_leading Whether this replica leads its cluster.\n"
              "# TYPE maestro_leading gauge\nmaestro_leading 0\n" +
              (redis_ != nullptr ? redis_metrics(*redis_) : "")};
}

// Ready means that a request here would be served, by this replica or through it.
http::Response ReplicaGate::readiness() const {
  const bool leading = leads();
  const bool serves = leading && api_.is_open();
  const std::lock_guard lock(mutex_);
  const bool ready = trouble_.empty() && (serves || (!leading && !address_.empty()));
  JsonWriter out;
  out.open('{').field("status", ready ? "ready" : "not_ready").key("checks").open('{');
  out.field("database", trouble_.empty() ? "ok" : trouble_);
  out.field("migrations", "ok");  // one that cannot work on the schema has that as trouble
  out.field("lease", serves             ? "leads"
                     : leading          ? "takes over"
                     : address_.empty() ? "nobody leads"
                                        : "follows");
  if (redis_ != nullptr) out.field("redis", redis_->state());
  out.close('}').text_or_null("leader", leader_).close('}');
  http::Response response{.status = ready ? 200 : 503, .content_type = "application/json"};
  if (!ready) response.headers.push_back({"Retry-After", "1"});
  response.body = out.take();
  return response;
}

std::optional<std::string> ReplicaGate::elsewhere(std::string_view start) {
  const bool serves = leads() && api_.is_open();
  if (serves || is_own(path_of(start))) return std::nullopt;
  if (was_passed_on(start))
    return "";  // never twice: this replica leads soon, or the sender learns
  const std::lock_guard lock(mutex_);
  return address_;
}

}  // namespace mc::bin
