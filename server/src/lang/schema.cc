// The JSON Schema of the language, for editors. It says what a schema can say; parse_workflow says
// the rest. What keys mean comes from keys.h, the actions' inputs from actions.h. schema_test.cc
// holds the properties against the keys that the reader knows.
#include "base/check.h"
#include "base/json.h"
#include "lang/actions.h"
#include "lang/keys.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
constexpr std::string_view kSchema = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Maestro workflow",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"},
    "description": {"$ref": "#/$defs/text"},
    "on": {
      "oneOf": [
        {"enum": ["push", "pull_request", "webhook"]},
        {"type": "array", "items": {"enum": ["push", "pull_request", "webhook"]}},
        {"$ref": "#/$defs/triggers"}
      ]
    },
    "inputs": {
      "type": "object",
      "propertyNames": {"$ref": "#/$defs/identifier"},
      "additionalProperties": {"$ref": "#/$defs/input"}
    },
    "env": {"$ref": "#/$defs/env"},
    "concurrency": {"oneOf": [{"$ref": "#/$defs/text"}, {"$ref": "#/$defs/concurrency"}]},
    "timeout": {"$ref": "#/$defs/duration"},
    "priority": {"type": "integer", "minimum": -100, "maximum": 100},
    "defaults": {"$ref": "#/$defs/defaults"},
    "jobs": {"$ref": "#/$defs/jobs"},
    "on_failure": {"$ref": "#/$defs/jobs"},
    "finally": {"$ref": "#/$defs/jobs"},
    "outputs": {"$ref": "#/$defs/bindings"}
  },
  "required": ["jobs"],
  "$defs": {
    "duration": {
      "type": "string",
      "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
      "examples": ["1h30m", "10s", "500ms"]
    },
    "expression": {"type": "string", "pattern": "\\$\\{\\{"},
    "late_duration": {"anyOf": [{"$ref": "#/$defs/duration"}, {"$ref": "#/$defs/expression"}]},
    "late_boolean": {"type": ["boolean", "string"], "pattern": "\\$\\{\\{"},
    "late_integer": {"type": ["integer", "string"], "pattern": "\\$\\{\\{"},
    "late_number": {"type": ["number", "string"], "pattern": "\\$\\{\\{"},
    "cells": {
      "oneOf": [
        {"type": "array", "items": {"type": "object"}},
        {"$ref": "#/$defs/expression"}
      ]
    },
    "identifier": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,99}$"},
    "text": {"type": ["string", "number", "boolean"]},
    "texts": {
      "oneOf": [
        {"$ref": "#/$defs/text"},
        {"type": "array", "items": {"$ref": "#/$defs/text"}}
      ]
    },
    "condition": {"type": ["string", "boolean"]},
    "env": {
      "type": "object",
      "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
      "additionalProperties": {"type": ["string", "number", "boolean", "null"]}
    },
    "bindings": {"type": "object"},
    "shell": {"enum": ["bash", "sh"]},
    "script": {"type": "string", "not": {"pattern": "\\$\\{\\{"}},
    "timeout": {"oneOf": [{"$ref": "#/$defs/late_duration"}, {"$ref": "#/$defs/timeouts"}]},
    "timeouts": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "queue": {"$ref": "#/$defs/late_duration"},
        "run": {"$ref": "#/$defs/late_duration"}
      }
    },
    "triggers": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "push": {"$ref": "#/$defs/push"},
        "pull_request": {"$ref": "#/$defs/push"},
        "schedule": {
          "oneOf": [
            {"$ref": "#/$defs/schedule"},
            {"type": "array", "items": {"$ref": "#/$defs/schedule"}}
          ]
        },
        "webhook": {"type": ["object", "null"], "maxProperties": 0},
        "manual": {"deprecated": true},
        "workflow_dispatch": {"deprecated": true}
      }
    },
    "push": {
      "type": ["object", "null"],
      "additionalProperties": false,
      "properties": {
        "branches": {"$ref": "#/$defs/texts"},
        "branches_ignore": {"$ref": "#/$defs/texts"},
        "tags": {"$ref": "#/$defs/texts"},
        "paths": {"$ref": "#/$defs/texts"},
        "paths_ignore": {"$ref": "#/$defs/texts"},
        "branches-ignore": {"$ref": "#/$defs/texts", "deprecated": true},
        "paths-ignore": {"$ref": "#/$defs/texts", "deprecated": true}
      }
    },
    "schedule": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "cron": {"type": "string", "examples": ["0 2 * * 1-5", "@daily"]},
        "timezone": {"type": "string", "default": "UTC"},
        "overlap": {
          "enum": ["skip", "queue_one", "queue_all", "cancel_running"],
          "default": "skip"
        },
        "catch_up": {"enum": ["none", "last", "all"], "default": "last"},
        "catch_up_window": {"$ref": "#/$defs/duration"},
        "jitter": {"$ref": "#/$defs/duration"},
        "inputs": {"type": "object"}
      },
      "required": ["cron"]
    },
    "input": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "type": {
          "enum": ["string", "integer", "number", "boolean", "list", "object"],
          "default": "string"
        },
        "enum": {"type": "array", "minItems": 1},
        "default": {},
        "description": {"type": "string"},
        "required": {"type": "boolean"},
        "min": {"type": "number"},
        "max": {"type": "number"},
        "pattern": {"type": "string"},
        "max_length": {"type": "integer", "minimum": 0}
      }
    },
    "concurrency": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "group": {"$ref": "#/$defs/text"},
        "limit": {"type": "integer", "minimum": 1},
        "order": {"enum": ["queue", "commit"]},
        "on_overflow": {"enum": ["queue", "cancel_pending", "cancel_running", "reject"]}
      },
      "required": ["group"]
    },
    "defaults": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "runs_on": {"$ref": "#/$defs/texts"},
        "shell": {"$ref": "#/$defs/shell"},
        "retry": {"$ref": "#/$defs/retries"},
        "timeout": {"$ref": "#/$defs/timeout"},
        "runs-on": {"$ref": "#/$defs/texts", "deprecated": true}
      }
    },
    "resources": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "cpu": {"$ref": "#/$defs/late_number", "minimum": 0.001, "maximum": 10000},
        "memory": {
          "anyOf": [
            {"type": "string", "pattern": "^[0-9]{1,7}([KMGT]i)?B$"},
            {"$ref": "#/$defs/expression"}
          ]
        }
      }
    },
    "retries": {
      "oneOf": [
        {"type": "integer", "minimum": 1, "maximum": 100},
        {"$ref": "#/$defs/expression"},
        {"$ref": "#/$defs/retry"}
      ]
    },
    "retry": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "attempts": {"$ref": "#/$defs/late_integer", "minimum": 1, "maximum": 100},
        "backoff": {"$ref": "#/$defs/late_duration"},
        "factor": {"$ref": "#/$defs/late_number", "minimum": 1, "maximum": 100},
        "max": {"$ref": "#/$defs/late_duration"},
        "jitter": {"$ref": "#/$defs/late_number", "minimum": 0, "maximum": 1},
        "on": {
          "oneOf": [
            {"$ref": "#/$defs/failure_kind"},
            {"type": "array", "items": {"$ref": "#/$defs/failure_kind"}}
          ]
        },
        "exit_codes": {
          "type": "array",
          "items": {"type": "integer", "minimum": 0, "maximum": 255}
        }
      }
    },
    "failure_kind": {
      "enum": ["user", "infra", "policy", "timeout", "lost_worker", "oom", "any"]
    },
    "matrix": {
      "oneOf": [
        {"type": "string", "pattern": "^\\s*\\$\\{\\{"},
        {
          "type": "object",
          "minProperties": 1,
          "propertyNames": {"$ref": "#/$defs/identifier"},
          "properties": {
            "include": {"$ref": "#/$defs/cells"},
            "exclude": {"$ref": "#/$defs/cells"},
            "max_cells": {"type": "integer", "minimum": 1, "maximum": 10000}
          },
          "additionalProperties": {
            "oneOf": [
              {"type": "array", "minItems": 1},
              {"type": "string", "pattern": "^\\s*\\$\\{\\{"}
            ]
          }
        }
      ]
    },
    "steps": {
      "type": "array",
      "minItems": 1,
      "maxItems": 1000,
      "items": {"$ref": "#/$defs/step"}
    },
    "step": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "id": {"$ref": "#/$defs/identifier"},
        "name": {"$ref": "#/$defs/text"},
        "if": {"$ref": "#/$defs/condition"},
        "run": {"$ref": "#/$defs/script"},
        "uses": {"enum": []},
        "with": {"type": "object"},
        "env": {"$ref": "#/$defs/env"},
        "timeout": {"$ref": "#/$defs/late_duration"},
        "working_directory": {"$ref": "#/$defs/text"},
        "shell": {"$ref": "#/$defs/shell"},
        "continue_on_error": {"$ref": "#/$defs/late_boolean", "default": false},
        "working-directory": {"$ref": "#/$defs/text", "deprecated": true},
        "continue-on-error": {"$ref": "#/$defs/late_boolean", "deprecated": true},
        "timeout-minutes": {"type": "integer", "minimum": 1, "deprecated": true}
      },
      "oneOf": [
        {"required": ["run"], "not": {"required": ["with"]}},
        {"required": ["uses"]}
      ],
      "allOf": []
    },
    "jobs": {
      "type": "object",
      "minProperties": 1,
      "maxProperties": 10000,
      "propertyNames": {"$ref": "#/$defs/identifier"},
      "additionalProperties": {"$ref": "#/$defs/job"}
    },
    "job": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "name": {"$ref": "#/$defs/text"},
        "needs": {"$ref": "#/$defs/texts"},
        "if": {"$ref": "#/$defs/condition"},
        "resources": {"$ref": "#/$defs/resources"},
        "runs_on": {"$ref": "#/$defs/texts"},
        "matrix": {"$ref": "#/$defs/matrix"},
        "max_parallel": {"$ref": "#/$defs/late_integer", "minimum": 1, "maximum": 10000},
        "fail_fast": {"$ref": "#/$defs/late_boolean", "default": true},
        "retry": {"$ref": "#/$defs/retries"},
        "timeout": {"$ref": "#/$defs/timeout"},
        "continue_on_error": {"$ref": "#/$defs/late_boolean", "default": false},
        "effects": {"enum": ["none", "idempotent", "external"], "default": "none"},
        "env": {"$ref": "#/$defs/env"},
        "shell": {"$ref": "#/$defs/shell"},
        "steps": {"$ref": "#/$defs/steps"},
        "approve": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/approve"}]},
        "wait": {
          "oneOf": [
            {"$ref": "#/$defs/late_duration"},
            {"$ref": "#/$defs/wait"}
          ]
        },
        "workflow": {"oneOf": [{"$ref": "#/$defs/text"}, {"$ref": "#/$defs/child"}]},
        "on_failure": {"$ref": "#/$defs/steps"},
        "finally": {"$ref": "#/$defs/steps"},
        "compensate": {"$ref": "#/$defs/steps"},
        "outputs": {"$ref": "#/$defs/bindings"},
        "cache": {"$ref": "#/$defs/cache"},
        "artifacts": {
          "oneOf": [
            {"$ref": "#/$defs/artifact"},
            {"type": "array", "items": {"$ref": "#/$defs/artifact"}}
          ]
        },
        "services": {
          "type": "object",
          "propertyNames": {"$ref": "#/$defs/identifier"},
          "additionalProperties": {"$ref": "#/$defs/service"}
        },
        "container": {"oneOf": [{"$ref": "#/$defs/text"}, {"$ref": "#/$defs/container"}]},
        "sandbox": {"$ref": "#/$defs/late_boolean", "default": false},
        "concurrency": {
          "oneOf": [
            {"$ref": "#/$defs/text"},
            {
              "type": "object",
              "additionalProperties": false,
              "properties": {
                "group": {"$ref": "#/$defs/text"},
                "limit": {"$ref": "#/$defs/late_integer", "minimum": 1}
              },
              "required": ["group"]
            }
          ]
        },
        "runs-on": {"$ref": "#/$defs/texts", "deprecated": true},
        "fail-fast": {"$ref": "#/$defs/late_boolean", "deprecated": true},
        "max-parallel": {"$ref": "#/$defs/late_integer", "minimum": 1, "deprecated": true},
        "continue-on-error": {"$ref": "#/$defs/late_boolean", "deprecated": true},
        "timeout-minutes": {"$ref": "#/$defs/late_integer", "minimum": 1, "deprecated": true}
      },
      "oneOf": [
        {"required": ["steps"]},
        {"required": ["approve"]},
        {"required": ["wait"]},
        {"required": ["workflow"]}
      ]
    },
    "approve": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "by": {
          "oneOf": [
            {"$ref": "#/$defs/approver"},
            {"type": "array", "items": {"$ref": "#/$defs/approver"}}
          ]
        },
        "count": {"$ref": "#/$defs/late_integer", "minimum": 1, "maximum": 100, "default": 1},
        "expires": {"$ref": "#/$defs/late_duration"},
        "prompt": {"$ref": "#/$defs/text"},
        "self": {"$ref": "#/$defs/late_boolean", "default": true}
      }
    },
    "approver": {"type": "string", "pattern": "^(user|group|role):|\\$\\{\\{"},
    "wait": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "duration": {"$ref": "#/$defs/late_duration"},
        "until": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]|\\$\\{\\{"},
        "event": {"$ref": "#/$defs/text"},
        "timeout": {"$ref": "#/$defs/late_duration"}
      },
      "oneOf": [
        {"required": ["duration"]},
        {"required": ["until"]},
        {"required": ["event"]}
      ],
      "dependentRequired": {"timeout": ["event"]}
    },
    "child": {
      "type": "object",
      "additionalProperties": false,
      "properties": {"name": {"$ref": "#/$defs/text"}, "inputs": {"type": "object"}},
      "required": ["name"]
    },
    "cache": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "key": {"$ref": "#/$defs/text"},
        "inputs": {"$ref": "#/$defs/texts"},
        "outputs": {"$ref": "#/$defs/texts"}
      },
      "required": ["key"]
    },
    "artifact": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "name": {"$ref": "#/$defs/text"},
        "path": {"$ref": "#/$defs/text"},
        "keep": {"$ref": "#/$defs/duration"}
      },
      "required": ["name", "path"]
    },
    "service": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "run": {"$ref": "#/$defs/script"},
        "image": {"$ref": "#/$defs/script"},
        "ready": {"$ref": "#/$defs/script"},
        "env": {"$ref": "#/$defs/env"},
        "ports": {"$ref": "#/$defs/texts"},
        "timeout": {"$ref": "#/$defs/duration"}
      },
      "oneOf": [{"required": ["run"]}, {"required": ["image"]}]
    },
    "container": {
      "type": "object",
      "additionalProperties": false,
      "properties": {"image": {"$ref": "#/$defs/text"}},
      "required": ["image"]
    }
  }
})";

Value* member(Value& value, std::string_view name) {
  for (Member& known : value.as_object()) {
    if (known.first == name) return &known.second;
  }
  MC_CHECK(false);  // kSchema has no such member
  return nullptr;
}

// Every property of a section with what it means.
void describe(Value& schema) {
  for (const Section* section : all_sections()) {
    const bool root = section == &sections::kWorkflow;
    Value& holder = root ? schema : *member(*member(schema, "$defs"), section->name);
    for (const Key& key : section->keys)
      member(*member(holder, "properties"), key.name)->set("description", key.meaning);
  }
}

// {"if": {"properties": {"uses": {"const": NAME}}, "required": ["uses"]}, "then": …}
Value rule_of(const Action& action) {
  Object inputs;
  List required;
  for (const ActionInput& input : action.inputs) {
    inputs.emplace_back(input.name, Value(Object{}));
    if (input.required) required.emplace_back(input.name);
  }
  Object with = {{"properties", Value(std::move(inputs))}, {"additionalProperties", Value(false)}};
  Object then = {};
  if (!required.empty()) {
    with.emplace_back("required", Value(std::move(required)));
    then.emplace_back("required", Value(List{Value("with")}));
  }
  then.emplace_back("properties", Value(Object{{"with", Value(std::move(with))}}));
  const Object uses = {{"uses", Value(Object{{"const", Value(action.name)}})}};
  const Object condition = {{"properties", Value(uses)}, {"required", Value(List{Value("uses")})}};
  return Value(Object{{"if", Value(condition)}, {"then", Value(std::move(then))}});
}

void add_actions(Value& schema) {
  Value& step = *member(*member(schema, "$defs"), "step");
  List names, rules;
  for (const Action& action : actions()) {
    names.emplace_back(action.name);
    rules.push_back(rule_of(action));
  }
  member(*member(step, "properties"), "uses")->set("enum", Value(std::move(names)));
  step.set("allOf", Value(std::move(rules)));
}
}  // namespace

std::string workflow_schema() {
  Result<Value> schema = parse_json(kSchema);
  MC_CHECK(schema.ok());
  describe(*schema);
  add_actions(*schema);
  return to_pretty_json(*schema);
}
}  // namespace mc::lang
