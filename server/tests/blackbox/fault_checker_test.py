#!/usr/bin/env python3
"""The checker of the fault campaign finds violations that are planted in made-up event logs, and
nothing in a log without; the campaign says what it lacks."""
import copy
import os
import subprocess
import sys

from harness import BINARY, ROOT, main

FAULT = os.path.join(ROOT, "scripts", "fault")
sys.path.append(FAULT)
import checker  # noqa: E402  pylint: disable=wrong-import-position

RUN = "01a225ed-0000-7000-8000-000000000001"


class Asked:
    """As submitters.Acknowledged."""

    def __init__(self, **others):
        self.id, self.number, self.key, self.shape, self.n = RUN, 7, "k1", "signal", 5
        self.said, self.ended = {"signal"}, "succeeded"
        self.__dict__.update(others)


def log():
    """A run whose job a waited for a signal; b was lost once. Positions are those of commits."""
    events = [
        {
            "type": "run.queued", "number": 7, "inputs": {"n": 5}, "labels": [["key", "k1"],
                                                                              ["shape", "signal"]]
        },
        {"type": "run.started"},
        {"type": "job.waiting", "job": "a"},
        {"type": "signal.received", "event": "go"},
        {"type": "job.finished", "job": "a", "status": "succeeded"},
        {"type": "job.started", "node": 1, "job": "b", "attempt": 1, "fence": 1, "worker": "w1"},
        {"type": "job.retrying", "node": 1, "job": "b", "attempt": 1},
        {"type": "job.started", "node": 1, "job": "b", "attempt": 2, "fence": 2, "worker": "w2"},
        {"type": "job.finished", "node": 1, "job": "b", "attempt": 2, "status": "succeeded"},
        {"type": "run.finished", "status": "succeeded"},
    ]
    for at, event in enumerate(events):
        event.update({"seq": at + 1, "position": 100 + at})
    return events


def numbered(events):
    """Numbers again, so that what was planted is all that is wrong."""
    for at, event in enumerate(events):
        event["seq"] = at + 1
    return events


def without(at):
    events = log()
    del events[at]
    return numbered(events)


def with_more(at, *more):
    events = log()
    events[at:at] = [{"position": events[at]["position"], **event} for event in more]
    return numbered(events)


def changed(at, **fields):
    events = log()
    events[at].update(fields)
    return events


STARTED = {"type": "job.started", "node": 1, "job": "b"}
FINISHED = {"type": "job.finished", "node": 1, "job": "b", "status": "succeeded"}
# What is planted, and a part of what has to be said about it.
PLANTED = [
    ("an event is missing", log()[:3] + log()[4:], "gap"),
    ("an event is there twice", log()[:3] + log()[2:], "gap"),
    ("the first holder was not over", without(6), "two live holders"),
    ("one attempt was granted twice",
     with_more(6, {**STARTED, "attempt": 1, "fence": 2, "worker": "w3"}), "two live holders"),
    ("an attempt is left out", changed(7, attempt=3), "attempt 3 was granted after attempt 1"),
    ("a fence does not grow", changed(7, fence=1), "has fence 1"),
    ("who lost the job completed it", changed(8, attempt=1),
     "attempt 2 had the job, attempt 1 completed it"),
    ("a completion counts twice", with_more(9, {**FINISHED, "attempt": 2}), "completed again"),
    ("a lost attempt is completed, too",
     with_more(7,
               {"type": "job.retrying", "node": 1, "job": "b", "attempt": 1}), "completed twice"),
    ("a job goes on after its end",
     with_more(9, {**STARTED, "attempt": 3, "fence": 3, "worker": "w1"}),
     "granted after it had finished"),
    ("the run ends with a holder left", without(8), "ended while attempt 2"),
    ("the run does not end", log()[:-1], "never ended"),
    ("the run ends twice", log() + [{**log()[-1], "seq": 11}], "ended 2 times"),
    ("something comes after the end", log() + [{"type": "job.ready", "seq": 11, "position": 200}],
     "after its end"),
]
LOST = [
    ("the run", Asked(), [], "acknowledged and lost"),
    ("the signal", Asked(), without(3), "acknowledged and lost: signal"),
    ("the approval", Asked(said={"approve"}), log(), "acknowledged and lost: approve"),
    ("the cancel", Asked(said={"cancel"}), log(), "acknowledged and lost: cancel"),
    ("an input", Asked(n=6), log(), "acknowledged as"),
    ("a label", Asked(key="k2"), log(), "acknowledged as"),
    ("its number", Asked(number=8), log(), "is number 7"),
    ("its end", Asked(ended="failed"), log(), "was seen failed"),
    ("its success", Asked(ended=None), changed(9, status="failed"), "ended as failed"),
    ("a job", Asked(), without(4), "these jobs finished"),
]
MARKS = [f"{RUN} b 1 w1 begin 10.0", f"{RUN} b 2 w2 begin 16.0", f"{RUN} b 2 w2 end 17.0"]


def marks(*lines):
    return [checker.Mark(line) for line in lines]


def test_a_log_without_violations_has_none():
    assert not checker.check_run(log())
    assert not checker.check_acknowledged(Asked(), {"a", "b"}, log())
    assert not checker.check_marks(marks(*MARKS), {RUN: log()})
    assert not checker.check_keys({RUN: log()})


def test_what_is_planted_in_a_run_is_found():
    for what, events, words in PLANTED:
        found = checker.check_run(copy.deepcopy(events))
        assert any(words in one for one in found), (what, found)


def test_what_was_acknowledged_and_is_gone_is_found():
    for what, asked, events, words in LOST:
        found = checker.check_acknowledged(asked, {"a", "b"}, events)
        assert any(words in one for one in found), (what, found)


def test_an_attempt_that_ran_twice_elsewhere_or_not_at_all_is_found():
    for more, less, words in (
            (MARKS[1], None, "attempt 2 ran 2 times"), (MARKS[2], None, "attempt 2 ran 2 times"),
            (f"{RUN} b 3 w2 begin 18.0", None, "granted to nobody"),
            (f"{RUN} b 2 w3 begin 16.0", MARKS[1], "ran on w3, was granted to w2"),
            (None, MARKS[2], "did not run to its end")):
        lines = [line for line in MARKS if line != less] + ([more] if more else [])
        found = checker.check_marks(marks(*lines), {RUN: log()})
        assert any(words in one for one in found[RUN]), (words, found)


def test_attempts_that_overlap_are_counted():
    assert checker.count_overlaps(marks(*MARKS)) == 0
    assert checker.count_overlaps(marks(*MARKS, f"{RUN} b 1 w1 end 16.5")) == 1


def test_one_key_with_two_runs_is_found():
    assert any("2 runs" in one for one in checker.check_keys({RUN: log(), "another": log()}))
    child = log()
    child[0]["parent"] = RUN
    assert not checker.check_keys({RUN: log(), "child": child})


def of_group(first, last):
    """A run of group g, which started and finished at these positions."""
    return [{"type": "run.queued", "seq": 1, "position": 1, "lock_group": "g"},
            {"type": "run.started", "seq": 2, "position": first},
            {"type": "run.finished", "seq": 3, "position": last, "status": "succeeded"}]


def test_two_runs_of_a_group_at_once_are_found():
    assert not checker.check_groups({"x": of_group(2, 5), "y": of_group(6, 9)})
    assert any("2 runs at once" in one
               for one in checker.check_groups({"x": of_group(2, 7), "y": of_group(6, 9)}))


def test_who_does_not_agree_is_found():
    assert not checker.check_agreement("it", {"r1": "a", "r2": "a"})
    assert checker.check_agreement("it", {"r1": "a", "r2": "b"})


def heard(connection=1, asked=0):
    """What a follower that heard everything was told."""
    return [(connection, asked, e["position"], RUN, e["seq"], e["type"]) for e in log()]


def test_what_a_follower_heard_wrongly_is_found():
    resumed = heard()[:5] + heard(connection=2, asked=104)[5:]
    for told in (heard(), resumed, heard()[:5] + heard(connection=2, asked=102)[3:]):
        assert not checker.check_feed("r1", told, {RUN: log()}, 0), told
    assert not checker.check_feed("r1", heard()[4:], {RUN: log()}, 103)
    unknown = heard() + [(1, 0, 300, RUN, 11, "job.ready")]
    other = heard()[:9] + [(1, 0, 109, RUN, 10, "job.ready")]
    for told, words in ((heard()[:3] + heard()[4:], "never told of event 4"),
                        (unknown, "told of event 11"), (other, "told of event 10"),
                        (heard()[:4] + heard()[3:], "out of order, or again"),
                        (heard()[1:2] + heard()[:1] + heard()[2:], "out of order, or again"),
                        (heard(asked=100), "out of order, or again")):
        found = checker.check_feed("r1", told, {RUN: log()}, 0)
        assert any(words in one for one in found), (words, found)


def campaign(*words, binary=BINARY):
    return subprocess.run([os.path.join(FAULT, "campaign.sh"), *words],
                          stdin=subprocess.DEVNULL,
                          text=True,
                          check=False,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          env={**os.environ, "MAESTRO_BIN": binary})


def test_the_campaign_tells_what_is_wrong_with_its_arguments():
    for words in (("x",), ("1", "--only", "nothing"), ("1", "2"), ("0",)):
        done = campaign(*words)
        assert done.returncode == 2 and "usage" in done.stdout, (words, done.stdout)
    listed = campaign("--list")
    assert listed.returncode == 0 and "database_fails_over" in listed.stdout, listed.stdout


def test_the_campaign_tells_what_it_lacks():
    done = campaign("1", binary="no-such-program")
    assert done.returncode == 2 and done.stdout.startswith("campaign: "), done.stdout


main(globals())
