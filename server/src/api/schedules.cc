// Schedules: those of definitions and those made here.
#include "api/body.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/page.h"
#include "base/json.h"
#include "lang/cron.h"

namespace mc::api {
namespace {
constexpr std::int64_t kFiresMax = 100;

// The Service tells of all schedules at once: this finds one among them.
void with_schedule(const CallPtr& call, std::function<void(const Value&)> show) {
  call->service().schedules(
      call->principal, [call, show = std::move(show)](const Result<std::string>& all) {
        if (!all) return call->fail(all.error());
        const Result<Value> list = parse_json(*all);
        const Value* items = list ? list->find("items") : nullptr;
        if (items != nullptr && items->is_list()) {
          for (const Value& item : items->as_list()) {
            if (item.string_or("id", "") == call->params.at(0)) return show(item);
          }
        }
        call->fail({Code::not_found, "there is no schedule " + call->params.at(0), {}});
      });
}

void act(const CallPtr& call, const char* action) {
  Body body(call->request.body, {});
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  call->service().schedule_action(call->principal, call->params.at(0), action, json_or_error(call));
}
}  // namespace

void list_schedules(const CallPtr& call) {
  answer_page(call, "schedules", "id", [&](conductor::Done<std::string> done) {
    call->service().schedules(call->principal, std::move(done));
  });
}

void create_schedule(const CallPtr& call) {
  Body body(call->request.body, {"workflow", "cron", "timezone", "overlap", "catch_up",
                                 "catch_up_window", "jitter", "inputs"});
  body.require("workflow");
  body.require("cron");
  const std::string workflow = body.text("workflow");
  body.text("cron");
  body.text("timezone");
  body.choice("overlap", {"skip", "queue_one", "queue_all", "cancel_running"}, 0);
  body.choice("catch_up", {"none", "last", "all"}, 0);
  body.object("inputs");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  once(call, false, [workflow, spec = body.all()](const CallPtr& asked) {
    asked->service().create_schedule(
        asked->principal, workflow, spec, [asked](Result<std::string> made) {
          if (!made) return asked->fail(made.error());
          const Result<Value> schedule = parse_json(*made);
          const std::string id = schedule ? schedule->string_or("id", "") : "";
          asked->created(std::move(*made), "/api/v1/schedules/" + id);
        });
  });
}

void get_schedule(const CallPtr& call) {
  with_schedule(call, [call](const Value& schedule) { call->json(to_json(schedule)); });
}

void get_schedule_fires(const CallPtr& call) {
  const Result<std::int64_t> count = read_number(*call, "count", 5, 1, kFiresMax);
  if (!count) return call->fail(count.error());
  with_schedule(call, [call, count = *count](const Value& schedule) {
    const auto cron =
        lang::Cron::parse(schedule.string_or("cron", ""), schedule.string_or("timezone", "UTC"));
    if (!cron) return call->fail(cron.error());
    JsonWriter out;
    out.open('{').key("items").open('[');
    Instant at = call->now();
    for (std::int64_t i = 0; i < count; ++i) {
      const auto next = cron->next(at);
      if (!next) break;
      at = *next;
      out.item(to_rfc3339(at));
    }
    call->json(out.close(']').close('}').take());
  });
}

void pause_schedule(const CallPtr& call) { act(call, "pause"); }
void resume_schedule(const CallPtr& call) { act(call, "resume"); }
void run_schedule(const CallPtr& call) {
  once(call, false, [](const CallPtr& asked) { act(asked, "run_now"); });
}

void backfill_schedule(const CallPtr& call) {
  Body body(call->request.body, {"from", "to", "dry_run"});
  body.require("from");
  body.require("to");
  const Instant from = body.time("from");
  const Instant to = body.time("to");
  const bool dry_run = body.boolean("dry_run", false);
  if (body.status() && to <= from) body.wrong("to", "must be later than `from`");
  if (const Status fine = body.status(); !fine) return call->fail(fine.error());
  once(call, false, [from, to, dry_run](const CallPtr& asked) {
    asked->service().backfill(asked->principal, asked->params.at(0), from, to, dry_run,
                              json_or_error(asked));
  });
}

void delete_schedule(const CallPtr& call) {
  call->service().schedule_action(call->principal, call->params.at(0), "delete",
                                  [call](const Result<std::string>& done) {
                                    done ? call->no_content() : call->fail(done.error());
                                  });
}
}  // namespace mc::api
