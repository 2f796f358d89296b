"""What must hold, whatever was thrown at a cluster: judged from its event log, from what was
acknowledged and from the lines that jobs wrote themselves. Pure: evidence.py gathers, this
decides.

An event is a dict as docs/internals/events.md has it (`seq`, `t`, `type` and the type's fields),
with `position`, that of its commit in the log of all runs. A run's events are in order of `seq`."""
from collections import defaultdict

STATUS = {"cancel": "cancelled"}
SAID = {"signal": "signal.received", "approve": "approval.decided", "cancel": "run.cancelling"}


def project_of(events):
    """Of a run."""
    return events[0].get("project", "default")


def check_run(events):
    """Of any run: its numbering, its jobs' holders, that it ended once and everything with it."""
    wrong = check_sequence(events)
    held = {}      # node → (attempt, worker) of the one that may report
    last = {}      # node → its last attempt
    fences = {}    # node → the highest fence that was granted
    finished = set()
    for event in events:
        kind, node = event["type"], event.get("node", 0)
        name = f"job {event.get('job', node)}"
        if kind == "job.started":
            wrong += check_grant(event, name, held.get(node), last.get(node, 0),
                                 fences.get(node, 0))
            if node in finished:
                wrong.append(f"{name} was granted after it had finished")
            held[node] = event.get("attempt", 0), event.get("worker")
            last[node], fences[node] = event.get("attempt", 0), event.get("fence", 0)
        elif kind in ("job.retrying", "job.finished"):
            wrong += check_completion(event, name, held.pop(node, None), node in finished)
            if kind == "job.finished":
                finished.add(node)
    return wrong + check_end(events, held)


def check_sequence(events):
    if [event["seq"] for event in events] == list(range(1, len(events) + 1)):
        return []
    return [f"its events do not count from 1 without a gap: {[event['seq'] for event in events]}"]


def check_grant(event, name, holder, last, fence):
    wrong = []
    attempt = event.get("attempt", 0)
    if holder:
        wrong.append(
            f"{name} has two live holders: attempt {holder[0]} on {holder[1]} was not over when "
            f"attempt {attempt} was granted to {event.get('worker')}")
    if attempt != last + 1:
        wrong.append(f"{name}: attempt {attempt} was granted after attempt {last}")
    if event.get("fence", 0) <= fence:
        wrong.append(
            f"{name}: attempt {attempt} has fence {event.get('fence', 0)}, an earlier one {fence}")
    return wrong


def check_completion(event, name, holder, finished):
    attempt = event.get("attempt", 0)
    if finished:
        return [f"{name} was completed again, by attempt {attempt}, after it had finished"]
    if holder and holder[0] != attempt:
        return [f"{name}: attempt {holder[0]} had the job, attempt {attempt} completed it"]
    if not holder and event["type"] == "job.retrying":
        return [f"{name}: attempt {attempt} was completed twice, or never granted"]
    return []


def check_end(events, held):
    ends = [event for event in events if event["type"] == "run.finished"]
    if not ends:
        return ["it never ended"]
    wrong = [] if len(ends) == 1 else [f"it ended {len(ends)} times"]
    if events[-1]["type"] != "run.finished":
        wrong.append(f"{events[-1]['type']} came after its end")
    return wrong + [
        f"it ended while attempt {attempt} had node {node}" for node, (attempt, _) in held.items()
    ]


def check_acknowledged(run, jobs, events):
    """Of a run that was acknowledged (submitters.Acknowledged): it is the one that was asked for,
    and what was acknowledged about it is there. `jobs`: those that must have finished."""
    if not events:
        return ["acknowledged and lost: there is no event of it"]
    first, wrong = events[0], []
    if project_of(events) != run.project:
        wrong.append(f"acknowledged in project {run.project}, is in {project_of(events)}")
    told = dict(map(tuple, first.get("labels", [])))
    asked = {"key": run.key, "shape": run.shape}
    if first["type"] != "run.queued" or told != asked or first.get("inputs") != {"n": run.n}:
        wrong.append(f"acknowledged as {asked} with n {run.n}, is there as {first}")
    if first.get("number") != run.number:
        wrong.append(f"acknowledged as number {run.number}, is number {first.get('number')}")
    kinds = {event["type"] for event in events}
    wrong += [
        f"acknowledged and lost: {said}" for said in sorted(run.said) if SAID[said] not in kinds
    ]
    status = next((event.get("status") for event in events if event["type"] == "run.finished"),
                  None)
    if status != STATUS.get(run.shape, "succeeded"):
        wrong.append(f"it ended as {status}")
    if run.ended and status != run.ended:
        wrong.append(f"it was seen {run.ended}, and is {status}")
    finished = {event.get("job") for event in events if event["type"] == "job.finished"}
    if finished != jobs:
        wrong.append(f"these jobs finished: {sorted(finished)}, not {sorted(jobs)}")
    return wrong


def check_keys(runs):
    """One key, one run: over the events of all runs, by id. A child run has the labels of its
    parent."""
    by_key = defaultdict(list)
    for run_id, events in runs.items():
        for name, value in events[0].get("labels", []):
            if name == "key" and "parent" not in events[0]:
                by_key[value].append(run_id)
    return [
        f"key {key} made {len(ids)} runs: {' '.join(ids)}" for key, ids in by_key.items()
        if len(ids) > 1
    ]


def check_groups(runs, limit=1):
    """Concurrency groups of runs, each of one project, over the order in which everything was
    committed."""
    group_of, moves, wrong = {}, [], []
    for run_id, events in runs.items():
        group = events[0].get("lock_group")
        if group:
            group_of[run_id] = f"{group} of {project_of(events)}"
            moves += [(event["position"], event["seq"], run_id, event["type"]) for event in events
                      if event["type"] in ("run.started", "run.finished")]
    inside = defaultdict(set)
    for _, _, run_id, kind in sorted(moves):
        those = inside[group_of[run_id]]
        if kind == "run.finished":
            those.discard(run_id)
            continue
        those.add(run_id)
        if len(those) > limit:
            wrong.append(
                f"group {group_of[run_id]} has {len(those)} runs at once: {' '.join(sorted(those))}"
            )
    return wrong


class Mark:
    """A line that a job wrote: `RUN JOB ATTEMPT WORKER begin|end SECONDS`."""

    def __init__(self, line):
        self.run, self.job, attempt, self.worker, self.what, up = line.split()
        self.attempt, self.up = int(attempt), float(up)


def check_marks(marks, runs):
    """No attempt ran twice, none that was not granted or on another worker than it was granted to,
    and each that succeeded ran to its end. Returns what is wrong by run."""
    wrong, seen = defaultdict(list), defaultdict(int)
    for mark in marks:
        if mark.run in runs:
            seen[mark.run, mark.job, mark.attempt, mark.what] += 1
    for (run_id, job, attempt, what), count in seen.items():
        if count > 1:
            wrong[run_id].append(f"job {job}, attempt {attempt} ran {count} times ({what})")
    granted = {(run_id, event.get("job"), event.get("attempt")): event.get("worker")
               for run_id, events in runs.items()
               for event in events if event["type"] == "job.started"}
    for mark in marks:
        if mark.run not in runs or mark.what != "begin":
            continue
        worker = granted.get((mark.run, mark.job, mark.attempt))
        if worker != mark.worker:
            wrong[mark.run].append(f"job {mark.job}, attempt {mark.attempt} ran on {mark.worker}, "
                                   f"was granted to {worker or 'nobody'}")
    jobs_that_mark = {(mark.run, mark.job) for mark in marks}
    for run_id, events in runs.items():
        for event in events:
            at = run_id, event.get("job"), event.get("attempt")
            if event["type"] == "job.finished" and event.get(
                    "status") == "succeeded" and at[:2] in jobs_that_mark:
                if not (seen[(*at, "begin")] and seen[(*at, "end")]):
                    wrong[run_id].append(
                        f"job {at[1]}, attempt {at[2]} succeeded and did not run to its end")
    return wrong


def count_overlaps(marks):
    """Attempts that had not ended, as far as they wrote, when a later one of the same job began: a
    worker that is cut off goes on until it hears that its job is lost. Its result is refused; its
    effects are seen."""
    ends = {(mark.run, mark.job, mark.attempt): mark.up for mark in marks if mark.what == "end"}
    begins = defaultdict(list)
    for mark in marks:
        if mark.what == "begin":
            begins[mark.run, mark.job].append(mark)
    count = 0
    for (run_id, job), some in begins.items():
        for mark in some:
            later = [other.up for other in some if other.attempt > mark.attempt]
            count += bool(later) and ends.get((run_id, job, mark.attempt), 0) > min(later)
    return count


def check_agreement(name, answers):
    """`answers`: who → what it said. Everybody says the same."""
    if len(set(answers.values())) <= 1:
        return []
    return [
        f"they do not agree about {name}: " + "; ".join(f"{who}: {said[:300]}"
                                                        for who, said in answers.items())
    ]


def check_feed(who, told, runs, before):
    """`told`: (connection, position it was asked to go on from, position, run, seq, type) in the
    order in which a follower heard it; `before`: up to which position it is not asked about. Each
    event of the log was heard, as it is there, and each connection told in order and nothing
    again."""
    wrong, last = [], {}
    stored = {(run_id, event["seq"]): (event["position"], event["type"])
              for run_id, events in runs.items() for event in events if event["position"] > before}
    for connection, asked, position, run_id, seq, kind in told:
        if position <= before:
            continue
        if stored.get((run_id, seq)) != (position, kind):
            wrong.append(
                f"{who} told of event {seq} of run {run_id} ({kind} at {position}); the log has "
                f"{stored.get((run_id, seq))}")
        if (position, seq) <= last.get(connection, (asked, float("inf"))):
            wrong.append(f"{who} told of event {seq} of run {run_id} out of order, or again")
        last[connection] = position, seq
    missed = set(stored) - {(run_id, seq) for _, _, _, run_id, seq, _ in told}
    wrong += [
        f"{who} never told of event {seq} of run {run_id}" for run_id, seq in sorted(missed)[:5]
    ]
    return wrong


LATE_S = 0.5  # two replicas are heard with this difference at most


class Led:
    """A time in which a replica said that it leads a shard; `end` None: it goes on."""

    def __init__(self, move):
        self.replica, self.shard, self.epoch = move.replica, move.shard, move.epoch
        self.begin, self.end = move.at, None

    def overlap_s(self, other):
        ends = [led.end for led in (self, other) if led.end is not None]
        return min(ends, default=float("inf")) - max(self.begin, other.begin)

    def __str__(self):
        end = "now" if self.end is None else f"{self.end:.2f}"
        return f"{self.replica} (epoch {self.epoch}, {self.begin:.2f} to {end})"


def times_led(moves):
    """`moves` (leads.Move), as they were heard."""
    led, now = [], {}
    for move in moves:
        for at in [at for at in now if at[0] == move.replica and move.shard in (None, at[1])]:
            now.pop(at).end = move.at
        if move.epoch is not None:
            led.append(Led(move))
            now[move.replica, move.shard] = led[-1]
    return led


def check_leads(moves, excused, since=0):
    """No epoch of a shard was anybody's twice; each replica's grow, and so do all as they were
    heard; no two replicas said at the same time that they lead a shard. `excused`: (begin, end) of
    the times in which some may not have heard that others lead. Returns what is wrong with those
    that began after `since`, and the longest time in which two said so while they were excused."""
    wrong, longest, by_shard = [], 0.0, defaultdict(list)
    for led in times_led(moves):
        by_shard[led.shard].append(led)
    for shard, some in sorted(by_shard.items()):
        for at, led in enumerate(some):
            if led.begin <= since:
                continue
            for other in some[:at]:
                is_excused = any(begin <= led.begin <= end for begin, end in excused)
                if other.epoch == led.epoch:
                    wrong.append(f"shard {shard}: an epoch was given twice: {other}, {led}")
                elif other.epoch > led.epoch and (other.replica == led.replica or not is_excused):
                    wrong.append(f"shard {shard}: epochs do not grow: {other}, {led}")
                both_s = 0 if other.replica == led.replica else led.overlap_s(other)
                if both_s <= LATE_S:
                    continue
                if any(begin <= led.begin and led.begin + both_s <= end for begin, end in excused):
                    longest = max(longest, both_s)
                else:
                    wrong.append(f"shard {shard} was led by two: {other}, {led}")
    return wrong, longest


def check_leaders(moves, answers):
    """At rest: who says in its log that it leads a shard is who all say leads it. `answers`:
    replica → what /readyz says."""
    said = defaultdict(list)
    for led in times_led(moves):
        if led.end is None:
            said[led.shard].append(led.replica)
    wrong = []
    for name, answer in answers.items():
        for shard in answer["shards"]:
            if said[shard["shard"]] != [shard["leader"]]:
                wrong.append(f"{name} says that {shard['leader']} leads shard {shard['shard']}; "
                             f"by their logs it is {said[shard['shard']]}")
    return wrong
