#!/usr/bin/env python3
"""Runs over the API: start, read, wait, cancel, rerun, delete, lists, workflows."""
import threading

import harness
from harness import wait_until

HELLO = "jobs:\n  a: {steps: [{run: 'echo hi'}]}\n"
SLEEPS = "jobs:\n  a: {steps: [{run: 'sleep 600'}]}\n"
CHAIN = """
inputs: {ok: {type: boolean, default: false}}
jobs:
  one: {steps: [{id: s, run: 'echo x=1 >> "$MAESTRO_OUTPUT"'}], outputs: {x: "${{ steps.s.outputs.x }}"}}
  two:
    needs: one
    steps: [{run: '[ "$OK" = true ]', env: {OK: "${{ inputs.ok }}"}}]
  three: {needs: two, steps: [{uses: noop}]}
outputs: {x: "${{ needs.one.outputs.x }}"}
"""


def test_a_run_from_start_to_end(client):
    answer = client.post("/api/v1/runs", {"definition": CHAIN, "inputs": {"ok": True}, "ref": "main",
                                          "commit": "abc123", "labels": {"team": "api"}}).expect(201)
    run = answer.json()
    assert answer.headers["Location"] == f"/api/v1/runs/{run['id']}"
    assert answer.headers["X-Request-Id"]
    assert run["outcome"] in ("queued", "running"), run
    done = client.finished(run["id"])
    assert (done["status"], done["outcome"], done["ref"], done["commit"]) == \
        ("succeeded", "succeeded", "main", "abc123"), done
    assert done["outputs"] == {"x": "1"} and done["inputs"] == {"ok": True}, done
    assert done["labels"] == {"team": "api"} and done["jobs"]["succeeded"] == 3, done
    assert done["created_at"] <= done["started_at"] <= done["finished_at"] and done["duration_ms"] >= 0
    job = client.job(run["id"], "two")
    assert job["attempt"] == 1 and job["attempts"][0]["exit_code"] == 0 and job["needs"] == ["one"], job
    assert job["steps"][0]["status"] == "succeeded", job
    graph = client.get(f"/api/v1/runs/{run['id']}/graph").expect(200).json()
    assert len(graph["nodes"]) == 3 and len(graph["edges"]) == 2, graph


def test_wait_answers_at_the_time_out_and_at_the_end(client):
    run = client.start(SLEEPS)
    early = client.get(f"/api/v1/runs/{run['id']}?wait=100ms").expect(200).json()
    assert early["outcome"] in ("queued", "running"), early
    client.post(f"/api/v1/runs/{run['id']}/cancel", {"reason": "enough"}).expect(202)
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202, 409)
    assert client.finished(run["id"])["status"] == "cancelled"
    client.post(f"/api/v1/runs/{run['id']}/cancel").problem(409, "run_final")


def test_delete_wants_a_final_run(client):
    run = client.start(SLEEPS)
    client.call("DELETE", f"/api/v1/runs/{run['id']}").problem(409, "run_not_final")
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
    client.finished(run["id"])
    assert client.call("DELETE", f"/api/v1/runs/{run['id']}").expect(204).body == b""
    client.get(f"/api/v1/runs/{run['id']}").problem(404, "run_not_found")
    client.get(f"/api/v1/runs/{run['id']}/jobs").problem(404)
    assert run["id"] not in [item["id"] for item in every_run(client)]


def every_run(client, query="", limit=100):
    items, cursor = [], ""
    while True:
        path = f"/api/v1/runs?limit={limit}{query}" + (f"&cursor={harness.quote(cursor)}" if cursor else "")
        page = client.get(path).expect(200).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items


def test_lists_page_without_gaps_and_filter(fresh):
    client = fresh().client()
    ids = [client.start(HELLO, labels={"n": str(n), "even": str(n % 2 == 0)})["id"] for n in range(7)]
    for run_id in ids:
        client.finished(run_id)
    failed = client.finished(client.start("jobs:\n  a: {steps: [{run: 'exit 3'}]}\n")["id"])
    assert failed["status"] == "failed" and failed["failure_kind"] == "user", failed
    assert [item["id"] for item in every_run(client, limit=3)] == [failed["id"], *reversed(ids)]
    assert [item["id"] for item in every_run(client, "&q=status:failed")] == [failed["id"]]
    assert len(every_run(client, "&q=label.even:True")) == 4
    assert every_run(client, "&q=label.even:True%20status:failed") == []
    client.get("/api/v1/runs?limit=101").expect(400, 422)
    client.get("/api/v1/runs?cursor=nonsense").problem(400, "invalid_cursor")


def test_rerun_failed_keeps_what_succeeded(client):
    run = client.finished(client.start(CHAIN)["id"])
    assert run["status"] == "failed"
    answer = client.post(f"/api/v1/runs/{run['id']}/rerun",
                         {"scope": "failed", "inputs": {"ok": True}}).expect(201).json()
    assert answer["rerun_of"] == run["id"]
    again = client.finished(answer["id"])
    assert again["status"] == "succeeded" and again["outputs"] == {"x": "1"}, again
    assert client.statuses(again["id"]) == {"one": "reused", "two": "succeeded", "three": "succeeded"}
    whole = client.post(f"/api/v1/runs/{again['id']}/rerun", {"scope": "from", "from": "three"}).expect(201)
    whole = client.finished(whole.json()["id"])
    assert client.statuses(whole["id"]) == {"one": "reused", "two": "reused", "three": "succeeded"}
    client.post(f"/api/v1/runs/{run['id']}/rerun", {"scope": "from", "from": "nope"}).expect(404, 422)


def test_rerun_asks_before_it_repeats_effects(client):
    text = "jobs:\n  pay: {effects: external, steps: [{run: 'true'}]}\n"
    run = client.succeed(text)
    body = client.post(f"/api/v1/runs/{run['id']}/rerun", {"scope": "all"}).problem(409, "effects_would_repeat")
    assert "pay" in str(body), body
    again = client.post(f"/api/v1/runs/{run['id']}/rerun", {"scope": "all", "accept_effects": True}).expect(201)
    assert client.finished(again.json()["id"])["status"] == "succeeded"


def test_run_key_keeps_runs_apart(client):
    first = client.start(SLEEPS, run_key="only-one")
    client.post("/api/v1/runs", {"definition": SLEEPS, "run_key": "only-one"}).problem(409, "run_key_in_use")
    same = client.post("/api/v1/runs", {"definition": SLEEPS, "run_key": "only-one",
                                        "on_conflict": "use_existing"}).expect(200, 201).json()
    assert same["id"] == first["id"]
    other = client.post("/api/v1/runs", {"definition": HELLO, "run_key": "only-one",
                                         "on_conflict": "cancel_existing"}).expect(201).json()
    assert client.finished(first["id"])["status"] == "cancelled"
    assert client.finished(other["id"])["status"] == "succeeded"


def test_concurrent_cancels_all_answer_and_one_cancels(server):
    client = server.client()
    run = client.start(SLEEPS)
    client.wait_job(run["id"], "a", "running")
    statuses = []

    def cancel():
        with harness.Client(server.url, server.token) as own:
            statuses.append(own.post(f"/api/v1/runs/{run['id']}/cancel").status)

    threads = [threading.Thread(target=cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {202, 409} and 202 in statuses, statuses
    assert client.finished(run["id"])["status"] == "cancelled"
    finishes = [e for e in client.events(run["id"]) if e["type"] == "run.finished"]
    assert len(finishes) == 1, finishes


def test_concurrent_deletes_delete_once(server):
    client = server.client()
    run = client.succeed(HELLO)
    statuses = []

    def delete():
        with harness.Client(server.url, server.token) as own:
            statuses.append(own.call("DELETE", f"/api/v1/runs/{run['id']}").status)

    threads = [threading.Thread(target=delete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {204, 404} and 204 in statuses, statuses


def test_workflows_have_versions(client):
    yaml = {"Content-Type": "application/yaml"}
    first = client.call("PUT", "/api/v1/workflows/versions", raw=HELLO, headers=yaml).expect(201).json()
    same = client.call("PUT", "/api/v1/workflows/versions", raw=HELLO, headers=yaml).expect(200).json()
    assert same["version"] == first["version"] and same["digest"] == first["digest"]
    later = client.call("PUT", "/api/v1/workflows/versions", raw=SLEEPS, headers=yaml).expect(200, 201).json()
    assert later["version"] == first["version"] + 1 and later["digest"] != first["digest"]
    stored = client.get("/api/v1/workflows/versions").expect(200).json()
    assert stored["definition"] == SLEEPS and stored["graph"], stored
    assert len(client.get("/api/v1/workflows/versions/versions").expect(200).json()["items"]) == 2
    old = client.finished(client.start(workflow="versions", version=first["version"])["id"])
    assert old["status"] == "succeeded" and old["workflow"] == "versions", old
    client.call("DELETE", "/api/v1/workflows/versions").expect(204)
    client.get("/api/v1/workflows/versions").problem(404)
    client.post("/api/v1/runs", {"workflow": "versions"}).problem(404, "workflow_not_found")


def test_inputs_are_checked(client):
    text = "inputs: {n: {type: integer, min: 1, max: 3}}\n" + HELLO
    for wrong in ({}, {"n": 0}, {"n": "x"}, {"n": 1, "m": 2}):
        client.post("/api/v1/runs", {"definition": text, "inputs": wrong}).problem(422, "invalid_input")
    client.succeed(text, inputs={"n": 3})


def test_approvals_and_signals(client):
    text = """
jobs:
  ask: {approve: {prompt: "Go?"}}
  wait: {needs: ask, wait: {event: go}}
"""
    run = client.start(text)
    waiting = wait_until(lambda: [a for a in client.get("/api/v1/approvals?status=waiting").json()["items"]
                                  if a["run"] == run["id"] or a.get("run_id") == run["id"]], "an approval waits")
    assert client.run(run["id"])["status"] == "waiting"
    client.post(f"/api/v1/approvals/{waiting[0]['id']}", {"decision": "perhaps"}).problem(422)
    client.post(f"/api/v1/approvals/{waiting[0]['id']}", {"decision": "approve"}).expect(200)
    client.post(f"/api/v1/approvals/{waiting[0]['id']}", {"decision": "approve"}).problem(409)
    client.post(f"/api/v1/runs/{run['id']}/signals", {"event": "go", "data": {"x": 1}}).expect(200, 202)
    assert client.finished(run["id"])["status"] == "succeeded"


if __name__ == "__main__":
    harness.main(globals())
