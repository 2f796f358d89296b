"""The faults of a campaign. Each is a generator: it begins what is wrong and yields in words what
that is; what comes after the yield takes back what healing the network and starting the dead does
not.

A fault may leave processes dead and the network cut: the campaign heals both. What it needs
besides root is in `unable`."""
import contextlib
import mmap
import os
import signal
import time

from cluster import DATABASES, LATE, LEASE_S, REDIS, REPLICAS, WORKERS
from network import LOAD
from processes import Process, faketime

FAULTS = {}  # name → Fault
# Of a clock. What is due waits for one that was set back, so it is not set back far.
JUMPS_S = (-20, -3, 2, 10, 30)
BALLAST = "ballast"


class Fault:
    """`weight`: how often it is chosen; 0: only when it was asked for by name or kind.
    `is_orderly`: every replica can know at any time what it leads."""

    def __init__(self, kind, run, weight, is_orderly):
        self.kind, self.run, self.weight, self.name = kind, run, weight, run.__name__
        self.is_orderly = is_orderly

    def unable(self, binary):
        """Why it cannot be with this program, or nothing."""
        if self.kind != "clock":
            return None
        if not faketime():
            return "libfaketime is not installed"
        return "AddressSanitizer bears no libfaketime" if is_sanitized(binary) else None


def is_sanitized(binary):
    with open(binary, "rb") as file, \
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"__asan_init") >= 0


def fault(kind, weight=1.0, is_orderly=False):
    def add(run):
        FAULTS[run.__name__] = Fault(kind, run, weight, is_orderly)
        return run
    return add


def leader(cluster, chance):
    """Who leads the project `default`; what else it leads is hurt, too."""
    return cluster.leader() or chance.choice(list(REPLICAS))


def follower(cluster, chance):
    leading = leader(cluster, chance)
    return chance.choice([name for name in REPLICAS if name != leading])


def nodes_of(database):
    return [database.primary, database.standby]


# Partitions.

@fault("partition")
def redis_is_alone(cluster, _):
    cluster.network.isolate(REDIS)
    yield "Redis reaches nobody"


@fault("partition")
def leader_loses_database(cluster, chance):
    name = leader(cluster, chance)
    cluster.network.cut([name], nodes_of(cluster.database))
    yield f"{name}, which leads, cannot reach the database"


@fault("partition")
def leader_hears_nothing_from_database(cluster, chance):
    name = leader(cluster, chance)
    cluster.network.cut(nodes_of(cluster.database), [name], both=False)
    yield f"{name}, which leads, reaches the database and hears no answer"


@fault("partition")
def leader_loses_replicas(cluster, chance):
    name = leader(cluster, chance)
    cluster.network.cut([name], list(REPLICAS))
    yield f"{name}, which leads, cannot reach the other replicas"


@fault("partition")
def database_comes_and_goes(cluster, chance):
    name, times = leader(cluster, chance), chance.randint(3, 8)
    for _ in range(times):
        cluster.network.cut([name], nodes_of(cluster.database))
        time.sleep(chance.uniform(0.05, 1.0))
        cluster.network.heal()
        time.sleep(chance.uniform(0.05, 0.5))
    yield f"{name}, which led, lost the database {times} times for up to a second"


@fault("partition")
def leader_is_alone(cluster, chance):
    name = leader(cluster, chance)
    cluster.network.isolate(name)
    yield f"{name}, which leads, reaches nobody"


@fault("partition")
def follower_is_alone(cluster, chance):
    name = follower(cluster, chance)
    cluster.network.isolate(name)
    yield f"{name}, which follows, reaches nobody"


@fault("partition")
def database_is_alone(cluster, _):
    cluster.network.cut(nodes_of(cluster.database), list(REPLICAS))
    yield "no replica reaches the database"


@fault("partition")
def standby_is_alone(cluster, _):
    cluster.network.isolate(cluster.database.standby)
    yield "the standby reaches nobody, commits wait for it"


@fault("partition")
def worker_is_alone(cluster, chance):
    name = chance.choice(list(WORKERS))
    cluster.network.isolate(name)
    yield f"{name} reaches no replica"


@fault("partition")
def worker_hears_nothing(cluster, chance):
    name = chance.choice(list(WORKERS))
    cluster.network.cut(list(REPLICAS), [name], both=False)
    yield f"{name} reaches all replicas and hears no answer"


@fault("partition")
def worker_loses_one_replica(cluster, chance):
    name, replica = chance.choice(list(WORKERS)), chance.choice(list(REPLICAS))
    cluster.network.cut([name], [replica])
    yield f"{name} cannot reach {replica}"


@fault("partition")
def halves(cluster, chance):
    nodes = [*REPLICAS, *DATABASES, *WORKERS]
    some = chance.sample(nodes, chance.randint(2, len(nodes) - 2))
    cluster.network.cut(some, [node for node in [*nodes, LOAD] if node not in some])
    yield f"{' '.join(sorted(some))} reach each other only"


# Loss and delay.

@fault("loss")
def lossy_node(cluster, chance):
    name, percent = chance.choice([*REPLICAS, *DATABASES, *WORKERS]), chance.choice((5, 15, 30, 60))
    cluster.network.lose(name, percent)
    yield f"{percent} of 100 packets to and from {name} are lost"


@fault("loss")
def lossy_network(cluster, chance):
    percent = chance.choice((2, 5, 10))
    for node in [*REPLICAS, *DATABASES, *WORKERS]:
        cluster.network.losses[node] = percent
    cluster.network.apply()
    yield f"{percent} of 100 packets are lost at every node"


@fault("delay", 2)
def slow_node(cluster, chance):
    name, delay = chance.choice([*REPLICAS, *DATABASES, *WORKERS]), chance.choice((5, 30, 100, 400))
    cluster.network.slow(name, delay, delay, chance.choice((0, 5)), chance.getrandbits(32))
    yield f"packets to and from {name} are {delay} to {2 * delay} ms late and overtake each other"


# Processes that stand still, die or stop.

def a_leader(cluster, chance):
    name = leader(cluster, chance)
    return cluster.replicas[name], f"{name}, which leads,"


def a_follower(cluster, chance):
    name = follower(cluster, chance)
    return cluster.replicas[name], f"{name}, which follows,"


def a_worker(cluster, chance):
    name = chance.choice(list(WORKERS))
    return cluster.workers[name], name


ROLES = {"leader": a_leader, "follower": a_follower, "worker": a_worker,
         "redis": lambda cluster, _: (cluster.redis, "Redis")}


def of_role(role, name, kind, what, hurt, weight=1.0):
    def run(cluster, chance):
        process, called = ROLES[role](cluster, chance)
        hurt(process)
        yield f"{called} {what}"
    run.__name__ = f"{role}_{name}"
    fault(kind, weight)(run)


for each in ROLES:
    of_role(each, "stands_still", "stop", "stands still", Process.stop_still)
    of_role(each, "dies", "kill", "is killed", Process.kill, 2 if each == "leader" else 1)


LEADER_DIES = FAULTS["leader_dies"].run


@fault("stop")
def database_stands_still(cluster, chance):
    node = chance.choice(nodes_of(cluster.database))
    cluster.database.signal_all(node, signal.SIGSTOP)
    yield f"PostgreSQL on {node} stands still"
    cluster.database.signal_all(node, signal.SIGCONT)


@fault("kill")
def leader_and_worker_die(cluster, chance):
    name, other = leader(cluster, chance), chance.choice(list(WORKERS))
    cluster.replicas[name].kill()
    cluster.workers[other].kill()
    yield f"{name}, which leads, and {other} are killed"


@fault("kill")
def all_replicas_die(cluster, _):
    for process in cluster.replicas.values():
        process.kill()
    yield "all replicas are killed"


@fault("kill")
def two_replicas_die(cluster, chance):
    names = [leader(cluster, chance), follower(cluster, chance)]
    for name in names:
        cluster.replicas[name].kill()
    yield f"{' and '.join(names)} are killed at once"


# Replicas that come and go: the shards are spread anew.

@fault("share", is_orderly=True)
def update(cluster, chance):
    for name in chance.sample(list(REPLICAS), len(REPLICAS)):
        cluster.end_in_order(cluster.replicas[name])
        cluster.replicas[name].start()
    yield "the replicas were stopped in order and started, one after the other"


@fault("share", is_orderly=True)
def replica_leaves_and_joins(cluster, chance):
    name = chance.choice(list(REPLICAS))
    cluster.end_in_order(cluster.replicas[name])
    yield f"{name} was stopped in order, and started later"
    cluster.replicas[name].start()
    yield


@fault("share", is_orderly=True)
def replica_joins_late(cluster, _):
    cluster.late.start()
    cluster.wait_shared([*REPLICAS, LATE])
    yield f"{LATE} joined and took its share, and was stopped in order later"
    cluster.end_in_order(cluster.late)
    yield


@fault("share")
def replica_joins_and_dies(cluster, _):
    cluster.late.start()
    yield f"{LATE} joined and was killed"
    cluster.late.kill()
    yield


@fault("share")
def replica_joins_while_the_leader_dies(cluster, chance):
    name = leader(cluster, chance)
    cluster.late.start()
    time.sleep(chance.uniform(0.0, 2.0))
    cluster.replicas[name].kill()
    yield f"{LATE} joins, {name}, which leads, is killed meanwhile"
    yield


# PostgreSQL.

@fault("postgres")
def database_restarts(cluster, _):
    cluster.database.stop(cluster.database.primary)
    yield "the primary was stopped in order"


@fault("postgres")
def database_crashes(cluster, _):
    cluster.database.kill(cluster.database.primary)
    yield "the primary is killed with its sessions"


@fault("postgres")
def standby_crashes(cluster, _):
    cluster.database.kill(cluster.database.standby)
    yield "the standby is killed, commits wait for it"


@fault("postgres", 2)
def database_fails_over(cluster, _):
    database = cluster.database
    database.kill(database.primary)
    database.promote()
    yield f"the primary is killed, {database.primary} took its place"
    cluster.network.heal()
    database.build_standby()


@fault("postgres")
def database_fails_over_while_the_old_lives(cluster, _):
    database = cluster.database
    old = database.primary
    cluster.network.isolate(old)
    database.promote()
    yield f"the primary reaches nobody and lives on, {database.primary} took its place"
    database.kill(old)  # before anybody can reach it again
    cluster.network.heal()
    database.build_standby()


@fault("unsynced", 0)
def database_fails_over_after_it_restarted_alone(cluster, _):
    """PostgreSQL shows after a crash what it had committed and the standby never got; who is
    answered from that is answered too soon."""
    database = cluster.database
    cluster.network.cut([database.primary], [database.standby])
    yield "the primary loses its standby, is killed, stands again, is replaced by the standby"
    database.kill(database.primary)
    database.start(database.primary)
    yield
    database.kill(database.primary)
    cluster.network.heal()
    database.promote()
    database.build_standby()


# Full disks.

def fill(folder):
    """Leaves no room: one long piece, then what is left, page by page."""
    with contextlib.suppress(OSError), open(os.path.join(folder, BALLAST), "wb",
                                            buffering=0) as file:
        free = os.statvfs(folder)
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_bsize - (1 << 20)))
        file.seek(0, os.SEEK_END)
        while True:
            file.write(b"x" * 4096)


def make_room(folder):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, BALLAST))


@fault("disk")
def data_folder_is_full(cluster, _):
    fill(cluster.path("shared"))
    yield "the folder that the replicas share is full"
    make_room(cluster.path("shared"))


@fault("disk")
def worker_disk_is_full(cluster, chance):
    name = chance.choice(list(WORKERS))
    fill(cluster.path(name))
    yield f"the disk of {name} is full"
    make_room(cluster.path(name))


@fault("disk")
def database_disk_is_full(cluster, chance):
    disk = cluster.database.disk(chance.choice(nodes_of(cluster.database)))
    fill(disk)
    yield f"the disk of PostgreSQL on {os.path.basename(disk)} is full"
    make_room(disk)


# Clocks. The lease is counted by the database's clock and by the processes' monotonic ones.

def wrong_clock(process, chance):
    """Starts anew with a clock that is wrong, and becomes wrong in another way; then as before."""
    first, second = chance.choice(JUMPS_S), chance.choice(JUMPS_S)
    process.kill()
    process.start(offset_s=first)
    yield f"the clock of {process.node} is {first:+d} s, then {second:+d} s"
    process.shift(second)
    yield
    process.kill()


@fault("clock")
def replica_clock_jumps(cluster, chance):
    yield from wrong_clock(cluster.replicas[chance.choice(list(REPLICAS))], chance)


@fault("clock")
def leader_clock_jumps(cluster, chance):
    """The others die for a moment, so that this one leads."""
    name = leader(cluster, chance)
    others = [other for other in REPLICAS if other != name]
    clock = wrong_clock(cluster.replicas[name], chance)
    what = next(clock)
    for other in others:
        cluster.replicas[other].kill()
        cluster.replicas[other].start()
    yield what + "; the others were killed"
    yield from clock


@fault("clock")
def worker_clock_jumps(cluster, chance):
    yield from wrong_clock(cluster.workers[chance.choice(list(WORKERS))], chance)


# Two at once, where one would hide behind the other's pause.

def late_standby(cluster, chance):
    """Commits wait for it longer: some are on their way whenever something happens."""
    delay = chance.choice((50, 200, 500))
    cluster.network.slow(cluster.database.standby, delay, delay, 0, chance.getrandbits(32))
    time.sleep(chance.uniform(0.5, 2.0))
    return f"the standby is {delay} to {2 * delay} ms away; "


@fault("pair")
def database_fails_over_to_a_late_standby(cluster, chance):
    late, over = late_standby(cluster, chance), database_fails_over(cluster, chance)
    yield late + next(over)
    yield from over


@fault("pair")
def database_crashes_before_a_late_standby(cluster, chance):
    late, crash = late_standby(cluster, chance), database_crashes(cluster, chance)
    yield late + next(crash)
    yield from crash


@fault("pair")
def leader_dies_before_a_late_standby(cluster, chance):
    late, death = late_standby(cluster, chance), LEADER_DIES(cluster, chance)
    yield late + next(death)
    yield from death


@fault("pair")
def leader_dies_while_a_node_is_lossy(cluster, chance):
    yield from together(cluster, chance, lossy_node, LEADER_DIES)


@fault("pair")
def database_crashes_while_a_worker_is_alone(cluster, chance):
    yield from together(cluster, chance, worker_is_alone, database_crashes)


@fault("pair")
def database_fails_over_and_the_leader_dies(cluster, chance):
    yield from together(cluster, chance, LEADER_DIES, database_fails_over)


@fault("pair")
def leader_stands_still_while_a_follower_is_alone(cluster, chance):
    yield from together(cluster, chance, follower_is_alone,
                        FAULTS["leader_stands_still"].run)


def together(cluster, chance, *runs):
    under_way = [run(cluster, chance) for run in runs]
    yield "; ".join(next(one) for one in under_way)
    for one in reversed(under_way):
        for _ in one:
            pass


def how_long(chance):
    """Seconds of a fault: shorter and longer than the leases of replicas (3 s) and workers, now
    and then longer than a store has patience (30 s)."""
    return chance.choices((0.3, 1.5, 4, LEASE_S + 1, LEASE_S + 5, 35),
                          (4, 4, 4, 4, 4, 1))[0] + chance.random()
