#!/usr/bin/env python3
"""The checker of the fault campaign finds violations that are planted in made-up event logs, and
nothing in a log without; the campaign says what it lacks."""
import copy
import os
import subprocess
import sys

from harness import BINARY, ROOT, SCRATCH, main

FAULT = os.path.join(ROOT, "scripts", "fault")
sys.path.append(FAULT)
import checker  # noqa: E402  pylint: disable=wrong-import-position
import leads  # noqa: E402  pylint: disable=wrong-import-position

RUN = "01a225ed-0000-7000-8000-000000000001"


class Asked:
    """As submitters.Acknowledged."""

    def __init__(self, **others):
        self.id, self.number, self.key, self.shape, self.n = RUN, 7, "k1", "signal", 5
        self.said, self.ended, self.project = {"signal"}, "succeeded", "default"
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
    ("its project", Asked(project="other"), log(), "acknowledged in project other, is in default"),
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


def of_group(first, last, project="default"):
    """A run of group g, which started and finished at these positions."""
    return [{"type": "run.queued", "seq": 1, "position": 1, "lock_group": "g", "project": project},
            {"type": "run.started", "seq": 2, "position": first},
            {"type": "run.finished", "seq": 3, "position": last, "status": "succeeded"}]


def test_two_runs_of_a_group_at_once_are_found():
    assert not checker.check_groups({"x": of_group(2, 5), "y": of_group(6, 9)})
    assert not checker.check_groups({"x": of_group(2, 7), "y": of_group(6, 9, "other")})
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


def moves(*some):
    """(at, replica, shard, epoch) as leads.Move has them."""
    return [leads.Move(*one) for one in some]


# r1 gave its shard back in order; r2, which had it then, died; so r1 has it again.
LED = [(1, "r1", 0, 1), (1, "r1", 1, 1), (5, "r1", 0), (5.1, "r2", 0, 2), (9, "r2"),
       (12, "r1", 0, 3)]


def test_leaders_that_follow_each_other_are_no_violation():
    assert checker.check_leads(moves(*LED), []) == ([], 0)
    said = {"shards": [{"shard": 0, "leader": "r1"}, {"shard": 1, "leader": "r1"}]}
    assert not checker.check_leaders(moves(*LED), {"r1": said, "r2": said})


def test_who_leads_what_another_leads_is_found():
    for what, more, words in (
            ("two lead", [(13, "r2", 0, 4)], "shard 0 was led by two: r1 (epoch 3, 12.00 to now)"),
            ("two led for a while", [(13, "r2", 0, 4), (14, "r1", 0)], "was led by two"),
            ("who did not hear", [(13, "r2", 0, 4), (14, "r1")], "was led by two"),
            ("an epoch twice", [(13, "r1", 0), (14, "r2", 0, 3)], "an epoch was given twice"),
            ("its own twice", [(13, "r1"), (14, "r1", 0, 3)], "an epoch was given twice"),
            ("one of before", [(13, "r1", 0), (14, "r2", 0, 0)], "epochs do not grow")):
        found = checker.check_leads(moves(*LED, *more), [])[0]
        assert any(words in one for one in found), (what, found)
        assert checker.check_leads(moves(*LED, *more), [], since=20)[0] == [], what


def test_two_lead_only_while_one_may_not_know():
    late = moves(*LED, (13, "r2", 0, 4), (15, "r1"))
    assert checker.check_leads(late, [(12.5, 16)]) == ([], 2)
    for excused in ([(12.5, 14)], [(13.5, 16)], []):
        assert "was led by two" in checker.check_leads(late, excused)[0][0], excused
    open_end = moves(*LED, (13, "r2", 0, 4))
    assert "was led by two" in checker.check_leads(open_end, [(12.5, 16)])[0][0]
    twice = moves(*LED, (13, "r1"), (14, "r2", 0, 3))
    assert "given twice" in checker.check_leads(twice, [(12.5, 16)])[0][0]


def test_a_leader_that_others_do_not_know_is_found():
    said = {"shards": [{"shard": 0, "leader": "r2"}, {"shard": 1, "leader": "r1"}]}
    found = checker.check_leaders(moves(*LED), {"r3": said})
    assert found == ["r3 says that r2 leads shard 0; by their logs it is ['r1']"], found


def test_what_is_said_about_leading_is_heard():
    folder = SCRATCH.folder("logs")
    listener = leads.Listener(folder)
    with open(os.path.join(folder, "r1.log"), "w", encoding="utf-8") as log_of_r1:
        def say(text):
            log_of_r1.write(text)
            log_of_r1.flush()
            return [(one.replica, one.shard, one.epoch) for one in listener.all()]

        assert not say("14:25:24.6 info  Redis carries the rate limits\n14:25:25.2 info  leads na")
        heard_now = say("me=r1 shard=7 epoch=3\n14:25:26.3 info  leads no longer name=r1 shard=7\n")
        assert heard_now == [("r1", 7, 3), ("r1", 7, None)], heard_now
        listener.note_end("r1")
        heard_now = say("14:25:27.1 warn  this replica no longer leads: it starts over\n"
                        "14:25:28.1 info  stopping\n")
        assert heard_now[2:] == [("r1", None, None)] * 3, heard_now


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
