// POST /runs, GET and DELETE /runs/{id}, cancel, rerun, signals.
#include "api/body.h"
#include "api/call.h"
#include "api/definition.h"
#include "api/handlers.h"
#include "base/sha256.h"
#include "base/text.h"
#include "conductor/render.h"

namespace mc::api {
namespace {
constexpr std::size_t kLabelsMax = 64;
constexpr std::size_t kTextMax = 1024;
constexpr std::size_t kMessageMax = 4096;
// Bodies up to this are read on the connection's thread: a hop would cost more than the reading.
constexpr std::size_t kReadHere = 64 << 10;
constexpr std::int64_t kVersionMax = 1'000'000'000;

std::string run_path(Uuid id) { return "/api/v1/runs/" + to_string(id); }

void answer_run(const Call& call, conductor::RunView view, int status) {
  http::Response response{.status = status, .content_type = "application/json"};
  if (!view.etag.empty()) response.headers.push_back({"ETag", view.etag});
  if (status == 201) response.headers.push_back({"Location", run_path(view.id)});
  const bool replayed = view.replayed != 0;
  if (replayed) response.headers.push_back({"Idempotency-Replayed", "true"});
  // The answer to a start is the one that an idempotency key keeps, to the byte.
  response.body = status == 201 || replayed
                      ? std::move(view.json)
                      : conductor::with_time_taken(std::move(view.json), call.now());
  call.answer(std::move(response));
}

conductor::Done<conductor::RunView> run_or_error(CallPtr call, int status) {
  return [call = std::move(call), status](Result<conductor::RunView> view) {
    view ? answer_run(*call, std::move(*view), status) : call->fail(view.error());
  };
}

// A run that was started: 201; given again for the same idempotency key: the same; an open run with
// the same run_key: 200.
conductor::Done<conductor::RunView> started_or_error(CallPtr call) {
  return [call = std::move(call)](Result<conductor::RunView> view) {
    if (!view) return call->fail(view.error());
    const int status = view->replayed != 0 ? view->replayed : view->existing ? 200 : 201;
    answer_run(*call, std::move(*view), status);
  };
}

Result<conductor::StartRun> read_start(const Call& call) {
  Body body(call.request.body,
            {"workflow", "definition", "version", "inputs", "ref", "commit", "repository", "labels",
             "run_key", "on_conflict", "trigger", "event"});
  conductor::StartRun start{.principal = call.principal};
  start.workflow = body.text("workflow");
  // The language has a limit of its own, and its errors have positions.
  start.definition = body.text("definition", kRunBody);
  start.version = body.integer("version", 0, 1, kVersionMax);
  start.inputs = body.object("inputs");
  start.ref = body.text("ref", kTextMax);
  start.commit = body.text("commit", kTextMax);
  start.repository = body.text("repository", kTextMax);
  start.labels = body.pairs("labels", kLabelsMax);
  start.run_key = body.text("run_key", kTextMax);
  start.on_conflict = static_cast<conductor::OnConflict>(
      body.choice("on_conflict", {"reject", "use_existing", "cancel_existing"}, 0));
  const std::size_t kind = body.choice("trigger", {"api", "manual"}, 0);
  start.trigger = Value(Object{{"kind", kind == 0 ? "api" : "manual"}});
  if (const Value* event = body.value("event")) start.event = *event;
  const bool has_workflow = body.has("workflow"), has_definition = body.has("definition");
  if (body.status() && !has_workflow && !has_definition) {
    body.wrong("workflow", "this field is missing", Code::missing_field,
               "send `workflow`, the name of a stored one, or `definition`, YAML text");
  } else if (has_workflow && has_definition) {
    body.wrong("definition", "either `workflow` or `definition` is wanted, not both");
  } else if (body.status() && has_workflow && start.workflow.empty()) {
    body.wrong("workflow", "this is empty");
  } else if (body.status() && has_definition && start.definition.empty()) {
    body.wrong("definition", "this is empty");
  }
  if (has_definition && body.has("version"))
    body.wrong("version", "only a stored workflow has versions");
  if (const Status fine = body.status(); !fine) return fine.error();
  return start;
}

// On the pool: the definition is parsed here, so that a bad one never reaches the conductor.
Status check_definition(World& world, const std::string& text) {
  const lang::Parsed parsed = parse_definition(text);
  if (!parsed.ok()) return bad_definition(parsed.errors);
  world.good_definitions.add(sha256_hex(text));
  return {};
}

void begin(const CallPtr& call, conductor::StartRun start) {
  call->service().start_run(std::move(start), started_or_error(call));
}

// `on_pool`: this thread may parse a definition; otherwise only one that is known to be good goes
// on without a hop.
void read_and_start(const CallPtr& call, std::optional<conductor::Idempotency> key, bool on_pool) {
  Result<conductor::StartRun> start = read_start(*call);
  if (!start) return call->fail(start.error());
  start->idempotency = std::move(key);
  const std::string& text = start->definition;
  const bool known = text.empty() || call->world->good_definitions.has(sha256_hex(text));
  if (known) return begin(call, std::move(*start));
  const auto check_and_begin = [call, start = std::move(*start)]() mutable {
    const Status fine = check_definition(*call->world, start.definition);
    fine ? begin(call, std::move(start)) : call->fail(fine.error());
  };
  on_pool ? std::function<void()>(check_and_begin)() : offload(call, check_and_begin);
}

// Runs `go_on` when If-Match is not there or names the run as it is now.
void if_matching(const CallPtr& call, Uuid id, std::function<void()> go_on) {
  const std::string* wanted = call->request.header("if-match");
  if (wanted == nullptr || *wanted == "*") return go_on();
  call->service().run(
      call->principal, id,
      [call, wanted = *wanted, go_on = std::move(go_on)](const Result<conductor::RunView>& view) {
        if (!view) return call->fail(view.error());
        for (const std::string& each : split(wanted, ',')) {
          if (trim(each) == view->etag) return go_on();
        }
        call->fail(
            {Code::precondition_failed, "the run is at " + view->etag + " now: read it again", {}});
      });
}

bool not_modified(const Call& call, const std::string& etag) {
  const std::string* known = call.request.header("if-none-match");
  if (known == nullptr) return false;
  for (const std::string& each : split(*known, ',')) {
    std::string_view tag = trim(each);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
  }
  return false;
}
}  // namespace

void start_run(const CallPtr& call) {
  const auto key = idempotency_of(*call);
  if (!key) return call->fail(key.error());
  if (call->request.body.size() > kReadHere) {
    return offload(call, [call, key = *key] { read_and_start(call, key, true); });
  }
  read_and_start(call, *key, false);
}

void get_run(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const auto done = [call](Result<conductor::RunView> view) {
    if (!view) return call->fail(view.error());
    if (not_modified(*call, view->etag))
      return call->answer({.status = 304, .headers = {{"ETag", view->etag}}});
    answer_run(*call, std::move(*view), 200);
  };
  const std::string& wait = call->query("wait");
  if (wait.empty()) return call->service().run(call->principal, *id, done);
  const auto duration = parse_duration(wait);
  if (!duration || *duration > call->world->options.wait_max) {
    return call->fail({Code::invalid_field,
                       "wait: a duration of at most " +
                           to_duration_text(call->world->options.wait_max) +
                           " is wanted, such as 30s",
                       {}});
  }
  call->service().wait_run(call->principal, *id, call->now() + *duration, done);
}

void delete_run(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  if_matching(call, *id, [call, id = *id] {
    call->service().delete_run(call->principal, id, no_content_or_error(call));
  });
}

void cancel_run(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  Body body(call->request.body, {"reason"});
  const std::string reason = body.text("reason", kMessageMax);
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  if_matching(call, *id, [call, id = *id, reason] {
    call->service().cancel_run(call->principal, id, reason, run_or_error(call, 202));
  });
}

void rerun_run(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  const auto key = idempotency_of(*call);
  if (!key) return call->fail(key.error());
  Body body(call->request.body, {"scope", "from", "inputs", "definition", "accept_effects"});
  conductor::Rerun rerun{.principal = call->principal, .run = *id};
  rerun.from = body.text("from");
  const std::size_t scope =
      body.choice("scope", {"all", "failed", "from"}, rerun.from.empty() ? 0 : 2);
  rerun.scope = static_cast<conductor::Rerun::Scope>(scope);
  if (body.has("inputs")) rerun.inputs = body.object("inputs");
  rerun.latest_definition = body.choice("definition", {"same", "latest"}, 0) == 1;
  rerun.accept_effects = body.boolean("accept_effects", false);
  if (body.status() && rerun.scope == conductor::Rerun::Scope::from) body.require("from");
  if (body.status() && rerun.scope != conductor::Rerun::Scope::from && body.has("from"))
    body.wrong("from", "goes with the scope `from` only");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  rerun.idempotency = *key;
  call->service().rerun(std::move(rerun), started_or_error(call));
}

void signal_run(const CallPtr& call) {
  const Result<Uuid> id = run_id(*call);
  if (!id) return call->fail(id.error());
  Body body(call->request.body, {"event", "data"});
  body.require("event");
  const std::string event = body.text("event", kTextMax);
  if (body.status() && event.empty()) body.wrong("event", "this is empty");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  const Value* data = body.value("data");
  once(call, false,
       [id = *id, event, data = data == nullptr ? Value() : *data](const CallPtr& asked) {
         asked->service().signal(asked->principal, id, event, data, run_or_error(asked, 202));
       });
}
}  // namespace mc::api
