// How a run starts: `on` and `inputs`.
#include "base/text.h"
#include "lang/cron.h"
#include "lang/inputs.h"
#include "lang/parse.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
constexpr std::size_t kInputsMax = 1000;

void read_push(Reader& r, const YamlNode& node, std::optional<PushTrigger>& into) {
  PushTrigger trigger;
  if (is_scalar(node) && node.scalar.is_null()) {
    into = trigger;  // `push:` alone: every push
    return;
  }
  if (!r.keys(node, sections::kPush)) return;
  r.texts(node, "branches", trigger.branches);
  r.texts(node, "branches_ignore", trigger.branches_ignore);
  r.texts(node, "tags", trigger.tags);
  r.texts(node, "paths", trigger.paths);
  r.texts(node, "paths_ignore", trigger.paths_ignore);
  into = std::move(trigger);
}

void read_schedule(Reader& r, const YamlNode& node, std::vector<ScheduleSpec>& into) {
  ScheduleSpec spec;
  if (!r.keys(node, sections::kSchedule)) return;
  const YamlNode* timezone = r.text(node, "timezone", spec.timezone);
  if (timezone != nullptr) {
    const Result<Cron> known = Cron::parse("@daily", spec.timezone);
    if (!known) {
      r.error(*timezone, "bad_timezone", known.error().message);
      spec.timezone = "UTC";
    }
  }
  if (const YamlNode* cron = r.text(node, "cron", spec.cron)) {
    const Result<Cron> parsed = Cron::parse(spec.cron, spec.timezone);
    if (!parsed) r.error(*cron, "bad_cron", parsed.error().message);
  } else if (node.find("cron") == nullptr) {
    r.error(node, "missing_key", "a schedule needs `cron`");
  } else {
    spec.cron.clear();
  }
  if (const YamlNode* overlap = node.find("overlap")) {
    if (const auto i =
            r.choice(*overlap, "`overlap`", {"skip", "queue_one", "queue_all", "cancel_running"}))
      spec.overlap = static_cast<Overlap>(*i);
  }
  if (const YamlNode* catch_up = node.find("catch_up")) {
    if (const auto i = r.choice(*catch_up, "`catch_up`", {"none", "last", "all"}))
      spec.catch_up = static_cast<CatchUp>(*i);
  }
  r.duration(node, "catch_up_window", spec.catch_up_window);
  r.duration(node, "jitter", spec.jitter);
  if (const YamlNode* inputs = node.find("inputs")) {
    if (is_object(*inputs)) {
      spec.inputs = to_value(*inputs);
    } else {
      r.error(*inputs, "wrong_type", "`inputs` must be a mapping");
    }
  }
  into.push_back(std::move(spec));
}

// A value of `enum` or `default` as the input's type; reported when it is of another.
Value typed(Reader& r, const InputSpec& spec, const YamlNode& node, std::string_view what) {
  if (spec.type == InputType::string && is_scalar(node) && !node.scalar.is_null())
    return Value(node.raw);
  Value value = to_value(node);
  if (!value.is_null() && !fits_type(spec.type, value)) {
    r.error(node, what == "`default`" ? "bad_default" : "wrong_type",
            std::string(what) + " must be of type " + std::string(input_type_name(spec.type)) +
                ", not " + kind_name(node));
  }
  return value;
}

void read_limits(Reader& r, const YamlNode& node, InputSpec& spec) {
  double number = 0;
  if (r.real(node, "min", number, -1e15, 1e15) != nullptr) spec.min = number;
  if (r.real(node, "max", number, -1e15, 1e15) != nullptr) spec.max = number;
  if (spec.min && spec.max && *spec.min > *spec.max)
    r.error(*node.find("max"), "out_of_range", "`max` is less than `min`");
  int length = 0;
  if (r.integer(node, "max_length", length, 0, 1 << 20) != nullptr) spec.max_length = length;
  const YamlNode* pattern = r.text(node, "pattern", spec.pattern);
  if (pattern == nullptr) return;
  const std::string wrong = pattern_error(spec.pattern);
  if (!wrong.empty()) r.error(*pattern, "bad_pattern", "`pattern` is not an RE2 pattern: " + wrong);
}

// What says nothing about values of this type would be taken for a check that is made.
void limits_of_type(Reader& r, const YamlNode& node, InputType type) {
  const bool text = type == InputType::string;
  const bool number = type == InputType::integer || type == InputType::number;
  const auto only = [&](const char* key, bool fits, const char* what) {
    const YamlNode* found = node.find(key);
    if (found != nullptr && !fits)
      r.error(*found, "wrong_type", "`" + std::string(key) + "` is for inputs that are " + what);
  };
  only("min", number, "numbers");
  only("max", number, "numbers");
  only("pattern", text, "strings");
  only("max_length", text, "strings");
}

void read_input(Reader& r, const YamlNode& key, const YamlNode& node,
                std::vector<InputSpec>& into) {
  InputSpec spec;
  spec.name = key.raw;
  const std::size_t before = r.errors.size();
  if (!is_identifier(spec.name))
    r.error(key, "bad_name", std::string("an input's name ") + kIdentifierRule);
  if (!r.keys(node, sections::kInput)) return;
  if (const YamlNode* type = node.find("type")) {
    if (const auto i =
            r.choice(*type, "`type`", {"string", "integer", "number", "boolean", "list", "object"}))
      spec.type = static_cast<InputType>(*i);
  }
  if (const YamlNode* choices = node.find("enum")) {
    if (!is_list(*choices) || choices->items.empty())
      r.error(*choices, "wrong_type", "`enum` must be a list with something in it");
    for (const YamlNode& item : choices->items)
      spec.choices.push_back(typed(r, spec, item, "an item of `enum`"));
  }
  r.text(node, "description", spec.description);
  r.boolean(node, "required", spec.required);
  read_limits(r, node, spec);
  limits_of_type(r, node, spec.type);
  if (const YamlNode* given = node.find("default")) {
    spec.default_value = typed(r, spec, *given, "`default`");
    spec.required = false;
    if (r.errors.size() == before && !spec.default_value->is_null()) {
      const auto fits = resolve_inputs({spec}, Value(Object{{spec.name, *spec.default_value}}));
      if (!fits) r.error(*given, "bad_default", fits.error().message);
    }
  }
  into.push_back(std::move(spec));
}

}  // namespace

void read_triggers(Reader& r, const YamlNode& node, Triggers& into) {
  if (is_scalar(node) || is_list(node)) {
    // `on: push`, `on: [push, pull_request]`
    const std::vector<YamlNode> one = {node};
    for (const YamlNode& item : is_list(node) ? node.items : one) {
      const auto i = r.choice(item, "`on`", {"push", "pull_request", "webhook"});
      if (i == 0U) into.push = PushTrigger{};
      if (i == 1U) into.pull_request = PushTrigger{};
      if (i == 2U) into.webhook = true;
    }
    return;
  }
  if (!r.keys(node, sections::kTriggers)) return;
  if (const YamlNode* push = node.find("push")) read_push(r, *push, into.push);
  if (const YamlNode* pull = node.find("pull_request")) read_push(r, *pull, into.pull_request);
  if (const YamlNode* webhook = node.find("webhook")) {
    into.webhook = true;
    const bool empty = (is_object(*webhook) && webhook->members.empty()) ||
                       (is_scalar(*webhook) && webhook->scalar.is_null());
    if (!empty) r.error(*webhook, "wrong_type", "`webhook` takes no settings: write `webhook: {}`");
  }
  if (const YamlNode* schedules = node.find("schedule")) {
    if (is_object(*schedules)) {
      read_schedule(r, *schedules, into.schedules);
    } else if (!is_list(*schedules)) {
      r.error(*schedules, "wrong_type", "`schedule` must be a list");
    }
    for (const YamlNode& item : schedules->items) read_schedule(r, item, into.schedules);
  }
}

void read_inputs(Reader& r, const YamlNode& node, std::vector<InputSpec>& into) {
  if (!is_object(node)) {
    r.error(node, "wrong_type", "`inputs` must be a mapping, not " + kind_name(node));
    return;
  }
  if (node.members.size() > kInputsMax) {
    r.error(node, "limit_exceeded", "more than 1,000 inputs");
    return;
  }
  for (const auto& [key, value] : node.members) read_input(r, key, value, into);
}
}  // namespace mc::lang
