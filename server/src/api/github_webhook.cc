// POST /api/v1/webhooks/github: GitHub (and Gitea and Forgejo, which send the same) tells of a push
// or a pull request; every workflow of the project whose `on` takes it is started.
// Needs no token: the signature with the project's secret `github_webhook` is the proof.
#include <mutex>

#include "api/call.h"
#include "api/delivery.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/text.h"
#include "conductor/records.h"
#include "lang/parse.h"
#include "lang/trigger_filter.h"

namespace mc::api {
namespace {
constexpr const char* kSecret = "github_webhook";
constexpr int kWorkflowPage = 200;
constexpr std::size_t kStartsMax = 100;  // runs of one delivery

// What GitHub told, in our words.
struct Change {
  std::string kind;  // "push" or "pull_request"
  lang::RefChange what;
  std::string ref, commit, repository, sender;
  std::string ignored;  // why nothing is to be started
};

std::string text_at(const Value& value, std::initializer_list<const char*> path) {
  const Value* at = &value;
  for (const char* name : path) {
    if (at == nullptr || !at->is_object()) return {};
    at = at->find(name);
  }
  return at != nullptr && at->is_string() ? at->as_string() : std::string();
}

void add_paths(const Value& commit, std::vector<std::string>& paths) {
  for (const char* name : {"added", "modified", "removed"}) {
    const Value* list = commit.is_object() ? commit.find(name) : nullptr;
    if (list == nullptr || !list->is_list()) continue;
    for (const Value& path : list->as_list()) {
      if (path.is_string()) paths.push_back(path.as_string());
    }
  }
}

Change read_push(const Value& event) {
  Change change{
      .kind = "push", .ref = text_at(event, {"ref"}), .commit = text_at(event, {"after"})};
  constexpr std::string_view kBranch = "refs/heads/", kTag = "refs/tags/";
  if (change.ref.starts_with(kBranch)) {
    change.what.branch = change.ref.substr(kBranch.size());
  } else if (change.ref.starts_with(kTag)) {
    change.what.tag = change.ref.substr(kTag.size());
  } else {
    change.ignored = "neither a branch nor a tag";
  }
  if (event.bool_or("deleted", false)) change.ignored = "the ref was deleted";
  const Value* commits = event.find("commits");
  if (commits != nullptr && commits->is_list() && !commits->as_list().empty()) {
    change.what.paths_known = true;
    for (const Value& commit : commits->as_list()) add_paths(commit, change.what.paths);
  }
  return change;
}

Change read_pull_request(const Value& event) {
  Change change{.kind = "pull_request",
                .ref = "refs/pull/" + std::to_string(event.int_or("number", 0)) + "/head",
                .commit = text_at(event, {"pull_request", "head", "sha"})};
  change.what.branch = text_at(event, {"pull_request", "base", "ref"});
  const std::string action = text_at(event, {"action"});
  if (action != "opened" && action != "synchronize" && action != "synchronized" &&
      action != "reopened") {
    change.ignored = "the code did not change: " + to_valid_utf8(action);
  }
  // Code from outside would see this project's secrets.
  if (text_at(event, {"pull_request", "head", "repo", "full_name"}) !=
      text_at(event, {"pull_request", "base", "repo", "full_name"})) {
    change.ignored = "it comes from a fork";
  }
  return change;
}

Change read_change(std::string_view type, const Value& event) {
  Change change;
  if (type == "push") {
    change = read_push(event);
  } else if (type == "pull_request") {
    change = read_pull_request(event);
  } else {
    change.ignored = "only push and pull_request start runs";
  }
  change.repository = text_at(event, {"repository", "clone_url"});
  change.sender = text_at(event, {"sender", "login"});
  return change;
}

bool takes(const Triggers& on, const Change& change) {
  const auto& trigger = change.kind == "push" ? on.push : on.pull_request;
  return trigger && lang::takes_change(*trigger, change.what);
}

// Names of the project's workflows that take the change.
Result<std::vector<std::string>> find_takers(db::Store& store, const std::string& project,
                                             const Change& change) {
  std::vector<std::string> takers;
  std::string after;
  while (true) {
    const auto page =
        store.list_records(conductor::kWorkflowKind, project + "/", after, kWorkflowPage);
    if (!page) return page.error();
    for (const db::Record& record : *page) {
      after = record.key;
      const Result<Value> facts = parse_json(record.json);
      if (!facts || facts->bool_or("deleted", false)) continue;
      const auto stored =
          store.get_record(conductor::kDefinitionKind, facts->string_or("digest", ""));
      if (!stored) return stored.error();
      const Result<Value> body = *stored ? parse_json((*stored)->json) : Result<Value>(Value());
      if (!body || body->is_null()) continue;
      const std::string name = record.key.substr(project.size() + 1);
      const lang::Parsed parsed =
          lang::parse_workflow(body->string_or("text", ""), {.default_name = name});
      if (parsed.ok() && takes(parsed.spec.on, change)) takers.push_back(name);
    }
    if (page->size() < static_cast<std::size_t>(kWorkflowPage)) return takers;
  }
}

// Gathers what became of each start; the last one answers.
class Starts {
 public:
  Starts(CallPtr call, std::size_t expected) : call_(std::move(call)), open_(expected) {}

  void add(const std::string& workflow, const Result<conductor::RunView>& view) {
    const std::lock_guard lock(mutex_);
    JsonWriter out;
    out.open('{').field("workflow", workflow);
    if (view) {
      out.field("id", to_string(view->id));
    } else {
      out.field("code", code_name(view.error().code)).field("message", view.error().message);
    }
    (view ? started_ : failed_).push_back(out.close('}').take());
    if (--open_ == 0) answer();
  }

  void answer() {
    JsonWriter out;
    out.open('{').key("started").open('[');
    for (const std::string& json : started_) out.raw(json);
    out.close(']').key("failed").open('[');
    for (const std::string& json : failed_) out.raw(json);
    call_->json(out.close(']').close('}').take(), 202);
  }

 private:
  CallPtr call_;
  std::mutex mutex_;
  std::size_t open_;
  std::vector<std::string> started_, failed_;  // JSON
};

void start_takers(const CallPtr& call, const std::string& project, const Change& change,
                  const Value& event, const std::vector<std::string>& takers) {
  const auto starts = std::make_shared<Starts>(call, takers.size());
  if (takers.empty()) return starts->answer();
  for (const std::string& workflow : takers) {
    conductor::StartRun start{.workflow = workflow,
                              .ref = change.ref,
                              .commit = change.commit,
                              .repository = change.repository};
    start.principal = {
        .name = "github:" + change.sender, .role = auth::Role::operator_, .project = project};
    start.trigger = Value(Object{{"kind", change.kind},
                                 {"delivery", delivery_id(*call)},
                                 {"sender", change.sender},
                                 {"branch", change.what.branch},
                                 {"tag", change.what.tag}});
    start.event = event;
    start.idempotency = delivery_key(*call, project, workflow);
    call->service().start_run(std::move(start),
                              [starts, workflow](const Result<conductor::RunView>& view) {
                                starts->add(workflow, view);
                              });
  }
}
}  // namespace

void take_github_webhook(const CallPtr& call) {
  const std::string project = delivery_project(*call);
  const auto secret = call->world->secrets->value(project, kSecret);
  if (!secret || !is_signed(*call, *secret)) {
    return call->fail({Code::unauthenticated,
                       std::string("the signature does not fit: give the webhook the value of the "
                                   "secret ") +
                           kSecret,
                       {}});
  }
  offload(call, [call, project] {
    const Result<Value> event = parse_json(call->request.body);
    if (!event) return call->fail(event.error());
    if (!event->is_object())
      return call->fail({Code::malformed_json, "an event of GitHub is an object", {}});
    std::string_view type = header_of(*call, "x-github-event");
    if (type.empty()) type = header_of(*call, "x-gitea-event");
    const Change change = read_change(type, *event);
    if (!change.ignored.empty()) {
      JsonWriter out;
      out.open('{').key("started").open('[').close(']').key("failed").open('[').close(']');
      return call->json(out.field("ignored", change.ignored).close('}').take(), 202);
    }
    const auto takers = find_takers(call->service().store(), project, change);
    if (!takers) return call->fail(takers.error());
    if (takers->size() > kStartsMax) {
      return call->fail({Code::limit_exceeded,
                         "more than " + std::to_string(kStartsMax) + " workflows take this event",
                         {}});
    }
    start_takers(call, project, change, *event, *takers);
  });
}
}  // namespace mc::api
