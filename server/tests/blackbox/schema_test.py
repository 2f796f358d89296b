#!/usr/bin/env python3
"""The JSON Schema that `maestro schema` prints takes what `maestro validate` takes, and refuses what
a schema can refuse: checked with an independent validator."""
import glob
import json
import os
import re

import harness
from harness import ROOT, Skip, maestro

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = None

JOB = "jobs: {a: {steps: [{run: ls}]}}\n"
STEP = "jobs: {a: {steps: [%s]}}\n"
BAD = {
    "unknown key": "nam: x\n" + JOB,
    "no jobs": "name: x\n",
    "bad name": "name: Bad Name\n" + JOB,
    "bad duration": "timeout: 1.5h\n" + JOB,
    "number as duration": "timeout: 90\n" + JOB,
    "priority out of range": "priority: 101\n" + JOB,
    "priority in words": "priority: high\n" + JOB,
    "two kinds": "jobs: {a: {steps: [{run: ls}], wait: 1s}}\n",
    "no kind": "jobs: {a: {needs: b}}\n",
    "unknown key of a job": "jobs: {a: {step: [{run: ls}]}}\n",
    "run and uses": STEP % "{run: ls, uses: noop}",
    "neither run nor uses": STEP % "{name: x}",
    "expression in run": STEP % '{run: "echo ${{ inputs.x }}"}',
    "unknown action": STEP % "{uses: chekout}",
    "unknown action input": STEP % "{uses: checkout, with: {rf: x}}",
    "missing action input": STEP % "{uses: artifact/upload, with: {name: x}}",
    "missing with": STEP % "{uses: http}",
    "input type": "inputs: {x: {type: strng}}\n" + JOB,
    "overlap": 'on: {schedule: [{cron: "@daily", overlap: maybe}]}\n' + JOB,
    "no cron": "on: {schedule: [{timezone: UTC}]}\n" + JOB,
    "webhook settings": "on: {webhook: {x: 1}}\n" + JOB,
    "on_overflow": "concurrency: {group: x, on_overflow: wait}\n" + JOB,
    "attempts": "jobs: {a: {retry: {attempts: 0}, steps: [{run: ls}]}}\n",
    "retry class": "jobs: {a: {retry: {on: [usr]}, steps: [{run: ls}]}}\n",
    "exit code": "jobs: {a: {retry: {exit_codes: [300]}, steps: [{run: ls}]}}\n",
    "approver": "jobs: {a: {approve: {by: [ada]}}}\n",
    "wait twice": "jobs: {a: {wait: {duration: 1s, event: x}}}\n",
    "service of nothing": "jobs: {a: {services: {db: {ready: x}}, steps: [{run: ls}]}}\n",
    "empty axis": "jobs: {a: {matrix: {x: []}, steps: [{run: ls}]}}\n",
    "artifact without a path": "jobs: {a: {artifacts: [{name: x}], steps: [{run: ls}]}}\n",
    "environment name": "env: {A-B: x}\n" + JOB,
    "job key": "jobs: {a b: {steps: [{run: ls}]}}\n",
}


def loader():
    """YAML's core schema: `on` is a word, dates are text."""
    class Core(yaml.SafeLoader):
        pass
    drop = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
    Core.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag not in drop]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
    return Core


def validator():
    if jsonschema is None:
        raise Skip("needs python3-jsonschema and python3-yaml")
    schema = json.loads(maestro("schema").expect(0).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def problems(known, text):
    return [f"{list(error.absolute_path)}: {error.message[:200]}"
            for error in known.iter_errors(yaml.load(text, loader()))]


def test_it_takes_what_is_valid():
    known = validator()
    files = glob.glob(os.path.join(ROOT, "examples", "*.yaml"))
    files += [os.path.join(ROOT, "server", "src", "lang", "testdata", "everything.yaml"),
              os.path.join(ROOT, ".maestro", "ci.yaml")]
    for path in files:
        with open(path, encoding="utf-8") as file:
            found = problems(known, file.read())
        assert not found, f"{path}: {found}"


def test_spellings_that_are_taken_with_a_warning_are_taken_here_too():
    text = STEP % "{run: ls, working-directory: x, timeout-minutes: 5}"
    assert not problems(validator(), text.replace("a: {", "a: {runs-on: linux, ")), text


def test_it_refuses_what_is_wrong(scratch):
    known = validator()
    for name, text in BAD.items():
        path = os.path.join(scratch, "bad.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        maestro("validate", path).expect(2)
        assert problems(known, text), f"{name}: the schema takes {text}"


if __name__ == "__main__":
    harness.main(globals())
