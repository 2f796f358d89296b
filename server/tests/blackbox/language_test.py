#!/usr/bin/env python3
"""The workflow language as docs/reference/workflow.md has it, run on a server: "everything once", and
the promises that no other file has a test for."""
import harness
from harness import wait_until

EVERYTHING = r"""
name: ci
description: Build, test and ship the API
on:
  push: {branches: [main, "release/*"], paths: ["server/**"], paths_ignore: ["docs/**"]}
  pull_request: {branches: [main]}
  schedule:
    - {cron: "0 2 * * 1-5", timezone: Europe/Berlin, overlap: skip, catch_up: last, catch_up_window: 2h, jitter: 5m, inputs: {target: build}}
  webhook: {}
inputs:
  target:  {type: string, enum: [dev, build], default: dev, description: Where to}
  shards:  {type: integer, min: 1, max: 16, default: 4}
  dry_run: {type: boolean, default: false}
  notes:   {type: string, required: false, pattern: "^[^<>]*$", max_length: 2000}
env: {LANG: C.UTF-8}
concurrency: {group: "ci-${{ run.ref }}", limit: 1, order: commit, on_overflow: cancel_pending}
timeout: 1h
defaults: {shell: bash, retry: {attempts: 1}}
jobs:
  build:
    steps:
      - run: mkdir -p server build
      - id: compile
        name: Compile
        run: |
          test "$LANG/$CC/$TARGET" = C.UTF-8/clang-19/build
          echo binary > ../build/app
          echo "version=1.2.3" >> "$MAESTRO_OUTPUT"
        env: {CC: clang-19, TARGET: "${{ inputs.target }}"}
        timeout: 10m
        working_directory: server
    outputs: {version: "${{ steps.compile.outputs.version }}"}
    cache: {key: "build-${{ hash_files('server/**') }}", inputs: ["server/**"], outputs: [build/app]}
    artifacts: [{name: app, path: build/app, keep: 30d}]
  plan:
    steps:
      - {id: list, run: "echo 'suites=[\"unit\",\"api\"]' >> \"$MAESTRO_OUTPUT\""}
    outputs: {suites: "${{ steps.list.outputs.suites }}"}
  test:
    needs: [build, plan]
    name: Test ${{ matrix.suite }}
    matrix:
      suite: "${{ from_json(needs.plan.outputs.suites) }}"
      sanitizer: [none, tsan]
      exclude: [{suite: api, sanitizer: tsan}]
      include: [{suite: unit, sanitizer: asan}]
    max_parallel: 2
    fail_fast: false
    retry: {attempts: 3, backoff: 10ms, factor: 2, max: 30s, jitter: 0.2, on: [infra, timeout], exit_codes: [75]}
    timeout: {queue: 10m, run: 30m}
    continue_on_error: true
    effects: idempotent
    services:
      db: {run: "touch $MAESTRO_SERVICE_DIR/up; exec sleep 1000", ready: "test -e $MAESTRO_SERVICE_DIR/up", timeout: 30s}
    steps:
      - run: |
          mkdir out; echo "$SUITE" > out/report
          [ "$SUITE" != api ] || exit 75
        env: {SUITE: "${{ matrix.suite }}"}
      - {uses: artifact/upload, with: {name: "report-${{ matrix.suite }}-${{ matrix.sanitizer }}", path: out/}, if: "${{ always() }}"}
    on_failure: [{run: cat out/report}]
    finally:    [{run: rm -r out}]
  gate:
    needs: test
    if: ${{ inputs.target == 'build' && !inputs.dry_run }}
    approve: {by: ["group:release", "user:ada"], count: 2, expires: 24h, prompt: "Ship ${{ needs.build.outputs.version }}?", self: false}
  cool_down: {needs: gate, wait: 10ms}
  ship:
    needs: [build, cool_down]
    workflow: {name: deploy, inputs: {version: "${{ needs.build.outputs.version }}"}}
    compensate: [{run: echo undo ship}]
on_failure: {tell: {steps: [{uses: notify, with: {message: "${{ run.url }} failed"}}]}}
finally: {report: {steps: [{run: "exit $FAIL", env: {FAIL: "0"}}]}}
outputs: {version: "${{ needs.build.outputs.version }}"}
"""

DEPLOY = """
inputs: {version: {type: string}}
jobs: {a: {steps: [{run: 'test "$V" = 1.2.3', env: {V: "${{ inputs.version }}"}}]}}
outputs: {shipped: "${{ inputs.version }}"}
"""


def approve(client, approval, token):
    client.post(f"/api/v1/approvals/{approval['id']}", {"decision": "approve"},
                headers={"Authorization": "Bearer " + token}).expect(200)


def test_everything_once(client):
    for name, text in (("deploy", DEPLOY), ("ci", EVERYTHING)):
        stored = client.call("PUT", f"/api/v1/workflows/{name}", raw=text,
                             headers={"Content-Type": "application/yaml"}).expect(201).json()
        assert not stored["warnings"], stored
    run = client.start(workflow="ci", inputs={"target": "build"}, ref="refs/heads/main")
    gate = wait_until(lambda: [a for a in client.get("/api/v1/approvals?status=waiting").json()["items"]
                               if a["run"] == run["id"]], "the gate asks")[0]
    assert gate["prompt"] == "Ship 1.2.3?", gate
    client.post(f"/api/v1/approvals/{gate['id']}", {"decision": "approve"}).problem(403, "not_an_approver")
    approve(client, gate, client.token_of("operator", name="ada"))
    assert client.run(run["id"])["status"] == "waiting"
    approve(client, gate, client.token_of("operator", name="bob", groups=["release"]))
    run = client.finished(run["id"])
    assert run["status"] == "succeeded" and run["outputs"] == {"version": "1.2.3"}, run
    assert run["warnings"] == 1, run  # test[api] failed and is tolerated
    jobs = client.jobs(run["id"])
    cells = {key: (job["status"], len(job["attempts"]), job["name"])
             for key, job in jobs.items() if key.startswith("test")}
    assert cells == {"test[suite=unit,sanitizer=none]": ("succeeded", 1, "Test unit"),
                     "test[suite=unit,sanitizer=tsan]": ("succeeded", 1, "Test unit"),
                     "test[suite=api,sanitizer=none]": ("failed", 3, "Test api"),
                     "test[suite=unit,sanitizer=asan]": ("succeeded", 1, "Test unit")}, cells
    assert jobs["ship"]["outputs"] == {"shipped": "1.2.3"}, jobs["ship"]
    assert jobs["report"]["status"] == "succeeded" and "tell" not in jobs, jobs.keys()
    again = client.start(workflow="ci", ref="refs/heads/main")
    again = client.finished(again["id"])
    statuses = client.statuses(again["id"])
    # The target is dev: what was built for another is not reused, and its script refuses this one.
    assert statuses["build"] == "failed", statuses
    assert statuses["tell"] == "succeeded" and statuses["report"] == "succeeded", statuses


def test_expressions_in_labels_names_approvers_and_globs(client):
    run = client.start("""
inputs: {who: {default: ada}, dir: {default: src}}
jobs:
  nowhere:
    matrix: {os: [plan9]}
    runs_on: ["${{ matrix.os }}"]
    steps: [{run: "true"}]
  wrong: {runs_on: "${{ from_json('[1]') }}", steps: [{run: "true"}]}
  kept:
    name: In ${{ inputs.dir }}
    steps: [{run: 'mkdir src; echo x > src/a'}]
    cache: {key: k, outputs: ["${{ inputs.dir }}/**"]}
  ask: {approve: {by: ["user:${{ inputs.who }}"]}}
  ask_nobody: {approve: {by: ["${{ inputs.who }}"]}}
""")
    done = client.wait_job(run["id"], "kept", "succeeded")
    assert done["name"] == "In src", done
    assert client.wait_job(run["id"], "wrong", "failed")["message"].startswith("`runs_on` gives"), run
    nobody = client.wait_job(run["id"], "ask_nobody", "failed")
    assert "not `ada`" in nobody["message"], nobody
    asked = client.wait_job(run["id"], "ask", "waiting")
    assert asked["approval"]["by"] == ["user:ada"], asked
    why = client.get(f"/api/v1/runs/{run['id']}/why?job=nowhere%5Bos=plan9%5D").expect(200).json()["items"]
    assert any("no registered worker has the labels [plan9]" in item["waits_for"] for item in why), why
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
    assert client.finished(run["id"])["status"] in ("cancelled", "failed")


def test_settings_may_be_expressions(client):
    run = client.start("""
inputs: {limit: {default: 1s}, soft: {type: boolean, default: true}}
jobs:
  a:
    timeout: "${{ inputs.limit }}"
    continue_on_error: "${{ inputs.soft }}"
    steps: [{run: tail -f /dev/null}]
  b:
    steps:
      - {id: s, run: 'echo soft=yes >> $MAESTRO_OUTPUT'}
      - {run: tail -f /dev/null, timeout: "${{ inputs.limit }}", continue_on_error: "${{ steps.s.outputs.soft == 'yes' }}"}
      - {run: "exit 1", continue_on_error: "${{ steps.s.outputs.soft }}"}
""")
    done = client.finished(run["id"])
    jobs = client.jobs(run["id"])
    assert jobs["a"]["status"] == "timed_out", jobs["a"]
    steps = {step["name"]: step["status"] for step in jobs["b"]["steps"]}
    assert steps["tail -f /dev/null"] == "timed_out" and jobs["b"]["status"] == "failed", jobs["b"]
    assert "continue_on_error: a boolean is wanted" in jobs["b"]["message"], jobs["b"]
    assert done["warnings"] == 1, done


def test_a_cached_job_is_run_again_for_other_values(client):
    text = """
inputs: {x: {type: string}}
jobs:
  up: {steps: [{id: s, run: 'echo "v=$X" >> $MAESTRO_OUTPUT', env: {X: "${{ inputs.x }}"}}], outputs: {v: "${{ steps.s.outputs.v }}"}}
  a: {cache: {key: "k-a"}, steps: [{run: 'true', env: {X: "${{ inputs.x }}"}}]}
  b: {needs: up, cache: {key: "k-b"}, steps: [{run: 'true', env: {V: "${{ needs.up.outputs.v }}"}}]}
  c: {cache: {key: "k-c"}, steps: [{run: 'true'}]}
"""
    for x, wanted in (("1", "succeeded"), ("1", "reused"), ("2", "succeeded")):
        statuses = client.statuses(client.succeed(text, inputs={"x": x})["id"])
        assert statuses["a"] == statuses["b"] == wanted, (x, statuses)
    assert statuses["c"] == "reused", statuses


def test_a_reused_job_has_the_artifacts_of_its_steps(client):
    text = """
jobs:
  make:
    cache: {key: "with-artifacts"}
    steps:
      - run: 'echo hi > out; echo left > "$MAESTRO_ARTIFACTS_DIR/left"'
      - {uses: artifact/upload, with: {name: app, path: out}}
  take:
    needs: make
    steps: [{uses: artifact/download, with: {name: app}}, {uses: artifact/download, with: {name: left}}, {run: 'cat out left'}]
"""
    first = client.succeed(text)
    client.call("DELETE", f"/api/v1/runs/{first['id']}").expect(204)
    again = client.succeed(text)["id"]
    assert client.statuses(again) == {"make": "reused", "take": "succeeded"}, client.statuses(again)
    names = [item["name"] for item in client.get(f"/api/v1/runs/{again}/artifacts").expect(200).json()["items"]]
    assert sorted(names) == ["app", "left"], names


def test_a_job_that_a_rerun_keeps_has_its_artifacts(client):
    run = client.finished(client.start("""
jobs:
  make: {steps: [{run: 'echo hi > out'}, {uses: artifact/upload, with: {name: app, path: out}}]}
  cells: {matrix: {n: [1, 2]}, steps: [{run: 'echo $N > n', env: {N: "${{ matrix.n }}"}}, {uses: artifact/upload, with: {name: "n-${{ matrix.n }}", path: n}}]}
  take: {needs: [make, cells], steps: [{uses: artifact/download, with: {path: all}}, {run: 'cat all/app/out all/n-2/n; exit 1'}]}
""")["id"])
    assert run["status"] == "failed", run
    for _ in range(2):  # a re-run, and a re-run of that
        again = client.post(f"/api/v1/runs/{run['id']}/rerun", {"scope": "failed"}).expect(201).json()
        run = client.finished(again["id"])
        log = client.log(run["id"], "take").expect(200).text
        assert "hi\n2\n" in log and client.statuses(run["id"])["make"] == "reused", log


def test_outputs_are_strings_and_missing_ones_null(client):
    run = client.succeed("""
jobs:
  a:
    steps: [{id: s, run: "echo x=1 >> $MAESTRO_OUTPUT"}]
    outputs: {number: "${{ length('abc') }}", list: "${{ [1, 'b'] }}", none: "${{ steps.s.outputs.y }}", x: "${{ steps.s.outputs.x }}"}
  b:
    needs: a
    if: needs.a.outputs.number == '3' && needs.a.outputs.none == null
    steps: [{run: "true"}]
outputs: {typed: "${{ length(needs.a.outputs.list) }}"}
""")
    jobs = client.jobs(run["id"])
    assert jobs["a"]["outputs"] == {"number": "3", "list": '[1,"b"]', "none": None, "x": "1"}, jobs["a"]
    assert jobs["b"]["status"] == "succeeded", jobs["b"]
    assert run["outputs"] == {"typed": 7}, run


def test_steps_of_a_job_that_never_ran_are_skipped(client):
    run = client.succeed("""
jobs:
  a: {if: "false", steps: [{run: "true"}]}
  b: {needs: a, steps: [{run: "true"}]}
""")
    for job in client.jobs(run["id"]).values():
        assert job["status"] == "skipped", job
        assert [step["status"] for step in job["steps"]] == ["skipped"], job


def test_both_spellings_of_cancelled_run_after_a_cancel(client):
    run = client.start("""
jobs:
  slow: {steps: [{run: sleep 60}]}
  one: {needs: slow, if: canceled(), steps: [{run: "true"}]}
  other: {needs: slow, if: "cancelled( )", steps: [{run: "true"}]}
  text: {needs: slow, if: "'always()' != ''", steps: [{run: "true"}]}
finally: {last: {steps: [{run: "true"}]}}
""")
    client.wait_job(run["id"], "slow", "running")
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
    assert client.finished(run["id"])["status"] == "cancelled"
    assert client.statuses(run["id"]) == {"slow": "cancelled", "one": "succeeded", "other": "succeeded",
                                          "text": "cancelled", "last": "succeeded"}


if __name__ == "__main__":
    harness.main(globals())
