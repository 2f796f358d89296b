#!/usr/bin/env python3
"""Rate limits through a real Redis: what is refused at the start, limits that outlive a server and a leader, and a
Redis that is away, stands still, is full or wants another password. Skipped where there is no redis-server.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess

import harness
from cluster import Cluster, free_port
from harness import Skip, maestro, wait_until

PASSWORD = "hunter2-of-redis"
# Many at once, then one a second: what is there again after a restart is few.
BURST = 300
LIMITS = {"MAESTRO_RATE_LIMIT": "1", "MAESTRO_RATE_BURST": str(BURST)}


class Redis:
    """A redis-server of this test alone, with a password; a context, which ends it. It keeps its port, once it has
    had it or when it is given."""

    def __init__(self, folder, password=PASSWORD, port=None):
        if not shutil.which("redis-server"):
            raise Skip("there is no Redis on this machine (apt: redis-server)")
        self.folder, self.password, self.port, self.process = folder, password, port, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        kept = self.port
        wait_until(lambda: self.answers(kept or free_port()), "Redis answers")

    def answers(self, port):
        """Whether this one does; starts it when there is none, or none any more: another may have its port."""
        if not self.process or self.process.poll() is not None:
            self.port = port
            with open(os.path.join(self.folder, "redis.log"), "ab") as log:
                self.process = subprocess.Popen(
                    ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", self.folder, "--save", "",
                     "--requirepass", self.password], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        with contextlib.suppress(subprocess.TimeoutExpired):  # whoever has the port may say nothing
            return f"process_id:{self.process.pid}" in self.ask("INFO", "server", timeout=5).split()
        return False

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words, timeout=harness.DEADLINE_S):
        done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *words], capture_output=True, text=True,
                              env={**os.environ, "REDISCLI_AUTH": self.password}, check=False, timeout=timeout)
        return done.stdout.strip()

    def url(self, password=None, end=""):
        return f"redis://:{password or self.password}@127.0.0.1:{self.port}{end}"

    def owed(self, database=0):
        """By whoever owes most: how many requests its bucket is from full."""
        keys = self.ask("-n", str(database), "KEYS", "maestro:rate:*").split()
        return max([int(self.ask("-n", str(database), "PTTL", key)) for key in keys], default=0) / 1000


def figure(client, name):
    return float(re.search(rf"^maestro_redis_{name} (\S+)$", client.get("/metrics").text, re.M).group(1))


def redis_of(client):
    """What /readyz says of Redis; it is ready whatever that is."""
    answer = client.get("/readyz").expect(200).json()
    assert answer["status"] == "ready", answer
    return answer["checks"]["redis"]


def take_all(client):
    """Sends requests until one is refused; gives how many were not."""
    for count in range(10 * BURST):
        if client.get("/api/v1/me").expect(200, 429).status == 429:
            return count
    raise AssertionError("no limit")


def wait_for_debt(redis, client, database=0):
    """Until Redis was told what was let through. Asks meanwhile: an answer that came too late is forgotten, and what
    is taken later tells it anew."""
    wait_until(lambda: client.get("/api/v1/me").expect(200, 429) and redis.owed(database) > BURST * 3 / 4,
               "Redis is told")


def learn(client):
    """Asks until this server knows what others let through: it is refused, or two calls came back, of which the
    second was begun after a request."""
    before = figure(client, "calls_total")
    wait_until(lambda: client.get("/api/v1/me").expect(200, 429).status == 429
               or figure(client, "calls_total") >= before + 2, "the server learns")


def refused(env, *told):
    done = maestro("up", "--data", os.path.join(harness.SCRATCH.folder("refused"), "d"), "--listen", "127.0.0.1:0", env=env)
    assert done.code == 2, (done.code, done.err)
    for text in told:
        assert text in done.err, (text, done.err)
    assert "hunter2" not in done.err and "hunter2" not in done.out, done.err
    assert "counts rate limits alone" not in done.err, "it does not go on, so it does not say so"


def test_what_is_wrong_is_refused_at_the_start(scratch):
    with Redis(scratch) as redis:
        for url, told in ((redis.url("hunter2-wrong"), "WRONGPASS"),
                          (f"redis://127.0.0.1:{redis.port}", "redis://:PASSWORD@HOST"),
                          (redis.url(end="/99"), "no database 99"),
                          (redis.url(end="/x"), "database"),
                          (redis.url().replace("redis://", "http://"), "redis://"),
                          (redis.url() + "?ca=/none", "rediss://")):
            refused({"REDIS_URL": url}, told)
        path = os.path.join(scratch, "url")
        with open(path, "w", encoding="utf-8") as file:
            file.write(redis.url("hunter2-wrong") + "\n")
        refused({"REDIS_URL_FILE": path}, "WRONGPASS", f"127.0.0.1:{redis.port}")


def doctor(env):
    done = maestro("doctor", "--data", harness.SCRATCH.folder("doctor"), "-o", "json", env=env)
    assert "hunter2" not in done.out + done.err
    return [line for line in done.json()["items"] if line["check"] == "redis"]


def test_doctor_looks_at_it(scratch):
    assert not doctor({})
    with Redis(scratch) as redis:
        assert [line["level"] for line in doctor({"REDIS_URL": redis.url()})] == ["ok"]
        assert [line["level"] for line in doctor({"REDIS_URL": redis.url("hunter2-wrong")})] == ["fail"]
        gone = redis.url()
    assert [line["level"] for line in doctor({"REDIS_URL": gone})] == ["warn"]


def test_a_limit_outlives_its_server(scratch, fresh):
    with Redis(scratch) as redis:
        server = fresh(env={"REDIS_URL": redis.url(end="/3"), **LIMITS})
        client = server.client()
        wait_until(lambda: redis_of(client) == "ok", "Redis is there")
        assert take_all(client) >= BURST
        wait_for_debt(redis, client, 3)
        wait_until(lambda: figure(client, "up") == 1, "Redis is up")
        assert figure(client, "failures_total") >= 0
        server.stop()
        server.start()
        client = server.client()
        learn(client)
        again = take_all(client)
        assert again < BURST / 2, f"a fresh bucket: {again}"
        keys = redis.ask("-n", "3", "KEYS", "*").split()
        assert keys and all(key.startswith("maestro:rate:") for key in keys), keys
        assert redis.ask("DBSIZE") == "0", "its keys are in database 3 alone"
        assert all(int(redis.ask("-n", "3", "PTTL", key)) != -1 for key in keys), "keys expire"
        assert "hunter2" not in server.stderr()


def told(server, text):
    return server.stderr().count(text)


def test_it_may_be_absent_and_come_later(scratch, fresh):
    redis = Redis(scratch, port=free_port())
    server = fresh(env={"REDIS_URL": redis.url(), **LIMITS})
    client = server.client()
    assert redis_of(client).startswith("away: ") and "hunter2" not in redis_of(client)
    assert take_all(client) >= BURST, "limits are kept without it"
    with redis:
        wait_until(lambda: redis_of(client) == "ok", "Redis is there")
        wait_for_debt(redis, client)
        server.stop()
        server.start()
        client = server.client()
        learn(client)
        assert take_all(client) < BURST / 2


def test_while_it_is_away_the_server_counts_alone_and_says_so_once(scratch, fresh):
    with Redis(scratch) as redis:
        server = fresh(env={"REDIS_URL": redis.url(), "MAESTRO_RATE_BURST": "100000"})
        client = server.client()

        def away(begin, why, end, changes=1):
            before, failures = told(server, "Redis is away"), figure(client, "failures_total")
            begin()
            wait_until(lambda: client.get("/api/v1/me").expect(200) and why in redis_of(client), why)
            assert redis_of(client).startswith("away: ")
            wait_until(lambda: client.get("/api/v1/me").expect(200)
                       and figure(client, "failures_total") >= failures + changes + 5, "it was asked some times")
            # Again only when the reason changed: an answer that came late, before or meanwhile.
            assert 1 <= told(server, "Redis is away") - before <= changes + 2, "told once, not each time"
            end()
            wait_until(lambda: redis_of(client) == "ok", "Redis is back after: " + why)

        away(lambda: redis.process.send_signal(signal.SIGSTOP), "no answer in time",
             lambda: redis.process.send_signal(signal.SIGCONT))
        away(redis.kill, "Redis at redis://127.0.0.1", redis.start)
        away(lambda: redis.ask("CONFIG", "SET", "maxmemory", "1"), "maxmemory",
             lambda: redis.ask("CONFIG", "SET", "maxmemory", "0"))
        away(lambda: redis.ask("REPLICAOF", "127.0.0.1", "1"), "read-only replica",
             lambda: redis.ask("REPLICAOF", "NO", "ONE"))

        def change_password(password):
            redis.ask("CONFIG", "SET", "requirepass", password)
            redis.password = password
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        away(lambda: change_password("hunter2-other"), "WRONGPASS", lambda: change_password(PASSWORD),
             changes=2)  # the connection breaks, then the password is wrong
        assert told(server, "Redis carries the rate limits") >= 6
        assert "hunter2" not in server.stderr()


def test_a_take_over_hands_out_no_fresh_buckets(scratch):
    with Redis(harness.SCRATCH.folder("redis")) as redis, \
            Cluster(scratch, replicas=2, settings={"REDIS_URL": redis.url(), **LIMITS}) as cluster:
        check_take_over(cluster, redis)


def check_take_over(cluster, redis):
    leader = cluster.wait_leader()
    follower = next(r for r in cluster.replicas if r is not leader)
    with cluster.client(leader) as one, cluster.client(follower) as other:
        wait_until(lambda: redis_of(one) == "ok" and redis_of(other) == "ok", "Redis is there")
        wait_until(lambda: figure(other, "up") == 1, "Redis is up")
        assert take_all(one) >= BURST
        wait_for_debt(redis, one)
        learn(other)
        assert take_all(other) < BURST / 2, "one limit through whichever replica"
    leader.end(signal.SIGKILL)
    cluster.wait_leader(but=leader)
    with cluster.client(follower) as client:
        learn(client)
        again = take_all(client)
        assert again < BURST / 2, f"a fresh bucket: {again}"
        redis.kill()
        wait_until(lambda: redis_of(client).startswith("away: "), "Redis is away")
    assert "hunter2" not in follower.errors()


def test_a_replica_is_refused_what_is_wrong_too(scratch):
    with Redis(scratch) as redis:
        env = {"POSTGRES_URL": "postgres://maestro@127.0.0.1:1/maestro", "REDIS_URL": redis.url("hunter2-wrong"),
               "JWT_SECRET": "a-secret-of-thirty-two-bytes-or-more",
               "SESSION_SECRET": "another-secret-of-thirty-two-bytes-or-more"}
        done = maestro("serve", "--listen", "127.0.0.1:0", env=env).expect(2)
        assert "WRONGPASS" in done.err and "hunter2" not in done.err, done.err


if __name__ == "__main__":
    harness.main(globals())
