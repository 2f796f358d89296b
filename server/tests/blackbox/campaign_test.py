#!/usr/bin/env python3
"""200 kills of a campaign (CAMPAIGN_KILLS says otherwise), the fault points' absence from what is
released, and their presence in the lists of the campaign."""
import os
import re
import subprocess

from harness import RELEASE, ROOT, Skip, main, processes_with, wait_until

KILLS = os.environ.get("CAMPAIGN_KILLS", "200")
CAMPAIGN = os.path.join(ROOT, "scripts", "crash", "campaign.sh")
FAULTS = os.path.join(ROOT, "build", "faults", "bin", "maestro")
TRACES = (b"MC_FAULT", b"wal.torn", b"commit.before", b"worker.before_deliver")


def campaign(*words, binary, timeout=840):
    return subprocess.run([CAMPAIGN, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env={**os.environ, "MAESTRO_BIN": binary}, timeout=timeout,
                          check=False)


def sources():
    for folder, _, names in os.walk(os.path.join(ROOT, "server", "src")):
        for name in names:
            if name.endswith((".cc", ".h")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    yield name, file.read()


def test_a_campaign_finds_nothing_and_leaves_nothing(scratch):
    binary = FAULTS if os.access(FAULTS, os.X_OK) else RELEASE
    if not os.access(binary, os.X_OK):
        raise Skip("neither build/faults nor a release build is there")
    folder = os.path.join(scratch, "campaign")
    done = campaign(KILLS, "--folder", folder, binary=binary)
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.returncode
    assert re.search(r"^\d+ kills, 0 violations$", done.stdout.splitlines()[-1]), done.stdout.splitlines()[-1]
    assert not os.path.exists(folder)
    wait_until(lambda: not processes_with(folder), "no process is left")
    with open("/proc/mounts", encoding="utf-8") as file:
        assert folder not in file.read()


def test_no_trace_of_fault_points_is_in_a_release():
    if not os.access(RELEASE, os.X_OK):
        raise Skip("there is no release build")
    with open(RELEASE, "rb") as file:
        program = file.read()
    assert not [trace for trace in TRACES if trace in program]
    if os.access(FAULTS, os.X_OK):  # the test could find them
        with open(FAULTS, "rb") as file:
            program = file.read()
        assert all(trace in program for trace in TRACES)


def test_the_campaign_knows_every_point():
    there = set()
    for name, text in sources():
        there |= set(re.findall(r'MC_FAULT_POINT\("([^"]+)"\)', text))
        if name == "fault_disk.cc":
            there |= set(re.findall(r'"((?:wal|db)\.\w+)"', text))
    with open(os.path.join(ROOT, "scripts", "crash", "phases.py"), encoding="utf-8") as file:
        phases = file.read()
    with open(os.path.join(ROOT, "docs", "reliability.md"), encoding="utf-8") as file:
        page = file.read()
    assert len(there) > 25, there
    assert not [point for point in there if f'"{point}"' not in phases]
    assert not [point for point in there if f"`{point}`" not in page]


def test_wrong_arguments_are_told():
    for words in ((), ("x",), ("0",), ("5", "--phase", "nothing"), ("5", "6")):
        done = campaign(*words, binary=RELEASE)
        assert done.returncode == 2, (words, done.returncode, done.stdout)
        assert "usage" in done.stdout, done.stdout
    done = campaign("5", binary="no-such-program")
    assert done.returncode == 2 and "no-such-program" in done.stdout, done.stdout


if __name__ == "__main__":
    main(globals())
