#!/usr/bin/env python3
"""A short fault campaign over a cluster in network namespaces: it finds nothing, leaves nothing,
and removes what one that was killed had left. Skipped where namespaces cannot be made or a tool is
missing."""
import os
import re
import signal
import subprocess

from harness import RELEASE, ROOT, Skip, main, wait_until

CAMPAIGN = os.path.join(ROOT, "scripts", "fault", "campaign.sh")
FAULTS = "leader_dies,leader_is_alone,worker_is_alone,database_fails_over"
SEED = "188"  # each of them once, none for long


def start(*words):
    return subprocess.Popen([CAMPAIGN, *words],
                            stdin=subprocess.DEVNULL,
                            text=True,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            env={**os.environ, "MAESTRO_BIN": RELEASE})


def namespaces():
    return subprocess.run(["ip", "netns", "list"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def traces(pid):
    """What a campaign with this process id has on the machine."""
    with open("/proc/mounts", encoding="utf-8") as file:
        lines = namespaces().splitlines() + file.read().splitlines() + os.listdir("/var/tmp")
    return [line for line in lines if re.search(rf"maestro-fault-{pid}\b", line)]


def stands(campaign):
    """Whether it has got so far that there is something to leave; skips when it cannot run here."""
    if campaign.poll() == 2:
        raise Skip(campaign.stdout.read().strip())
    return f"maestro-fault-{campaign.pid}-w1" in namespaces()


def test_a_short_campaign_finds_nothing_and_leaves_nothing():
    killed = start("5", "--only", FAULTS)
    wait_until(lambda: killed.poll() == 2 or stands(killed), "the first campaign has its network")
    stands(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert traces(killed.pid)
    campaign = start("0.3", "--seed", SEED, "--only", FAULTS)
    said = campaign.communicate(timeout=240)[0]
    print(said[-6000:])
    assert campaign.returncode == 0, campaign.returncode
    assert re.search(r"^\d+ faults, 0 violations$", said.splitlines()[-1]), said.splitlines()[-1]
    assert f"removing what campaign {killed.pid} left" in said
    for pid in (killed.pid, campaign.pid):
        assert not traces(pid), traces(pid)


main(globals())
