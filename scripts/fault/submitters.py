"""The load of a campaign: submitters ask all replicas for runs of many shapes in several projects,
nudge them on, and keep what was acknowledged. Every job writes a line when it begins and when it ends."""
import json
import random
import threading
import time

from cluster import PROJECTS
from load import DOWN, FINAL, passing

SUBMITTERS = 6  # a replica that is silent holds up some of them, not all
OPEN_MAX = 8  # of one submitter, started and not seen to end
AVOID_S = 3
ANSWER_S = 4  # patience with one answer; then another replica is asked the same
KEEP_EVERY, AGAIN_EVERY = 9, 7

MARK = ('mark() { read -r up rest < /proc/uptime; '
        'echo "$MAESTRO_RUN_ID $MAESTRO_JOB_ID $MAESTRO_ATTEMPT $FAULT_WORKER $1 $up"'
        ' >> "$MARKS"; }; '
        'mark begin; %s; mark end')
HEAD = """
inputs: {n: {type: number, required: true}}
defaults:
  retry: {attempts: 100, backoff: 200ms, factor: 1, max: 1s, on: [lost_worker, infra, user]}
env: {MARKS: '%s'}
outputs: {n: '${{ inputs.n }}'}
"""
NAP = "sleep 0.$((RANDOM % 10))"


def job(body=NAP, more=""):
    """One whose step writes its two lines around `body`."""
    script = MARK % body
    return "{%ssteps: [{run: %s}]}" % (more, json.dumps(script))


def shapes():
    return {
        "chain": f"jobs: {{a: {job()}, b: {job(more='needs: a, ')}, c: {job(more='needs: b, ')}}}",
        "fan": "jobs: {m: %s, z: %s}" %
        (job(more="matrix: {x: [1, 2, 3, 4, 5, 6]}, "), job(more="needs: m, ")),
        "retry": "jobs: {a: %s}" % job('[ "$MAESTRO_ATTEMPT" -ge 3 ]'),
        "approval": "jobs: {a: {approve: {}}, b: %s}" % job(more="needs: a, "),
        "signal": "jobs: {a: {wait: {event: go}}, b: %s}" % job(more="needs: a, "),
        "cancel": "jobs: {a: %s, b: %s}" % (job("sleep 600"), job(more="needs: a, ")),
        "long": "jobs: {a: %s}" % job("sleep 8"),
        "group": "concurrency: {group: 'g${{ inputs.n < 500 }}', limit: 1}\njobs: {a: %s, b: %s}" %
        (job(), job(more="needs: a, ")),
        "child": "jobs: {a: {workflow: {name: child, inputs: {n: 1}}}, b: %s}"
        % job(more="needs: a, "),
        "output": "jobs: {a: {outputs: {v: '${{ steps.s.outputs.v }}'}, "
        "steps: [{id: s, run: 'echo v=7 >> \"$MAESTRO_OUTPUT\"'}]}, "
        "b: {needs: a, env: {V: '${{ needs.a.outputs.v }}'}, steps: [{run: '[ \"$V\" = 7 ]'}]}}",
    }


JOBS = {
    "chain": {"a", "b", "c"}, "retry": {"a"}, "approval": {"a", "b"}, "signal": {"a", "b"},
    "long": {"a"}, "group": {"a", "b"}, "child": {"a", "b"}, "output": {"a", "b"},
    "cancel": {"a", "b"}, "fan": {"m", "z", *(f"m[x={x}]" for x in range(1, 7))}
}
WEIGHTS = {"long": 0.5, "cancel": 0.7}


class Acknowledged:
    """A run that was acknowledged, and what else was said about it."""

    def __init__(self, project, made, key, shape, n):
        self.project, self.id, self.number = project, made["id"], made["number"]
        self.key, self.shape, self.n = key, shape, n
        self.said = set()    # what a 2xx was given for: signal, approve, cancel
        self.ended = None    # the final status that was seen; it may never change
        self.began = time.monotonic()

    def age(self):
        return time.monotonic() - self.began


class Load:
    """Threads of its own; everything else is the caller's."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.lock = threading.Lock()  # guards what follows, to `longest`
        self.runs, self.kept, self.acknowledged, self.told = [], {}, 0, 0
        self.by_project = dict.fromkeys(PROJECTS, 0)  # how many acknowledgements
        self.silent = {}              # replica → until when it is avoided
        self.wrong = []               # violations that the load itself saw
        self.last = time.monotonic()  # when something was acknowledged
        self.longest = 0.0            # between two acknowledgements, since it was last set to 0
        self.starting, self.over = threading.Event(), threading.Event()
        self.name = f"c{seed}-{time.time_ns() % 10**9}"
        self.head = HEAD % cluster.path("marks")
        chance = random.Random(seed)
        self.submitters = [
            Submitter(self, f"{self.name}-{i}", chance.getrandbits(32)) for i in range(SUBMITTERS)
        ]

    def begin(self):
        text = "name: child" + self.head + "jobs: {a: %s}" % job()
        for project in PROJECTS:
            with self.cluster.client(self.cluster.wait_leader(), project) as client:
                client.call("PUT", "/api/v1/workflows/child", raw=text,
                            headers={"Content-Type": "application/yaml"}).expect(200, 201)
        self.last = time.monotonic()
        self.starting.set()
        for submitter in self.submitters:
            submitter.thread.start()

    def close(self):
        self.over.set()
        for submitter in self.submitters:
            if submitter.thread.is_alive():
                submitter.thread.join(60)

    def note(self, project, run=None, kept=None):
        """Something was acknowledged in the project just now."""
        with self.lock:
            now = time.monotonic()
            if self.starting.is_set():
                self.longest = max(self.longest, now - self.last)
            self.last = now
            self.acknowledged += 1
            self.by_project[project] += 1
            if run:
                self.runs.append(run)
            if kept:
                self.kept.update(kept)

    def complain(self, what):
        with self.lock:
            self.wrong.append(what)

    def take_kept(self):
        with self.lock:
            kept, self.kept = self.kept, {}
            return kept

    def take_acknowledged(self):
        """How many acknowledgements there were since this was asked last."""
        with self.lock:
            count, self.told = self.acknowledged - self.told, self.acknowledged
            return count

    def take_wrong(self):
        with self.lock:
            wrong, self.wrong = self.wrong, []
            return wrong

    def counts(self):
        """How many acknowledgements each project has had."""
        with self.lock:
            return dict(self.by_project)

    def pause_s(self):
        """The longest time without an acknowledgement since this was asked last."""
        with self.lock:
            longest, self.longest = max(self.longest, time.monotonic() - self.last), 0.0
        return longest

    def avoid(self, replica):
        """It was silent: nobody asks it for a while, as a proxy in front would do."""
        with self.lock:
            self.silent[replica] = time.monotonic() + AVOID_S

    def likely(self):
        """The replicas that were not silent just now; all when all were."""
        now, names = time.monotonic(), list(self.cluster.replicas)
        with self.lock:
            return [name for name in names if self.silent.get(name, 0) < now] or names

    def stop_starting(self):
        self.starting.clear()

    def start_again(self):
        with self.lock:
            self.last, self.longest = time.monotonic(), 0.0
        self.starting.set()

    def open(self):
        with self.lock:
            return [run for run in self.runs if run.ended is None]

    def take_runs(self):
        with self.lock:
            runs, self.runs = self.runs, []
            return runs


class Submitter:
    """One thread: starts runs with keys of its own, and does for them what they wait for."""

    def __init__(self, load, name, seed):
        self.load, self.name, self.chance = load, name, random.Random(seed)
        self.shapes, self.count, self.mine = shapes(), 0, []
        self.clients = {}
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        while not self.load.over.is_set():
            try:
                self.turn()
            except AssertionError as error:  # a status that nobody expects
                self.load.complain(f"an answer that nobody expects: {error}")
                self.load.over.wait(0.2)
        for client in self.clients.values():
            client.close()

    def turn(self):
        self.mine = [run for run in self.mine if run.ended is None]
        if self.load.starting.is_set() and len(self.mine) < OPEN_MAX:
            self.count += 1
            if self.count % KEEP_EVERY == 0:
                self.keep_one()
            else:
                self.start_one()
        for run in self.mine:
            if self.load.over.is_set():
                return
            self.nudge(run)
        self.load.over.wait(0.05 + 0.1 * self.chance.random())

    # Asking. Any replica may be asked anything, at any time.

    def ask(self, project, method, path, raw=None, body=None, headers=None):
        """One try at any replica: the answer, or None when it is in trouble."""
        name = self.chance.choice(self.load.likely())
        client = self.clients.get((name, project)) or self.load.cluster.client(name, project)
        self.clients[name, project] = client
        try:
            answer = client.call(method,
                                 path,
                                 body=body,
                                 raw=raw,
                                 headers=headers,
                                 timeout=ANSWER_S)
            return None if passing(answer) else answer
        except DOWN as error:
            client.close()
            if isinstance(error, TimeoutError):
                self.load.avoid(name)
            self.load.over.wait(0.02)
            return None

    def insist(self, project, method, path, raw, headers):
        """Asks until there is an answer; None: it is all over."""
        while not self.load.over.is_set():
            answer = self.ask(project, method, path, raw=raw, headers=headers)
            if answer is not None:
                return answer
        return None

    # What it asks for.

    def start_one(self):
        weights = [WEIGHTS.get(name, 1) for name in self.shapes]
        shape = self.chance.choices(list(self.shapes), weights)[0]
        key, n = f"{self.name}-{self.count}", self.chance.randrange(1000)
        raw = json.dumps({"definition": self.load.head + self.shapes[shape], "inputs": {"n": n},
                          "labels": {"key": key, "shape": shape}})
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        # The same key until there is an answer: however often it is asked, there is one run.
        project = self.chance.choice(PROJECTS)
        answer = self.insist(project, "POST", "/api/v1/runs", raw, headers)
        if answer is None:
            return
        made = answer.expect(201).json()
        run = Acknowledged(project, made, key, shape, n)
        self.mine.append(run)
        self.load.note(project, run=run)
        if self.count % AGAIN_EVERY == 0:
            again = self.ask(project, "POST", "/api/v1/runs", raw, headers=headers)
            if again is not None and again.expect(201).json()["id"] != run.id:
                self.load.complain(f"one key, two runs: {run.id} and {again.json()['id']}")

    def keep_one(self):
        """A version of a workflow under a name of its own, or a secret."""
        name, project = f"{self.name}-{self.count}", self.chance.choice(PROJECTS)
        if self.count % (2 * KEEP_EVERY) == 0:
            name = name.replace("-", "_")
            answer = self.insist(project, "PUT", f"/api/v1/secrets/{name}",
                                 json.dumps({"value": "of " + name}),
                                 {"Content-Type": "application/json"})
            kept = {(project, "secrets", name): None}
        else:
            text = f"name: {name}\njobs: {{a: {{steps: [{{uses: noop}}]}}}}\n"
            answer = self.insist(project, "PUT", f"/api/v1/workflows/{name}", text,
                                 {"Content-Type": "application/yaml"})
            kept = {(project, "workflows", name): text}
        if answer is not None:
            answer.expect(200, 201)
            self.load.note(project, kept=kept)

    def nudge(self, run):
        """Does what the run waits for, and notes whether it has ended."""
        path = f"/api/v1/runs/{run.id}"
        if run.shape == "signal" and "signal" not in run.said:
            self.say(run, "signal", path + "/signals", {"event": "go", "data": {"n": run.n}})
        elif run.shape == "cancel" and "cancel" not in run.said and run.age() > 1:
            self.say(run, "cancel", path + "/cancel", {})
        elif run.shape == "approval" and "approve" not in run.said:
            asked = [
                a for a in self.read(run.project, path + "/approvals").get("items", [])
                if a["status"] == "waiting"
            ]
            if asked:
                self.say(run, "approve", f"/api/v1/approvals/{asked[0]['id']}",
                         {"decision": "approve"})
        status = self.read(run.project, path).get("status")
        if status in FINAL:
            run.ended = status

    def read(self, project, path):
        answer = self.ask(project, "GET", path)
        if answer is None:
            return {}
        if answer.status == 404:
            self.load.complain(f"acknowledged and lost: GET {path} is 404")
            return {"status": "failed"}
        return answer.expect(200).json()

    def say(self, run, what, path, body):
        answer = self.ask(run.project, "POST", path, body=body)
        if answer is None:
            return
        # 409: it was taken the first time, when the answer was lost.
        answer.expect(200, 202, 409)
        if answer.status != 409:
            run.said.add(what)
            self.load.note(run.project)
