#include "cli/server.h"

#include <algorithm>
#include <cctype>
#include <thread>

#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"

namespace mc::cli {
namespace {

constexpr int kCreateAttemptsMax = 3;
constexpr Millis kCreatePause{150}, kCreatePauseMost{1'000};
constexpr Millis kBusyRetryFor{20'000};  // longer than replicas need to start over

const std::string& header_of(const client::Answer& answer, std::string_view name) {
  static const std::string kNone;
  for (const auto& [have, value] : answer.headers)
    if (have == name) return value;
  return kNone;
}

// For a code that this build does not know: the nearest of the same status.
Code code_of_status(int status) {
  switch (status) {
    case 400: return Code::malformed_request;
    case 401: return Code::unauthenticated;
    case 403: return Code::forbidden;
    case 404: return Code::not_found;
    case 409: return Code::conflict;
    case 412: return Code::precondition_failed;
    case 413: return Code::too_large;
    case 422: return Code::invalid_field;
    case 429: return Code::rate_limited;
    case 502:  // a proxy's word: the server behind it fell, or did not answer in time
    case 504: return Code::unreachable;
    case 503: return Code::overloaded;
    default: return status < 500 ? Code::malformed_request : Code::internal;
  }
}

std::vector<Problem> problems_of(const Value& body) {
  std::vector<Problem> problems;
  const Value* errors = body.find("errors");
  if (errors == nullptr || !errors->is_list()) return problems;
  for (const Value& one : errors->as_list()) {
    problems.push_back({.line = static_cast<int>(one.int_or("line", 0)),
                        .column = static_cast<int>(one.int_or("column", 0)),
                        .code = one.string_or("code", ""),
                        .message = one.string_or("message", ""),
                        .hint = one.string_or("hint", "")});
  }
  return problems;
}

}  // namespace

bool is_passing(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::overloaded ||
         error.code == Code::shutting_down || error.code == Code::rate_limited;
}

Server::Server(std::unique_ptr<client::Transport> transport) : transport_(std::move(transport)) {}

Error Server::problem_of(const client::Answer& answer) {
  const Result<Value> body = parse_json(answer.body);
  if (!body.ok() || !body->is_object()) {
    return Error{code_of_status(answer.status),
                 "the server answered " + std::to_string(answer.status) + " without saying why",
                 {}};
  }
  Error error;
  error.code = code_from_name(body->string_or("code", ""), code_of_status(answer.status));
  error.message = body->string_or("detail", body->string_or("title", code_title(error.code)));
  error.problems = problems_of(*body);
  return error;
}

Result<client::Answer> Server::send(const client::Call& call) {
  Result<client::Answer> answer = transport_->send(call);
  if (answer.ok()) {
    request_id_ = header_of(*answer, "x-request-id");
    last_status_ = answer->status;
  } else {
    request_id_.clear();
  }
  return answer;
}

Result<Value> Server::call(const client::Call& call) { return value_of(send(call)); }

Result<Value> Server::value_of(const Result<client::Answer>& answer) {
  if (!answer.ok()) return answer.error();
  if (answer->status >= 400) return problem_of(*answer);
  if (answer->body.empty()) return Value();
  Result<Value> body = parse_json(answer->body);
  if (!body.ok())
    return Error{
        Code::unreachable, "what answers there is no Maestro server: its answer is not JSON", {}};
  return body;
}

Result<Value> Server::get(const std::string& path, Millis timeout) {
  client::Call request;
  request.path = path;
  request.timeout = timeout;
  return call(std::move(request));
}

Result<Value> Server::get_all(const std::string& path) {
  const std::string first = path + (path.find('?') == std::string::npos ? "?" : "&") + "limit=100";
  List items;
  for (std::string at = first;;) {
    Result<Value> page = get(at);
    if (!page.ok()) return page;
    const Value* some = page->find("items");
    if (some != nullptr && some->is_list())
      items.insert(items.end(), some->as_list().begin(), some->as_list().end());
    const std::string cursor = page->string_or("next_cursor", "");
    if (cursor.empty()) break;
    at = first + "&cursor=" + percent_encode(cursor);
  }
  Value all{Object{}};
  all.set("items", std::move(items));
  all.set("next_cursor", Value());
  return all;
}

Result<Value> Server::post(const std::string& path, const Value& body) {
  client::Call request;
  request.method = "POST";
  request.path = path;
  request.body = to_json(body);
  return call(std::move(request));
}

Result<Value> Server::create(const std::string& path, const Value& body) {
  Rng rng(random_seed());
  const std::string key = to_string(make_uuid(system_clock().now(), rng));
  client::Call request;
  request.method = "POST";
  request.path = path;
  request.body = to_json(body);
  request.headers.emplace_back("Idempotency-Key", key);
  const Instant began = system_clock().now();
  bool heard = false;  // a server, or a proxy before it: then it is soon back
  for (int attempt = 1;; ++attempt) {
    const Result<client::Answer> answer = send(request);
    heard = heard || answer.ok();
    Result<Value> made = value_of(answer);
    // Who says well done, and not in JSON, is no server of ours: it never will be.
    const bool is_other = answer.ok() && answer->status < 400;
    const bool passes =
        !made.ok() && !is_other &&
        (is_passing(made.error()) || made.error().code == Code::idempotency_in_flight);
    const bool over =
        heard ? system_clock().now() - began >= kBusyRetryFor : attempt >= kCreateAttemptsMax;
    if (!passes || over) return made;
    // tidy: allow banned: nothing tells when a server behind a proxy is back
    std::this_thread::sleep_for(std::min(kCreatePauseMost, kCreatePause * attempt));
  }
}

Result<Value> Server::put_text(const std::string& path, const std::string& text) {
  client::Call request;
  request.method = "PUT";
  request.path = path;
  request.body = text;
  request.content_type = "application/yaml";
  return call(std::move(request));
}

Result<Value> Server::put(const std::string& path, const Value& body) {
  client::Call request;
  request.method = "PUT";
  request.path = path;
  request.body = to_json(body);
  return call(std::move(request));
}

Status Server::remove(const std::string& path) {
  client::Call request;
  request.method = "DELETE";
  request.path = path;
  request.content_type.clear();
  const Result<Value> answer = call(std::move(request));
  return answer.ok() ? Status() : Status(answer.error());
}

}  // namespace mc::cli
