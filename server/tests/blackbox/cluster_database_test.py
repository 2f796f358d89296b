#!/usr/bin/env python3
"""Replicas and their PostgreSQL: one that is away, one that does not fit, a schema of another release."""
import json
import signal

from cluster import SECRETS, Cluster, Load, worker
from harness import main, maestro, wait_until


def misses_database(replica):
    """In its new life, which knows of no shards until it has its database."""
    body = json.loads(replica.unready() or "{}")
    return bool(body) and not body["shards"] and body["checks"]["database"] != "ok"


def test_a_database_that_restarts_or_crashes_is_only_a_pause(scratch):
    with Cluster(scratch, replicas=2) as cluster, worker(cluster):
        load = Load(cluster)
        load.start()
        for how in (signal.SIGINT, signal.SIGQUIT):
            load.more()
            cluster.wait_leader()
            before = {r: r.errors().count("starts over") for r in cluster.replicas}
            cluster.postgres.stop(how)
            wait_until(lambda: not any(r.ready() for r in cluster.replicas), "nobody says that it is ready")
            # Longer than the lease: each leads shards and has to begin anew without the database.
            wait_until(lambda: all(r.errors().count("starts over") > before[r] for r in cluster.replicas),
                       "every replica starts over")
            wait_until(lambda: all(misses_database(r) for r in cluster.replicas), "each is there again and says why not")
            wait_until(lambda: all(r.healthy() for r in cluster.replicas), "each lives all the same")
            assert all(r.process.poll() is None for r in cluster.replicas), "a replica has ended"
            other = cluster.replicas[1]
            assert other.end() == 0, other.errors()[-2000:]
            cluster.postgres.start()
            other.start()
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


def test_a_schema_of_a_newer_build(scratch):
    """The next release may expand it under this one: a warning. What contracts is refused, in words."""
    with Cluster(scratch, replicas=2) as cluster, worker(cluster):
        def status():
            return maestro("migrate", "status", "-o", "json", env=cluster.env).expect(0).json()

        def note(version, oldest):
            cluster.postgres.run("maestro", "INSERT INTO schema_migrations (version, name, checksum, applied_at, "
                                 f"finished, oldest) VALUES ({version}, 'later', '', 0, true, {oldest})")

        def refused(word):
            for words in (("serve", "--listen", "127.0.0.1:0"), ("migrate", "up"),
                          ("tokens", "create", "x", "--role", "admin", "--direct")):
                done = maestro(*words, env=cluster.env)
                assert done.code != 0 and word in done.err, (words, done.code, done.err)
        own = status()["wanted"]
        assert status()["schema"] == own and "applied" in status()["migrations"][-1], status()
        load = Load(cluster, patience_s=60)
        load.start()
        load.more()
        cluster.postgres.run("maestro", "ALTER TABLE runs ADD COLUMN later int8 NOT NULL DEFAULT 0; "
                             "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS oldest int8")
        note(own + 1, own)
        load.more(20)
        assert not load.failures or any("no longer leads: it starts over" in r.errors() for r in cluster.replicas), load.failures
        assert "by a newer build, this one can work on it" in status()["migrations"][-1], status()
        for _ in cluster.replicas:
            leader = cluster.wait_leader()
            assert leader.end() == 0, leader.errors()[-2000:]
            leader.start()
            assert "the schema is newer than this build" in leader.errors()
            load.more()
        load.check()

        note(own + 2, own + 1)
        refused(f"builds from version {own + 1} on")
        assert "by a newer build, this one cannot work on it" in status()["migrations"][-1], status()
        leader = cluster.wait_leader()
        other = next(r for r in cluster.replicas if r is not leader)
        leader.end()
        wait_until(lambda: f"builds from version {own + 1} on" in other.unready(), "the last replica says why not")
        checks = json.loads(other.unready())["checks"]
        assert checks["database"] == "ok" and f"builds from version {own + 1} on" in checks["migrations"], checks
        cluster.postgres.run("maestro", f"UPDATE schema_migrations SET finished = false WHERE version = {own + 2}")
        refused("was begun and not finished")
        cluster.postgres.run("maestro", f"DELETE FROM schema_migrations WHERE version = {own + 2}")
        wait_until(other.leads, "it leads once it can")


main(globals())
