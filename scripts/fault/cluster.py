"""The cluster that a campaign hurts: a database of two nodes, Redis, replicas, workers, each at its
own address."""
import contextlib
import hashlib
import os
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "crash"))
# pylint: disable=wrong-import-position
from machines import ROOT, Client, Patience, clean_env  # noqa: E402

from leads import Listener  # noqa: E402
from network import LOAD, Missing, Network, folder_of  # noqa: E402
from postgres import Database, wait_until  # noqa: E402
from processes import Process  # noqa: E402

# pylint: enable=wrong-import-position

PORT = 4000
REPLICAS = {"r1": 11, "r2": 12, "r3": 13}
LATE = "r4"  # a replica that only some faults start
# Of five shards of eight, two of one.
PROJECTS = ("default", *(f"project-{number}" for number in range(1, 6)))
DATABASES = {"database1": 21, "database2": 22}
WORKERS = {"w1": 41, "w2": 42, "w3": 43}
REDIS, REDIS_PORT = "redis", 6379
NODES = {LOAD: 2, **REPLICAS, LATE: 14, **DATABASES, REDIS: 31, **WORKERS}
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


def shard_of(project, shards):
    return int.from_bytes(hashlib.sha256(project.encode()).digest()[:4], "big") % shards


def default_binary():
    return os.environ.get("MAESTRO_BIN") or os.path.join(ROOT, "build", "bin", "maestro")


class Cluster:
    """A context: stands when it was entered, and is gone after it."""

    def __init__(self, binary):
        self.binary, self.folder = binary, folder_of(os.getpid())
        self.surprises = []  # ends of processes that nobody asked for
        self.network = self.database = self.redis = self.late = self.listener = None
        self.replicas, self.workers, self.tokens = {}, {}, {}

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
        self.tokens["default"] = self.maestro("tokens", "create", "campaign", "--role", "admin",
                                              "--direct")
        self.listener = Listener(self.path("logs"))
        self.listener.listen()
        for name in REPLICAS:
            self.replicas[name] = self.replica(name)
            self.replicas[name].start()
        self.late = self.replica(LATE)
        self.wait_whole()
        self.add_tokens()
        self.add_workers()
        return self

    def replica(self, name):
        made = self.process(name, ["serve", "--listen", self.listen(name)], self.env)
        made.ended = self.listener.note_end
        return made

    def add_tokens(self):
        """Of an admin of each project."""
        with self.client("r1") as client:
            for project in PROJECTS[1:]:
                self.tokens[project] = client.token_of("admin", project=project)

    def __exit__(self, *_):
        if self.listener:
            self.listener.close()
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
        with self.client("r1") as client:
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

    def leader(self, project="default"):
        """The name of the replica that leads the shard of the project, or None: as the first one
        knows that says so of itself."""
        for name in self.replicas:
            ready = self.readiness(name)
            if ready and leaders_of(ready)[shard_of(project, len(ready["shards"]))] == name:
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

    def client(self, name, project="default"):
        """An admin of the project, at that replica."""
        return Client(self.url(name), self.tokens[project])

    def wait_whole(self):
        """Everything that a fault ended is started, and the late replica is gone; all replicas are
        ready and agree who leads what, and the shards are shared evenly. Returns what they say."""
        self.database.whole()
        self.late.kill()
        for process in [self.redis, *self.replicas.values(), *self.workers.values()]:
            process.go_on()
            if not process.lives():
                process.start()
        return self.wait_shared(list(self.replicas))

    def wait_shared(self, names):
        """These replicas are ready and share all shards. Raises Broken when they do not in time."""
        patience = Patience(WHOLE_S)
        while True:
            ready = {name: self.readiness(name) for name in names}
            if is_shared(ready):
                return ready
            if patience.over():
                raise Broken(f"not whole {WHOLE_S} s after the faults: {ready}")
            self.start_missing(names)
            time.sleep(0.1)

    def start_missing(self, names):
        for name, process in self.replicas.items():
            if name in names and not process.lives():
                process.start()

    def workers_registered(self):
        with self.client(self.wait_leader()) as client:
            items = client.get("/api/v1/workers").expect(200).json()["items"]
        return sum(item.get("status") != "lost" for item in items)

    def end_in_order(self, process):
        code = process.end()
        if code != 0:
            self.surprises.append(f"{process.node} was stopped in order and ended with {code}")

    def hand_over(self):
        """Every shard gets another leader, since one replica after the other stops in order."""
        for name, process in self.replicas.items():
            self.end_in_order(process)
            self.wait_shared([other for other in self.replicas if other != name])
            process.start()
            self.wait_shared(list(self.replicas))

    def wait_replayed(self):
        """The standby has what the primary has."""
        sql = "SELECT pg_current_wal_lsn() <= replay_lsn FROM pg_stat_replication"
        wait_until(lambda: self.database.ask(self.database.primary, sql, check=False) == "t",
                   "the standby replays")


def leaders_of(ready):
    """Shard → who leads it, as an answer of /readyz says; None: nobody."""
    return {each["shard"]: each["leader"] for each in ready["shards"]}


def is_shared(ready):
    """`ready`: replica → what its /readyz says, or None."""
    if not all(ready.values()):
        return False
    leaders = [leaders_of(said) for said in ready.values()]
    if any(each != leaders[0] for each in leaders):
        return False
    shares = [list(leaders[0].values()).count(name) for name in ready]
    return sum(shares) == len(leaders[0]) and max(shares) - min(shares) <= 1
