#!/usr/bin/env python3
"""Replicas on one PostgreSQL: each serves everything; the death of one is a pause and loses nothing."""
import contextlib
import datetime
import os
import signal
import subprocess
import threading
import time

from cluster import SECRETS, Cluster, seconds_until
from harness import BINARY, Sse, clean_env, main, maestro, wait_until

TWO_STEPS = """
defaults: {retry: {attempts: 60, backoff: 50ms, max: 50ms, on: [lost_worker]}}
jobs: {a: {steps: [{run: 'true'}]}, b: {needs: a, steps: [{run: 'true'}]}}
"""


@contextlib.contextmanager
def worker(cluster, slots=2, first=None):
    with cluster.client(cluster.replicas[0]) as client:
        token = client.token_of("worker")
    urls = sorted(cluster.replicas, key=lambda replica: replica is not first)
    process = subprocess.Popen(
        [BINARY, "worker", "--url", ",".join(r.url for r in urls), "--slots", str(slots),
         "--labels", "linux", "--data", os.path.join(cluster.folder, "worker")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(os.path.join(cluster.folder, "worker.err"), "ab"),
        env=clean_env({"MAESTRO_TOKEN": token}), start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Load(threading.Thread):
    """Starts runs at every replica in turn; remembers each that was acknowledged."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.acknowledged, self.over = cluster, [], threading.Event()

    def run(self):
        turn = 0
        while not self.over.is_set():
            turn += 1
            try:
                with self.cluster.client(self.cluster.replicas[turn % len(self.cluster.replicas)]) as client:
                    # One that stands still takes the connection and says nothing.
                    made = client.post("/api/v1/runs", {"definition": TWO_STEPS}, timeout=3).expect(201)
                    self.acknowledged.append(made.json()["id"])
                self.over.wait(0.02)
            except Exception:  # a replica is away: that is what these tests do to them
                self.over.wait(0.05)

    def more(self, count=3):
        """Waits until more runs were acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + count, "runs are acknowledged")

    def check(self):
        """Ends it; every acknowledged run is there, and each of its jobs ended once."""
        self.over.set()
        self.join()
        with self.cluster.client(self.cluster.wait_leader()) as client:
            for run_id in self.acknowledged:
                run = client.finished(run_id, deadline_s=120)
                assert run["status"] == "succeeded", (run["status"], run["message"])
                events = client.events(run_id)
                finished = sorted(e["data"]["job"] for e in events if e["type"] == "job.finished")
                assert finished == ["a", "b"], finished
                assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert len(set(self.acknowledged)) == len(self.acknowledged)


def test_every_replica_serves_every_request_and_reads_its_own_writes(scratch):
    with Cluster(scratch) as cluster, worker(cluster):
        for writer in cluster.replicas:
            with cluster.client(writer) as client:
                run_id = client.start(TWO_STEPS)["id"]
            for reader in cluster.replicas:
                with cluster.client(reader) as client:
                    assert client.run(run_id)["id"] == run_id
            follower = next(r for r in cluster.replicas if not r.leads())
            stream = Sse(follower.url, cluster.token, f"/api/v1/runs/{run_id}/events")
            assert any(event["event"] == "run.finished" for event in stream.events())
            stream.close()
        for replica in cluster.replicas:
            with cluster.client(replica) as client:
                assert client.get("/healthz").expect(200).json() == {"status": "ok"}
                assert "maestro_" in client.get("/metrics").expect(200).text
                client.call("GET", "/api/v1/runs", headers={"Authorization": "Bearer wrong"}).problem(401)


def test_an_idle_replica_sends_at_most_a_statement_a_second(scratch):
    with Cluster(scratch) as cluster:
        cluster.wait_leader()
        cluster.postgres.run("maestro", "CREATE EXTENSION pg_stat_statements")

        def sent():
            """So many statements so far, but for these questions."""
            return int(cluster.postgres.run("maestro", "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements "
                                            "WHERE query NOT LIKE '%pg_stat_statements%'"))
        wait_until(lambda: sent() > 0, "the replicas ask")
        before, began = sent(), time.monotonic()
        wait_until(lambda: sent() >= before + 6 * len(cluster.replicas), "each replica asks six times")
        took = time.monotonic() - began
        print(f"{sent() - before} statements of {len(cluster.replicas)} replicas in {took:.1f} s")
        # Six by each take five seconds; what the questions themselves take is not known so exactly.
        assert took > 4.5, f"each replica asked six times in {took:.1f} s"


def test_a_killed_leader_is_only_a_pause(scratch):
    with Cluster(scratch) as cluster, worker(cluster):
        load = Load(cluster)
        load.start()
        for _ in range(3):
            load.more()
            leader = cluster.wait_leader()
            leader.end(signal.SIGKILL)
            took = seconds_until(lambda: any(r.leads() for r in cluster.replicas if r is not leader), "another leads")
            print(f"another replica led {took:.2f} s after the kill")
            load.more()
            leader.start()
        load.check()


def test_a_worker_leaves_a_replica_that_falls_silent_and_keeps_its_job(scratch):
    with Cluster(scratch, settings={"MAESTRO_LEASE": "8s"}) as cluster:
        leader = cluster.wait_leader()
        silent = next(r for r in cluster.replicas if r is not leader)
        with worker(cluster, first=silent), cluster.client(leader) as client:
            gate = os.path.join(scratch, "gate")
            os.mkfifo(gate)
            run = client.start(f"jobs: {{a: {{steps: [{{run: cat {gate}}}]}}}}\n")["id"]
            wait_until(lambda: client.job(run, "a")["status"] == "running", "the job runs")
            silent.send(signal.SIGSTOP)
            try:
                stood, seen = time.time(), lambda: client.get("/api/v1/workers").json()["items"][0]["last_seen_at"]
                wait_until(lambda: datetime.datetime.fromisoformat(seen()).timestamp() > stood + 9,
                           "the worker is heard of for longer than its lease")
                with open(gate, "w", encoding="utf-8"):
                    pass
                assert client.finished(run)["status"] == "succeeded"
                assert client.job(run, "a")["attempt"] == 1
            finally:
                silent.send(signal.SIGCONT)


def test_an_orderly_stop_hands_over_at_once_and_in_turn(scratch):
    with Cluster(scratch) as cluster, worker(cluster):
        load = Load(cluster)
        load.start()
        for _ in range(len(cluster.replicas)):  # a rolling update
            load.more()
            leader = cluster.wait_leader()
            assert leader.end() == 0, leader.errors()[-2000:]
            took = seconds_until(lambda: any(r.leads() for r in cluster.replicas if r is not leader), "another leads")
            print(f"another replica led {took:.2f} s after the stop")
            leader.start()
        load.check()


def test_a_leader_that_stood_still_does_no_harm_when_it_wakes(scratch):
    with Cluster(scratch) as cluster, worker(cluster):
        load = Load(cluster)
        load.start()
        load.more()
        old = cluster.wait_leader()
        held = [cluster.client(r) for r in cluster.replicas if r is not old]  # connections that lead to it
        for client in held:
            client.get("/api/v1/runs").expect(200)
        old.send(signal.SIGSTOP)
        try:
            fresh = cluster.wait_leader(but=old)
            load.more()
            for client in held:
                client.get("/api/v1/runs", timeout=10).expect(200)
                client.close()
        finally:
            old.send(signal.SIGCONT)
        wait_until(lambda: old.ready() and not old.leads(), "the old leader follows")
        assert "starts over" in old.errors()
        assert fresh.leads()
        load.more()
        load.check()


def test_a_database_that_restarts_or_crashes_is_only_a_pause(scratch):
    with Cluster(scratch, replicas=2) as cluster, worker(cluster):
        load = Load(cluster)
        load.start()
        for how in (signal.SIGINT, signal.SIGQUIT):
            load.more()
            leader = cluster.wait_leader()
            times = leader.errors().count("starts over")
            cluster.postgres.stop(how)
            wait_until(lambda: not any(r.ready() for r in cluster.replicas), "nobody says that it is ready")
            # Longer than the lease: the leader has to begin anew without the database.
            wait_until(lambda: leader.errors().count("starts over") > times, "the leader starts over")
            wait_until(lambda: leader.healthy(), "it is there again")
            with cluster.client(cluster.replicas[0]) as client:
                client.get("/healthz").expect(200)
                answer = client.get("/readyz").expect(503).json()
                assert answer["checks"]["database"] != "ok", answer
            assert all(r.process.poll() is None for r in cluster.replicas), "a replica has ended"
            cluster.postgres.start()
            cluster.wait_leader()
            load.more()
        load.check()


def test_what_does_not_fit_is_refused_at_start(scratch):
    with Cluster(scratch, replicas=1) as cluster:
        def refused(code, *words, **env):
            done = maestro("serve", "--listen", "127.0.0.1:0", env={**cluster.env, **env}).expect(code)
            for word in words:
                assert word in done.err, (word, done.err)
        refused(2, "another JWT_SECRET", JWT_SECRET=SECRETS["SESSION_SECRET"])
        port = cluster.postgres.port
        cluster.postgres.run("postgres", "CREATE DATABASE empty")
        empty = cluster.postgres.url("empty")
        done = maestro("serve", "--listen", "127.0.0.1:0", env={**cluster.env, "POSTGRES_URL": empty})
        assert done.code != 0 and "maestro migrate up" in done.err, done.err
        for url in (f"postgres://maestro:hunter2@127.0.0.1:{port}/nowhere", "postgres://maestro:hunter2@127.0.0.1:1/x"):
            done = maestro("serve", "--listen", "127.0.0.1:0", env={**cluster.env, "POSTGRES_URL": url})
            assert done.code != 0 and "hunter2" not in done.err + done.out, done.err


main(globals())
