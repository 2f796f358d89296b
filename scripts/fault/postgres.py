"""PostgreSQL on two nodes: a primary, a standby that streams from it and that commits wait for,
and one address that is wherever the primary is."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import time

from network import NETWORK, Missing, kill_all_in, pids_in

ADDRESS = "database"  # the one that moves
PORT = 5432
DISK_MB = 1024
READY_S = 60
SETTINGS = """
listen_addresses = '*'
port = %d
fsync = on
synchronous_commit = on
shared_buffers = 64MB
max_connections = 200
max_wal_size = 128MB
min_wal_size = 32MB
wal_keep_size = 192MB
hot_standby = on
wal_receiver_timeout = 5s
wal_sender_timeout = 5s
wal_retrieve_retry_interval = 500ms
include = 'standbys.conf'
"""
ACCESS = "local all all trust\nhost all all %s0/24 trust\nhost replication all %s0/24 trust\n"


def tools():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise Missing("there is no PostgreSQL: scripts/install-packages fault")
    return found[-1]


def wait_until(condition, what, deadline_s=READY_S):
    """Raises Missing after the deadline: this machine cannot carry a campaign."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise Missing(f"not within {deadline_s} s: {what}")
        time.sleep(0.05)


class Database:
    """Both nodes. Not thread-safe."""

    def __init__(self, network, folder, nodes=("database1", "database2")):
        self.network, self.folder, self.bin = network, folder, tools()
        self.primary, self.standby = nodes
        self.user = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None
        for node in nodes:
            self.mount(node)
        self.run(self.primary, "initdb", "-A", "trust", "-U", "maestro", "-E", "UTF8", "--locale=C",
                 "-D", self.data(self.primary))
        with open(self.data(self.primary) + "/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(SETTINGS % PORT)
        with open(self.data(self.primary) + "/pg_hba.conf", "w", encoding="utf-8") as file:
            file.write(ACCESS % (NETWORK, NETWORK))
        self.wait_for(self.primary, None)
        self.start(self.primary)
        network.move(ADDRESS, self.primary)
        self.ask(self.primary, "CREATE DATABASE maestro", "postgres")
        self.build_standby()

    @property
    def host(self):
        return NETWORK + str(self.network.nodes_moved(ADDRESS))

    def url(self):
        return f"postgres://maestro@{self.host}:{PORT}/maestro"

    def disk(self, node):
        return os.path.join(self.folder, node)

    def data(self, node):
        return os.path.join(self.disk(node), "data")

    def log(self, node):
        return os.path.join(self.folder, node + ".log")

    def mount(self, node):
        os.makedirs(self.disk(node))
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tmpfs",
             self.disk(node)],
            check=True)
        os.chown(self.disk(node), self.user, -1)

    # Words of PostgreSQL, in a node's namespace, as a user that it runs as.

    def words(self, node, name, *words):
        return self.network.words(node, "setpriv", "--reuid=postgres", "--regid=postgres",
                                  "--init-groups", os.path.join(self.bin, name), *words)

    def run(self, node, name, *words, check=True, timeout=READY_S):
        """Returns what it said; raises Missing when it failed and that was not foreseen."""
        with open(self.log(node), "ab") as log:
            done = subprocess.run(self.words(node, name, *words),
                                  check=False,
                                  stdout=subprocess.PIPE,
                                  stderr=log,
                                  stdin=subprocess.DEVNULL,
                                  cwd="/",
                                  text=True,
                                  timeout=timeout)
        if check and done.returncode != 0:
            raise Missing(f"{name} failed on {node}; its log is {self.log(node)}")
        return done.stdout.strip()

    def ask(self, node, sql, database="maestro", check=True):
        return self.run(node,
                        "psql",
                        "-h",
                        self.network.address(node),
                        "-p",
                        str(PORT),
                        "-U",
                        "maestro",
                        "-XAtc",
                        sql,
                        database,
                        check=check)

    # One node.

    def start(self, node):
        """Tries until it stands: sessions of one that was killed may take a moment to go."""
        def stands():
            if not self.lives(node):
                with open(self.log(node), "ab") as log:
                    subprocess.Popen(self.words(node, "postgres", "-D", self.data(node), "-k",
                                                self.disk(node)),
                                     stdin=subprocess.DEVNULL,
                                     stdout=log,
                                     stderr=log,
                                     cwd="/",
                                     start_new_session=True)
                time.sleep(0.1)
            return self.answers(node)
        wait_until(stands, f"PostgreSQL on {node} answers; its log is {self.log(node)}")

    def postmaster(self, node):
        """The process, 0 when there is none."""
        with contextlib.suppress(OSError, ValueError):
            with open(self.data(node) + "/postmaster.pid", encoding="utf-8") as file:
                pid = int(file.readline())
            return pid if pid in pids_in(self.network.namespace(node)) else 0
        return 0

    def lives(self, node):
        pid = self.postmaster(node)
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        return False

    def answers(self, node):
        done = subprocess.run(self.words(node, "pg_isready", "-q", "-t", "1", "-p", str(PORT),
                                         "-h", self.network.address(node)), check=False, cwd="/")
        return done.returncode == 0

    def signal_all(self, node, number):
        for pid in pids_in(self.network.namespace(node)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, node):
        """With all its sessions, as when a machine dies."""
        kill_all_in(self.network.namespace(node))

    def stop(self, node, number=signal.SIGINT):
        """SIGINT: in order; SIGQUIT: at once, it recovers at the next start."""
        pid = self.postmaster(node)
        if pid:
            os.kill(pid, number)
        wait_until(lambda: not self.lives(node), f"PostgreSQL on {node} ends")
        self.kill(node)

    # The two together.

    def wait_for(self, node, standby):
        """Whether the node's commits wait for a standby."""
        with open(self.data(node) + "/standbys.conf", "w", encoding="utf-8") as file:
            file.write(f"synchronous_standby_names = '{standby or ''}'\n")
        if self.postmaster(node):
            os.kill(self.postmaster(node), signal.SIGHUP)

    def build_standby(self):
        """Anew from the primary; from its end on a fail-over loses nothing."""
        node = self.standby
        self.kill(node)
        shutil.rmtree(self.data(node), ignore_errors=True)
        source = self.network.address(self.primary)
        self.run(node, "pg_basebackup", "-h", source, "-p", str(PORT), "-U", "maestro", "-D",
                 self.data(node), "-X", "stream", "-c", "fast", "-R")
        with open(self.data(node) + "/postgresql.auto.conf", "w", encoding="utf-8") as file:
            file.write(f"primary_conninfo = 'host={source} port={PORT} user=maestro "
                       f"application_name={node} connect_timeout=3'\n")
        self.start(node)
        self.wait_until_in_sync()

    def streams(self):
        return self.ask(self.primary,
                        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' "
                        f"AND application_name = '{self.standby}'",
                        "postgres",
                        check=False) == "1"

    def wait_until_in_sync(self):
        wait_until(self.streams, f"the standby streams; its log is {self.log(self.standby)}")
        self.wait_for(self.primary, self.standby)
        wait_until(
            lambda: self.ask(
                self.primary, "SELECT sync_state FROM pg_stat_replication", "postgres", check=False)
            == "sync", "commits wait for the standby")

    def promote(self):
        """The standby becomes the primary and has the address. Requires: the old one is dead or
        cut off."""
        old, new = self.primary, self.standby
        self.wait_for(new, None)
        self.run(new, "pg_ctl", "promote", "-D", self.data(new), "-w", "-t", str(READY_S))
        self.network.move(ADDRESS, new)
        self.primary, self.standby = new, old

    def whole(self):
        """Both stand and commits wait for the standby. What a fault ended starts here."""
        if not self.lives(self.primary):
            self.start(self.primary)
        wait_until(lambda: self.answers(self.primary), "the primary answers")
        if not self.lives(self.standby):
            self.start(self.standby)
        self.wait_until_in_sync()

    def dump(self):
        return self.run(self.primary, "pg_dump", "-h", self.network.address(self.primary), "-p",
                        str(PORT), "-U", "maestro", "maestro")

    def rows(self, sql):
        """From where clients get their answers."""
        return self.ask(self.primary, sql).splitlines()
