"""What a campaign kills: a server on a port of its own and one remote worker, over one data folder."""
import contextlib
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "server", "tests", "blackbox"))
from harness import SCRATCH, Client, clean_env, processes_with, read_line  # noqa: E402  pylint: disable=wrong-import-position

PORT_S = 5
READY_S = 60  # from start to ready; some 0.05 s on an idle machine
SETTINGS = {"MAESTRO_HEARTBEAT": "200ms", "MAESTRO_LEASE": "3s", "MAESTRO_RATE_LIMIT": "1000000",
            "MAESTRO_RATE_BURST": "1000000"}


class NotReady(Exception):
    """A server that ended or stayed silent instead of saying that it is ready; the text says why."""


def free_port():
    """Below the ports that connections get by themselves: while the server is down, nobody may take it."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randint(10_000, 30_000)
            probe.bind(("127.0.0.1", port))
            return port


class Patience:
    """So many seconds in which this process ran: whoever stops a whole campaign for a while breaks no promise."""

    def __init__(self, seconds):
        self.left, self.last = seconds, time.monotonic()

    def over(self):
        now = time.monotonic()
        self.left -= min(now - self.last, 1)
        self.last = now
        return self.left < 0


def tail(path, size=2000):
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - size))
        return file.read().decode("utf-8", "replace")


class Machines:
    """One server (with a worker inside) and one remote worker. Not thread-safe; clients may be used
    by others meanwhile, and hear of kills as broken connections."""

    def __init__(self, binary, folder, data=None):
        self.binary, self.folder = binary, folder
        os.makedirs(folder, exist_ok=True)
        self.data = data or os.path.join(folder, "data")
        self.mark = os.path.basename(folder.rstrip("/")) + f"-{os.getpid()}-{time.monotonic_ns()}"
        self.port, self.token = free_port(), None
        self.slots = 2  # of the worker inside the server; 0: there is none
        self.server = self.worker = None
        self.clock_ms = 0  # later starts stay ahead of this; nothing here may set time far back
        self.reached = os.path.join(folder, "reached")
        self.kills = 0
        self.crashes = []  # ends that nobody asked for

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def client(self):
        return Client(self.url, self.token)

    def spawn(self, words, faults, log, limit=None, stdout=subprocess.DEVNULL):
        env = clean_env({**SETTINGS, "MC_FAULT_REACHED": self.reached})
        if faults:
            env["MC_FAULT"] = ",".join(faults)
        before = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))) if limit else None
        with open(os.path.join(self.folder, log), "ab") as err:
            # SIGXFSZ stays ignored, as Python has it: a full disk is an error, not a signal.
            return subprocess.Popen([self.binary, *words], stdin=subprocess.DEVNULL, stdout=stdout, stderr=err,
                                    env=env, start_new_session=True, restore_signals=False, preexec_fn=before)

    def start_server(self, faults=(), limit=None):
        """Returns when it is ready. Raises NotReady; a fault may well be why."""
        # A job's process that was being made when the server died has the port for a moment yet.
        end = time.monotonic() + PORT_S
        while True:
            try:
                return self.start_server_once(faults, limit)
            except NotReady as error:
                if "Address already in use" not in str(error).splitlines()[-1] or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def start_server_once(self, faults, limit):
        faults = list(faults)
        if self.clock_ms:
            faults.append(f"clock:offset:{self.clock_ms}")
        self.spawn_server(faults, limit)
        line = read_line(self.server.stdout, READY_S)
        if not re.search(r"ready at http://", line):
            self.kill_server()
            raise NotReady(f"exit {self.last_code}: {tail(os.path.join(self.folder, 'server.err')).rstrip()}")
        with open(os.path.join(self.data, "admin.token"), encoding="utf-8") as file:
            self.token = file.read().strip()

    def spawn_server(self, faults=(), limit=None):
        words = ["up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--worker-slots", str(self.slots)]
        self.server = self.spawn(words, faults, "server.err", limit, subprocess.PIPE)

    def start_worker(self, faults=()):
        path = os.path.join(self.folder, "worker.token")
        if not os.path.exists(path):
            client = self.client()
            token = client.token_of("worker", "remote")
            client.close()
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(token)
        self.worker = self.spawn(["worker", "--url", self.url, "--token-file", path, "--name", "remote", "--slots", "2",
                                  "--data", os.path.join(self.folder, "remote")], faults, "worker.err")

    last_code = None

    def kill(self, process):
        """Ends it, if it has not ended by itself as it was told to."""
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        self.last_code = process.wait(READY_S)
        if self.last_code == -signal.SIGKILL:
            self.kills += 1
        elif self.last_code < 0:
            self.crashes.append(f"a process ended by signal {-self.last_code}: "
                                + tail(os.path.join(self.folder, "server.err")))
        if process.stdout:
            process.stdout.close()

    def kill_server(self):
        self.kill(self.server)
        self.server = None

    def kill_worker(self):
        self.kill(self.worker)
        self.worker = None

    def stop_server(self, patience_s):
        """Asks it to end in order, at once; a fault may be quicker."""
        end = time.monotonic() + patience_s
        while self.server.poll() is None and time.monotonic() < end:
            self.server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(0.2)
        self.kill_server()

    def close(self):
        """Ends everything; kills that nobody asked for do not count."""
        kills = self.kills
        self.kill_server()
        self.kill_worker()
        self.kills = kills

    def orphans(self):
        """Processes of jobs, by the mark in their environment."""
        return processes_with("CRASH_MARK=" + self.mark)

    def points_reached(self):
        if not os.path.exists(self.reached):
            return set()
        with open(self.reached, encoding="utf-8") as file:
            return set(file.read().split())
