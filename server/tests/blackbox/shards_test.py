#!/usr/bin/env python3
"""Replicas share the projects by shards: who leads which, and what is known everywhere."""
import hashlib
import re
import signal

from cluster import TWO_STEPS, Cluster, Load, Replica, seconds_until, worker
from harness import Client, main, maestro, wait_until


def test_replicas_share_the_projects(scratch):
    with Cluster(scratch) as cluster, worker(cluster, slots=1) as one:
        cluster.wait_leader()
        tokens = cluster.projects(12)
        runs = {}
        for at, (project, token) in enumerate(tokens.items()):
            with cluster.client(cluster.replicas[at % 3], token) as client:
                runs[project] = client.start(TWO_STEPS)["id"]
            for reader in cluster.replicas:
                with cluster.client(reader, token) as client:
                    assert client.run(runs[project])["project"] == project
        # One worker takes the jobs of all of them, one at a time.
        for project, run_id in runs.items():
            with cluster.client(cluster.replicas[0], tokens[project]) as client:
                assert client.finished(run_id)["status"] == "succeeded"
                client.get(f"/api/v1/runs/{runs['project-0']}").expect(200 if project == "project-0" else 404)
        for replica in cluster.replicas:
            started = re.search(r"^maestro_runs_started_total (\d+)", Client(replica.url, None).get("/metrics").text, re.M)
            assert started and int(started[1]) > 0, f"{replica.name} decided nothing"
            with cluster.client(replica) as client:
                assert len(client.get("/api/v1/workers").expect(200).json()["items"]) == 1
        assert one.poll() is None


def shard_of(project, shards=8):
    return int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big") % shards


QUICK = "priority: %d\njobs: {a: {steps: [{run: 'true'}]}}"


def test_priorities_and_weights_hold_across_shards(scratch):
    names = {}
    for i in range(12):
        names.setdefault(shard_of(f"project-{i}"), f"project-{i}")
    urgent, heavy, light = list(names.values())[:3]
    settings = {"MAESTRO_PROJECT_WEIGHTS": f"{heavy}=3"}
    with Cluster(scratch, settings=settings) as cluster:
        cluster.wait_leader()
        tokens = cluster.projects(12)

        def order():
            """The projects whose jobs began, one after the other."""
            runs, began = [], []
            for project, count, priority in ((light, 24, 0), (heavy, 24, 0), (urgent, 3, 10)):
                with cluster.client(cluster.replicas[0], tokens[project]) as client:
                    runs += [(project, client.start(QUICK % priority)["id"]) for _ in range(count)]
            with worker(cluster, slots=1):
                for project, run_id in runs:
                    with cluster.client(cluster.replicas[0], tokens[project]) as client:
                        assert client.finished(run_id)["status"] == "succeeded"
                        began.append((client.jobs(run_id)["a"]["started_at"], project))
            return [project for _, project in sorted(began)]

        def is_fair(began):
            """A shard that is not heard of within 50 ms is passed over, which a busy machine may see now and then."""
            rest = [project for project in began if project != urgent]
            print(began)
            return began[:6].count(urgent) == 3 and 15 <= rest[:24].count(heavy) <= 21
        assert any(is_fair(order()) for _ in range(3))


def test_a_token_is_known_and_forgotten_everywhere(scratch):
    with Cluster(scratch) as cluster:
        cluster.wait_leader()
        for at, replica in enumerate(cluster.replicas):
            with cluster.client(replica) as client:
                made = client.post("/api/v1/tokens", {"name": f"t{at}", "role": "viewer", "project": f"p{at}"})
            token, token_id = made.expect(201).json()["token"], made.json()["id"]
            for reader in cluster.replicas:
                with cluster.client(reader, token) as client:
                    assert client.get("/api/v1/me").expect(200).json()["project"] == f"p{at}"
            with cluster.client(replica) as client:
                client.call("DELETE", f"/api/v1/tokens/{token_id}").expect(204)
            for reader in cluster.replicas:
                with cluster.client(reader, token) as client:
                    wait_until(lambda: client.get("/api/v1/me").status == 401, "the token is refused")
        direct = maestro("tokens", "create", "late", "--role", "viewer", "--direct", env=cluster.env).expect(0).out.strip()
        for reader in cluster.replicas:
            with cluster.client(reader, direct) as client:
                client.get("/api/v1/me").expect(200)


def test_shards_are_spread_anew_when_replicas_come_and_go(scratch):
    with Cluster(scratch, replicas=2) as cluster, worker(cluster, slots=4):
        load = Load(cluster, tokens=list(cluster.projects(6).values()))
        load.start()
        load.more()

        def shares(*wanted):
            return lambda: sorted(len(r.led()) for r in cluster.replicas if r.process.poll() is None) == sorted(wanted)
        wait_until(shares(4, 4), "two share evenly")
        fresh = Replica("r3", cluster.env)
        cluster.replicas.append(fresh)
        print(f"shared by three {seconds_until(shares(3, 3, 2), 'a third has its share'):.2f} s after it joined")
        load.more(12)
        assert fresh.end() == 0, fresh.errors()[-2000:]
        print(f"shared by two {seconds_until(shares(4, 4), 'its shards are spread'):.2f} s after it left")
        load.more(12)
        fresh.start()
        wait_until(shares(3, 3, 2), "it has its share again")
        load.more(12)
        cluster.replicas[0].end(signal.SIGKILL)
        print(f"shared by two {seconds_until(shares(4, 4), 'its shards are spread'):.2f} s after a kill")
        load.more(12)
        cluster.replicas[0].start()
        load.check()


def test_a_shard_that_cannot_be_opened_takes_no_other_with_it(scratch):
    """A damaged definition of an open run: whoever takes its shard gives it back, and tries again later."""
    torn = "project-0"
    with Cluster(scratch) as cluster, worker(cluster, slots=4):
        cluster.wait_leader()
        tokens = cluster.projects(6)
        shard = shard_of(torn)
        others = {project: token for project, token in tokens.items() if shard_of(project) != shard}
        for token in tokens.values():
            with cluster.client(cluster.replicas[0], token) as client:
                client.succeed(TWO_STEPS)
        with cluster.client(cluster.replicas[0], tokens[torn]) as client:
            # Nobody has what it needs: it stays open.
            run_id = client.start("jobs: {damaged_here: {runs_on: [nowhere], steps: [{run: 'true'}]}}")["id"]

        def rewrite(before, after):
            changed = cluster.postgres.run(
                "maestro", "UPDATE records SET json = convert_to(replace(convert_from(json, 'UTF8'), "
                f"'{before}', '{after}'), 'UTF8') WHERE kind = 'definition' "
                f"AND convert_from(json, 'UTF8') LIKE '%{before}%'")
            assert changed == "UPDATE 1", changed

        def troubles():
            return [s["trouble"] for r in cluster.replicas for s in (r.ready() or {"shards": []})["shards"]
                    if s["shard"] == shard and "trouble" in s]

        def others_are_led():
            led = [s for r in cluster.replicas for s in r.led() if s != shard]
            return sorted(led) == [s for s in range(8) if s != shard]

        def attempts():
            return sum(r.errors().count("cannot lead a shard") for r in cluster.replicas)
        rewrite("damaged_here: {", "damaged_here: [")
        leader = wait_until(lambda: next((r for r in cluster.replicas if r.leads(torn)), None), "one leads it")
        leader.end(signal.SIGKILL)
        leader.start()
        wait_until(lambda: any("definition" in trouble and run_id in trouble for trouble in troubles()),
                   "/readyz says what is wrong, and with which run")
        wait_until(others_are_led, "all other shards are led")
        def given_up():
            return [r.errors().count("cannot lead: it starts over") for r in cluster.replicas]
        started, before = given_up(), attempts()
        for replica in cluster.replicas:
            for token in others.values():
                with cluster.client(replica, token) as client:
                    client.succeed(TWO_STEPS)
        wait_until(lambda: attempts() > before, "it is tried again")
        assert given_up() == started
        assert all(r.process.poll() is None for r in cluster.replicas), "a replica has ended"
        rewrite("damaged_here: [", "damaged_here: {")
        wait_until(lambda: any(r.leads(torn) for r in cluster.replicas), "it is led once it is mended", deadline_s=120)
        cluster.wait_leader()
        wait_until(lambda: not troubles(), "nothing is wrong with it any more")
        with cluster.client(cluster.replicas[0], tokens[torn]) as client:
            assert client.run(run_id)["status"] not in ("failed", "cancelled")
            client.succeed(TWO_STEPS)


main(globals())
