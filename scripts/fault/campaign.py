"""See campaign.sh."""
import argparse
import os
import random
import shutil
import signal
import sys
import time

import checker
import network
from cluster import PROJECTS, Broken, Cluster, default_binary
from evidence import check_all
from faults import FAULTS, how_long
from followers import Follower
from machines import SCRATCH, Patience
from network import Missing
from submitters import Load

ROUND_S = 240  # of faults; then everything must end and is checked
ACK_S = 90     # for a whole cluster to acknowledge something
SAID_S = 10    # for the log of a replica to say what /readyz says
WORK_S = (1.0, 4.0)  # between two faults
COUNTS = ("runs", "acknowledgements", "events", "overlaps")
TOOLS = ("redis-server", "ip", "nft", "nsenter", "setpriv", "mount")


def arguments():
    parser = argparse.ArgumentParser(
        prog="campaign.sh",
        usage="scripts/fault/campaign.sh [MINUTES] [--seed N] [--only FAULT,...] [--once] "
        "[--keep] [--list]; the head of the script says more")
    parser.add_argument("minutes", nargs="?", type=float, default=10, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", default="")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.minutes <= 0:
        parser.error("MINUTES is above 0")
    options.seed = time.time_ns() % 2**32 if options.seed is None else options.seed
    wanted = {word for word in options.only.split(",") if word}
    known = {*FAULTS, *(one.kind for one in FAULTS.values())}
    if wanted - known:
        parser.error(f"no such fault: {', '.join(sorted(wanted - known))}; --list prints them")
    options.faults = [one for one in FAULTS.values()
                      if one.name in wanted or one.kind in wanted or one.weight and not wanted]
    return options


def print_list():
    for one in FAULTS.values():
        print(f"{one.kind:10} {one.name}")


def needs():
    """Raises Missing with what this machine lacks."""
    if os.geteuid() != 0:
        raise Missing("network namespaces and mounts need root")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lacking = [name for name in TOOLS if not shutil.which(name)]
    if lacking:
        raise Missing(f"there is no {' '.join(lacking)}: scripts/install-packages fault")
    if not os.access(default_binary(), os.X_OK):
        raise Missing(
            f"there is no program {default_binary()}: `make build` makes it, or set MAESTRO_BIN")


class Campaign:
    """Throws faults, one after the other, and counts; a round of them ends with a check of
    everything."""

    def __init__(self, options, cluster):
        self.options, self.cluster = options, cluster
        self.chance = random.Random(options.seed)
        self.faults = list(self.usable())
        self.load = Load(cluster, self.chance.getrandbits(32))
        replicas = list(cluster.replicas)
        self.followers = [Follower(cluster, replicas[at % len(replicas)], project)
                          for at, project in enumerate(PROJECTS)]
        self.followers += [Follower(cluster, name, PROJECTS[0]) for name in replicas[1:]]
        self.excused = []  # (begin, end) of faults in which a replica may not know who leads
        self.judged = self.both_s = 0.0  # up to when that was judged; while excused, the longest
        self.moves = 0
        self.violations, self.by_kind, self.checked = [], {}, {}
        self.position = 0  # up to which the events were checked
        self.began = time.monotonic()

    def usable(self):
        for one in self.options.faults:
            why = one.unable(self.cluster.binary)
            if why:
                print(f"skipped: {one.name}: {why}", flush=True)
            else:
                yield one

    @property
    def count(self):
        return sum(count for count, _ in self.by_kind.values())

    def run(self):
        self.load.begin()
        end = self.began + 60 * self.options.minutes
        if self.options.once:
            self.round(self.chance.sample(self.faults, len(self.faults)))
        while not self.options.once and time.monotonic() < end:
            self.round(self.chosen(min(end, time.monotonic() + ROUND_S)))
        self.load.close()
        for follower in self.followers:
            follower.over.set()

    def chosen(self, end):
        while time.monotonic() < end:
            yield self.chance.choices(self.faults, [one.weight or 1 for one in self.faults])[0]

    def round(self, faults):
        self.load.start_again()
        for one in faults:
            self.throw(one)
        self.check()

    def throw(self, one):
        self.wait_for_acknowledgement()
        time.sleep(self.chance.uniform(*WORK_S))
        self.load.pause_s()
        lasts, began = how_long(self.chance), time.monotonic()
        under_way = one.run(self.cluster, self.chance)
        what = next(under_way)
        time.sleep(lasts)
        for _ in under_way:  # it goes on in another way
            time.sleep(lasts)
        self.cluster.network.heal()
        lasted = time.monotonic() - began
        self.cluster.wait_whole()
        if not one.is_orderly:
            self.excused.append((began, time.monotonic()))
        self.wait_for_acknowledgement()
        pause = self.load.pause_s()
        self.wait_for_acknowledgement(len(PROJECTS))
        count, longest = self.by_kind.get(one.kind, (0, 0.0))
        self.by_kind[one.kind] = count + 1, max(longest, pause)
        print(f"{time.monotonic() - self.began:6.0f} s  {one.kind:9} {what}; {lasted:.1f} s; "
              f"pause {pause:.1f} s", flush=True)
        self.check_leads()
        self.note_surprises(one.name)

    def wait_for_acknowledgement(self, projects=1):
        """Until something was acknowledged in so many projects."""
        before, patience = self.load.counts(), Patience(ACK_S)
        while True:
            now = self.load.counts()
            silent = [name for name in now if now[name] == before[name]]
            if len(silent) <= len(now) - projects:
                return
            if patience.over():
                raise Broken(f"a whole cluster acknowledged nothing within {ACK_S} s "
                             f"in {', '.join(silent)}")
            time.sleep(0.01)

    def note_surprises(self, where):
        surprises, self.cluster.surprises[:] = list(self.cluster.surprises), []
        for what in surprises + self.load.take_wrong():
            self.violate(f"{where}: {what}")

    def check_leads(self):
        """Requires: a whole cluster. Judges what was said about leading since it was asked last."""
        patience = Patience(SAID_S)
        answers = self.cluster.wait_whole()
        while checker.check_leaders(self.cluster.listener.all(), answers) and not patience.over():
            time.sleep(0.1)
            answers = self.cluster.wait_whole()
        moves, now = self.cluster.listener.all(), time.monotonic()
        wrong, both_s = checker.check_leads(moves, self.excused, self.judged)
        self.judged, self.moves, self.both_s = now, len(moves), max(self.both_s, both_s)
        for what in wrong + checker.check_leaders(moves, answers):
            self.violate(what)

    def violate(self, what):
        self.violations.append(what)
        print(f"VIOLATION: {what}", flush=True)

    def check(self):
        """Everything ends; then the event log, the marks of jobs and all answers are held against
        each other."""
        self.load.stop_starting()
        began = time.monotonic()
        found = check_all(self.cluster, self.load, self.followers, self.position)
        self.position = found.position
        for what in found.wrong:
            self.violate(what)
        for name in COUNTS:
            self.checked[name] = self.checked.get(name, 0) + getattr(found, name)
        self.check_leads()
        self.note_surprises("at the end of a round")
        print(
            f"{time.monotonic() - self.began:6.0f} s  checked {found.runs} runs, "
            f"{found.acknowledgements} acknowledgements in {time.monotonic() - began:.1f} s: "
            f"{len(found.wrong)} violations",
            flush=True)

    def table(self):
        print(f"\n{'fault':10} {'times':>5}  longest pause of accepting")
        for kind, (count, longest) in sorted(self.by_kind.items()):
            print(f"{kind:10} {count:5}  {longest:.1f} s")
        runs, acknowledgements, events, overlaps = (self.checked.get(name, 0) for name in COUNTS)
        print(f"{runs} runs, {acknowledgements} acknowledgements, {events} events told to "
              f"followers checked; {overlaps} attempts still ran when the "
              f"next one of their job began; {self.moves} times somebody began or ceased to lead a "
              f"shard, two for {self.both_s:.1f} s at most; {time.monotonic() - self.began:.0f} s")


def run(options):
    """Requires: needs(). Returns the exit code."""
    cluster, campaign = Cluster(os.path.abspath(default_binary())), None
    interrupted = False
    lock = network.claim(os.getpid())
    try:
        with cluster:
            campaign = Campaign(options, cluster)
            print(f"seed {options.seed}, program {cluster.binary}, data in {cluster.folder}",
                  flush=True)
            try:
                campaign.run()
            except Missing as error:  # the machine's fault: what was found before counts
                if not campaign.violations:
                    raise
                print(f"ended early: {error}")
            except Exception as error:  # pylint: disable=broad-exception-caught
                campaign.violate(f"ended early: {type(error).__name__}: {error}")
            except KeyboardInterrupt:
                interrupted = True
                print("interrupted")
            campaign.table()
            if options.keep or campaign.violations:
                cluster.keep()
    finally:
        kept = options.keep or (campaign and campaign.violations)
        if campaign:
            campaign.load.over.set()
        if kept:
            print(f"the data is kept in {cluster.folder}; again with --seed {options.seed}")
        network.remove(os.getpid(), folder_too=not kept)
        lock.close()
    print(f"{campaign.count} faults, {len(campaign.violations)} violations", flush=True)
    return 1 if campaign.violations or interrupted else 0


def main():
    options = arguments()
    if options.list:
        print_list()
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background too: nothing stays behind
        signal.signal(number, signal.default_int_handler)
    try:
        needs()
        network.remove_leftovers()
        return run(options)
    except Missing as error:
        print(f"campaign: {error}", file=sys.stderr)
        return 2
    finally:
        SCRATCH.remove()


if __name__ == "__main__":
    sys.exit(main())
