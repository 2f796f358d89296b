"""The phases of a campaign: each kills in its own way and checks at its end what was promised."""
import contextlib
import os
import shutil
import subprocess
import time

from check import check
from load import Load
from machines import Machines, NotReady, Patience

ACK_S = 60  # for a server that is up to acknowledge something
AT_CLOSE_S = 5
AT_SNAPSHOT_S = 4  # a snapshot comes after 200 events of one run
AT_POINT_S = 1.5  # for a process to come by the point where it shall die; then it is killed by hand
# The points of the server, with how many passes are worth counting to, and of the worker.
SERVER_POINTS = {
    "commit.begin": 40, "commit.before": 40, "commit.after": 40, "reply.before": 40, "reply.after": 40,
    "wal.write": 400, "wal.torn": 400, "wal.sync": 40, "snapshot.before": 1,
    "log.before": 10, "log.between": 10, "log.after": 10,
    "blob.written": 2, "blob.before_rename": 2, "blob.after_rename": 2,
}
START_POINTS = ("start.recovered",)
WORKER_POINTS = {"worker.granted": 15, "worker.ran": 15, "worker.before_deliver": 15, "worker.after_deliver": 15}
# The log is moved into maestro.db when it is long, when the server idles, and when it ends in order.
CHECKPOINT_POINTS = {"checkpoint.before": 1, "checkpoint.after": 1, "db.write": 60, "db.torn": 60, "db.sync": 1}
PREFER = {"snapshot": "wide", "log": "log", "blob": "artifact"}  # the load that comes by a point
FIRST_START_POINTS = ("migration.before", "migration.after", "start.token", "start.key", "start.recovered",
                      "wal.write", "wal.torn", "wal.sync", "commit.begin", "commit.before", "commit.after")


class Ended(Exception):
    """A campaign that cannot go on, and why."""


class Phase:
    """Kills at random moments; the others change what happens between two kills."""
    share = 70
    needs_points = False

    def __init__(self, machines, chance):
        self.machines, self.chance = machines, chance
        self.before = machines.kills
        self.load, self.note, self.final = None, "", []

    @property
    def kills(self):
        return self.machines.kills - self.before

    @property
    def acknowledged(self):
        return self.load.acknowledged if self.load else 0

    def run(self, kills):
        self.start_all()
        client = self.machines.client()
        self.load = Load(self.machines, self.chance.getrandbits(32))
        self.load.prepare(client)
        client.close()
        self.load.starting.set()
        while self.kills < kills:
            self.cycle()
        self.settle()

    def start_all(self):
        if self.machines.server is None:
            self.machines.start_server()
        if self.machines.worker is None:
            self.machines.start_worker()

    def cycle(self):
        self.wait_for_acknowledgement()
        self.load.over.wait(self.chance.random() * 0.1)
        self.kill_some()
        self.start_all()

    def wait_for_acknowledgement(self, patience_s=ACK_S):
        before, patience = self.load.acknowledged, Patience(patience_s)
        while self.load.acknowledged == before:
            if patience.over() or self.machines.server.poll() is not None:
                raise Ended(f"nothing was acknowledged within {patience_s} s; the server's exit code: "
                            f"{self.machines.server.poll()}")
            time.sleep(0.002)

    def kill_some(self):
        who = self.chance.random()
        if who < 0.75:
            self.machines.kill_server()
        if who > 0.6:
            self.machines.kill_worker()

    def settle(self):
        """Lets everything end without faults, and checks it."""
        self.load.starting.clear()
        self.restart_clean()
        self.final += check(self.load, self.machines)

    def restart_clean(self):
        self.start_all()

    def close(self):
        if self.load:
            self.load.close()
            self.final += self.load.wrong
        self.final += self.machines.crashes
        self.machines.crashes = []
        return self.final


class Points(Phase):
    """Dies at chosen points. The server, or the worker, is started with the order to."""
    share = 80
    needs_points = True

    def run(self, kills):
        points = [*SERVER_POINTS, *CHECKPOINT_POINTS, *START_POINTS, *WORKER_POINTS]
        self.chance.shuffle(points)
        self.queue, self.by_hand = points, 0
        super().run(kills)
        self.note = f"{self.by_hand} of them by hand, where the point was not passed in time"

    def cycle(self):
        point = self.queue.pop(0)
        self.queue.append(point)
        if point in WORKER_POINTS:
            self.die_in_worker(point)
        else:
            self.die_in_server(point)
        self.start_all()

    def order(self, point, most):
        return f"{point}:{self.chance.randint(1, most)}"

    def die_in_worker(self, point):
        self.machines.kill_worker()
        self.machines.start_worker([self.order(point, WORKER_POINTS[point])])
        self.wait_for_death(self.machines.worker)
        self.machines.kill_worker()

    def die_in_server(self, point):
        self.machines.kill_server()
        at_close = point in CHECKPOINT_POINTS
        self.load.prefer = PREFER.get(point.split(".")[0])
        try:
            self.machines.start_server([self.order(point, {**SERVER_POINTS, **CHECKPOINT_POINTS}.get(point, 1))])
        except NotReady:
            return  # it died on its way up, as it may when told so
        if at_close:
            with contextlib.suppress(Ended):
                self.wait_for_acknowledgement(AT_POINT_S)
            self.machines.stop_server(AT_CLOSE_S)
        else:
            self.wait_for_death(self.machines.server, AT_SNAPSHOT_S if self.load.prefer == "wide" else AT_POINT_S)
            self.machines.kill_server()

    def wait_for_death(self, process, patience_s=AT_POINT_S):
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.by_hand += 1

    def restart_clean(self):
        self.machines.kill_server()
        self.machines.kill_worker()
        self.start_all()


class Slow(Phase):
    """A disk whose every sync takes long, and kills while it does."""
    share = 12
    needs_points = True

    def start_all(self):
        if self.machines.server is None:
            delay = self.chance.choice((5, 20, 60))
            self.machines.start_server([f"wal.sync:delay:{delay}", f"db.sync:delay:{delay}", f"log.before:delay:{delay}",
                                        f"blob.written:delay:{delay}"])
        super().start_all()

    def restart_clean(self):
        self.machines.kill_server()
        self.machines.start_server()
        super().start_all()


class Clock(Phase):
    """The wall clock jumps ahead while the server runs, and is set back a little over restarts."""
    share = 12
    needs_points = True

    def cycle(self):
        jump = self.chance.choice((50, 1_000, 5_000, 60_000, 3_600_000))
        self.machines.kill_server()
        self.machines.start_server([f"clock:jump:{jump}:{self.chance.randint(0, 300)}"])
        self.wait_for_acknowledgement()
        self.load.over.wait(self.chance.random() * 0.5)
        self.kill_some()
        # What was done under the later time stands; the next start sees almost that time.
        self.machines.clock_ms += max(0, jump - self.chance.randint(0, 2_000))
        self.start_all()

    def restart_clean(self):
        self.machines.kill_server()
        super().restart_clean()


class Fresh(Phase):
    """Kills on the first start of a fresh folder: whatever was made by then, the next start is whole."""
    share = 16

    def run(self, kills):
        while self.kills < kills:
            self.first_start()

    def first_start(self):
        folder = os.path.join(self.machines.folder, f"fresh-{time.monotonic_ns()}")
        fresh = Machines(self.machines.binary, folder)
        fresh.reached = self.machines.reached
        try:
            for _ in range(self.chance.randint(1, 2)):
                self.die_early(fresh)
            fresh.start_server()
            client = fresh.client()
            run = client.start("jobs: {a: {steps: [{uses: noop}]}}")
            client.call("PUT", "/api/v1/secrets/s", body={"value": "v"}).expect(200, 201)
            fresh.kill_server()
            fresh.start_server()
            client = fresh.client()
            status = client.finished(run["id"])["status"]
            secrets = client.get("/api/v1/secrets").expect(200).json()["items"]
            if status != "succeeded" or [s["broken"] for s in secrets] != [False]:
                self.final.append(f"after kills in the first start: {status}, {secrets}")
        finally:
            self.machines.kills += fresh.kills
            fresh.close()
        if not self.final:
            shutil.rmtree(folder, ignore_errors=True)

    def die_early(self, fresh):
        if self.chance.random() < 0.4:
            fresh.spawn_server()
            time.sleep(self.chance.random() * 0.1)
            fresh.kill_server()
            return
        point = self.chance.choice(FIRST_START_POINTS)
        most = 30 if point.startswith("wal") else 2
        with contextlib.suppress(NotReady):
            fresh.start_server([f"{point}:{self.chance.randint(1, most)}"])
        fresh.kill_server()


class Full(Phase):
    """The disk fills up and gets room again. A small file system when that may be mounted, else a limit
    on the size of files."""
    share = 10
    SIZE_MB = 48

    def run(self, kills):
        folder = os.path.join(self.machines.folder, f"full-{time.monotonic_ns()}")
        self.disk = os.path.join(folder, "disk")
        os.makedirs(self.disk)
        self.mounted = mount(self.disk, self.SIZE_MB)
        self.note = "a tmpfs that fills up" if self.mounted else "a limit on file sizes: nothing could be mounted"
        outer, self.machines = self.machines, Machines(self.machines.binary, folder, os.path.join(self.disk, "data"))
        self.machines.reached = outer.reached
        self.machines.slots = 0  # jobs that fail because their own disk is full prove nothing
        self.before = 0
        super().run(kills)

    def cycle(self):
        self.wait_for_acknowledgement()
        limit = self.fill()
        if limit:
            self.machines.kill_server()
            with contextlib.suppress(NotReady):
                self.machines.start_server(limit=limit)
            self.start_worker()
        self.load.over.wait(self.chance.random() * 0.3)
        self.kill_some()
        self.start_while_full(limit)
        self.make_room()
        if limit:
            self.machines.kill_server()
        self.start_all()

    def fill(self):
        """Leaves no room. Returns the limit to start with, when that is how it is done."""
        if not self.mounted:
            return max(os.path.getsize(os.path.join(self.machines.data, name))
                       for name in ("maestro.db", "maestro.db-wal")) + self.chance.randint(0, 100_000)
        with contextlib.suppress(OSError), open(os.path.join(self.disk, "ballast"), "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        return None

    def start_while_full(self, limit):
        """It may start, or say that there is no room; it may not hang or claim something else."""
        if self.machines.server is None:
            try:
                self.machines.start_server(limit=limit)
            except NotReady as error:
                words = ("full", "room", "space", "No space left", "too large", "refused")
                if not any(word in str(error) for word in words):
                    self.final.append(f"refused to start on a full disk without saying so: {error}")
                return
        self.start_worker()
        self.load.over.wait(self.chance.random() * 0.1)

    def start_worker(self):
        if self.machines.worker is None and self.machines.server is not None:
            self.machines.start_worker()

    def make_room(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.disk, "ballast"))

    def close(self):
        wrong = super().close()
        self.machines.close()
        if self.mounted:
            subprocess.run(["umount", self.disk], check=False)
        if not wrong:
            shutil.rmtree(self.machines.folder, ignore_errors=True)
        return wrong


def mount(folder, size_mb):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", folder], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


POINTS = {*SERVER_POINTS, *CHECKPOINT_POINTS, *START_POINTS, *WORKER_POINTS, *FIRST_START_POINTS}
PHASES = {"random": Phase, "points": Points, "slow": Slow, "full": Full, "fresh": Fresh, "clock": Clock}
