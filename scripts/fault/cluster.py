"""The cluster that a campaign hurts: a database of two nodes, Redis, replicas, workers, each at its
own address."""
import contextlib
import os
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))
# pylint: disable=wrong-import-position
from machines import ROOT, Client, Patience, clean_env  # noqa: E402

from network import LOAD, Missing, Network, folder_of  # noqa: E402
from postgres import Database, wait_until  # noqa: E402
from processes import Process  # noqa: E402

# pylint: enable=wrong-import-position

PORT = 4000
REPLICAS = {"r1": 11, "r2": 12, "r3": 13}
DATABASES = {"database1": 21, "database2": 22}
WORKERS = {"w1": 41, "w2": 42, "w3": 43}
REDIS, REDIS_PORT = "redis", 6379
NODES = {LOAD: 2, **REPLICAS, **DATABASES, REDIS: 31, **WORKERS}
SHARED_DISK_MB, WORKER_DISK_MB = 512, 96
SLOTS = 4
LEASE_S = 5  # of workers: faults last longer or shorter than this
WHOLE_S = 90  # for a cluster without faults to be whole again
ASK_S = 2
SETTINGS = {
    "MAESTRO_HEARTBEAT": "500ms", "MAESTRO_LEASE": f"{LEASE_S}s", "MAESTRO_LOG_FORMAT": "text",
    "JWT_SECRET": "a-secret-of-thirty-two-bytes-or-more",
    "SESSION_SECRET": "another-secret-of-thirty-two-bytes-or-more"
}


class Broken(Exception):
    """A promise that did not hold; the text says which."""


def default_binary():
    return os.environ.get("MAESTRO_BIN") or os.path.join(ROOT, "build", "bin", "maestro")


class Cluster:
    """A context: stands when it was entered, and is gone after it."""

    def __init__(self, binary):
        self.binary, self.folder = binary, folder_of(os.getpid())
        self.surprises = []  # ends of processes that nobody asked for
        self.network = self.database = self.redis = self.token = None
        self.replicas, self.workers = {}, {}

    def __enter__(self):
        self.prepare_folders()
        self.network = Network(NODES)
        self.network.join()
        self.database = Database(self.network, os.path.join(self.folder, "databases"),
                                 tuple(DATABASES))
        self.redis = Process(self.network, REDIS, [
            "redis-server", "--bind", self.network.address(REDIS), "--port", str(REDIS_PORT),
            "--protected-mode", "no", "--save", "", "--appendonly", "no"
        ], {}, self.path("logs"), self.surprises)
        self.redis.start()
        self.env = {
            **SETTINGS, "POSTGRES_URL": self.database.url(), "MAESTRO_DATA": self.path("shared"),
            "REDIS_URL": f"redis://{self.network.address(REDIS)}:{REDIS_PORT}"
        }
        self.maestro("migrate", "up")
        self.token = self.maestro("tokens", "create", "campaign", "--role", "admin", "--direct")
        for name in REPLICAS:
            self.replicas[name] = self.process(
                name, ["serve", "--listen", self.listen(name)], self.env)
            self.replicas[name].start()
        self.wait_whole()
        self.add_workers()
        return self

    def __exit__(self, *_):
        if self.network:
            self.network.close()

    def keep(self):
        """What the database has, as SQL: its disks are gone after a campaign."""
        with contextlib.suppress(Missing, OSError), \
                open(self.path("maestro.sql"), "w", encoding="utf-8") as file:
            file.write(self.database.dump())

    def path(self, name):
        return os.path.join(self.folder, name)

    def prepare_folders(self):
        for name in ("databases", "shared", "logs", *WORKERS):
            os.makedirs(self.path(name))
        with open(self.path("marks"), "w", encoding="utf-8"):
            pass
        self.mount("shared", SHARED_DISK_MB)
        for name in WORKERS:
            self.mount(name, WORKER_DISK_MB)

    def mount(self, name, size_mb):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "tmpfs",
             self.path(name)],
            check=False,
            capture_output=True,
            text=True)
        if done.returncode != 0:
            raise Missing(f"no tmpfs can be mounted: {done.stderr.strip()}")

    def maestro(self, *words):
        """A verb that goes to the database itself."""
        done = subprocess.run([self.binary, *words],
                              check=False,
                              capture_output=True,
                              text=True,
                              env=clean_env(self.env))
        if done.returncode != 0:
            raise Missing(f"`maestro {' '.join(words)}` failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def listen(self, name):
        return f"{self.network.address(name)}:{PORT}"

    def url(self, name):
        return "http://" + self.listen(name)

    def process(self, name, words, env):
        return Process(self.network, name, [self.binary, *words], {**env, "MAESTRO_NAME": name},
                       self.path("logs"), self.surprises)

    def add_workers(self):
        with Client(self.url("r1"), self.token) as client:
            token = client.token_of("worker")
        with open(os.open(self.path("worker.token"), os.O_CREAT | os.O_WRONLY, 0o600),
                  "w",
                  encoding="utf-8") as file:
            file.write(token)
        names = list(REPLICAS)
        for at, name in enumerate(WORKERS):
            urls = [self.url(replica)
                    for replica in names[at % 3:] + names[:at % 3]]  # each begins elsewhere
            self.workers[name] = self.process(name, [
                "worker", "--url", ",".join(urls), "--token-file",
                self.path("worker.token"), "--labels", "linux", "--slots",
                str(SLOTS), "--data",
                self.path(name), "--name", name, "--pass-env", "FAULT_WORKER"
            ], {"FAULT_WORKER": name})
            self.workers[name].start()

    # What is asked of it.

    def readiness(self, name):
        """What /readyz says, or None."""
        try:
            with Client(self.url(name), None) as client:
                answer = client.get("/readyz", timeout=ASK_S)
                return answer.json() if answer.status == 200 else None
        except (OSError, ValueError):
            return None

    def leader(self):
        """The name of the replica that leads, or None."""
        for name in self.replicas:
            ready = self.readiness(name)
            if ready and ready["checks"]["lease"] == "leads":
                return name
        return None

    def wait_leader(self, deadline_s=WHOLE_S):
        """Requires: no faults. Raises Broken when nobody leads in time."""
        patience = Patience(deadline_s)
        while not patience.over():
            leader = self.leader()
            if leader:
                return leader
            time.sleep(0.05)
        raise Broken(f"nobody led within {deadline_s} s without faults")

    def client(self, name):
        return Client(self.url(name), self.token)

    def wait_whole(self):
        """Everything that a fault ended is started; all replicas are ready, one leads."""
        self.database.whole()
        for process in [self.redis, *self.replicas.values(), *self.workers.values()]:
            process.go_on()
            if not process.lives():
                process.start()
        patience = Patience(WHOLE_S)
        while True:
            ready = {name: self.readiness(name) for name in self.replicas}
            leaders = [
                name for name, said in ready.items() if said and said["checks"]["lease"] == "leads"
            ]
            if len(leaders) == 1 and all(ready.values()):
                return leaders[0]
            if patience.over():
                raise Broken(f"not whole {WHOLE_S} s after the faults: {ready}")
            self.start_missing()
            time.sleep(0.1)

    def start_missing(self):
        for process in self.replicas.values():
            if not process.lives():
                process.start()

    def workers_registered(self):
        with self.client(self.wait_leader()) as client:
            items = client.get("/api/v1/workers").expect(200).json()["items"]
        return sum(item.get("status") != "lost" for item in items)

    def hand_over(self):
        """The leader stops in order; returns who leads then."""
        old = self.wait_leader()
        code = self.replicas[old].end()
        if code != 0:
            self.surprises.append(f"{old} was stopped in order and ended with {code}")
        new = self.wait_leader()
        self.replicas[old].start()
        return new

    def wait_replayed(self):
        """The standby has what the primary has."""
        sql = "SELECT pg_current_wal_lsn() <= replay_lsn FROM pg_stat_replication"
        wait_until(lambda: self.database.ask(self.database.primary, sql, check=False) == "t",
                   "the standby replays")
