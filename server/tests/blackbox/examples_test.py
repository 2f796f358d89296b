#!/usr/bin/env python3
"""Every example runs as its header says: `# Run:` with exec, `# Expect: exit N`."""
import glob
import os
import re
import shutil

from harness import ROOT, main, maestro

# Examples that want something from outside while they run have tests of their own below.
APART = {"approval.yaml", "wait-signal.yaml", "schedule.yaml", "concurrency.yaml", "child-greeter.yaml",
         "secrets.yaml", "rerun.yaml", "first-run.yaml", "services-postgres.yaml"}


def example(name):
    return os.path.join(ROOT, "examples", name)


def test_every_example_is_valid(scratch):
    files = sorted(glob.glob(example("*.yaml"))) + [os.path.join(ROOT, ".maestro", "ci.yaml")]
    assert len(files) >= 12, files
    maestro("validate", *files).expect(0)


def test_each_runs_and_exits_as_it_says(scratch):
    for path in sorted(glob.glob(example("*.yaml"))):
        if os.path.basename(path) in APART:
            continue
        with open(path, encoding="utf-8") as file:
            wanted = re.search(r"# Expect: exit (\d)", file.read())
        assert wanted, f"{path} does not say what to expect"
        maestro("exec", path, cwd=ROOT).expect(int(wanted.group(1)))


def test_the_second_build_reuses_the_first(scratch):
    maestro("exec", example("cpp-build.yaml"), cwd=ROOT).expect(0)
    again = maestro("exec", example("cpp-build.yaml"), "-o", "json", cwd=ROOT).expect(0).json()
    assert again["jobs"]["build"]["status"] == "reused", again
    assert again["status"] == "succeeded"


def test_approval_by_command(server):
    client = server.client()
    with open(example("approval.yaml"), encoding="utf-8") as file:
        run = client.start(file.read())
    client.wait_job(run["id"], "gate", "waiting")
    server.cli("approve", run["id"]).expect(0)
    assert client.finished(run["id"])["status"] == "succeeded"


def test_a_signal_wakes_who_waits(server):
    client = server.client()
    run = client.start("jobs: {w: {wait: {event: paid, timeout: 1h}}}")
    client.wait_job(run["id"], "w", "waiting")
    client.post(f"/api/v1/runs/{run['id']}/signals", {"event": "paid", "data": {"sum": 3}}).expect(200, 202)
    assert client.finished(run["id"])["status"] == "succeeded"
    assert client.job(run["id"], "w")["outputs"] == {"data": {"sum": 3}}


def test_a_schedule_from_a_definition_runs_now(server):
    client = server.client()
    with open(example("schedule.yaml"), encoding="utf-8") as file:
        text = file.read()
    name = re.search(r"^name: (\S+)", text, re.M).group(1)
    client.call("PUT", f"/api/v1/workflows/{name}", raw=text, headers={"Content-Type": "application/yaml"}).expect(201)
    schedule = client.get("/api/v1/schedules").expect(200).json()["items"][0]
    assert len(schedule["next_fires"]) == 5, schedule
    server.cli("schedules", "run", schedule["id"]).expect(0)
    run = client.get(f"/api/v1/runs?q=workflow:{name}").json()["items"][0]
    assert client.finished(run["id"])["status"] == "succeeded"


def test_services_with_a_real_postgresql(scratch):
    if not glob.glob("/usr/lib/postgresql/*/bin/initdb"):
        from harness import Skip
        raise Skip("postgresql is not installed")
    maestro("exec", example("services-postgres.yaml"), cwd=ROOT).expect(0)


def test_a_failed_run_goes_on_from_the_failed_job(server):
    client = server.client()
    text = ("jobs:\n  a: {steps: [{run: 'true'}]}\n"
            "  b: {needs: a, steps: [{run: 'test -e \"$MARK\"', env: {MARK: '" + server.folder + "/mark'}}]}\n")
    run = client.finished(client.start(text)["id"])
    assert run["status"] == "failed"
    with open(server.folder + "/mark", "w", encoding="utf-8"):
        pass
    server.cli("runs", "rerun", run["id"], "--failed").expect(0)
    again = client.get("/api/v1/runs?limit=1").json()["items"][0]
    again = client.finished(again["id"])
    assert again["status"] == "succeeded" and again["rerun_of"] == run["id"]
    assert client.statuses(again["id"]) == {"a": "reused", "b": "succeeded"}


if __name__ == "__main__":
    main(globals())
