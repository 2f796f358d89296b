#include "lang/late.h"

#include <algorithm>
#include <array>

#include "lang/parse.h"

namespace mc::lang {
namespace {
// What is read before a job begins (runs_on, effects of a job that is to be run again, the shell of
// its steps) is not among them.
constexpr std::array<std::string_view, 24> kPlaces{
    "max_parallel",      "max-parallel",      "fail_fast",       "fail-fast",
    "continue_on_error", "continue-on-error", "sandbox",         "timeout",
    "timeout.queue",     "timeout.run",       "timeout-minutes", "retry",
    "retry.attempts",    "retry.backoff",     "retry.factor",    "retry.max",
    "retry.jitter",      "approve.count",     "approve.expires", "approve.self",
    "wait.timeout",      "concurrency.limit", "resources.cpu",   "resources.memory"};

struct Place {
  std::string_view part, key;  // `part` empty: the job itself
};
Place apart(std::string_view place) {
  const std::size_t dot = place.find('.');
  if (dot == std::string_view::npos) return {{}, place};
  return {place.substr(0, dot), place.substr(dot + 1)};
}

const YamlNode* find_at(const YamlNode& job, std::string_view place) {
  const auto [part, key] = apart(place);
  const YamlNode* in = part.empty() ? &job : job.find(part);
  return in != nullptr && in->kind == YamlNode::Kind::object ? in->find(key) : nullptr;
}

void drop(YamlNode& node, std::string_view key) {
  std::erase_if(node.members, [&](const YamlMember& member) { return member.first.raw == key; });
}

void put(Value& source, std::string_view place, const Value& value) {
  const auto [part, key] = apart(place);
  if (part.empty()) return source.set(key, value);
  const Value* in = source.find(part);
  Value inner = in != nullptr && in->is_object() ? *in : Value(Object{});
  inner.set(key, value);
  source.set(part, std::move(inner));
}

Result<std::string> text_at(const Value& source, std::string_view place) {
  const auto [part, key] = apart(place);
  const Value* in = part.empty() ? &source : source.find(part);
  const Value* found = in != nullptr && in->is_object() ? in->find(key) : nullptr;
  if (found != nullptr && found->is_string()) return found->as_string();
  return Error{Code::invalid_definition, "`" + std::string(place) + "` is not there", {}};
}
}  // namespace

std::vector<std::string> late_settings(const YamlNode& job) {
  std::vector<std::string> places;
  for (const std::string_view place : kPlaces) {
    const YamlNode* found = find_at(job, place);
    if (found != nullptr && has_expression(*found)) places.emplace_back(place);
  }
  return places;
}

YamlNode without(const YamlNode& job, const std::vector<std::string>& places) {
  YamlNode rest = job;
  for (const std::string& place : places) {
    const auto [part, key] = apart(place);
    if (part.empty()) drop(rest, key);
    for (YamlMember& member : rest.members) {
      if (!part.empty() && member.first.raw == part) drop(member.second, key);
    }
  }
  return rest;
}

const YamlNode& node_at(const YamlNode& job, const std::string& place) {
  const YamlNode* found = find_at(job, place);
  return found != nullptr ? *found : job;
}

bool is_of_group(const std::string& place) {
  return place.starts_with("max") || place.starts_with("fail");
}

Result<Value> evaluate_late(const JobSpec& job, LatePart part, const Scope& scope) {
  Value settings = Object{};
  for (const std::string& place : job.late) {
    if (part != LatePart::job && is_of_group(place) != (part == LatePart::group)) continue;
    const Result<std::string> text = text_at(job.source, place);
    if (!text) return text.error();
    Result<Value> value = evaluate_template(*text, scope);
    if (!value) return Error{value.error().code, "`" + place + "`: " + value.error().message, {}};
    settings.set(place, std::move(*value));
  }
  const auto fits = with_settings(job, settings);
  if (!fits) return fits.error();
  // A value is no template, also when it looks like one.
  for (const std::string& place : fits->late) {
    if (settings.find(place) != nullptr || settings.find(apart(place).part) != nullptr)
      return Error{Code::invalid_definition, "`" + place + "` cannot be a text with ${{", {}};
  }
  return settings;
}

Result<JobSpec> with_settings(const JobSpec& job, const Value& settings) {
  Value source = job.source;
  for (const Member& setting : settings.as_object()) put(source, setting.first, setting.second);
  Result<JobSpec> settled = parse_job(job.key, source);
  if (!settled) return settled;
  settled->needs = job.needs;
  settled->references = job.references;
  return settled;
}
}  // namespace mc::lang
