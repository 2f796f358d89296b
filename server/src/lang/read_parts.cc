#include <re2/re2.h>

#include "base/text.h"
#include "lang/cron.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
void read_push(Reader& r, const YamlNode& node, std::string_view what,
               std::optional<PushTrigger>& into) {
  PushTrigger trigger;
  if (is_scalar(node) && node.scalar.is_null()) {
    into = trigger;  // `push:` alone: every push
    return;
  }
  if (!r.keys(node, what, {"branches", "branches_ignore", "tags", "paths", "paths_ignore"})) return;
  r.texts(node, "branches", trigger.branches);
  r.texts(node, "branches_ignore", trigger.branches_ignore);
  r.texts(node, "tags", trigger.tags);
  r.texts(node, "paths", trigger.paths);
  r.texts(node, "paths_ignore", trigger.paths_ignore);
  into = std::move(trigger);
}

void read_schedule(Reader& r, const YamlNode& node, std::vector<ScheduleSpec>& into) {
  ScheduleSpec spec;
  if (!r.keys(node, "a schedule",
              {"cron", "timezone", "overlap", "catch_up", "catch_up_window", "jitter", "inputs"}))
    return;
  r.text(node, "timezone", spec.timezone);
  if (const YamlNode* cron = r.text(node, "cron", spec.cron)) {
    const Result<Cron> parsed = Cron::parse(spec.cron, spec.timezone);
    if (!parsed) r.error(*cron, "bad_cron", parsed.error().message);
  } else if (node.find("cron") == nullptr) {
    r.error(node, "missing_key", "a schedule needs `cron`");
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

void read_input(Reader& r, const std::string& name, const YamlNode& key, const YamlNode& node,
                std::vector<InputSpec>& into) {
  InputSpec spec;
  spec.name = name;
  if (name.empty() ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
          std::string::npos) {
    r.error(key, "bad_name", "an input's name has letters, digits, _ and - only");
  }
  if (!r.keys(node, "an input",
              {"type", "enum", "default", "description", "required", "min", "max", "pattern",
               "max_length"}))
    return;
  if (const YamlNode* type = node.find("type")) {
    if (const auto i =
            r.choice(*type, "`type`", {"string", "integer", "number", "boolean", "list", "object"}))
      spec.type = static_cast<InputType>(*i);
  }
  if (const YamlNode* choices = node.find("enum")) {
    if (!is_list(*choices) || choices->items.empty())
      r.error(*choices, "wrong_type", "`enum` must be a list with something in it");
    for (const YamlNode& item : choices->items) spec.choices.push_back(to_value(item));
  }
  r.text(node, "description", spec.description);
  r.boolean(node, "required", spec.required);
  double number = 0;
  if (r.real(node, "min", number, -1e15, 1e15) != nullptr) spec.min = number;
  if (r.real(node, "max", number, -1e15, 1e15) != nullptr) spec.max = number;
  int length = 0;
  if (r.integer(node, "max_length", length, 0, 1 << 20) != nullptr) spec.max_length = length;
  if (const YamlNode* pattern = r.text(node, "pattern", spec.pattern)) {
    const re2::RE2 regex(spec.pattern, re2::RE2::Quiet);
    if (!regex.ok())
      r.error(*pattern, "bad_pattern", "`pattern` is not an RE2 pattern: " + regex.error());
  }
  if (const YamlNode* given = node.find("default")) {
    spec.default_value = to_value(*given);
    spec.required = false;
  }
  into.push_back(std::move(spec));
}

void read_cells(Reader& r, const YamlNode& node, std::string_view key, std::vector<Value>& into) {
  const YamlNode* list = node.find(key);
  if (list == nullptr) return;
  if (!is_list(*list)) {
    r.error(*list, "wrong_type", "`" + std::string(key) + "` must be a list of mappings");
    return;
  }
  for (const YamlNode& item : list->items) {
    if (is_object(item)) {
      into.push_back(to_value(item));
    } else {
      r.error(item, "wrong_type", "an item of `" + std::string(key) + "` must be a mapping");
    }
  }
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
  if (!r.keys(node, "`on`",
              {"push", "pull_request", "schedule", "webhook", "manual", "workflow_dispatch"}))
    return;
  if (const YamlNode* push = node.find("push")) read_push(r, *push, "`push`", into.push);
  if (const YamlNode* pull = node.find("pull_request"))
    read_push(r, *pull, "`pull_request`", into.pull_request);
  into.webhook = node.find("webhook") != nullptr;
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
  for (const auto& [key, value] : node.members) read_input(r, key.raw, key, value, into);
}

void read_concurrency(Reader& r, const YamlNode& node, std::optional<ConcurrencySpec>& into) {
  ConcurrencySpec spec;
  if (is_scalar(node)) {
    const auto group = r.as_text(node, "`concurrency`");
    if (!group) return;
    spec.group = *group;
    into = std::move(spec);
    return;
  }
  if (!r.keys(node, "`concurrency`", {"group", "limit", "order", "on_overflow"})) return;
  if (r.text(node, "group", spec.group) == nullptr && node.find("group") == nullptr) {
    r.error(node, "missing_key", "`concurrency` needs `group`");
  }
  r.integer(node, "limit", spec.limit, 1, 10'000);
  if (const YamlNode* order = node.find("order")) {
    if (const auto i = r.choice(*order, "`order`", {"queue", "commit"}))
      spec.order = static_cast<LockOrder>(*i);
  }
  if (const YamlNode* overflow = node.find("on_overflow")) {
    if (const auto i = r.choice(*overflow, "`on_overflow`",
                                {"queue", "cancel_pending", "cancel_running", "reject"}))
      spec.on_overflow = static_cast<OnOverflow>(*i);
  }
  into = std::move(spec);
}

void read_retry(Reader& r, const YamlNode& node, RetrySpec& into) {
  into.given = true;
  if (is_scalar(node) && node.scalar.is_int()) {
    into.attempts = static_cast<int>(std::clamp<std::int64_t>(node.scalar.as_int(), 1, 100));
    return;
  }
  if (!r.keys(node, "`retry`",
              {"attempts", "backoff", "factor", "max", "jitter", "on", "exit_codes"}))
    return;
  r.integer(node, "attempts", into.attempts, 1, 100);
  r.duration(node, "backoff", into.backoff);
  r.real(node, "factor", into.factor, 1, 100);
  r.duration(node, "max", into.max);
  r.real(node, "jitter", into.jitter, 0, 1);
  if (const YamlNode* on = r.texts(node, "on", into.on)) {
    const std::vector<YamlNode> one = {*on};
    for (const YamlNode& item : is_list(*on) ? on->items : one) {
      r.choice(item, "`on`", {"user", "infra", "policy", "timeout", "lost_worker", "oom", "any"});
    }
  }
  const YamlNode* codes = node.find("exit_codes");
  if (codes == nullptr) return;
  if (!is_list(*codes)) r.error(*codes, "wrong_type", "`exit_codes` must be a list of numbers");
  for (const YamlNode& item : codes->items) {
    const bool fine = is_scalar(item) && item.scalar.is_int() && item.scalar.as_int() >= 0 &&
                      item.scalar.as_int() <= 255;
    if (fine) {
      into.exit_codes.push_back(static_cast<int>(item.scalar.as_int()));
    } else {
      r.error(item, "out_of_range", "an exit code is a number from 0 to 255");
    }
  }
}

void read_matrix(Reader& r, const YamlNode& node, MatrixSpec& into) {
  if (is_scalar(node)) {
    const auto text = r.as_text(node, "`matrix`");
    if (!text) return;
    const std::string_view trimmed = trim(*text);
    if (!trimmed.starts_with("${{") || !trimmed.ends_with("}}")) {
      r.error(node, "wrong_type", "`matrix` must be a mapping or one ${{ }} expression");
    }
    into.expression = std::string(trimmed);
    return;
  }
  if (!is_object(node)) {
    r.error(node, "wrong_type", "`matrix` must be a mapping or one ${{ }} expression, not a list");
    return;
  }
  read_cells(r, node, "include", into.include);
  read_cells(r, node, "exclude", into.exclude);
  r.integer(node, "max_cells", into.max_cells, 1, 10'000);
  for (const auto& [key, value] : node.members) {
    if (key.raw == "include" || key.raw == "exclude" || key.raw == "max_cells") continue;
    MatrixAxis axis{.name = key.raw, .values = {}, .expression = {}};
    if (is_list(value)) {
      for (const YamlNode& item : value.items) axis.values.push_back(to_value(item));
      if (axis.values.empty())
        r.error(value, "empty_axis", "the axis `" + key.raw + "` has no values");
    } else if (is_scalar(value) && trim(value.raw).starts_with("${{")) {
      axis.expression = std::string(trim(value.raw));
    } else {
      r.error(value, "wrong_type",
              "the axis `" + key.raw + "` must be a list or one ${{ }} expression");
    }
    into.axes.push_back(std::move(axis));
  }
  if (into.axes.empty() && into.include.empty())
    r.error(node, "empty_matrix", "the matrix has no axis and no `include`");
}

void read_approve(Reader& r, const YamlNode& node, ApproveSpec& into) {
  if (is_scalar(node) && node.scalar.is_null()) return;
  if (!r.keys(node, "`approve`", {"by", "count", "expires", "prompt", "self"})) return;
  if (const YamlNode* by = r.texts(node, "by", into.by)) {
    for (const std::string& who : into.by) {
      const bool fine =
          who.starts_with("user:") || who.starts_with("group:") || who.starts_with("role:");
      if (!fine)
        r.error(*by, "unknown_value",
                "`by` names user:NAME, group:NAME or role:NAME, not `" + who + "`");
    }
  }
  r.integer(node, "count", into.count, 1, 100);
  r.duration(node, "expires", into.expires);
  r.text(node, "prompt", into.prompt);
  r.boolean(node, "self", into.self);
}

void read_wait(Reader& r, const YamlNode& node, WaitSpec& into) {
  const auto check = [&](const YamlNode& at, const std::string& text) {
    if (text.find("${{") == std::string::npos && !parse_duration(text)) {
      r.error(at, "bad_duration", "`wait` is not a duration: `" + text + "`",
              "write it like 1h30m, 10s or 500ms");
    }
  };
  if (is_scalar(node)) {
    if (const auto text = r.as_text(node, "`wait`")) {
      into.duration = *text;
      check(node, *text);
    }
    return;
  }
  if (!r.keys(node, "`wait`", {"duration", "until", "event", "timeout"})) return;
  if (const YamlNode* at = r.text(node, "duration", into.duration)) check(*at, into.duration);
  if (const YamlNode* at = r.text(node, "until", into.until)) {
    if (into.until.find("${{") == std::string::npos && !parse_rfc3339(into.until))
      r.error(*at, "bad_time", "`until` is not an RFC 3339 time: `" + into.until + "`");
  }
  r.text(node, "event", into.event);
  r.duration(node, "timeout", into.timeout);
  const int given = !into.duration.empty() + !into.until.empty() + !into.event.empty();
  if (given != 1) r.error(node, "one_of", "`wait` needs exactly one of duration, until and event");
}

void read_child(Reader& r, const YamlNode& node, ChildSpec& into) {
  if (is_scalar(node)) {
    if (auto name = r.as_text(node, "`workflow`")) into.name = std::move(*name);
    return;
  }
  if (!r.keys(node, "`workflow`", {"name", "inputs"})) return;
  if (r.text(node, "name", into.name) == nullptr && node.find("name") == nullptr)
    r.error(node, "missing_key", "`workflow` needs `name`");
  const YamlNode* inputs = node.find("inputs");
  if (inputs == nullptr) return;
  if (!is_object(*inputs)) r.error(*inputs, "wrong_type", "`inputs` must be a mapping");
  for (const auto& [key, value] : inputs->members)
    into.inputs.emplace_back(key.raw, to_value(value));
}

void read_cache(Reader& r, const YamlNode& node, CacheSpec& into) {
  if (!r.keys(node, "`cache`", {"key", "inputs", "outputs"})) return;
  if (r.text(node, "key", into.key) == nullptr && node.find("key") == nullptr)
    r.error(node, "missing_key", "`cache` needs `key`");
  r.texts(node, "inputs", into.inputs);
  r.texts(node, "outputs", into.outputs);
}

void read_artifacts(Reader& r, const YamlNode& node, std::vector<ArtifactSpec>& into) {
  const std::vector<YamlNode> one = {node};
  for (const YamlNode& item : is_list(node) ? node.items : one) {
    ArtifactSpec spec;
    if (!r.keys(item, "an artifact", {"name", "path", "keep"})) continue;
    if (r.text(item, "path", spec.path) == nullptr && item.find("path") == nullptr)
      r.error(item, "missing_key", "an artifact needs `path`");
    if (r.text(item, "name", spec.name) == nullptr && item.find("name") == nullptr)
      r.error(item, "missing_key", "an artifact needs `name`");
    r.duration(item, "keep", spec.keep);
    into.push_back(std::move(spec));
  }
}

void read_services(Reader& r, const YamlNode& node, std::vector<ServiceSpec>& into) {
  if (!is_object(node)) {
    r.error(node, "wrong_type", "`services` must be a mapping of names, not " + kind_name(node));
    return;
  }
  for (const auto& [key, value] : node.members) {
    ServiceSpec spec;
    spec.name = key.raw;
    if (!r.keys(value, "a service", {"run", "image", "ready", "env", "ports", "timeout"})) continue;
    r.text(value, "run", spec.run);
    r.text(value, "image", spec.image);
    if (spec.run.empty() == spec.image.empty())
      r.error(value, "one_of", "a service needs exactly one of run and image");
    r.text(value, "ready", spec.ready);
    r.bindings(value, "env", spec.env);
    r.texts(value, "ports", spec.ports);
    r.duration(value, "timeout", spec.timeout);
    into.push_back(std::move(spec));
  }
}
}  // namespace mc::lang
