"""The network of a campaign: a switch and nodes, each a network namespace; cuts, losses and
delays."""
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

PREFIX = "maestro-fault-"
# RFC 2544 keeps 198.18.0.0/15 for tests of networks; none of it leaves the namespaces, which have
# no route.
NETWORK = "198.18.0."
SWITCH, LOAD = "switch", "load"
BRIDGE = "br0"
LOCK = "lock"  # in a campaign's folder
CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
# ETHTOOL_STXCSUM, _SSG, _STSO, _SGSO, _SGRO: off, so that what the cable sees are packets with
# checksums.
OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)
LIBC = ctypes.CDLL(None, use_errno=True)


class Missing(Exception):
    """What this machine lacks for a campaign, and what to do."""


def ip(*words, check=True):
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Missing(f"`ip {' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout


def path_of(namespace):
    return "/run/netns/" + namespace


def enter(namespace):
    """Takes this thread, and all that it will start, into the namespace."""
    with open(path_of(namespace), "rb") as file:
        if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def pids_in(namespace):
    return [int(word) for word in ip("netns", "pids", namespace, check=False).split()]


def kill_all_in(namespace, deadline_s=10):
    """Ends every process in it, but for this one."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        left = [pid for pid in pids_in(namespace) if pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def folder_of(owner):
    return f"/var/tmp/{PREFIX}{owner}"


def unmount_below(folder):
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = [line.split()[1] for line in file if line.split()[1].startswith(folder + "/")]
    for mount in reversed(mounts):
        subprocess.run(["umount", "-l", mount], check=False)


def claim(owner):
    """Makes the campaign's folder; it lives as long as the lock that this returns is open."""
    try:
        os.mkdir(folder_of(owner))
    except FileExistsError:
        raise Missing(f"{folder_of(owner)} is there: an earlier campaign kept it") from None
    lock = open(os.path.join(folder_of(owner), LOCK), "wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def lives(owner):
    with contextlib.suppress(FileNotFoundError), \
            open(os.path.join(folder_of(owner), LOCK), "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def remove(owner, folder_too=True):
    """The namespaces, processes, mounts and the folder of the campaign with this process id."""
    begin = f"{PREFIX}{owner}-"
    for namespace in re.findall(rf"^{begin}\S+", ip("netns", "list", check=False), re.M):
        kill_all_in(namespace)
        ip("netns", "del", namespace, check=False)
    unmount_below(folder_of(owner))
    if folder_too:
        shutil.rmtree(folder_of(owner), ignore_errors=True)


def remove_leftovers():
    """Of campaigns that were killed: of these even the folders are nobody's any more."""
    found = set(re.findall(rf"^{PREFIX}(\d+)-", ip("netns", "list", check=False), re.M))
    with open("/proc/mounts", encoding="utf-8") as file:
        found |= set(re.findall(rf" /var/tmp/{PREFIX}(\d+)/", file.read()))
    for owner in found:
        if not lives(owner):
            print(f"removing what campaign {owner} left", flush=True)
            remove(owner)


class Network:
    """Nodes by name, each in its namespace with its address on one switch; this process joins as
    LOAD. What is cut, lost or slow is data; every change replaces the switch's whole rules at
    once."""

    def __init__(self, nodes):
        self.owner, self.nodes, self.moved = os.getpid(), nodes, {}
        self.cuts, self.losses, self.cables = set(), {}, {}
        with open("/proc/self/ns/net", "rb") as file:
            self.home = os.dup(file.fileno())
        self.add_namespace(SWITCH)
        self.inside(SWITCH, "ip", "link", "add", BRIDGE, "type", "bridge")
        self.inside(SWITCH, "ip", "link", "set", BRIDGE, "up")
        for node in nodes:
            self.plug(node)
        self.apply()

    def namespace(self, node):
        return f"{PREFIX}{self.owner}-{node}"

    def address(self, node):
        return NETWORK + str(self.nodes[node])

    def words(self, node, *words):
        """A command that runs in the node's namespace, in the process that is started."""
        return ["nsenter", "--net=" + path_of(self.namespace(node)), "--", *words]

    def inside(self, node, *words, text=None):
        done = subprocess.run(self.words(node, *words),
                              check=False,
                              capture_output=True,
                              text=True,
                              input=text)
        if done.returncode != 0:
            raise Missing(
                f"`{' '.join(words)}` failed in a network namespace: {done.stderr.strip()}")
        return done.stdout

    def add_namespace(self, node):
        ip("netns", "add", self.namespace(node))
        self.inside(node, "ip", "link", "set", "lo", "up")

    def plug(self, node):
        self.add_namespace(node)
        ip("-n", self.namespace(SWITCH), "link", "add", node, "type", "veth",
           "peer", "name", "eth0", "netns", self.namespace(node))
        self.inside(SWITCH, "ip", "link", "set", node, "master", BRIDGE, "up")
        self.inside(node, "ip", "address", "add", self.address(node) + "/24", "dev", "eth0")
        self.inside(node, "ip", "link", "set", "eth0", "up")
        self.switch_offloads_off(node)

    def switch_offloads_off(self, node):
        enter(self.namespace(node))
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for command in OFFLOADS:
                    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                    request = struct.pack("16sP8x", b"eth0", ctypes.addressof(value))
                    with contextlib.suppress(OSError):  # some are one switch with another
                        fcntl.ioctl(sock, SIOCETHTOOL, request)
        finally:
            self.leave()

    def leave(self):
        """Back to where this process was started."""
        if LIBC.setns(self.home, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def join(self):
        enter(self.namespace(LOAD))

    def move(self, name, node):
        """An address that moves, as a cluster's manager would: from where it was to this node."""
        address = NETWORK + str(self.nodes_moved(name)) + "/24"
        if name in self.moved:
            ip("-n",
               self.namespace(self.moved[name]),
               "address",
               "del",
               address,
               "dev",
               "eth0",
               check=False)
        ip("-n", self.namespace(node), "address", "add", address, "dev", "eth0")
        self.moved[name] = node
        for other in self.nodes:  # what a gratuitous ARP does
            ip("-n", self.namespace(other), "neigh", "flush", "dev", "eth0", check=False)
        self.apply()

    def nodes_moved(self, name):
        return {"database": 20}[name]

    def addresses(self, node):
        """A node's own and those that moved to it."""
        return [self.address(node)] + [NETWORK + str(self.nodes_moved(name))
                                       for name, at in self.moved.items() if at == node]

    # What goes wrong. A cut or a loss is a pair (from, to): one direction.

    def cut(self, some, others, both=True):
        self.cuts |= {(a, b) for a in some for b in others if a != b}
        if both:
            self.cuts |= {(b, a) for a in some for b in others if a != b}
        self.apply()

    def isolate(self, node):
        self.cut([node], list(self.nodes))

    def lose(self, node, percent):
        """So many of a hundred packets to and from the node."""
        self.losses[node] = percent
        self.apply()

    def slow(self, node, delay_ms, jitter_ms, doubled_percent, seed):
        """Packets to and from the node are late, each by another time, so that they overtake each
        other."""
        here = os.path.dirname(os.path.abspath(__file__))
        self.cables[node] = subprocess.Popen(self.words(
            SWITCH, sys.executable, "-B", os.path.join(here, "cable.py"), node, BRIDGE,
            *map(str, (delay_ms, jitter_ms, doubled_percent, seed))),
                                             stdin=subprocess.DEVNULL)

    def heal(self):
        self.cuts, self.losses = set(), {}
        self.apply()
        for node, cable in self.cables.items():
            cable.terminate()
            cable.wait()
            self.inside(SWITCH, "ip", "link", "set", node, "master", BRIDGE)
        self.cables = {}

    def rules(self):
        yield "table bridge fault { chain pass { type filter hook forward priority 0; }; }"
        yield "flush chain bridge fault pass"
        for a, b in sorted(self.cuts):
            yield self.rule(self.addresses(a), self.addresses(b), "drop")
        for node, percent in sorted(self.losses.items()):
            for side in ("saddr", "daddr"):
                yield (
                    f"add rule bridge fault pass ip {side} {{ {', '.join(self.addresses(node))} }} "
                    f"numgen random mod 100 < {percent} drop")

    @staticmethod
    def rule(sources, targets, verdict):
        return (f"add rule bridge fault pass ip saddr {{ {', '.join(sources)} }} "
                f"ip daddr {{ {', '.join(targets)} }} {verdict}")

    def apply(self):
        self.inside(SWITCH, "nft", "-f", "-", text="\n".join(self.rules()) + "\n")

    def close(self):
        self.leave()
        for cable in self.cables.values():
            cable.kill()
            cable.wait()
