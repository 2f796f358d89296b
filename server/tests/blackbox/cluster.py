"""A PostgreSQL of this test alone and replicas on it, for tests of many servers on one database."""
import contextlib
import glob
import hashlib
import http.client
import os
import pwd
import random
import re
import signal
import socket
import subprocess
import threading
import time
import uuid

from harness import BINARY, DEADLINE_S, Client, Skip, clean_env, maestro, read_line, wait_until

SECRETS = {"JWT_SECRET": "a-secret-of-thirty-two-bytes-or-more",
           "SESSION_SECRET": "another-secret-of-thirty-two-bytes-or-more"}

TWO_STEPS = """
defaults: {retry: {attempts: 60, backoff: 50ms, max: 50ms, on: [lost_worker]}}
jobs: {a: {steps: [{run: 'true'}]}, b: {needs: a, steps: [{run: 'true'}]}}
"""


def free_port():
    """One that nobody is given who asks the kernel for any: whoever has it may start again on it."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randint(10_000, 19_999)
            probe.bind(("127.0.0.1", port))
            return port


def shard_of(project, shards):
    return int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big") % shards


class Postgres:
    """Starts in a folder of its own, with fsync on, and ends with this process."""

    def __init__(self, folder):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            raise Skip("there is no PostgreSQL on this machine (apt: postgresql)")
        self.bin, self.folder, self.port, self.process = found[-1], folder, free_port(), None
        # PostgreSQL does not run as root.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
            open_up(folder)
        self.data = os.path.join(folder, "data")
        subprocess.run([self.bin + "/initdb", "-D", self.data, "-A", "trust", "-U", "maestro", "-E", "UTF8", "--locale=C"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user)
        self.start()
        self.run("postgres", "CREATE DATABASE maestro")

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [self.bin + "/postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder,
             "-c", "listen_addresses=127.0.0.1", "-c", "shared_preload_libraries=pg_stat_statements"], stdout=log, stderr=log, cwd="/", **self.user)
        wait_until(lambda: subprocess.run([self.bin + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                          check=False).returncode == 0, "PostgreSQL answers")

    def stop(self, sig=signal.SIGINT):
        """SIGINT: in order; SIGQUIT: as if the power had gone."""
        if self.process:
            self.process.send_signal(sig)
            self.process.wait(DEADLINE_S)
            self.process = None

    def run(self, database, sql):
        return subprocess.run([self.bin + "/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "maestro", "-At",
                               "-c", sql, database], check=True, capture_output=True, text=True).stdout.strip()

    def url(self, database="maestro"):
        return f"postgres://maestro@127.0.0.1:{self.port}/{database}"


def open_up(folder):
    """Lets another user pass through the folders above."""
    while folder != "/":
        os.chmod(folder, os.stat(folder).st_mode | 0o111)
        folder = os.path.dirname(folder)


class Replica:
    """A `maestro serve` on a port that it keeps over restarts."""

    def __init__(self, name, env, binary=BINARY):
        self.binary = binary
        self.name, self.env, self.port = name, {**env, "MAESTRO_NAME": name}, free_port()
        self.url, self.process = f"http://127.0.0.1:{self.port}", None
        self.log = os.path.join(env["MAESTRO_DATA"] + "-" + name + ".err")
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.binary, "serve", "--listen", f"127.0.0.1:{self.port}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.log, "ab"),
                                        env=clean_env(self.env), start_new_session=True)
        line = read_line(self.process.stdout, DEADLINE_S)
        assert re.search(self.url, line), (line, self.errors()[-2000:])

    def errors(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def ready(self):
        """The answer of /readyz, or None when it is not ready or not there."""
        try:
            with Client(self.url, None) as client:
                answer = client.get("/readyz")
                return answer.json() if answer.status == 200 else None
        except OSError:
            return None

    def unready(self):
        """Why /readyz says no, or nothing."""
        with contextlib.suppress(OSError), Client(self.url, None) as client:
            answer = client.get("/readyz")
            return "" if answer.status == 200 else answer.text
        return ""

    def healthy(self):
        try:
            with Client(self.url, None) as client:
                return client.get("/healthz").status == 200
        except OSError:
            return False

    def leads(self, project="default"):
        """Whether it leads the shard of that project."""
        ready = self.ready()
        if ready is None:
            return False
        if "shards" not in ready:  # a release that knew none
            return ready["checks"]["lease"] == "leads"
        return ready["shards"][shard_of(project, len(ready["shards"]))]["leader"] == self.name

    def settled(self):
        """Whether it is ready, and every shard has a leader who serves it."""
        ready = self.ready()
        return ready is not None and (ready["checks"]["lease"] in ("leads", "follows")
                                      and all(s["leader"] for s in ready.get("shards", [])))

    def led(self):
        """The shards that it leads; none when it is not ready or not there."""
        return [s["shard"] for s in (self.ready() or {}).get("shards", []) if s["leader"] == self.name]

    def send(self, sig):
        self.process.send_signal(sig)

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(sig)
        code = self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        return code


class Patient(Client):
    """Asks again what cannot be served at the moment; it is made once all the same."""

    def call(self, method, path, body=None, headers=None, timeout=DEADLINE_S, raw=None):
        headers = dict(headers or {})
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))

        def served():
            try:
                answer = super(Patient, self).call(method, path, body, headers, timeout, raw)
            except (OSError, http.client.HTTPException):
                if method not in ("GET", "POST"):
                    raise
                return None
            return None if answer.status == 503 else answer
        return wait_until(served, f"{method} {path} is served")


class Cluster:
    """PostgreSQL and replicas r1, r2, …, with these settings besides; a context, which ends them."""

    def __init__(self, folder, replicas=3, settings=None, binary=BINARY):
        self.binary = binary
        self.folder, self.count, self.replicas, self.postgres = folder, replicas, [], None
        self.settings = settings or {}

    def __enter__(self):
        try:
            return self.started()
        except BaseException:
            self.__exit__()
            raise

    def started(self):
        os.mkdir(os.path.join(self.folder, "pg"))
        self.postgres = Postgres(os.path.join(self.folder, "pg"))
        self.env = {**SECRETS, "POSTGRES_URL": self.postgres.url(), "MAESTRO_DATA": os.path.join(self.folder, "data"),
                    **self.settings}
        maestro("migrate", "up", env=self.env, binary=self.binary).expect(0)
        self.token = maestro("tokens", "create", "admin", "--role", "admin", "--direct",
                             env=self.env, binary=self.binary).expect(0).out.strip()
        for i in range(self.count):
            self.replicas.append(Replica(f"r{i + 1}", self.env, self.binary))
        self.wait_leader()
        return self

    def __exit__(self, *_):
        for replica in self.replicas:
            if replica.process.poll() is None:
                replica.end(signal.SIGKILL)
        if self.postgres:
            self.postgres.stop(signal.SIGQUIT)

    def wait_leader(self, but=None):
        """The replica that leads the shard of the default project, once all that live agree, are ready and have
        their share."""
        def agreed():
            living = [r for r in self.replicas if r.process.poll() is None and r is not but]
            leaders = [r for r in living if r.leads()]
            if len(leaders) != 1 or not all(r.settled() for r in living):
                return None
            shares = [len(r.led()) for r in living]
            # A release from before shards names none.
            shards = (leaders[0].ready() or {"shards": [None]}).get("shards", [])
            return leaders[0] if max(shares) - min(shares) <= 1 and sum(shares) == len(shards) else None
        return wait_until(agreed, "one replica leads and all are ready")

    def client(self, replica, token=None, kind=Patient):
        return kind(replica.url, token or self.token)

    def projects(self, count):
        """So many projects, each with the token of an admin."""
        tokens = {}
        with self.client(self.replicas[0]) as client:
            for i in range(count):
                body = {"name": f"admin-{i}", "role": "admin", "project": f"project-{i}"}
                tokens[body["project"]] = client.post("/api/v1/tokens", body).expect(201).json()["token"]
        return tokens


def seconds_until(condition, what):
    began = time.monotonic()
    wait_until(condition, what)
    return time.monotonic() - began


@contextlib.contextmanager
def worker(cluster, slots=2, first=None, binary=BINARY):
    """A worker that goes to the replica `first` at first; killed at the end."""
    with cluster.client(cluster.replicas[0]) as client:
        token = client.token_of("worker")
    urls = sorted(cluster.replicas, key=lambda replica: replica is not first)
    process = subprocess.Popen(
        [binary, "worker", "--url", ",".join(r.url for r in urls), "--slots", str(slots),
         "--labels", "linux", "--data", os.path.join(cluster.folder, "worker")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=open(os.path.join(cluster.folder, "worker.err"), "ab"),
        env=clean_env({"MAESTRO_TOKEN": token}), start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Load(threading.Thread):
    """Starts runs at every replica in turn and reads them, with these tokens in turn; remembers each that was
    acknowledged, and what failed."""

    def __init__(self, cluster, patience_s=3, tokens=None):
        super().__init__(daemon=True)
        self.cluster, self.patience_s, self.tokens = cluster, patience_s, tokens or [cluster.token]
        self.acknowledged, self.failures, self.over = [], [], threading.Event()
        self.token_of = {}  # by acknowledged run

    def run(self):
        turn = 0
        while not self.over.is_set():
            turn += 1
            replica = self.cluster.replicas[turn % len(self.cluster.replicas)]
            token = self.tokens[turn % len(self.tokens)]
            try:
                with self.cluster.client(replica, token, Client) as client:
                    # One that stands still takes the connection and says nothing.
                    made = client.post("/api/v1/runs", {"definition": TWO_STEPS}, timeout=self.patience_s).expect(201)
                    self.token_of[made.json()["id"]] = token
                    self.acknowledged.append(made.json()["id"])
                    client.get("/api/v1/runs/" + self.acknowledged[-1], timeout=self.patience_s).expect(200)
                self.over.wait(0.02)
            except Exception as problem:  # a replica is away: that is what these tests do to them
                self.failures.append(repr(problem))
                self.over.wait(0.05)

    def more(self, count=3):
        """Waits until more runs were acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + count, "runs are acknowledged")

    def check(self):
        """Ends it; every acknowledged run is there, and each of its jobs ended once."""
        self.over.set()
        self.join()
        leader = self.cluster.wait_leader()
        for run_id in self.acknowledged:
            with self.cluster.client(leader, self.token_of[run_id]) as client:
                run = client.finished(run_id, deadline_s=120)
                assert run["status"] == "succeeded", (run["status"], run["message"])
                events = client.events(run_id)
                finished = sorted(e["data"]["job"] for e in events if e["type"] == "job.finished")
                assert finished == ["a", "b"], finished
                assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert len(set(self.acknowledged)) == len(self.acknowledged)
