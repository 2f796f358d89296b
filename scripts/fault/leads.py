"""Listens to what replicas say in their logs about leading shards: `leads`, `leads no longer`, and
that they start over or stop. checker.check_leads judges it."""
import glob
import os
import re
import threading
import time

LOOK_S = 0.02  # between two looks; what is heard is at most about that late
LEADS = re.compile(r"\bleads name=\S+ shard=(\d+) epoch=(\d+)")
NO_LONGER = re.compile(r"\bleads no longer name=\S+ shard=(\d+)")
ENDS = re.compile(r"\bstarts over\b|\bstopping\b")  # of all shards


class Move:
    """`at`: by the campaign's clock, s. `shard` None: all of them. `epoch` None: leads no longer.
    """

    def __init__(self, at, replica, shard=None, epoch=None):
        self.at, self.replica, self.shard, self.epoch = at, replica, shard, epoch

    def __repr__(self):
        what = "nothing any more" if self.shard is None else f"shard {self.shard}"
        said = f"leads {what}" if self.epoch is None else f"leads {what} with epoch {self.epoch}"
        return f"{self.at:.2f} {self.replica} {said}"


def move_of(at, replica, line):
    """None: the line is about something else."""
    for pattern in (LEADS, NO_LONGER, ENDS):
        found = pattern.search(line)
        if found:
            return Move(at, replica, *map(int, found.groups()))
    return None


class Listener:
    """A thread of its own, from `listen` to `close`."""

    def __init__(self, folder):
        self.folder, self.over = folder, threading.Event()
        self.lock = threading.Lock()  # guards what follows
        self.read, self.moves = {}, []
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def listen(self):
        self.thread.start()

    def close(self):
        self.over.set()
        self.thread.join()

    def loop(self):
        while not self.over.wait(LOOK_S):
            self.look()

    def look(self):
        """Hears everything that was said until now."""
        with self.lock:
            for path in sorted(glob.glob(os.path.join(self.folder, "r?.log"))):
                self.hear(path)

    def hear(self, path):
        """The lock is held. A line that is not whole yet is heard when it is."""
        replica = os.path.basename(path)[:-len(".log")]
        with open(path, "rb") as file:
            file.seek(self.read.get(path, 0))
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self.read[path] = self.read.get(path, 0) + len(line)
            move = move_of(time.monotonic(), replica, line.decode("utf-8", "replace"))
            if move:
                self.moves.append(move)

    def note_end(self, replica):
        """Its process has ended just now."""
        self.look()  # what it said before
        with self.lock:
            self.moves.append(Move(time.monotonic(), replica))

    def all(self):
        """Everything that was heard from the start, in the order in which it was."""
        self.look()
        with self.lock:
            return list(self.moves)
