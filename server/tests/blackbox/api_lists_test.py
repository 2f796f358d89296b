#!/usr/bin/env python3
"""Lists that are made whole (tokens, workers, schedules, secrets, approvals): pages, limits, filters; and what
lists and runs say of time that goes on."""
import harness
from harness import wait_until

YAML = {"Content-Type": "application/yaml"}


def pages(client, path, limit):
    """The items of all pages, and how many pages there were."""
    items, cursor, count = [], "", 0
    while True:
        separator = "&" if "?" in path else "?"
        answer = client.get(f"{path}{separator}limit={limit}{cursor}").expect(200).json()
        assert len(answer["items"]) <= limit, answer
        items += answer["items"]
        count += 1
        if answer["next_cursor"] is None:
            return items, count
        cursor = "&cursor=" + answer["next_cursor"]


def test_every_list_pages(client):
    client.call("PUT", "/api/v1/workflows/timed", raw="jobs: {a: {steps: [{uses: noop}]}}", headers=YAML).expect(201)
    for i in range(5):
        client.post("/api/v1/tokens", {"name": f"t{i}", "role": "viewer"}).expect(201)
        client.post("/api/v1/schedules", {"workflow": "timed", "cron": "@daily"}).expect(201)
        client.call("PUT", f"/api/v1/secrets/S{i}", body={"value": "v"}).expect(201)
        client.start("jobs: {a: {approve: {}}}")
    wait_until(lambda: client.get("/api/v1/workers").expect(200).json()["items"], "the worker is there")
    for path, key in (("tokens", "id"), ("schedules", "id"), ("secrets", "name"), ("workers", "id"),
                      ("approvals?status=waiting", "id")):
        path = "/api/v1/" + path
        whole = client.get(path).expect(200).json()["items"]
        items, count = pages(client, path, 2)
        assert [item[key] for item in items] == [item[key] for item in whole], path
        assert count == max(1, -(-len(whole) // 2)), (path, count, len(whole))
        separator = "&" if "?" in path else "?"
        for limit in ("0", "101", "x"):
            client.get(f"{path}{separator}limit={limit}").problem(422, "invalid_field")
        client.get(f"{path}{separator}cursor=nonsense").problem(400, "invalid_cursor")
    cursor = client.get("/api/v1/tokens?limit=1").json()["next_cursor"]
    client.get("/api/v1/secrets?cursor=" + cursor).problem(400, "invalid_cursor")


def test_approvals_by_status_also_when_the_run_is_over(client):
    run = client.start("jobs: {a: {approve: {}}, b: {needs: a, if: always(), approve: {}}}")["id"]
    listed = lambda status: [item["job"] for item in client.get(
        f"/api/v1/runs/{run}/approvals?status={status}").expect(200).json()["items"]]
    one = client.get(f"/api/v1/runs/{run}/approvals").expect(200).json()["items"][0]
    assert one["status"] == "waiting" and listed("waiting") == ["a"] and listed("decided") == []
    client.post(f"/api/v1/approvals/{one['id']}", {"decision": "reject"}).expect(200)
    client.wait_job(run, "b", "waiting")
    assert listed("rejected") == ["a"] and listed("approved") == [] and listed("waiting") == ["b"]
    assert [item["job"] for item in client.get("/api/v1/approvals?status=rejected").expect(200).json()["items"]] == ["a"]
    two = client.get(f"/api/v1/runs/{run}/approvals?status=waiting").json()["items"][0]
    client.post(f"/api/v1/approvals/{two['id']}", {"decision": "approve"}).expect(200)
    client.finished(run)
    assert listed("") == ["a", "b"] and listed("decided") == ["a", "b"] and listed("approved") == ["b"]
    client.get("/api/v1/approvals?status=maybe").problem(422, "invalid_field")


def test_an_idle_worker_that_waits_in_a_poll_is_not_lost(fresh):
    client = fresh(env={"MAESTRO_LEASE": "3s", "MAESTRO_HEARTBEAT": "1s"}).client()

    def idle_for_longer_than_a_lease():
        found = client.get("/api/v1/workers").expect(200).json()["items"]
        if not found:
            return False  # it has not registered yet
        worker = found[0]
        assert worker["status"] == "idle", worker
        return worker["last_seen_at"] > later(worker["registered_at"], 7)
    wait_until(idle_for_longer_than_a_lease, "the worker is seen two leases after it came")


def later(time, seconds):
    import datetime
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00")) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def test_the_duration_of_an_open_run_grows(client):
    run = client.start("jobs: {a: {steps: [{run: 'sleep 600'}]}}")["id"]
    client.wait_job(run, "a", "running")
    read = {"run": lambda: client.run(run)["duration_ms"], "job": lambda: client.job(run, "a")["duration_ms"],
            "list": lambda: client.get("/api/v1/runs?limit=1").json()["items"][0]["duration_ms"]}
    for what, duration in read.items():
        first = duration()
        wait_until(lambda: duration() > first + 50, f"the duration of the {what} grows")  # pylint: disable=cell-var-from-loop
    client.post(f"/api/v1/runs/{run}/cancel").expect(202)
    client.finished(run)
    assert client.run(run)["duration_ms"] == client.run(run)["duration_ms"]


def test_events_show_labels_as_the_run_does(client):
    run = client.succeed("jobs: {a: {steps: [{uses: noop}]}}", labels={"team": "api"})
    queued = client.events(run["id"])[0]
    assert queued["data"]["labels"] == run["labels"] == {"team": "api"}, queued
    graph = client.get(f"/api/v1/runs/{run['id']}/graph").expect(200).json()
    assert graph["nodes"][0]["kind"] == client.job(run["id"], "a")["kind"] == "steps", graph


def test_a_schedule_tells_what_keeps_it_from_starting_runs(client):
    put = lambda text: client.call("PUT", "/api/v1/workflows/fits", raw=text, headers=YAML).expect(200, 201)
    put("inputs: {who: {type: string, default: x}}\njobs: {a: {steps: [{uses: noop}]}}")
    body = {"workflow": "fits", "cron": "@daily"}
    client.post("/api/v1/schedules", {**body, "inputs": {"nobody": 1}}).problem(422, "invalid_input")
    assert "timezone" in client.post("/api/v1/schedules", {**body, "timezone": "Mars/X"}).problem(422)["detail"]
    made = client.post("/api/v1/schedules", {**body, "inputs": {"who": "me"}}).expect(201).json()
    assert made["last_error"] is None, made
    put("jobs: {a: {steps: [{uses: noop}]}}")
    told = client.post(f"/api/v1/schedules/{made['id']}/run").problem(409, "conflict")
    assert "who" in told["detail"], told


if __name__ == "__main__":
    harness.main(globals())
