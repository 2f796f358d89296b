// The JSON Schema of the language, for editors. It says what a schema can say; parse_workflow says
// the rest. schema_test.cc holds it against the keys that the reader knows.
#include "lang/parse.h"

namespace mc::lang {
namespace {
constexpr std::string_view kSchema = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Maestro workflow",
  "type": "object",
  "additionalProperties": false,
  "required": ["jobs"],
  "properties": {
    "name": {
      "type": "string",
      "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$",
      "description": "Default: the file's name."
    },
    "description": {"type": "string"},
    "on": {
      "description": "How a run starts besides by hand and by API.",
      "oneOf": [
        {"enum": ["push", "pull_request", "webhook"]},
        {"type": "array", "items": {"enum": ["push", "pull_request", "webhook"]}},
        {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "push": {"$ref": "#/$defs/push"},
            "pull_request": {"$ref": "#/$defs/push"},
            "schedule": {"type": "array", "items": {"$ref": "#/$defs/schedule"}},
            "webhook": {"type": ["object", "null"]},
            "manual": {},
            "workflow_dispatch": {}
          }
        }
      ]
    },
    "inputs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/input"}},
    "env": {"$ref": "#/$defs/env"},
    "concurrency": {"$ref": "#/$defs/concurrency"},
    "timeout": {"$ref": "#/$defs/duration", "description": "Of the whole run."},
    "defaults": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "runs_on": {"$ref": "#/$defs/texts"},
        "shell": {"$ref": "#/$defs/shell"},
        "retry": {"$ref": "#/$defs/retry"},
        "timeout": {"$ref": "#/$defs/timeout"}
      }
    },
    "jobs": {"$ref": "#/$defs/jobs"},
    "on_failure": {"$ref": "#/$defs/jobs"},
    "finally": {"$ref": "#/$defs/jobs"},
    "outputs": {"$ref": "#/$defs/env"}
  },
  "$defs": {
    "duration": {
      "type": "string",
      "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
      "minLength": 2,
      "examples": ["1h30m", "10s"]
    },
    "texts": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "env": {
      "type": "object",
      "additionalProperties": {"type": ["string", "number", "boolean", "null"]}
    },
    "shell": {"enum": ["bash", "sh"]},
    "timeout": {
      "oneOf": [
        {"$ref": "#/$defs/duration"},
        {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "queue": {"$ref": "#/$defs/duration"},
            "run": {"$ref": "#/$defs/duration"}
          }
        }
      ]
    },
    "push": {
      "type": ["object", "null"],
      "additionalProperties": false,
      "properties": {
        "branches": {"$ref": "#/$defs/texts"},
        "branches_ignore": {"$ref": "#/$defs/texts"},
        "tags": {"$ref": "#/$defs/texts"},
        "paths": {"$ref": "#/$defs/texts"},
        "paths_ignore": {"$ref": "#/$defs/texts"}
      }
    },
    "schedule": {
      "type": "object",
      "additionalProperties": false,
      "required": ["cron"],
      "properties": {
        "cron": {"type": "string", "examples": ["0 2 * * 1-5", "@daily"]},
        "timezone": {"type": "string", "default": "UTC"},
        "overlap": {"enum": ["skip", "queue_one", "queue_all", "cancel_running"]},
        "catch_up": {"enum": ["none", "last", "all"]},
        "catch_up_window": {"$ref": "#/$defs/duration"},
        "jitter": {"$ref": "#/$defs/duration"},
        "inputs": {"type": "object"}
      }
    },
    "input": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "type": {"enum": ["string", "integer", "number", "boolean", "list", "object"]},
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
      "oneOf": [
        {"type": "string"},
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["group"],
          "properties": {
            "group": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1},
            "order": {"enum": ["queue", "commit"]},
            "on_overflow": {"enum": ["queue", "cancel_pending", "cancel_running", "reject"]}
          }
        }
      ]
    },
    "retry": {
      "oneOf": [
        {"type": "integer", "minimum": 1},
        {
          "type": "object",
          "additionalProperties": false,
          "properties": {
            "attempts": {"type": "integer", "minimum": 1, "maximum": 100},
            "backoff": {"$ref": "#/$defs/duration"},
            "factor": {"type": "number", "minimum": 1},
            "max": {"$ref": "#/$defs/duration"},
            "jitter": {"type": "number", "minimum": 0, "maximum": 1},
            "on": {"$ref": "#/$defs/texts"},
            "exit_codes": {
              "type": "array",
              "items": {"type": "integer", "minimum": 0, "maximum": 255}
            }
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
        "id": {"type": "string"},
        "name": {"type": "string"},
        "if": {"type": ["string", "boolean"]},
        "run": {"type": "string", "description": "A shell script. Values reach it through env."},
        "uses": {
          "enum": [
            "checkout",
            "artifact/upload",
            "artifact/download",
            "cache/restore",
            "cache/save",
            "http",
            "notify",
            "noop"
          ]
        },
        "with": {"type": "object"},
        "env": {"$ref": "#/$defs/env"},
        "timeout": {"$ref": "#/$defs/duration"},
        "working_directory": {"type": "string"},
        "shell": {"$ref": "#/$defs/shell"},
        "continue_on_error": {"type": "boolean"}
      }
    },
    "jobs": {
      "type": "object",
      "minProperties": 1,
      "additionalProperties": {"$ref": "#/$defs/job"}
    },
    "job": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "name": {"type": "string"},
        "needs": {"$ref": "#/$defs/texts"},
        "if": {"type": ["string", "boolean"]},
        "runs_on": {"$ref": "#/$defs/texts"},
        "matrix": {"type": ["object", "string"]},
        "max_parallel": {"type": "integer", "minimum": 1},
        "fail_fast": {"type": "boolean", "default": true},
        "retry": {"$ref": "#/$defs/retry"},
        "timeout": {"$ref": "#/$defs/timeout"},
        "continue_on_error": {"type": "boolean"},
        "effects": {"enum": ["none", "idempotent", "external"]},
        "env": {"$ref": "#/$defs/env"},
        "shell": {"$ref": "#/$defs/shell"},
        "steps": {"$ref": "#/$defs/steps"},
        "approve": {
          "type": ["object", "null"],
          "additionalProperties": false,
          "properties": {
            "by": {"$ref": "#/$defs/texts"},
            "count": {"type": "integer", "minimum": 1},
            "expires": {"$ref": "#/$defs/duration"},
            "prompt": {"type": "string"},
            "self": {"type": "boolean"}
          }
        },
        "wait": {
          "oneOf": [
            {"type": "string"},
            {
              "type": "object",
              "additionalProperties": false,
              "properties": {
                "duration": {"type": "string"},
                "until": {"type": "string"},
                "event": {"type": "string"},
                "timeout": {"$ref": "#/$defs/duration"}
              }
            }
          ]
        },
        "workflow": {
          "oneOf": [
            {"type": "string"},
            {
              "type": "object",
              "additionalProperties": false,
              "required": ["name"],
              "properties": {"name": {"type": "string"}, "inputs": {"type": "object"}}
            }
          ]
        },
        "on_failure": {"$ref": "#/$defs/steps"},
        "finally": {"$ref": "#/$defs/steps"},
        "compensate": {"$ref": "#/$defs/steps"},
        "outputs": {"$ref": "#/$defs/env"},
        "cache": {
          "type": "object",
          "additionalProperties": false,
          "required": ["key"],
          "properties": {
            "key": {"type": "string"},
            "inputs": {"$ref": "#/$defs/texts"},
            "outputs": {"$ref": "#/$defs/texts"}
          }
        },
        "artifacts": {
          "type": "array",
          "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name", "path"],
            "properties": {
              "name": {"type": "string"},
              "path": {"type": "string"},
              "keep": {"$ref": "#/$defs/duration"}
            }
          }
        },
        "services": {
          "type": "object",
          "additionalProperties": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
              "run": {"type": "string"},
              "image": {"type": "string"},
              "ready": {"type": "string"},
              "env": {"$ref": "#/$defs/env"},
              "ports": {"$ref": "#/$defs/texts"},
              "timeout": {"$ref": "#/$defs/duration"}
            }
          }
        },
        "container": {
          "oneOf": [
            {"type": "string"},
            {
              "type": "object",
              "additionalProperties": false,
              "required": ["image"],
              "properties": {"image": {"type": "string"}}
            }
          ]
        },
        "sandbox": {"type": "boolean"},
        "concurrency": {"$ref": "#/$defs/concurrency"},
        "environment": {"type": "string"}
      }
    }
  }
})";
}  // namespace

std::string workflow_schema() { return std::string(kSchema); }
}  // namespace mc::lang
