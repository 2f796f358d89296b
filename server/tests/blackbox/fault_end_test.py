#!/usr/bin/env python3
"""How a fault campaign ends when something else than a promise breaks: what it found is told and
kept, what it had not made stays; a second one takes none that lives for dead."""
import os
import shutil
import subprocess
import sys
import threading
import types

from harness import ROOT, main

sys.path.insert(0, os.path.join(ROOT, "scripts", "fault"))  # before the cluster of these tests
# pylint: disable=wrong-import-position
import campaign  # noqa: E402
import cluster  # noqa: E402
import faults  # noqa: E402
import network  # noqa: E402

# pylint: enable=wrong-import-position


class Standing:
    """A cluster that is none."""

    def __init__(self, binary):
        self.binary, self.folder = binary, network.folder_of(os.getpid())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def keep(self):
        pass


def ended_by(error, violations=()):
    """The exit code of a campaign that `error` ended, or the error, and whether its folder was kept."""

    class Ended(campaign.Campaign):
        def __init__(self, *_):  # pylint: disable=super-init-not-called
            self.violations, self.by_kind, self.checked, self.began = list(violations), {}, {}, 0
            self.moves, self.both_s = 0, 0.0
            self.load = types.SimpleNamespace(over=threading.Event())

        def run(self):
            raise error

    def remove(owner, folder_too):
        if folder_too:
            shutil.rmtree(network.folder_of(owner))

    stand_ins = [(campaign, "Cluster", Standing), (campaign, "Campaign", Ended),
                 (network, "remove", remove)]
    real = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
    for module, name, stand_in in stand_ins:
        setattr(module, name, stand_in)
    folder = network.folder_of(os.getpid())
    try:
        try:
            code = campaign.run(types.SimpleNamespace(keep=False, seed=1))
        except network.Missing as missing:
            code = missing
        return code, os.path.exists(folder)
    finally:
        for module, name, was in real:
            setattr(module, name, was)
        shutil.rmtree(folder, ignore_errors=True)


def test_whatever_ends_it_early_is_a_violation_and_kept():
    for error in (subprocess.TimeoutExpired("psql", 60), IndexError("none"), campaign.Broken("it")):
        assert ended_by(error) == (1, True), error


def test_what_the_machine_lacks_is_none():
    lacks = network.Missing("no memory")
    assert ended_by(lacks) == (lacks, False)
    assert ended_by(lacks, ["found before"]) == (1, True)


def test_the_folder_of_an_earlier_one_stays():
    folder = network.folder_of(os.getpid())
    os.mkdir(folder)
    try:
        code = campaign.run(types.SimpleNamespace(keep=False, seed=1))
    except network.Missing as missing:
        code = str(missing)
    there = os.path.exists(folder)
    shutil.rmtree(folder, ignore_errors=True)
    assert there and folder in str(code), code


def test_one_lives_as_long_as_it_holds_its_folder():
    owner = f"{os.getpid()}0"
    assert not network.lives(owner)
    lock = network.claim(owner)
    try:
        assert network.lives(owner)
        lock.close()
        assert not network.lives(owner)
    finally:
        lock.close()
        shutil.rmtree(network.folder_of(owner))


def test_a_follower_is_chosen_while_leaders_change():
    leaders = list(faults.REPLICAS) * 2

    def ask():
        return leaders.pop(0)

    chance = campaign.random.Random(1)
    for _ in range(len(faults.REPLICAS)):
        assert faults.follower(types.SimpleNamespace(leader=ask), chance) in faults.REPLICAS
    assert len(leaders) == len(faults.REPLICAS), "asked once for each"


def says(*leaders):
    return {"shards": [{"shard": at, "leader": name} for at, name in enumerate(leaders)]}


def test_a_cluster_is_whole_when_all_share_and_agree():
    fair, names = says("r1", "r2", "r3", "r1"), ("r1", "r2", "r3")
    assert cluster.is_shared(dict.fromkeys(names, fair))
    for what, ready in (("not ready", {**dict.fromkeys(names, fair), "r2": None}),
                        ("one is not asked", dict.fromkeys(names[:2], fair)),
                        ("nobody leads", dict.fromkeys(names, says("r1", "r2", "r3", None))),
                        ("unfair", dict.fromkeys(names, says("r1", "r2", "r1", "r1"))),
                        ("they disagree", {**dict.fromkeys(names, fair),
                                           "r3": says("r1", "r2", "r3", "r2")})):
        assert not cluster.is_shared(ready), what


def test_a_projects_leader_is_who_leads_its_shard():
    asked = types.SimpleNamespace(
        replicas={"r1": None, "r2": None},
        readiness=lambda name: says(*("r2" if at == cluster.shard_of("default", 8) else "r1"
                                      for at in range(8))))
    assert cluster.Cluster.leader(asked) == "r2"
    assert cluster.Cluster.leader(asked, "project-3") == "r1"
    assert len({cluster.shard_of(project, 8) for project in cluster.PROJECTS}) == 5


main(globals())
