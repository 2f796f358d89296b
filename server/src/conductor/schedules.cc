#include "conductor/schedules.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/text.h"

namespace mc::conductor {
namespace {
constexpr std::array<std::string_view, 4> kOverlaps = {"skip", "queue_one", "queue_all",
                                                       "cancel_running"};
constexpr std::array<std::string_view, 3> kCatchUps = {"none", "last", "all"};

Error wrong(std::string field, std::string what) {
  Error error{Code::invalid_field, field + ": " + what, {}};
  error.problems.push_back({0, 0, "invalid_field", std::move(what), {}});
  return error;
}

template <class Enum, std::size_t N>
Status read_choice(const Value& body, std::string_view field,
                   const std::array<std::string_view, N>& names, Enum& into) {
  const Value* given = body.find(field);
  if (given == nullptr) return {};
  for (std::size_t i = 0; i < N && given->is_string(); ++i) {
    if (names.at(i) == given->as_string()) {
      into = static_cast<Enum>(i);
      return {};
    }
  }
  return wrong(std::string(field), "one of the names in docs/reference/workflow.md is wanted");
}

Status read_duration(const Value& body, std::string_view field, Millis& into) {
  const Value* given = body.find(field);
  if (given == nullptr) return {};
  const auto duration = given->is_string() ? parse_duration(given->as_string()) : std::nullopt;
  if (!duration) return wrong(std::string(field), "a duration such as 2h is wanted");
  into = *duration;
  return {};
}
}  // namespace

std::string schedule_key(const Schedule& schedule) { return schedule.project + "/" + schedule.id; }

std::vector<Instant> next_fires(const ScheduleSpec& spec, Instant after, int count) {
  std::vector<Instant> fires;
  const Result<lang::Cron> cron = lang::Cron::parse(spec.cron, spec.timezone);
  for (int i = 0; cron && i < count; ++i) {
    const auto next = cron->next(after);
    if (!next) break;
    fires.push_back(*next);
    after = *next;
  }
  return fires;
}

std::string schedule_json(const Schedule& schedule, const std::vector<Instant>& upcoming) {
  JsonWriter out;
  out.open('{').field("id", schedule.id).field("project", schedule.project);
  out.field("workflow", schedule.workflow).field("source", schedule.source);
  out.field("cron", schedule.spec.cron).field("timezone", schedule.spec.timezone);
  out.field("overlap", kOverlaps.at(static_cast<std::size_t>(schedule.spec.overlap)));
  out.field("catch_up", kCatchUps.at(static_cast<std::size_t>(schedule.spec.catch_up)));
  out.field("catch_up_window", to_duration_text(schedule.spec.catch_up_window));
  out.field("jitter", to_duration_text(schedule.spec.jitter)).field("inputs", schedule.spec.inputs);
  out.field("paused", schedule.paused).text_or_null("paused_by", schedule.paused_by);
  out.field("created_at", schedule.created_at).field("last_fire_at", schedule.last_fire);
  out.field("next_fire_at", schedule.next_fire).field("last_run", schedule.last_run);
  out.field("fires", schedule.fires)
      .field("skipped", schedule.skipped)
      .field("queued", schedule.queued)
      .text_or_null("last_error", schedule.last_error);
  out.key("next_fires").open('[');
  for (const Instant at : upcoming) out.item(to_rfc3339(at));
  return out.close(']').close('}').take();
}

Result<ScheduleSpec> read_schedule_spec(const Value& body) {
  if (!body.is_object()) return Error{Code::invalid_field, "an object is wanted", {}};
  const std::vector<std::string> known = {
      "cron", "timezone", "overlap", "catch_up", "catch_up_window", "jitter", "inputs", "workflow"};
  for (const Member& member : body.as_object()) {
    if (std::find(known.begin(), known.end(), member.first) != known.end()) continue;
    const auto near = nearest(member.first, known);
    return Error{Code::unknown_field,
                 "unknown field " + member.first + (near ? "; did you mean " + *near + "?" : ""),
                 {}};
  }
  ScheduleSpec spec;
  spec.cron = body.string_or("cron", "");
  spec.timezone = body.string_or("timezone", "UTC");
  if (spec.cron.empty()) return Error{Code::missing_field, "cron is missing", {}};
  // Once without the zone, so that the field which is wrong is the one that is named.
  const Result<lang::Cron> times = lang::Cron::parse(spec.cron, "UTC");
  if (!times) return wrong("cron", times.error().message);
  const Result<lang::Cron> cron = lang::Cron::parse(spec.cron, spec.timezone);
  if (!cron) return wrong("timezone", cron.error().message);
  if (const Status s = read_choice(body, "overlap", kOverlaps, spec.overlap); !s) return s.error();
  if (const Status s = read_choice(body, "catch_up", kCatchUps, spec.catch_up); !s)
    return s.error();
  if (const Status s = read_duration(body, "catch_up_window", spec.catch_up_window); !s)
    return s.error();
  if (const Status s = read_duration(body, "jitter", spec.jitter); !s) return s.error();
  if (const Value* inputs = body.find("inputs")) spec.inputs = *inputs;
  return spec;
}

Result<Schedule> read_schedule(const Value& record) {
  Schedule schedule;
  schedule.id = record.string_or("id", "");
  schedule.project = record.string_or("project", "");
  schedule.workflow = record.string_or("workflow", "");
  schedule.source = record.string_or("source", "api");
  Object spec;
  for (const char* field :
       {"cron", "timezone", "overlap", "catch_up", "catch_up_window", "jitter", "inputs"}) {
    if (const Value* value = record.find(field)) spec.emplace_back(field, *value);
  }
  Result<ScheduleSpec> read = read_schedule_spec(Value(std::move(spec)));
  if (!read) return read.error();
  schedule.spec = std::move(*read);
  schedule.paused = record.bool_or("paused", false);
  schedule.paused_by = record.string_or("paused_by", "");
  const auto instant = [&](std::string_view name) {
    return parse_rfc3339(record.string_or(name, "")).value_or(Instant{});
  };
  schedule.created_at = instant("created_at");
  schedule.last_fire = instant("last_fire_at");
  schedule.next_fire = instant("next_fire_at");
  schedule.last_run = parse_uuid(record.string_or("last_run", "")).value_or(Uuid{});
  schedule.fires = record.int_or("fires", 0);
  schedule.skipped = record.int_or("skipped", 0);
  schedule.last_error = record.string_or("last_error", "");
  schedule.queued = static_cast<int>(record.int_or("queued", 0));
  return schedule;
}
}  // namespace mc::conductor
