#!/usr/bin/env python3
"""Schedules, without waiting for the clock: fires foretold, run now, pause, resume, backfill."""
import harness
from harness import wait_until

TEXT = """
on: {schedule: [{cron: "30 2 * * *", timezone: Europe/Berlin, inputs: {kind: nightly}}]}
inputs: {kind: {type: string, default: manual}}
jobs: {a: {steps: [{uses: noop}]}}
"""
YAML = {"Content-Type": "application/yaml"}


def store(client, name, text=TEXT):
    client.call("PUT", f"/api/v1/workflows/{name}", raw=text, headers=YAML).expect(200, 201)
    return wait_until(lambda: [s for s in client.get("/api/v1/schedules").expect(200).json()["items"]
                               if s["workflow"] == name], "the schedule is there")[0]


def runs_of(client, name):
    return client.get(f"/api/v1/runs?q=workflow:{name}&limit=100").expect(200).json()["items"]


def test_next_fires_and_run_now(client):
    schedule = store(client, "nightly")
    assert schedule["cron"] == "30 2 * * *" and schedule["timezone"] == "Europe/Berlin", schedule
    fires = client.get(f"/api/v1/schedules/{schedule['id']}/next?count=400").expect(200, 400, 422)
    fires = client.get(f"/api/v1/schedules/{schedule['id']}/next?count=100").expect(200).json()["items"]
    assert len(fires) == 100 and fires == sorted(set(fires)), fires
    client.post(f"/api/v1/schedules/{schedule['id']}/run").expect(200, 201, 202)
    run = wait_until(lambda: runs_of(client, "nightly"), "it fired")[0]
    keyed = {"Idempotency-Key": "once"}
    first = client.post(f"/api/v1/schedules/{schedule['id']}/run", headers=keyed).expect(200)
    again = client.post(f"/api/v1/schedules/{schedule['id']}/run", headers=keyed).expect(200)
    assert again.body == first.body and again.headers["Idempotency-Replayed"] == "true"
    assert len(runs_of(client, "nightly")) == 2
    done = client.finished(run["id"])
    assert done["trigger"]["schedule"] and done["actor"] and done["inputs"] == {"kind": "nightly"}, done


def test_pause_and_resume(client):
    schedule = store(client, "paused")
    path = f"/api/v1/schedules/{schedule['id']}"
    paused = client.post(path + "/pause").expect(200).json()
    assert paused.get("paused") is True or paused.get("status") == "paused", paused
    client.post(path + "/resume").expect(200)
    again = client.get(path).expect(200).json()
    assert again.get("paused") is not True, again


def test_backfill(client):
    schedule = store(client, "late")
    span = {"from": "2026-03-28T00:00:00.000Z", "to": "2026-03-31T00:00:00.000Z"}
    path = f"/api/v1/schedules/{schedule['id']}/backfill"
    plan = client.post(path, {**span, "dry_run": True}).expect(200, 201).json()
    fires = plan.get("fires") or plan.get("items")
    # 02:30 does not exist in Berlin on 29 March 2026: it fires right after the gap.
    assert len(fires) == 3, plan
    assert runs_of(client, "late") == [], "a dry run started runs"
    client.post(path, span).expect(200, 201, 202)
    wait_until(lambda: len(runs_of(client, "late")) == 3, "the fires are made up for")


def test_made_and_deleted_through_the_api(client):
    client.call("PUT", "/api/v1/workflows/plain", raw="jobs: {a: {steps: [{uses: noop}]}}", headers=YAML).expect(201)
    made = client.post("/api/v1/schedules", {"workflow": "plain", "cron": "@daily"}).expect(201).json()
    client.post("/api/v1/schedules", {"workflow": "plain", "cron": "99 * * * *"}).problem(422)
    client.post("/api/v1/schedules", {"workflow": "nope", "cron": "@daily"}).problem(404)
    client.call("DELETE", f"/api/v1/schedules/{made['id']}").expect(204)
    client.get(f"/api/v1/schedules/{made['id']}").problem(404)


def test_deleting_the_workflow_ends_its_schedules(client):
    schedule = store(client, "ends")
    client.call("DELETE", "/api/v1/workflows/ends").expect(204)
    wait_until(lambda: client.get(f"/api/v1/schedules/{schedule['id']}").status == 404, "the schedule is gone")


if __name__ == "__main__":
    harness.main(globals())
