"""Gathers what checker.py judges: the event log from the database, the answers of every replica,
the lines of jobs, what the standby has. Prints the events of each run that something is wrong
with."""
import json
import time
from collections import defaultdict

import checker
from cluster import PROJECTS
from load import DOWN
from machines import Patience
from submitters import JOBS

END_S = 150    # for everything to end, once there are no faults
HEARD_S = 40   # for a follower to have heard everything
PRINTED_MAX = 5  # runs, with their events
# Of what was committed after a position, in the order of commits.
EVENTS = ("SELECT position || ' ' || run || ' ' || convert_from(payload, 'UTF8') FROM events "
          "WHERE position > %d ORDER BY position")
DIGESTS = {
    "events": "SELECT count(*), md5(string_agg(md5(payload), '' ORDER BY position)) FROM events",
    "runs": "SELECT count(*), md5(string_agg(id::text || last_seq || status, '' ORDER BY id)) "
            "FROM runs",
    "records": "SELECT count(*), md5(string_agg(md5(key) || version, '' ORDER BY kind, key)) "
               "FROM records",
    "receipts": "SELECT count(*), md5(string_agg(md5(key) || md5(body), '' ORDER BY scope, key)) "
                "FROM receipts",
}


class Found:
    """The result of one check."""

    def __init__(self, position):
        self.wrong, self.position = [], position
        self.runs = self.acknowledgements = self.events = self.overlaps = 0


def check_all(cluster, load, followers, position):
    """Requires: no faults, a whole cluster, a load that starts nothing. `position`: up to which
    events were checked before."""
    found, gather = Found(position), Gatherer(cluster)
    open_runs = wait_for_ends(load)
    acknowledged = load.take_runs()
    found.acknowledgements = load.take_acknowledged()
    runs = gather.wait_ended(position)
    found.runs = len(runs)
    by_run = defaultdict(list)
    for run in open_runs:
        by_run[run.id].append(f"never seen to end ({run.shape}): {gather.why(run)}")
    for run_id, events in runs.items():
        by_run[run_id] += checker.check_run(events)
    for run in acknowledged:
        by_run[run.id] += checker.check_acknowledged(run, JOBS[run.shape], runs.get(run.id, []))
    marks = gather.marks()
    for run_id, wrong in checker.check_marks(marks, runs).items():
        by_run[run_id] += wrong
    found.overlaps = checker.count_overlaps([mark for mark in marks if mark.run in runs])
    found.wrong += checker.check_keys(runs) + checker.check_groups(runs)
    found.wrong += gather.check_kept(load) + gather.check_standby()
    for run_id, wrong in gather.check_answers(acknowledged, runs).items():
        by_run[run_id] += wrong
    for follower in followers:
        found.events += gather.check_follower(follower, runs, position, found.wrong)
    found.wrong += tell(by_run, runs)
    found.position = max([position]
                         + [event["position"] for events in runs.values() for event in events])
    return found


def wait_for_ends(load):
    """The runs that had not been seen to end when the time was over."""
    patience = Patience(END_S)
    while load.open() and not patience.over():
        time.sleep(0.05)
    return load.open()


def tell(by_run, runs):
    """A line for everything that is wrong with a run; prints the events of the first ones."""
    lines, printed = [], 0
    for run_id, wrong in by_run.items():
        lines += [f"run {run_id}: {what}" for what in wrong]
        if wrong and printed < PRINTED_MAX:
            printed += 1
            print(f"the events of run {run_id}:", flush=True)
            for event in runs.get(run_id, []):
                print("  " + json.dumps(event), flush=True)
    return lines


class Gatherer:
    def __init__(self, cluster):
        self.cluster = cluster

    def runs_since(self, position):
        """The events of every run that began after it, by the run's id."""
        runs = defaultdict(list)
        for row in self.cluster.database.rows(EVENTS % position):
            at, run_id, payload = row.split(" ", 2)
            runs[run_id] += [{**event, "position": int(at)} for event in json.loads(payload)]
        return dict(runs)

    def wait_ended(self, position):
        """Those too that nobody got an answer for: they are there, so they must end."""
        patience = Patience(END_S)
        while True:
            runs = self.runs_since(position)
            still = [
                run_id for run_id, events in runs.items() if events[-1]["type"] != "run.finished"
            ]
            if not still or patience.over():
                return runs
            time.sleep(0.5)

    def why(self, run):
        try:
            with self.cluster.client(self.cluster.wait_leader(), run.project) as client:
                return client.get(f"/api/v1/runs/{run.id}/why").text[:600]
        except DOWN as error:
            return f"no answer ({error!r})"

    def marks(self):
        with open(self.cluster.path("marks"), encoding="utf-8") as file:
            return [checker.Mark(line) for line in file if line.strip()]

    @staticmethod
    def check_follower(follower, runs, position, wrong):
        """Appends to `wrong`; returns how many events the follower was told of."""
        mine = {run_id: events for run_id, events in runs.items()
                if checker.project_of(events) == follower.project}
        end = max((event["position"] for events in mine.values() for event in events), default=0)
        patience = Patience(HEARD_S)
        while follower.after < end and not patience.over():
            time.sleep(0.05)
        told = follower.take()
        wrong += checker.check_feed(follower.name, told, mine, position)
        return len(told)

    def check_kept(self, load):
        """Workflows that were stored are there as they were; secrets are there and can be
        opened."""
        wrong, kept = [], load.take_kept()
        for project in PROJECTS:
            with self.cluster.client(self.cluster.wait_leader(), project) as client:
                secrets = {
                    item["name"]
                    for item in pages(client, "/api/v1/secrets") if not item.get("broken")
                }
                for (where, kind, name), text in kept.items():
                    if where == project and not is_kept(client, secrets, kind, name, text):
                        wrong.append(f"acknowledged and lost or changed: {kind} {name} of {where}")
        return wrong

    def check_standby(self):
        """What a fail-over would show is what the primary shows."""
        self.cluster.wait_replayed()
        wrong = []
        for name, sql in DIGESTS.items():
            answers = {node: self.cluster.database.ask(node, sql)
                       for node in (self.cluster.database.primary, self.cluster.database.standby)}
            wrong += checker.check_agreement("the table " + name, answers)
        return wrong

    def check_answers(self, acknowledged, runs):
        """Every replica says the same of every run, events are those of the database, and the next
        leaders, who read it all from the log, say what the last ones had in memory."""
        wrong, said = defaultdict(list), {}
        clients = self.clients()
        for run in acknowledged:
            answers = {name: shown(clients[name, run.project], run.id)
                       for name in self.cluster.replicas}
            wrong[run.id] += checker.check_agreement("the run", answers)
            said[run.id] = next(iter(answers.values()))
        self.cluster.hand_over()
        at = next(iter(self.cluster.replicas))
        for run in acknowledged:
            client = clients[at, run.project]
            answers = {"the last leader": said[run.id], "the next one": shown(client, run.id)}
            wrong[run.id] += checker.check_agreement("the run", answers)
            wrong[run.id] += self.check_events(client, run.id, runs.get(run.id, []))
        for client in clients.values():
            client.close()
        return wrong

    def clients(self):
        return {(name, project): self.cluster.client(name, project)
                for name in self.cluster.replicas for project in PROJECTS}

    @staticmethod
    def check_events(client, run_id, events):
        stored = [(event["seq"], event["type"]) for event in events]
        try:
            told = [(event["seq"], event["type"]) for event in client.events(run_id)]
        except AssertionError as error:
            return [f"its events cannot be read: {error}"]
        return [] if told == stored else [
            f"the database has the events {stored}, the API tells {told}"
        ]


def is_kept(client, secrets, kind, name, text):
    if kind == "secrets":
        return name in secrets
    answer = client.get(f"/api/v1/workflows/{name}")
    return answer.status == 200 and answer.json()["definition"] == text


def shown(client, run_id):
    answer = client.get(f"/api/v1/runs/{run_id}", timeout=10)
    return answer.text if answer.status == 200 else f"{answer.status} {answer.text[:200]}"


def pages(client, path):
    cursor = ""
    while cursor is not None:
        page = client.get(f"{path}?limit=100"
                          + (f"&cursor={cursor}" if cursor else "")).expect(200).json()
        yield from page["items"]
        cursor = page.get("next_cursor")
