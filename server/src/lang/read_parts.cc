#include <algorithm>

#include "base/text.h"
#include "lang/parse.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
constexpr std::size_t kAxesMax = 32;

// A list of mappings, or one expression that gives it.
void read_cells(Reader& r, const YamlNode& node, std::string_view key, std::vector<Value>& into,
                std::string& expression) {
  const YamlNode* list = node.find(key);
  if (list == nullptr || r.late(node, key, expression)) return;
  if (!is_list(*list)) {
    r.error(*list, "wrong_type",
            "`" + std::string(key) + "` must be a list of mappings or one ${{ }} expression");
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

// What names an axis that is not there would exclude nothing, unseen.
void check_exclude(Reader& r, const YamlNode& node, const MatrixSpec& matrix) {
  const YamlNode* list = node.find("exclude");
  if (list == nullptr) return;
  std::vector<std::string> axes;
  for (const MatrixAxis& axis : matrix.axes) axes.push_back(axis.name);
  for (const YamlNode& item : list->items) {
    for (const auto& [key, value] : item.members) {
      if (std::find(axes.begin(), axes.end(), key.raw) == axes.end())
        r.error(key, "unknown_name", "the matrix has no axis `" + key.raw + "` to exclude by",
                r.suggest(key.raw, axes));
    }
  }
}
}  // namespace

void read_concurrency(Reader& r, const YamlNode& node, std::optional<ConcurrencySpec>& into) {
  ConcurrencySpec spec;
  if (is_scalar(node)) {
    const auto group = r.as_text(node, "`concurrency`");
    if (!group) return;
    spec.group = *group;
    into = std::move(spec);
    return;
  }
  if (!r.keys(node, sections::kConcurrency)) return;
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
    const std::int64_t attempts = node.scalar.as_int();
    if (attempts < 1 || attempts > 100)
      r.error(node, "out_of_range", "`retry` must be a whole number from 1 to 100");
    into.attempts = static_cast<int>(std::clamp<std::int64_t>(attempts, 1, 100));
    return;
  }
  if (!r.keys(node, sections::kRetry)) return;
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

void read_resources(Reader& r, const YamlNode& node, Resources& into) {
  if (!r.keys(node, sections::kResources)) return;
  double cpus = 0;
  if (r.real(node, "cpu", cpus, kCpusMin, kCpusMax) != nullptr) into.cpu_milli = cpu_milli_of(cpus);
  std::string text;
  const YamlNode* memory = r.text(node, "memory", text);
  if (memory == nullptr) return;
  const std::optional<std::int64_t> bytes = parse_size(text);
  if (!bytes || *bytes < 1 || *bytes > kMemoryMax) {
    return r.error(*memory, "out_of_range", "`memory` must be an amount, such as 512MiB or 4GiB",
                   "KiB, MiB, GiB and TiB are known, each after a whole number");
  }
  into.memory = *bytes;
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
  read_cells(r, node, "include", into.include, into.include_expression);
  read_cells(r, node, "exclude", into.exclude, into.exclude_expression);
  r.integer(node, "max_cells", into.max_cells, 1, 10'000);
  if (node.members.size() > kAxesMax + 3) {
    r.error(node, "limit_exceeded", "a matrix has at most 32 axes");
    return;
  }
  for (const auto& [key, value] : node.members) {
    if (key.raw == "include" || key.raw == "exclude" || key.raw == "max_cells") continue;
    if (!is_identifier(key.raw))
      r.error(key, "bad_name", std::string("an axis's name ") + kIdentifierRule);
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
  if (into.axes.empty() && into.include.empty() && into.include_expression.empty())
    r.error(node, "empty_matrix", "the matrix has no axis and no `include`");
  check_exclude(r, node, into);
}

bool names_approver(std::string_view who) {
  return who.starts_with("user:") || who.starts_with("group:") || who.starts_with("role:");
}

void read_approve(Reader& r, const YamlNode& node, ApproveSpec& into) {
  if (is_scalar(node) && node.scalar.is_null()) return;
  if (!r.keys(node, sections::kApprove)) return;
  if (const YamlNode* by = r.texts(node, "by", into.by)) {
    for (const std::string& who : into.by) {
      const bool later = who.find("${{") != std::string::npos;  // checked when it is asked
      if (!later && !names_approver(who))
        r.error(*by, "unknown_value",
                "`by` names user:NAME, group:NAME or role:NAME, not `" + who + "`");
    }
  }
  r.integer(node, "count", into.count, 1, 100);
  r.limit(node, "expires", into.expires);
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
  if (!r.keys(node, sections::kWait)) return;
  if (const YamlNode* at = r.text(node, "duration", into.duration)) check(*at, into.duration);
  if (const YamlNode* at = r.text(node, "until", into.until)) {
    if (into.until.find("${{") == std::string::npos && !parse_rfc3339(into.until))
      r.error(*at, "bad_time", "`until` is not an RFC 3339 time: `" + into.until + "`");
  }
  r.text(node, "event", into.event);
  r.limit(node, "timeout", into.timeout);
  const int given = !into.duration.empty() + !into.until.empty() + !into.event.empty();
  if (given != 1) r.error(node, "one_of", "`wait` needs exactly one of duration, until and event");
  if (into.event.empty() && node.find("timeout") != nullptr)
    r.error(*node.find("timeout"), "one_of", "`timeout` goes with `event`");
}

void read_child(Reader& r, const YamlNode& node, ChildSpec& into) {
  if (is_scalar(node)) {
    if (auto name = r.as_text(node, "`workflow`")) into.name = std::move(*name);
    return;
  }
  if (!r.keys(node, sections::kChild)) return;
  if (r.text(node, "name", into.name) == nullptr && node.find("name") == nullptr)
    r.error(node, "missing_key", "`workflow` needs `name`");
  const YamlNode* inputs = node.find("inputs");
  if (inputs == nullptr) return;
  if (!is_object(*inputs)) r.error(*inputs, "wrong_type", "`inputs` must be a mapping");
  for (const auto& [key, value] : inputs->members)
    into.inputs.emplace_back(key.raw, to_value(value));
}

void read_cache(Reader& r, const YamlNode& node, CacheSpec& into) {
  if (!r.keys(node, sections::kCache)) return;
  if (r.text(node, "key", into.key) == nullptr && node.find("key") == nullptr)
    r.error(node, "missing_key", "`cache` needs `key`");
  r.texts(node, "inputs", into.inputs);
  r.texts(node, "outputs", into.outputs);
}

void read_artifacts(Reader& r, const YamlNode& node, std::vector<ArtifactSpec>& into) {
  const std::vector<YamlNode> one = {node};
  for (const YamlNode& item : is_list(node) ? node.items : one) {
    ArtifactSpec spec;
    if (!r.keys(item, sections::kArtifact)) continue;
    if (r.text(item, "path", spec.path) == nullptr && item.find("path") == nullptr)
      r.error(item, "missing_key", "an artifact needs `path`");
    if (r.text(item, "name", spec.name) == nullptr && item.find("name") == nullptr)
      r.error(item, "missing_key", "an artifact needs `name`");
    r.limit(item, "keep", spec.keep);
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
    if (!is_identifier(spec.name))
      r.error(key, "bad_name", std::string("a service's name ") + kIdentifierRule);
    if (!r.keys(value, sections::kService)) continue;
    r.text(value, "run", spec.run);
    r.text(value, "image", spec.image);
    if (spec.run.empty() == spec.image.empty())
      r.error(value, "one_of", "a service needs exactly one of run and image");
    r.text(value, "ready", spec.ready);
    for (const char* fixed : {"run", "image", "ready"}) {
      const YamlNode* at = value.find(fixed);
      if (at != nullptr && at->raw.find("${{") != std::string::npos) {
        r.error(*at, "expression_in_run",
                "`" + std::string(fixed) + "` of a service must not contain ${{ }}",
                "pass the value through the service's `env`");
      }
    }
    r.environment(value, spec.env);
    r.texts(value, "ports", spec.ports);
    r.limit(value, "timeout", spec.timeout);
    into.push_back(std::move(spec));
  }
}
}  // namespace mc::lang
