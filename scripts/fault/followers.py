"""Followers of the feeds of projects, at each replica, over everything that happens to it: what
they are told is held against the event log (checker.check_feed)."""
import json
import threading

from load import DOWN
from harness import Sse

SILENCE_S = 20  # the feed says something every 15 s


class Follower:
    """A thread of its own; goes on from the last position, as an EventSource does."""

    def __init__(self, cluster, replica, project):
        self.cluster, self.replica, self.over = cluster, replica, threading.Event()
        self.project, self.name = project, f"the feed of {project} at {replica}"
        self.after = 0         # the last position that had an id
        self.connections = 0
        self.lock = threading.Lock()  # guards told
        self.told = []         # (connection, asked for what comes after, position, run, seq, type)
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.over.is_set():
            try:
                self.follow()
            except (*DOWN, AssertionError):
                self.over.wait(0.1)

    def follow(self):
        stream = Sse(self.cluster.url(self.replica), self.cluster.tokens[self.project], "/api/v1/events",
                     {"Last-Event-ID": str(self.after)})
        try:
            if stream.status != 200:
                self.over.wait(0.1)
                return
            self.connections += 1
            asked = self.after
            for event in stream.events(SILENCE_S):
                told = json.loads(event["data"])
                with self.lock:
                    self.told.append((self.connections, asked, told["position"],
                                      told["data"]["run"], told["seq"], told["type"]))
                if event["id"]:
                    self.after = int(event["id"])
                if self.over.is_set():
                    return
        finally:
            stream.close()

    def take(self):
        with self.lock:
            told, self.told = self.told, []
            return told
