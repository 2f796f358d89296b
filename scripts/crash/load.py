"""The load of a campaign: starts runs of many shapes, nudges them on, and keeps what was acknowledged."""
import http.client
import json
import random
import threading
import time

from machines import Client

FINAL = {"succeeded", "failed", "cancelled", "timed_out", "denied"}
OPEN_MAX = 24  # started and not seen to end; more would only make every check longer
LINES = 400  # of a log, enough for several pieces

# Jobs may be unlucky more often than the two lost workers that are forgiven unasked.
HEAD = "defaults: {retry: {attempts: 100, backoff: 20ms, max: 20ms, on: [lost_worker]}}\nenv: {CRASH_MARK: '%s'}\n"
SHAPES = {
    "chain": "jobs: {a: {steps: [{run: 'true'}]}, b: {needs: a, steps: [{uses: noop}]}}",
    "matrix": "jobs: {m: {matrix: {x: [1, 2, 3], y: [a, b]}, steps: [{uses: noop}]}, z: {needs: m, steps: [{uses: noop}]}}",
    "wide": "jobs: {m: {matrix: {x: [%s]}, steps: [{uses: noop}]}}" % ", ".join(str(i) for i in range(70)),
    "approval": "jobs: {a: {approve: {}}, b: {needs: a, steps: [{uses: noop}]}}",
    "signal": "jobs: {a: {wait: {event: go}}, b: {needs: a, steps: [{run: '[ \"$N\" = 7 ]', "
              "env: {N: '${{ needs.a.outputs.data.n }}'}}]}}",
    "retry": "jobs: {a: {retry: {attempts: 100, backoff: 10ms, max: 10ms, on: [user, lost_worker]}, "
             "steps: [{run: '[ \"$MAESTRO_ATTEMPT\" -ge 3 ]'}]}}",
    "child": "jobs: {a: {workflow: child}, b: {needs: a, steps: [{uses: noop}]}}",
    "cancel": "jobs: {a: {steps: [{run: 'sleep 600'}]}, b: {needs: a, steps: [{uses: noop}]}}",
    "log": "jobs: {a: {steps: [{run: 'for ((i = 1; i <= %d; i++)); do echo \"line $i of a log\"; done'}]}}" % LINES,
    "artifact": "jobs: {a: {artifacts: [{name: out, path: out.txt}], "
                "steps: [{run: 'echo \"$MAESTRO_RUN_ID\" > out.txt'}]}}",
}
JOBS = {"chain": 2, "matrix": 7, "wide": 70, "approval": 2, "signal": 2, "retry": 1, "child": 2, "log": 1, "artifact": 1}
WEIGHTS = {"wide": 0.3, "log": 2}
DOWN = (OSError, http.client.HTTPException, ValueError, AttributeError)  # the server is, or was just now


class Run:
    """One run that was acknowledged, and what else was said about it."""

    def __init__(self, shape, run_id):
        self.shape, self.id = shape, run_id
        self.said = set()    # what a 2xx was given for: signal, approve, cancel
        self.ended = None    # the final status that was seen; it may never change
        self.began = time.monotonic()


class Load:
    """Threads: `start` and `nudge` in the background; everything else is the caller's."""

    def __init__(self, machines, seed):
        self.machines, self.chance = machines, random.Random(seed)
        self.lock = threading.Lock()  # guards the next three
        self.runs = []
        self.kept = {}   # "secret x", "workflow y" → value, of those that were acknowledged
        self.acknowledged = 0
        self.wrong = []  # violations that the load itself saw
        self.starting = threading.Event()
        self.prefer = None  # a shape to start more of
        self.over = threading.Event()
        self.count = 0
        self.name = f"n{time.monotonic_ns()}"  # several loads may follow each other on one server
        self.head = HEAD % machines.mark
        self.threads = [threading.Thread(target=self.loop, args=(work,), daemon=True) for work in (self.start_one, self.nudge)]
        for thread in self.threads:
            thread.start()

    def loop(self, work):
        client = None
        while not self.over.is_set():
            try:
                if client is None or client.url != self.machines.url or client.token != self.machines.token:
                    client = Client(self.machines.url, self.machines.token)
                work(client)
            except DOWN:
                client = None
                self.over.wait(0.01)
            except AssertionError as error:  # a status that nobody expects
                with self.lock:
                    self.wrong.append(f"{work.__name__}: {error}")
                client = None
                self.over.wait(0.1)

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def note(self):
        with self.lock:
            self.acknowledged += 1

    def open(self):
        with self.lock:
            return [run for run in self.runs if run.ended is None]

    def prepare(self, client):
        """What runs need to be there."""
        text = "name: child\n" + self.head + "jobs: {a: {steps: [{uses: noop}]}}"
        put(client, "/api/v1/workflows/child", text)

    def start_one(self, client):
        if not self.starting.is_set() or len(self.open()) >= OPEN_MAX:
            self.over.wait(0.005)
            return
        self.count += 1
        if self.count % 8 == 0:
            return self.keep_one(client)
        shape = self.chance.choices(list(SHAPES), [WEIGHTS.get(name, 1) for name in SHAPES])[0]
        if self.prefer and self.count % 2:
            shape = self.prefer
        body = {"definition": self.head + SHAPES[shape]}
        key = f"{self.name}-{self.count}"
        # The same key until there is an answer: however often it is asked, there is one run.
        answer = self.insist(client, "POST", "/api/v1/runs", json.dumps(body), {"Idempotency-Key": key,
                                                                              "Content-Type": "application/json"})
        if answer is None:
            return None
        with self.lock:
            self.runs.append(Run(shape, answer.expect(201).json()["id"]))
            self.acknowledged += 1
        return None

    def insist(self, client, method, path, raw, headers):
        """Asks until there is an answer other than that the server is in trouble; None: it is all over."""
        while not self.over.is_set():
            try:
                if client.url != self.machines.url or client.token != self.machines.token:
                    client.close()
                    client.__init__(self.machines.url, self.machines.token)
                answer = client.call(method, path, raw=raw, headers=headers, timeout=20)
                if not passing(answer):
                    return answer
            except DOWN:
                client.close()
            self.over.wait(0.01)
        return None

    def keep_one(self, client):
        """A secret or a version of a workflow, under a name of its own."""
        name = f"{self.name}_{self.count}"
        if self.count % 16 == 0:
            answer = self.insist(client, "PUT", f"/api/v1/secrets/{name}", json.dumps({"value": "value of " + name}),
                                 {"Content-Type": "application/json"})
        else:
            text = f"name: {name}\njobs: {{a: {{steps: [{{uses: noop}}]}}}}"
            answer = self.insist(client, "PUT", f"/api/v1/workflows/{name}", text, {"Content-Type": "application/yaml"})
        if answer is None:
            return
        answer.expect(200, 201)
        with self.lock:
            self.kept[("secret " if self.count % 16 == 0 else "workflow ") + name] = True
            self.acknowledged += 1

    def nudge(self, client):
        """Does for each open run what it waits for, and notes which have ended."""
        for run in self.open():
            if self.over.is_set():
                return
            self.nudge_one(client, run)
        self.over.wait(0.02)

    def nudge_one(self, client, run):
        path = f"/api/v1/runs/{run.id}"
        if run.shape == "signal" and "signal" not in run.said:
            self.say(client, run, "signal", path + "/signals", {"event": "go", "data": {"n": 7}})
        elif run.shape == "cancel" and "cancel" not in run.said and time.monotonic() - run.began > 0.2:
            self.say(client, run, "cancel", path + "/cancel", {})
        elif run.shape == "approval" and "approve" not in run.said:
            asked = [a for a in self.read(client, path + "/approvals").get("items", []) if a["status"] == "waiting"]
            if asked:
                self.say(client, run, "approve", f"/api/v1/approvals/{asked[0]['id']}", {"decision": "approve"})
        status = self.read(client, path).get("status")
        if status in FINAL:
            run.ended = status

    def read(self, client, path):
        answer = client.get(path, timeout=20)
        return {} if passing(answer) else answer.expect(200).json()

    def say(self, client, run, what, path, body):
        answer = client.post(path, body, timeout=20)
        if passing(answer):
            return
        # 409: it was taken the first time, when the answer was lost.
        answer.expect(200, 202, 409)
        if answer.status != 409:
            run.said.add(what)
            self.note()


def passing(answer):
    """Whether the server said that it is in trouble and to ask again."""
    return answer.status >= 500 or answer.status == 429 or (
        answer.status == 409 and answer.json().get("code") == "idempotency_in_flight")


def put(client, path, text):
    client.call("PUT", path, raw=text, headers={"Content-Type": "application/yaml"}).expect(200, 201)
