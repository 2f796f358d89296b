#!/usr/bin/env python3
"""The release before and this one: a schema that moves under load, rolling updates and back, workers of
the other release, a data folder that is taken over.

The release before is the program that scripts/build-previous makes.
"""
import contextlib
import os
import signal
import subprocess

from cluster import Cluster, Load, worker
from harness import BINARY, FINAL, PREVIOUS, Server, Skip, clean_env, main, maestro, wait_until

# The job's log, outputs, artifacts and cache, and what a later job takes of them.
EVERYTHING = """
inputs: {mark: {type: string}}
jobs:
  make:
    cache: {key: "k-${{ inputs.mark }}", outputs: [kept.txt]}
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - {id: say, run: 'echo "made $MARK"; echo "word=$MARK" >> "$MAESTRO_OUTPUT"; echo "$MARK" > kept.txt', env: {MARK: "${{ inputs.mark }}"}}
      - {uses: artifact/upload, with: {name: thing, path: kept.txt}}
  take:
    needs: make
    steps:
      - {uses: artifact/download, with: {name: thing}}
      - {run: 'echo "took $(cat kept.txt) $WORD"', env: {WORD: "${{ needs.make.outputs.word }}"}}
"""


def previous():
    """The program of the release before."""
    if not os.access(PREVIOUS, os.X_OK):
        raise Skip(f"there is no {PREVIOUS}: scripts/build-previous makes it, or says why it cannot")
    return PREVIOUS


class Gate:
    """A run whose one job waits until it is let go: in flight meanwhile."""

    def __init__(self, folder, client, name="gate"):
        self.path, self.client = os.path.join(folder, name), client
        os.mkfifo(self.path)
        self.id = client.start("defaults: {retry: {attempts: 20, backoff: 50ms, max: 50ms, on: [lost_worker]}}\n"
                               f"jobs: {{a: {{resources: {{cpu: 0.1}}, steps: [{{run: cat {self.path}}}]}}}}\n")["id"]
        client.wait_job(self.id, "a", "running")

    def poke(self):
        """Whoever reads it comes to its end."""
        with contextlib.suppress(OSError):  # nobody reads yet
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))

    def check(self, client):
        """Lets it go; it succeeds."""
        def over():
            self.poke()
            return client.run(self.id)["status"] in FINAL
        wait_until(over, "the run behind the gate is over")
        run = client.run(self.id)
        assert run["status"] == "succeeded", (run["status"], run["message"])
        return client.job(self.id, "a")


def status(binary, *words, env=None):
    """What `migrate status` of this program says."""
    return maestro("migrate", "status", "-o", "json", *words, env=env, binary=binary).expect(0).json()


def check_up_to_date(status_of):
    assert status_of["schema"] == status_of["wanted"], status_of
    assert all(" applied " in line for line in status_of["migrations"]), status_of


def runs_this(replica, binary):
    return os.path.samefile(f"/proc/{replica.process.pid}/exe", binary)


def exchange(cluster, binary, load):
    """Stops each replica in order and starts the other program in its place; the last leader goes last."""
    for replica in sorted(cluster.replicas, key=lambda each: each.leads()):
        assert replica.end() == 0, replica.errors()[-2000:]
        replica.binary = binary
        replica.start()
        assert runs_this(replica, binary)
        load.more()
        cluster.wait_leader()


def test_the_release_before_serves_a_schema_that_moves_under_it(scratch):
    with Cluster(scratch, replicas=2, binary=previous()) as cluster, worker(cluster, binary=PREVIOUS):
        check_up_to_date(status(PREVIOUS, env=cluster.env))
        load = Load(cluster, patience_s=60)
        gate = Gate(scratch, cluster.client(cluster.replicas[0]))
        load.start()
        load.more()
        before = status(BINARY, env=cluster.env)
        print(f"schema {before['schema']}, this release's is {before['wanted']}")
        assert len(before["migrations"]) == before["wanted"], before
        moved = maestro("migrate", "up", "-o", "json", env=cluster.env).expect(0).json()
        check_up_to_date(moved)
        load.more(20)
        assert not load.failures or any("no longer leads: it starts over" in r.errors() for r in cluster.replicas), load.failures
        assert status(PREVIOUS, env=cluster.env)["schema"] == moved["schema"]
        for _ in cluster.replicas:  # it takes over on the new schema, and starts on it
            leader = cluster.wait_leader()
            assert leader.end() == 0, leader.errors()[-2000:]
            leader.start()
            load.more()
        assert gate.check(cluster.client(cluster.wait_leader()))["attempt"] == 1
        load.check()


def test_a_rolling_update_and_the_way_back_lose_nothing(scratch):
    with Cluster(scratch, binary=previous()) as cluster, worker(cluster, slots=3, binary=PREVIOUS):
        load = Load(cluster)
        old = Gate(scratch, cluster.client(cluster.replicas[0]), "old")
        load.start()
        load.more()
        maestro("migrate", "up", env=cluster.env).expect(0)
        exchange(cluster, BINARY, load)
        assert not [each for each in cluster.replicas if "the schema is newer" in each.errors()]
        new = Gate(scratch, cluster.client(cluster.replicas[0]), "new")
        exchange(cluster, PREVIOUS, load)
        for gate in (old, new):
            assert gate.check(cluster.client(cluster.wait_leader()))["attempt"] == 1
        load.check()


@contextlib.contextmanager
def one_worker(server, folder, binary):
    process = subprocess.Popen(
        [binary, "worker", "--url", server.url, "--labels", "linux", "--data", folder], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=open(folder + ".err", "ab"),
        env=clean_env({"MAESTRO_TOKEN": server.client().token_of("worker")}), start_new_session=True)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def check_everything(client, mark):
    """Twice: made, then out of the cache."""
    for reused in (False, True):
        run = client.succeed(EVERYTHING, inputs={"mark": mark})
        make = client.job(run["id"], "make")
        assert make["status"] == ("reused" if reused else "succeeded"), make
        assert make["outputs"] == {"word": mark}, make
        assert f"took {mark} {mark}" in client.log(run["id"], "take").expect(200).text
        if not reused:
            assert f"made {mark}" in client.log(run["id"], "make").expect(200).text


def check_worker_of(folder, server_binary, worker_binary):
    server = Server(os.path.join(folder, "data"), slots=0, binary=server_binary)
    try:
        with one_worker(server, os.path.join(folder, "worker"), worker_binary) as process:
            client = server.client()
            check_everything(client, "alone")
            gate = Gate(folder, client)
            check_everything(client, "beside what it holds")
            client.post(f"/api/v1/runs/{gate.id}/cancel").expect(200, 202)
            assert client.finished(gate.id)["status"] == "cancelled"
            assert process.poll() is None
    finally:
        server.stop()


def test_a_worker_of_this_release_works_for_the_server_before(scratch):
    check_worker_of(scratch, previous(), BINARY)


def test_a_worker_of_the_release_before_works_for_this_server(scratch):
    check_worker_of(scratch, BINARY, previous())


def test_a_data_folder_is_taken_over_with_its_runs(scratch):
    folder = os.path.join(scratch, "data")
    server = Server(folder, binary=previous())
    try:
        client = server.client()
        done = client.succeed(EVERYTHING, inputs={"mark": "kept"})
        events = client.events(done["id"])
        asked = client.start("jobs: {ask: {approve: {prompt: 'Go?'}}, then: {needs: ask, steps: [{run: 'true'}]}}\n")
        approval = wait_until(lambda: client.get("/api/v1/approvals?status=waiting").json()["items"], "it asks")[0]
        gate = Gate(scratch, client)
        server.kill()
        for turn, binary in enumerate((BINARY, PREVIOUS, BINARY)):  # an update, the way back, and again
            server.binary = binary
            client = server.start().client()
            check_up_to_date(status(BINARY, "--data", folder))
            assert status(binary, "--data", folder)["schema"] == status(BINARY, "--data", folder)["schema"]
            assert client.events(done["id"]) == events
            assert "took kept kept" in client.log(done["id"], "take").expect(200).text
            assert client.get("/api/v1/approvals?status=waiting").json()["items"][0]["id"] == approval["id"]
            check_everything(client, f"turn {turn}")
            client.wait_job(gate.id, "a", "running")
            if turn < 2:
                server.kill()
        client.post(f"/api/v1/approvals/{approval['id']}", {"decision": "approve"}).expect(200)
        assert client.finished(asked["id"])["status"] == "succeeded"
        assert gate.check(client)["attempt"] == 4  # a kill is an attempt
    finally:
        server.stop()


main(globals())
