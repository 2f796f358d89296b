#include "api/call.h"

#include <fmt/format.h>

#include "api/body.h"
#include "base/log.h"
#include "base/text.h"
#include "http/problem.h"

namespace mc::api {
namespace {
const std::string kNothing;

// What people change is worth a line, what goes wrong here is worth a warning; the rest only for
// who looks closer. A path holds ids and names, never a secret; a query is not shown.
LogLevel level_of(const Call& call, int status) {
  if (status >= 500) return LogLevel::warn;
  const bool reads = call.request.method == "GET" || call.request.method == "HEAD";
  const bool of_worker = call.request.path.starts_with("/api/v1/worker/");
  return reads || of_worker || status >= 400 ? LogLevel::debug : LogLevel::info;
}
}  // namespace

void Call::answer(http::Response response) const {
  const auto took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - began);
  world->counts->metrics.count(route_index, response.status, took);
  const LogLevel level = level_of(*this, response.status);
  if (logs(level)) {
    log(level, "request",
        {{"method", request.method},
         {"path", request.path},
         {"status", std::int64_t{response.status}},
         {"ms", std::int64_t{took.count()}},
         {"by", principal.name},
         {"request_id", request.request_id}});
  }
  reply(std::move(response));
}

void Call::fail(const Error& error) const { answer(http::problem(error, request.request_id)); }

void Call::json(std::string body, int status) const {
  answer({.status = status, .content_type = "application/json", .body = std::move(body)});
}

void Call::created(std::string body, std::string location) const {
  answer({.status = 201,
          .content_type = "application/json",
          .headers = {{"Location", std::move(location)}},
          .body = std::move(body)});
}

void Call::no_content() const { answer({.status = 204}); }

const std::string& Call::query(std::string_view name) const {
  const std::string* value = request.query_value(name);
  return value == nullptr ? kNothing : *value;
}

std::string media_type(const http::Request& request) {
  const std::string* given = request.header("content-type");
  if (given == nullptr) return {};
  return to_lower(trim(std::string_view(*given).substr(0, given->find(';'))));
}

bool Call::accepts(std::string_view media_type) const {
  const std::string* accept = request.header("accept");
  if (accept == nullptr) return false;
  for (const std::string& part : split(*accept, ',')) {
    const std::string_view name = trim(std::string_view(part).substr(0, part.find(';')));
    if (to_lower(name) == media_type) return true;
  }
  return false;
}

conductor::Done<std::string> json_or_error(CallPtr call, int status) {
  return [call = std::move(call), status](Result<std::string> result) {
    if (!result) return call->fail(result.error());
    call->json(std::move(*result), status);
  };
}

conductor::Done<bool> no_content_or_error(CallPtr call) {
  return [call = std::move(call)](Result<bool> result) {
    result ? call->no_content() : call->fail(result.error());
  };
}

Error stopping() { return {Code::shutting_down, "the server is stopping", {}}; }

void offload(const CallPtr& call, std::function<void()> work) {
  if (call->world->pool.run(std::move(work))) return;
  const bool stopped = call->world->stopped;
  call->fail(stopped ? stopping()
                     : Error{Code::overloaded, "too many requests wait: try again soon", {}});
}

Result<Uuid> run_id(const Call& call) {
  const auto id = parse_uuid(call.params.at(0));
  if (!id || !*id) {
    return Error{Code::run_not_found, "there is no run " + call.params.at(0), {}};
  }
  return *id;
}

Result<int> read_limit(const Call& call, int fallback, int max) {
  const Result<std::int64_t> limit = read_number(call, "limit", fallback, 1, max);
  if (!limit) return limit.error();
  return static_cast<int>(*limit);
}

Result<std::int64_t> read_number(const Call& call, std::string_view name, std::int64_t fallback,
                                 std::int64_t min, std::int64_t max) {
  const std::string& text = call.query(name);
  if (text.empty()) return fallback;
  const auto number = read_integer(text, min, max);
  if (number) return *number;
  return Error{Code::invalid_field,
               fmt::format("{}: an integer from {} to {} is wanted", name, min, max),
               {}};
}
}  // namespace mc::api
