#!/usr/bin/env python3
"""A short fault campaign over a cluster in network namespaces: it finds nothing, leaves nothing,
and removes what one that was killed had left. Skipped where namespaces cannot be made or a tool is
missing."""
import contextlib
import os
import re
import signal
import subprocess
import sys

from harness import RELEASE, ROOT, Skip, main, wait_until

sys.path.append(os.path.join(ROOT, "scripts", "fault"))
import network  # noqa: E402  pylint: disable=wrong-import-position

CAMPAIGN = os.path.join(ROOT, "scripts", "fault", "campaign.sh")
# Each with what the campaign prints of it.
FAULTS = {"leader_dies": r"r\d, which leads, is killed; ",
          "leader_is_alone": r"r\d, which leads, reaches nobody; ",
          "two_replicas_die": r"r\d and r\d are killed at once; ",
          "replica_joins_late": r"r4 joined and took its share, and was stopped in order later; ",
          "worker_is_alone": r"w\d reaches no replica; ",
          "database_fails_over": r"the primary is killed, database\d took its place; "}
ONLY = ("--only", ",".join(FAULTS))
SEED = "1035"  # none lasts long
END_S = 90


@contextlib.contextmanager
def started(*words):
    """A campaign; whatever becomes of the test, its cluster is gone afterwards."""
    campaign = subprocess.Popen([CAMPAIGN, *words],
                                stdin=subprocess.DEVNULL,
                                text=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT,
                                env={**os.environ, "MAESTRO_BIN": RELEASE})
    try:
        yield campaign
    finally:
        campaign.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            campaign.communicate(timeout=END_S)
        campaign.kill()
        campaign.wait()
        with contextlib.suppress(FileNotFoundError):  # no `ip`: nothing was made
            network.remove(campaign.pid, folder_too=False)  # there may be evidence in it


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
    with started("5", *ONLY) as killed:
        wait_until(lambda: stands(killed), "the first campaign has its network")
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert traces(killed.pid)
        with started("--once", "--seed", SEED, *ONLY) as campaign:
            said = campaign.communicate(timeout=270)[0]
            print(said[-6000:])
            assert campaign.returncode == 0, campaign.returncode
            last = said.splitlines()[-1]
            assert last == f"{len(FAULTS)} faults, 0 violations", last
            for name, printed in FAULTS.items():
                assert len(re.findall(printed, said)) == 1, name
            assert f"removing what campaign {killed.pid} left" in said
            for pid in (killed.pid, campaign.pid):
                assert not traces(pid), traces(pid)


main(globals())
