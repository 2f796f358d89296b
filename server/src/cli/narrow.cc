#include "cli/narrow.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"

namespace mc::cli {
namespace {

std::string_view type_text(InputType type) {
  switch (type) {
    case InputType::string: return "string";
    case InputType::integer: return "integer";
    case InputType::number: return "number";
    case InputType::boolean: return "boolean";
    case InputType::list: return "list";
    case InputType::object: return "object";
  }
  return "string";
}

Value input_value(const InputSpec& input) {
  Value value{Object{}};
  value.set("type", type_text(input.type));
  if (input.default_value) {
    value.set("default", *input.default_value);
  } else {
    value.set("required", input.required);
  }
  if (!input.choices.empty()) value.set("enum", List(input.choices));
  if (input.min) value.set("min", *input.min);
  if (input.max) value.set("max", *input.max);
  if (!input.pattern.empty()) value.set("pattern", input.pattern);
  if (input.max_length) value.set("max_length", *input.max_length);
  return value;
}

}  // namespace

std::string narrowed(const WorkflowSpec& spec, const std::vector<std::string>& keys) {
  Value inputs{Object{}};
  for (const InputSpec& input : spec.inputs) inputs.set(input.name, input_value(input));
  Value env{Object{}};
  for (const auto& [name, text] : spec.env) env.set(name, text);
  Value jobs{Object{}};
  for (const JobSpec& job : spec.jobs)
    if (std::find(keys.begin(), keys.end(), job.key) != keys.end()) jobs.set(job.key, job.source);
  Value whole{Object{}};
  whole.set("name", spec.name);
  if (!spec.inputs.empty()) whole.set("inputs", std::move(inputs));
  if (!spec.env.empty()) whole.set("env", std::move(env));
  if (spec.timeout.count() > 0) whole.set("timeout", to_duration_text(spec.timeout));
  whole.set("jobs", std::move(jobs));
  return to_pretty_json(whole) + "\n";
}

}  // namespace mc::cli
