#!/usr/bin/env python3
"""What `why` tells of a wait: since when, who can lift it, and how long it usually takes."""
import harness
from harness import wait_until
from worker_protocol_test import Worker

BUILD = "name: build\njobs:\n  a: {steps: [{uses: noop}]}\n"
DEPLOY = "name: deploy\nconcurrency: {group: prod}\njobs:\n  a: {steps: [{uses: noop}]}\n"


def wait_of(client, run, key=""):
    """The first item of the answer about a run, or about one of its jobs."""
    return client.get(f"/api/v1/runs/{run['id']}/why" + (f"?job={key}" if key else "")).expect(200).json()["items"][0]


def live(client, worker, definition):
    run = client.start(definition)
    worker.complete(*worker.poll())
    assert client.finished(run["id"])["status"] == "succeeded"


def test_a_slot_is_estimated_from_earlier_runs_also_after_a_crash(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server, slots=1)
    client.start(BUILD)
    tasks = worker.poll()
    waits = client.start(BUILD)
    item = wait_of(client, waits)
    assert (item["reason"], item["estimate"]) == ("capacity", None), item
    assert [(by["kind"], by["name"]) for by in item["lifted_by"]] == [("worker", "py")], item
    job = client.job(waits["id"], "a")
    assert item["since"] == job["ready_at"], (item, job)
    worker.complete(*tasks)
    worker.complete(*worker.poll())
    client.finished(waits["id"])
    for _ in range(2):
        live(client, worker, BUILD)

    server.kill()
    server.start()
    client, worker = server.client(), Worker(server, slots=1)
    client.start(BUILD)
    worker.poll()
    waits = client.start(BUILD)
    estimate = wait_of(client, waits)["estimate"]
    assert estimate["runs"] == 4 and 0 <= estimate["remaining_ms"] < 60_000, estimate
    told = server.cli("why", waits["id"]).expect(0).out
    assert "since " in told and "lifted by py; usually " in told and "(4 runs)" in told, told


def test_a_lock_names_the_run_that_holds_it_and_how_to_end_it(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    live(client, worker, DEPLOY)
    holder, waits = client.start(DEPLOY), client.start(DEPLOY)
    item = wait_of(client, waits)
    by, = item["lifted_by"]
    assert (item["job"], item["since"]) == (None, waits["created_at"]), item
    assert (by["kind"], by["run"], by["name"]) == ("run", holder["id"], f"run #{holder['number']}"), by
    assert item["estimate"]["runs"] == 1, item
    assert by["command"].split()[:3] == ["maestro", "runs", "cancel"], by
    server.cli(*by["command"].split()[1:]).expect(0)
    wait_until(lambda: client.job(waits["id"], "a")["reason"] == "capacity", "what was told does lift the wait")


def test_an_approval_names_those_who_may_and_what_they_type(fresh):
    server = fresh(slots=0)
    client = server.client()
    run = client.start("jobs:\n  a: {approve: {by: [role:admin, group:ops]}}\n")
    item = wait_of(client, run, "a")
    assert [by["name"] for by in item["lifted_by"]] == ["role:admin", "group:ops"], item
    assert item["estimate"] is None, item
    server.cli(*item["lifted_by"][0]["command"].split()[1:]).expect(0)
    assert client.finished(run["id"])["status"] == "succeeded"


def test_projects_share_slots_by_weight_and_why_says_so(fresh):
    server = fresh(slots=0, env={"MAESTRO_PROJECT_WEIGHTS": "default=3"})
    client, worker = server.client(), Worker(server, slots=8)
    other = server.client(client.token_of("operator", project="other"))
    own = set()
    for _ in range(8):
        other.start(BUILD)
        own.add(client.start(BUILD)["id"])
    tasks = worker.poll(8)
    assert (len(tasks), sum(task["run_id"] in own for task in tasks)) == (8, 6), "3 to 1 of 8"
    # Another one of the lighter project ends: it has less than its share, and goes first.
    worker.complete(*[task for task in tasks if task["run_id"] not in own])
    text = wait_of(client, client.start(BUILD))["waits_for"]
    assert "projects share by weight: default has 6 running at weight 3" in text, text


if __name__ == "__main__":
    harness.main(globals())
