"""A bad cable between the switch and a node: packets are late, overtake each other, arrive twice.

  cable.py PORT BRIDGE DELAY_MS JITTER_MS DOUBLED_PERCENT SEED

In the switch's namespace, until SIGTERM.
Takes the port off the bridge and puts a TAP device there; frames go between the two through this
process. Kernels without the netem queue need this; it delays real packets of real connections all
the same.
"""
import fcntl
import heapq
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_MAX = 65_536
HELD_MAX = 20_000  # frames; more are dropped, as by any full queue


def open_tap(name, bridge):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "master", bridge, "up"], check=True)
    return tap


def open_port(port):
    subprocess.run(["ip", "link", "set", port, "nomaster", "promisc", "on"], check=True)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    sock.bind((port, 0))
    sock.setblocking(False)
    return sock


class Cable:
    def __init__(self, port, bridge, delay_ms, jitter_ms, doubled_percent, seed):
        self.chance = random.Random(seed)
        self.delay, self.jitter = delay_ms / 1000, jitter_ms / 1000
        self.doubled, self.held, self.count = doubled_percent / 100, [], 0
        self.tap = open_tap(port + "-tap", bridge)
        self.port = open_port(port)

    def hold(self, frame, send):
        for _ in range(2 if self.chance.random() < self.doubled else 1):
            self.count += 1
            if len(self.held) < HELD_MAX:
                due = time.monotonic() + self.delay + self.jitter * self.chance.random()
                heapq.heappush(self.held, (due, self.count, frame, send))

    def send_due(self):
        while self.held and self.held[0][0] <= time.monotonic():
            _, _, frame, send = heapq.heappop(self.held)
            try:
                send(frame)
            except OSError:
                pass  # a full queue drops, and so does a node that is gone

    def read_port(self):
        frame, origin = self.port.recvfrom(FRAME_MAX)
        if origin[2] != socket.PACKET_OUTGOING:
            self.hold(frame, lambda data: os.write(self.tap, data))

    def read_tap(self):
        self.hold(os.read(self.tap, FRAME_MAX), self.port.send)

    def run(self):
        while True:
            wait = max(0, self.held[0][0] - time.monotonic()) if self.held else None
            ready = select.select([self.port, self.tap], [], [], wait)[0]
            if self.port in ready:
                self.read_port()
            if self.tap in ready:
                self.read_tap()
            self.send_due()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the campaign ends it
    Cable(*sys.argv[1:3], *map(int, sys.argv[3:7])).run()
