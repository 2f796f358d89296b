// schedules list, pause, resume, run, next, delete, backfill, create.
#include "base/json.h"
#include "base/text.h"
#include "cli/inputs.h"
#include "cli/session.h"
#include "cli/verb.h"

namespace mc::cli {
namespace {

std::string schedule_path(const std::string& id) {
  return "/api/v1/schedules/" + percent_encode(id);
}

Column column(const char* head, const char* field) {
  return {head, [field](const Value& item) { return text_cell(item, field); }};
}

Cell next_cell(const Value& item) { return text_cell(item, "next_fire_at"); }

Result<int> list(Session& session, const Args&) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->get_all("/api/v1/schedules");
  if (!answer.ok()) return answer.error();
  session.print_list(*answer, {column("ID", "id"),
                               column("WORKFLOW", "workflow"),
                               column("CRON", "cron"),
                               column("ZONE", "timezone"),
                               column("PAUSED", "paused"),
                               {"NEXT", next_cell}});
  return 0;
}

Handler action(const char* word) {
  return [word](Session& session, const Args& args) -> Result<int> {
    Result<Server*> server = session.server();
    if (!server.ok()) return server.error();
    Result<Value> answer =
        (*server)->post(schedule_path(args.get("ID")) + "/" + word, Value(Object{}));
    if (!answer.ok()) return answer.error();
    Table table;
    table.rows.push_back({{word}, {args.get("ID")}, {shown(*answer, "id"), Tone::dim}});
    session.print_one(*answer, table);
    return 0;
  };
}

Result<int> next(Session& session, const Args& args) {
  Result<std::int64_t> count = args.number("--count", 5, 1, 100);
  if (!count.ok()) return count.error();
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer =
      (*server)->get(schedule_path(args.get("ID")) + "/next?count=" + std::to_string(*count));
  if (!answer.ok()) return answer.error();
  const Value* items = answer->find("items");
  if (!session.for_people() || items == nullptr || !items->is_list()) {
    session.print_value(*answer);
    return 0;
  }
  for (const Value& item : items->as_list())
    session.out((item.is_string() ? item.as_string() : to_json(item)) + "\n");
  return 0;
}

Result<int> remove(Session& session, const Args& args) {
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  if (Status done = (*server)->remove(schedule_path(args.get("ID"))); !done.ok())
    return done.error();
  Value answer{Object{}};
  answer.set("id", args.get("ID"));
  answer.set("deleted", true);
  Table table;
  table.rows.push_back({{"deleted"}, {args.get("ID")}});
  session.print_one(answer, table);
  return 0;
}

Result<int> backfill(Session& session, const Args& args) {
  Value body{Object{}};
  for (const auto& [option, field] : {std::pair("--from", "from"), std::pair("--to", "to")}) {
    if (!parse_rfc3339(args.get(option)))
      return Error{
          Code::usage, std::string(option) + " wants a time such as 2026-11-01T00:00:00Z", {}};
    body.set(field, args.get(option));
  }
  body.set("dry_run", args.has("--dry-run"));
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->create(schedule_path(args.get("ID")) + "/backfill", body);
  if (!answer.ok()) return answer.error();
  session.print_value(*answer);
  return 0;
}

Result<int> create(Session& session, const Args& args) {
  Value body{Object{}};
  body.set("workflow", args.get("WORKFLOW"));
  body.set("cron", args.get("CRON"));
  for (const auto& [option, field] :
       {std::pair("--timezone", "timezone"), std::pair("--overlap", "overlap"),
        std::pair("--catch-up", "catch_up")})
    if (args.has(option)) body.set(field, args.get(option));
  Result<Value> inputs = inputs_from(args.all("--input"));
  if (!inputs.ok()) return inputs.error();
  if (!inputs->as_object().empty()) body.set("inputs", *inputs);
  Result<Server*> server = session.server();
  if (!server.ok()) return server.error();
  Result<Value> answer = (*server)->create("/api/v1/schedules", body);
  if (!answer.ok()) return answer.error();
  Table table;
  table.rows.push_back({{"created", Tone::good}, {shown(*answer, "id")}, next_cell(*answer)});
  session.print_one(*answer, table);
  return 0;
}

}  // namespace

std::vector<Verb> schedule_verbs() {
  const Argument id{"ID", "the schedule's id"};
  return {
      {"schedules list", "List schedules and when they fire next", {}, {}, list},
      {"schedules create",
       "Make a schedule for a stored workflow",
       {{"WORKFLOW", "the workflow's name"}, {"CRON", "five fields, or @daily and the like"}},
       {{"--timezone", "", "ZONE", "such as Europe/Berlin (UTC)"},
        {"--overlap",
         "",
         "WHAT",
         "skip, queue_one, queue_all, cancel_running",
         false,
         {"skip", "queue_one", "queue_all", "cancel_running"}},
        {"--catch-up", "", "WHAT", "none, last, all", false, {"none", "last", "all"}},
        {"--input", "-i", "K=V", "an input of its runs", true}},
       create},
      {"schedules pause", "Stop a schedule from firing", {id}, {}, action("pause")},
      {"schedules resume", "Let a paused schedule fire again", {id}, {}, action("resume")},
      {"schedules run", "Fire a schedule now", {id}, {}, action("run")},
      {"schedules next",
       "Show when a schedule fires next",
       {id},
       {{"--count", "-n", "N", "how many (5)"}},
       next},
      {"schedules backfill",
       "Start the runs that a span of time would have had",
       {id},
       {{"--from", "", "TIME", "RFC 3339"},
        {"--to", "", "TIME", "RFC 3339"},
        {"--dry-run", "", "", "only show them"}},
       backfill},
      {"schedules delete", "Delete a schedule", {id}, {}, remove},
  };
}

}  // namespace mc::cli
