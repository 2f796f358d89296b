#!/usr/bin/env python3
"""Replicas on one PostgreSQL: each serves everything; the death of one is a pause and loses nothing."""
import datetime
import os
import signal
import time

from cluster import TWO_STEPS, Cluster, Load, seconds_until, worker
from harness import Sse, main, wait_until


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

        def window():
            """Seconds in which each replica asks six times: five. A replica whose question was late asks again soon."""
            before, began = sent(), time.monotonic()
            wait_until(lambda: sent() >= before + 6 * len(cluster.replicas), "each replica asks six times")
            took = time.monotonic() - began
            print(f"{sent() - before} statements of {len(cluster.replicas)} replicas in {took:.1f} s")
            return took
        wait_until(lambda: sent() > 0, "the replicas ask")
        # What the questions themselves take is not known so exactly.
        assert any(window() > 4.5 for _ in range(3))


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
    with Cluster(scratch, settings={"MAESTRO_LEASE": "12s"}) as cluster:
        leader = cluster.wait_leader()
        silent = next(r for r in cluster.replicas if r is not leader)
        with worker(cluster, first=silent), cluster.client(leader) as client:
            gate, begun = os.path.join(scratch, "gate"), os.path.join(scratch, "begun")
            os.mkfifo(gate)
            run = client.start(f"jobs: {{a: {{steps: [{{run: touch {begun} && cat {gate}}}]}}}}\n")["id"]
            # Once the server says so, the grant may still be on its way, through the one that falls silent.
            wait_until(lambda: os.path.exists(begun), "the job runs")
            silent.send(signal.SIGSTOP)
            try:
                stood, seen = time.time(), lambda: client.get("/api/v1/workers").json()["items"][0]["last_seen_at"]
                wait_until(lambda: datetime.datetime.fromisoformat(seen()).timestamp() > stood + 13,
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
        wait_until(lambda: "starts over" in old.errors() and old.ready() and not old.leads(), "the old leader follows")
        wait_until(fresh.leads, "the new one leads on")
        load.more()
        load.check()


main(globals())
