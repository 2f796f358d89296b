#!/usr/bin/env python3
"""The worker protocol, spoken by a worker written in Python."""
import contextlib
import http.server
import json
import os
import subprocess
import threading
import time

import harness
from harness import wait_until

NOOP = "jobs:\n  a: {steps: [{uses: noop}]}\n"


class Worker:
    """A worker that does nothing but say what it is told to say."""

    def __init__(self, server, name="py", labels=("linux",), slots=4, role_token=None, **fields):
        self.client = server.client(role_token or server.client().token_of("worker"))
        answer = self.post("register", {"name": name, "labels": list(labels), "slots": slots, "version": "1",
                                        **fields})
        self.id, self.lease_ms, self.heartbeat_ms = answer["worker_id"], answer["lease_ms"], answer["heartbeat_ms"]

    def post(self, verb, body, *statuses):
        return self.client.post(f"/api/v1/worker/{verb}", body).expect(*(statuses or (200, 201))).json()

    def poll(self, count=1, wait_ms=20_000):
        return self.post("poll", {"worker_id": self.id, "max": count, "wait_ms": wait_ms})["tasks"]

    def heartbeat(self, *tasks):
        held = [{"task_id": task["task_id"], "fence": task["fence"]} for task in tasks]
        return self.post("heartbeat", {"worker_id": self.id, "tasks": held})

    def complete(self, *tasks, outcome="succeeded", take=0, **fields):
        results = [{"task_id": task["task_id"], "fence": task["fence"], "outcome": outcome, **fields} for task in tasks]
        return self.post("complete", {"worker_id": self.id, "results": results, "max": take})

    def log(self, task, offset, text, *statuses):
        chunk = {"t": int(time.time() * 1000), "step": "1", "stream": "stdout", "text": text}
        return self.post("logs", {"worker_id": self.id, "task_id": task["task_id"], "fence": task["fence"],
                                  "offset": offset, "chunks": [chunk]}, *statuses)


def test_a_chain_costs_one_round_trip_a_job(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start("jobs:\n  a: {steps: [{uses: noop}]}\n  b: {needs: a, steps: [{uses: noop}]}\n"
                       "  c: {needs: b, steps: [{uses: noop}]}\n")
    task, = worker.poll()
    assert (task["run_id"], task["job"], task["attempt"]) == (run["id"], "a", 1), task
    assert task["spec"] and task["deadline"]
    for job in ("b", "c"):
        answer = worker.complete(task, take=1)
        assert answer["accepted"] == [task["task_id"]] and len(answer["tasks"]) == 1, answer
        task = answer["tasks"][0]
        assert task["job"] == job
    worker.complete(task)
    assert client.finished(run["id"])["status"] == "succeeded"


def test_heartbeat_tells_of_a_cancel(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start(NOOP)
    task, = worker.poll()
    assert worker.heartbeat(task) == {"cancel": [], "lost": []}
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
    assert worker.heartbeat(task)["cancel"] == [task["task_id"]]
    worker.complete(task, outcome="cancelled")
    assert client.finished(run["id"])["status"] == "cancelled"


def test_results_outputs_and_logs(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start("jobs:\n  a: {steps: [{id: s, run: x}], outputs: {v: '${{ steps.s.outputs.v }}'}}\n"
                       "outputs: {v: '${{ needs.a.outputs.v }}'}\n")
    task, = worker.poll()
    first = worker.log(task, 0, "hello\n")
    offset = first["next_offset"]
    assert offset == len("hello\n"), first
    worker.log(task, offset, "world\n")
    answer = worker.log(task, 0, "hello\n", 200, 409)  # sent again: cut, not doubled
    assert answer.get("next_offset", 12) == 12, answer
    worker.complete(task, exit_code=0, outputs={"v": "42"},
                    steps=[{"id": "s", "name": "x", "status": "succeeded", "exit_code": 0, "duration_ms": 5}])
    assert client.finished(run["id"])["outputs"] == {"v": "42"}
    assert client.log(run["id"], "a").text == "hello\nworld\n"


def test_logs_may_be_sent_raw(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start(NOOP)
    task, = worker.poll()

    def send(offset, sizes, content, kind="application/octet-stream"):
        head = {"task_id": task["task_id"], "fence": task["fence"], "offset": offset,
                "chunks": [{"t": 1, "step": "1", "stream": "stdout", "size": size} for size in sizes]}
        return worker.client.call("POST", "/api/v1/worker/logs", raw=json.dumps(head).encode() + b"\n" + content,
                                  headers={"Content-Type": kind})

    assert send(0, [6, 3], b"hello\n\xffa\n").expect(200).json()["next_offset"] == 9
    assert send(0, [6, 5], b"hello\n\xffa\nb\n").expect(200).json()["next_offset"] == 11
    send(11, [3], b"too long").expect(422)
    send(11, [9], b"short").expect(422)
    send(11, [3], b"abc", kind="text/plain").expect(415)
    assert send(11, [2], b"c\n", kind="Application/Octet-Stream; x=y").expect(200).json()["next_offset"] == 13
    worker.complete(task)
    client.finished(run["id"])
    assert client.log(run["id"], "a").body == b"hello\n\xffa\nb\nc\n"


def test_a_failure_is_told_as_it_was(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start("jobs:\n  a: {steps: [{run: x}]}\n")
    task, = worker.poll()
    worker.complete(task, outcome="failed", exit_code=3, message="no luck")
    assert client.finished(run["id"])["failure_kind"] == "user"
    job = client.job(run["id"], "a")
    assert job["attempts"][0]["exit_code"] == 3 and job["message"] == "no luck", job


def test_an_old_fence_is_refused_and_a_result_counts_once(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start(NOOP)
    task, = worker.poll()
    stale = {**task, "fence": task["fence"] - 1}
    answer = worker.complete(stale, outcome="failed")
    assert answer["accepted"] == [] and answer["rejected"][0]["code"] == "fenced", answer
    assert worker.heartbeat(stale)["lost"] == [task["task_id"]]
    worker.log(stale, 0, "x", 409)
    assert worker.complete(task)["accepted"] == [task["task_id"]]
    again = worker.complete(task, outcome="failed")  # the first answer counts, whatever this one says
    assert len(again["accepted"]) + len(again["rejected"]) == 1, again
    assert client.finished(run["id"])["status"] == "succeeded"
    ends = [event for event in client.events(run["id"]) if event["type"] == "job.finished"]
    assert len(ends) == 1, ends


def test_a_lapsed_lease_loses_the_attempt_and_the_retry_applies(fresh):
    server = fresh(slots=0)
    client, silent = server.client(), Worker(server, "silent")
    run = client.start("jobs:\n  a: {retry: {attempts: 2, backoff: 1ms}, steps: [{uses: noop}]}\n")
    lost, = silent.poll()
    assert silent.lease_ms <= 60_000, silent.lease_ms
    other = Worker(server, "other")
    deadline = time.monotonic() + silent.lease_ms / 1000 + harness.DEADLINE_S
    again = []
    while not again and time.monotonic() < deadline:
        again = other.poll(wait_ms=5_000)
    assert again and again[0]["attempt"] == 2 and again[0]["fence"] > lost["fence"], (again, lost)
    attempts = client.job(run["id"], "a")["attempts"]
    assert attempts[0]["failure_kind"] == "lost_worker" or "lost" in str(attempts[0]), attempts
    late = silent.complete(lost)
    assert late["accepted"] == [] and late["rejected"][0]["code"] == "fenced", late
    other.complete(again[0])
    assert client.finished(run["id"])["status"] == "succeeded"


def test_labels_choose_the_worker(fresh):
    server = fresh(slots=0)
    client = server.client()
    small, big = Worker(server, "small", ["linux"]), Worker(server, "big", ["linux", "gpu"])
    run = client.start("jobs:\n  a: {runs_on: [linux, gpu], steps: [{uses: noop}]}\n")
    assert small.poll(wait_ms=300) == []
    task, = big.poll()
    big.complete(task)
    client.finished(run["id"])
    names = {item["name"] for item in client.get("/api/v1/workers").expect(200).json()["items"]}
    assert {"small", "big"} <= names, names


def test_what_a_worker_holds_of_other_servers_counts(fresh):
    server = fresh(slots=0)
    client = server.client()
    large = Worker(server, "large", cpu_milli=4000)
    client.start("jobs:\n  a: {resources: {cpu: 3}, steps: [{uses: noop}]}\n")
    elsewhere = {"task_id": "s9.0193a5c0-0000-7000-8000-00000000000f.0.1", "cpu_milli": 2000}
    ask = {"worker_id": large.id, "max": 1, "wait_ms": 0}
    assert large.post("poll", {**ask, "holds": [elsewhere]})["tasks"] == []
    task, = large.post("poll", {**ask, "holds": []})["tasks"]
    # What is held here is known here: naming it changes nothing.
    client.start("jobs:\n  a: {resources: {cpu: 1}, steps: [{uses: noop}]}\n")
    second, = large.post("poll", {**ask, "holds": [{"task_id": task["task_id"], "cpu_milli": 3000}]})["tasks"]
    large.complete(task, second)
    large.client.post("/api/v1/worker/poll", {**ask, "holds": [{"cpu_milli": 1}]}).problem(422, "missing_field")


def test_a_worker_is_passed_on_under_its_id(fresh):
    server = fresh(slots=0)
    mine = "0193a5c0-0000-7000-8000-00000000000f"
    worker = Worker(server, "passed", instance="i", life="1", worker_id=mine)
    assert worker.id == mine
    ask = {"worker_id": mine, "max": 0, "wait_ms": 0}
    assert worker.post("poll", {**ask, "parks_ms": 30_000})["tasks"] == []
    other = {"name": "passed", "instance": "j", "life": "1"}
    worker.client.post("/api/v1/worker/register", other).problem(409, "worker_name_taken")
    worker.client.post("/api/v1/worker/register", {**other, "worker_id": mine}).problem(409, "conflict")
    worker.client.post("/api/v1/worker/register", {**other, "worker_id": "me"}).problem(422, "invalid_field")
    worker.post("poll", {**ask, "parks_ms": 0})
    worker.client.post("/api/v1/worker/register", other).problem(503, "unavailable")


def test_a_poll_wakes_when_work_comes(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    began = time.monotonic()
    assert worker.poll(wait_ms=200) == []
    assert 0.15 <= time.monotonic() - began < harness.DEADLINE_S
    run = client.start(NOOP)
    task, = worker.poll(wait_ms=20_000)
    worker.complete(task)
    wait_until(lambda: client.run(run["id"])["status"] == "succeeded", "the run ends")


def test_nonsense_is_refused(fresh):
    server = fresh(slots=0)
    worker = Worker(server)
    worker.client.post("/api/v1/worker/poll", {"worker_id": "nobody", "max": 1, "wait_ms": 0}).problem(404, "worker_not_found")
    worker.client.post("/api/v1/worker/poll", {"worker_id": worker.id, "max": 1, "wait_ms": 0, "x": 1}).problem(422, "unknown_field")
    worker.client.post("/api/v1/worker/poll", {"worker_id": worker.id, "max": -1, "wait_ms": 0}).problem(422)
    answer = worker.complete({"task_id": "no/such/task", "fence": 1})
    assert answer["accepted"] == [] and len(answer["rejected"]) == 1, answer



def work(server, token, folder, *options):
    """`maestro worker`, which ends by itself only when it is refused."""
    token_file = os.path.join(folder, "token")
    with open(token_file, "w", encoding="utf-8") as file:
        file.write(token)
    return harness.maestro("worker", "--url", server.url, "--token-file", token_file,
                           "--data", os.path.join(folder, "w"), *options)


@contextlib.contextmanager
def working(server, folder, *options):
    """`maestro worker`, until the end of the block."""
    process = subprocess.Popen(
        [harness.BINARY, "worker", "--data", os.path.join(folder, "working"), *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=harness.clean_env({"MAESTRO_TOKEN": server.client().token_of("worker")}), start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_worker_that_is_refused_says_why_and_ends(fresh, scratch):
    server = fresh(slots=0)
    client = server.client()
    wrong_role = work(server, client.token_of("viewer"), scratch).expect(4)
    assert "role" in wrong_role.err, wrong_role.err
    no_token = work(server, "mt_nobody", scratch).expect(4)
    assert "mt_nobody" not in no_token.err, no_token.err
    token = client.token_of("worker")
    other = Worker(server, "py", instance="elsewhere", life="1", role_token=token)
    waiting = threading.Thread(target=other.poll, kwargs={"wait_ms": 60_000})
    waiting.start()
    taken = work(server, token, scratch, "--name", "py").expect(7)
    server.stop()  # ends the poll
    waiting.join()
    assert "another worker is called py" in taken.err, taken.err


def test_a_worker_is_given_no_more_than_it_has(fresh, scratch):
    server = fresh(slots=1)
    client = server.client()
    local, = wait_until(lambda: client.get("/api/v1/workers").expect(200).json()["items"], "the local worker is there")
    assert local["resources"]["cpu"] > 0 and local["resources"]["memory"] > 2**20, local
    token = client.token_of("worker")
    for wrong in ("cpu=0", "cpu=", "cpu=2x", "memory=4Gi", "gpu=1", "4"):
        refused = work(server, token, scratch, "--capacity", wrong).expect(2)
        assert f"--capacity {wrong}" in refused.err and "cpu=4,memory=8GiB" in refused.err, refused.err
    with working(server, scratch, "--url", server.url, "--name", "small", "--labels", "small",
                 "--capacity", "cpu=0.5,memory=64MiB"):
        job = "jobs: {a: {runs_on: [small], resources: {%s}, steps: [{run: 'true'}]}}"
        client.succeed(job % "cpu: 0.5, memory: 64MiB")
        run = client.start(job % "cpu: 0.5, memory: 65MiB")["id"]

        def why():
            return client.get(f"/api/v1/runs/{run}/why").expect(200).json()["items"][0]["waits_for"]
        wait_until(lambda: "small has 0.5 CPUs and 64.0 MiB in all" in why(), "why it waits is told")


class Unavailable(http.server.BaseHTTPRequestHandler):
    """A replica that has lost its database, as a worker sees it."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_serves_nobody_is_left_for_the_next(fresh, scratch):
    server = fresh(slots=0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unavailable) as away:
        threading.Thread(target=away.serve_forever, daemon=True).start()
        with working(server, scratch, "--url", f"http://127.0.0.1:{away.server_port},{server.url}"):
            server.client().succeed(NOOP)
        away.shutdown()


def test_a_new_life_of_a_worker_takes_over_at_once(fresh):
    server = fresh(slots=0)
    client = server.client()
    run = client.start("jobs:\n  a: {retry: {attempts: 2, backoff: 10ms}, steps: [{uses: noop}]}\n")
    Worker(server, instance="folder", life="1").poll()
    task, = Worker(server, instance="folder", life="2").poll()
    assert (task["run_id"], task["attempt"]) == (run["id"], 2), task
    attempts = client.job(run["id"], "a")["attempts"]
    assert attempts[0]["status"] == "failed", attempts


def test_a_long_message_is_cut_between_characters(fresh):
    server = fresh(slots=0)
    client, worker = server.client(), Worker(server)
    run = client.start(NOOP)
    task, = worker.poll()
    worker.complete(task, outcome="failed", message="x" + "é" * 5_000)
    client.finished(run["id"])
    server.kill()
    server.start()
    message = server.client().job(run["id"], "a")["message"]
    assert message.endswith("é") and len(message.encode()) <= 4_096, message[-50:]


if __name__ == "__main__":
    harness.main(globals())
