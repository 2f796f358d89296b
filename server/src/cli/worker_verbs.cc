// workers list, drain, resume.
#include "base/json.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

Column column(const char* head, const char* field) {
  return {head, [field](const Value& item) { return text_cell(item, field); }};
}

Result<int> list(Session& session, const Args&) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get_all("/api/v1/workers");
  if (!answer.ok()) return answer.error();
  const Instant now = system_clock().now();
  session.print_list(
      *answer, {column("NAME", "name"),
                column("STATUS", "status"),
                column("LABELS", "labels"),
                column("SLOTS", "slots"),
                column("RUNNING", "running"),
                column("VERSION", "version"),
                {"SEEN", [now](const Value& item) { return ago_cell(item, "last_seen_at", now); }},
                {"ID", [](const Value& item) { return Cell{shown(item, "id"), Tone::dim}; }}});
  return 0;
}

// People name workers by name; the API by id.
Result<std::string> worker_id(Server& server, const std::string& name) {
  Result<Value> answer = server.get_all("/api/v1/workers");
  if (!answer.ok()) return answer.error();
  const Value* items = answer->find("items");
  std::vector<std::string> found;
  if (items != nullptr && items->is_list()) {
    for (const Value& worker : items->as_list()) {
      if (shown(worker, "id") == name) return name;
      if (shown(worker, "name") == name) found.push_back(shown(worker, "id"));
    }
  }
  if (found.empty()) return Error{Code::worker_not_found, "there is no worker `" + name + "`", {}};
  if (found.size() > 1)
    return Error{Code::conflict, "several workers are called `" + name + "`: give an id", {}};
  return found.front();
}

Handler action(const char* word) {
  return [word](Session& session, const Args& args) -> Result<int> {
    Result<Server*> server = session.server();
    if (!server.ok()) return server.error();
    Result<std::string> id = worker_id(**server, args.get("WORKER"));
    if (!id.ok()) return id.error();
    Result<Value> answer =
        (*server)->post("/api/v1/workers/" + percent_encode(*id) + "/" + word, Value(Object{}));
    if (!answer.ok()) return answer.error();
    Table table;
    table.rows.push_back({{word}, {args.get("WORKER")}, {*id, Tone::dim}});
    session.print_one(*answer, table);
    return 0;
  };
}

}  // namespace

std::vector<Verb> worker_verbs() {
  const Argument worker{"WORKER", "a worker's name or id"};
  return {
      {"workers list", "List workers, their labels and what they run", {}, {}, list},
      {"workers drain",
       "Give a worker nothing new; what it runs goes on",
       {worker},
       {},
       action("drain")},
      {"workers resume", "Give a drained worker jobs again", {worker}, {}, action("resume")},
  };
}

}  // namespace mc::cli
