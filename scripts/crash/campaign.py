"""See campaign.sh."""
import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time

from machines import ROOT, SCRATCH, Machines, NotReady
from phases import PHASES, POINTS, Ended

BLOCK = 200  # kills over one data folder; each block holds every phase


def arguments():
    parser = argparse.ArgumentParser(prog="campaign.sh", usage="scripts/crash/campaign.sh N [--phase NAME]... "
                                     "[--seed NUMBER] [--folder DIR]; the head of the script says more")
    parser.add_argument("kills", type=int, metavar="N")
    parser.add_argument("--phase", action="append", choices=sorted(PHASES), default=[])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    if options.kills < 1:
        parser.error("N, how often to kill, is at least 1")
    binary = os.environ.get("MAESTRO_BIN") or os.path.join(ROOT, "build", "faults", "bin", "maestro")
    if not os.access(binary, os.X_OK):
        parser.error(f"there is no program {binary}; `cmake --preset faults && ninja -C build/faults maestro` makes it")
    options.binary = os.path.abspath(binary)
    options.seed = time.time_ns() % 2**32 if options.seed is None else options.seed
    return options


def has_points(binary):
    with open(binary, "rb") as file:
        return b"MC_FAULT_REACHED" in file.read()


class Campaign:
    """Counts kills and violations over all blocks, and keeps the folders of those with violations."""

    def __init__(self, options):
        self.options, self.chance = options, random.Random(options.seed)
        self.root = options.folder or tempfile.mkdtemp(prefix="maestro-crash-")
        os.makedirs(self.root, exist_ok=True)
        self.points = has_points(options.binary)
        self.phases = [name for name in PHASES if name in (options.phase or PHASES)]
        self.kills = self.acknowledged = 0
        self.violations, self.reached, self.by_phase = [], set(), {}
        self.began = time.monotonic()

    def remove_root(self):
        """Only what is ours: somebody else's folder may hold more."""
        for name in os.listdir(self.root):
            if name.startswith("block-"):
                shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(self.root)

    def check_points(self):
        """A point that a whole campaign never came by tests nothing."""
        missed = sorted(POINTS - self.reached)
        if missed and self.phases == list(PHASES) and self.kills >= BLOCK:
            self.violations.append("never reached: " + " ".join(missed))
            print("VIOLATION: " + self.violations[-1])

    def usable(self):
        """The phases that can run here; says which cannot and why."""
        usable = []
        for name in self.phases:
            if PHASES[name].needs_points and not self.points:
                print(f"skipped: phase {name}: the program was built without fault points", flush=True)
            else:
                usable.append(name)
        return usable

    def run(self):
        phases = self.usable()
        block = 0
        while phases and self.kills < self.options.kills:
            left = min(BLOCK, self.options.kills - self.kills)
            self.run_block(os.path.join(self.root, f"block-{block}"), phases, left)
            block += 1

    def run_block(self, folder, phases, kills):
        machines = Machines(self.options.binary, folder)
        before = len(self.violations)
        goal = self.kills + kills
        total = sum(PHASES[name].share for name in phases)
        try:
            for index, name in enumerate(phases):
                last = index == len(phases) - 1
                wanted = goal - self.kills if last else round(kills * PHASES[name].share / total)
                if wanted > 0:
                    self.run_phase(name, machines, min(wanted, goal - self.kills))
        finally:
            machines.close()
            self.reached |= machines.points_reached()
        if len(self.violations) == before:
            shutil.rmtree(folder, ignore_errors=True)

    def run_phase(self, name, machines, kills):
        phase = PHASES[name](machines, self.chance)
        before, began = self.kills, time.monotonic()
        wrong = []
        try:
            phase.run(kills)
        except (Ended, NotReady, AssertionError) as error:
            wrong.append(f"{type(error).__name__}: {error}")
        finally:
            wrong += phase.close()
        self.kills += phase.kills
        self.acknowledged += phase.acknowledged
        self.by_phase[name] = self.by_phase.get(name, 0) + phase.kills
        for what in wrong:
            self.violations.append(f"{name}: {what}")
            print(f"VIOLATION in phase {name}: {what}", flush=True)
        took = time.monotonic() - began
        print(f"{self.kills:6} of {self.options.kills} kills, {len(self.violations)} violations, "
              f"{self.acknowledged} acknowledged; {name}: {self.kills - before} kills in {took:.1f} s"
              + (f" ({phase.note})" if phase.note else ""), flush=True)
        if wrong and self.kills == before:
            raise Ended(f"phase {name} cannot go on")


def main():
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background too: nothing stays behind
        signal.signal(number, signal.default_int_handler)
    campaign = Campaign(options)
    print(f"seed {options.seed}, program {options.binary}, data in {campaign.root}", flush=True)
    try:
        campaign.run()
    except Ended as error:
        print(f"ended early: {error}")
    except KeyboardInterrupt:
        print("interrupted")
    if campaign.points:
        campaign.check_points()
        print(f"fault points reached: {len(campaign.reached)}: {' '.join(sorted(campaign.reached))}")
    print("kills by phase: " + ", ".join(f"{name} {count}" for name, count in campaign.by_phase.items()))
    print(f"{campaign.acknowledged} acknowledgements checked, {time.monotonic() - campaign.began:.0f} s")
    short = campaign.kills < options.kills
    if campaign.violations:
        print(f"the data is kept in {campaign.root}; again with --seed {options.seed}")
    else:
        campaign.remove_root()
    SCRATCH.remove()
    print(f"{campaign.kills} kills, {len(campaign.violations)} violations", flush=True)
    return 1 if campaign.violations or short else 0


if __name__ == "__main__":
    sys.exit(main())
