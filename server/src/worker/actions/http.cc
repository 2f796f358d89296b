// http {url, method?, headers?, body?, expect_status?, timeout?, output?}; notify {message, url?,
// level?}
#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/env_file.h"
#include "worker/inside.h"

namespace mc::worker {
namespace {
constexpr int kFirstErrorStatus = 400;
constexpr Millis kTimeout{30'000};

bool is_web(const std::string& url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

Millis time_left(const ActionCall& call) {
  return std::chrono::duration_cast<Millis>(call.deadline - Steady::now());
}

// A JSON object, or "Name: value" a line.
void add_headers(const std::string& text, client::Call& to) {
  if (const auto json = parse_json(text); json.ok() && json->is_object()) {
    for (const auto& [name, value] : json->as_object()) {
      to.headers.emplace_back(name, value.is_string() ? value.as_string() : to_json(value));
    }
    return;
  }
  for (const std::string& line : path_lines(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    to.headers.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
  }
}

// "200", "200,201", "2xx".
bool is_expected(int status, const std::string& expect) {
  if (expect.empty()) return status < kFirstErrorStatus;
  const std::string text = std::to_string(status);
  const auto wanted = split(expect, ',');
  return std::ranges::any_of(wanted, [&](const std::string& one) {
    const std::string_view want = trim(one);
    return want == text || (want.size() == 3 && want.ends_with("xx") && want[0] == text[0]);
  });
}

Result<client::Answer> send(ActionCall& call, client::Call request) {
  if (!call.run.settings().web)
    return Error{Code::unavailable, "this worker reaches no addresses outside", {}};
  request.timeout = std::clamp(request.timeout, Millis(1), std::max(Millis(1), time_left(call)));
  std::stop_source over;
  request.stop = over.get_token();
  const auto end = [&over] { over.request_stop(); };
  const TaskControl& control = call.run.control();
  const std::stop_callback lost(control.lost_token(), end);
  const std::stop_callback cancelled(call.heed_cancel ? control.cancel_token() : std::stop_token(),
                                     end);
  return call.run.settings().web()->send(request);
}

// Writes the whole body to the file that `output` names in the workspace.
Status keep_body(ActionCall& call, const std::string& body) {
  const std::string path = call.get("output");
  const auto workspace = call.run.workspace();
  if (!workspace.ok()) return workspace.error();
  const auto file = open_inside((*workspace)->files(), path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.ok()) return file.error();
  return write_all(file->get(), body);
}
}  // namespace

ActionResult call_http(ActionCall& call) {
  const std::string url = call.get("url");
  if (!is_web(url))
    return failed(FailureKind::user, "with.url is missing, or neither http:// nor https://");
  const auto timeout = parse_duration(call.get("timeout", "30s"));
  if (!timeout)
    return failed(FailureKind::user, "with.timeout is no duration: " + call.get("timeout"));
  client::Call request{.method = call.get("method", call.has("body") ? "POST" : "GET"),
                       .path = url,
                       .body = call.get("body")};
  request.timeout = *timeout;
  add_headers(call.get("headers"), request);
  const std::string method = request.method;
  const auto answer = send(call, std::move(request));
  if (!answer.ok())
    return failed(FailureKind::infra, method + " " + url + ": " + answer.error().message);
  call.say(method + " " + url + " → " + std::to_string(answer->status) + ", " +
           format_size(static_cast<std::int64_t>(answer->body.size())));
  ActionResult result;
  result.outputs.set("status", std::to_string(answer->status));
  result.outputs.set("body",
                     call.run.log().masked(to_valid_utf8(answer->body.substr(0, kOutputBytesMax))));
  if (call.has("output")) {
    if (const Status kept = keep_body(call, answer->body); !kept) return failed(kept.error());
  }
  if (!is_expected(answer->status, call.get("expect_status"))) {
    result.failure = Failure{answer->status >= 500 ? FailureKind::infra : FailureKind::user,
                             method + " " + url + " answered " + std::to_string(answer->status)};
  }
  return result;
}

ActionResult notify(ActionCall& call) {
  const std::string message = call.get("message");
  const std::string url = call.get("url");
  const std::string level = call.get("level", "info");
  call.say((level == "info" ? "" : level + ": ") + message);
  if (url.empty()) return {};
  if (!is_web(url)) return failed(FailureKind::user, "with.url is neither http:// nor https://");
  JsonWriter body;
  body.open('{').field("text", message).field("level", level);
  body.field("run", to_string(call.run.task().run_id)).field("job", call.run.task().job);
  body.field("workflow", call.run.spec().string_or("workflow", ""))
      .field("url", call.run.run_fact("url"))
      .close('}');
  const auto answer =
      send(call, {.method = "POST", .path = url, .body = body.take(), .timeout = kTimeout});
  if (!answer.ok())
    return failed(FailureKind::infra, "the message could not be sent: " + answer.error().message);
  if (answer->status >= kFirstErrorStatus) {
    return failed(FailureKind::infra,
                  "the message was answered with " + std::to_string(answer->status));
  }
  return {};
}

}  // namespace mc::worker
