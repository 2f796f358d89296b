#!/usr/bin/env python3
"""kill -9 of the server at random moments under load: nothing acknowledged is lost, no job completes
twice, every run ends. CRASH_KILLS (default 50) says how often."""
import contextlib
import os
import random
import threading
import time

from harness import Server, main, processes_with, quote, wait_until

KILLS = int(os.environ.get("CRASH_KILLS", "50"))
# A job can be unlucky more often than the two lost workers that are forgiven unasked.
RUN = """
defaults: {retry: {attempts: 60, backoff: 50ms, max: 50ms, on: [lost_worker]}}
jobs: {a: {steps: [{run: 'true'}]}, b: {needs: a, steps: [{uses: noop}]}}
"""


class Load(threading.Thread):
    """Starts runs at whatever server there is; remembers each that was acknowledged."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.acknowledged, self.over = server, [], threading.Event()

    def run(self):
        while not self.over.is_set():
            try:
                with_client = self.server.client()
                while not self.over.is_set():
                    self.acknowledged.append(with_client.start(RUN)["id"])
                    self.over.wait(0.01)
            except (OSError, AssertionError, ValueError, AttributeError):
                self.over.wait(0.02)  # the server is down: that is what this test does to it
            except Exception:  # http.client's many ways to say the same
                self.over.wait(0.02)


def test_nothing_acknowledged_is_lost(scratch):
    seed = int(os.environ.get("CRASH_SEED", time.time_ns() % 2**32))
    print(f"CRASH_SEED={seed}")
    chance = random.Random(seed)
    server = Server(os.path.join(scratch, "data"), slots=2)
    load = Load(server)
    load.start()
    for _ in range(KILLS):
        before = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) > before, "a run is acknowledged")
        load.over.wait(chance.random() * 0.1)
        server.kill()
        server.start()
    load.over.set()
    load.join()
    client = server.client()
    print(f"{len(load.acknowledged)} acknowledged, {KILLS} kills")
    for run_id in load.acknowledged:
        run = client.finished(run_id, deadline_s=120)
        assert run["status"] == "succeeded", (run["status"], run["message"])
        finished = [e["data"]["job"] for e in client.events(run_id) if e["type"] == "job.finished"]
        assert sorted(finished) == ["a", "b"], finished
    server.stop()


def test_a_killed_worker_leaves_no_orphan_and_its_job_is_tried_again(scratch):
    import signal
    import subprocess
    from harness import BINARY, clean_env
    server = Server(os.path.join(scratch, "data"), slots=1, options=())
    client = server.client()
    token = client.token_of("worker")
    token_file = os.path.join(scratch, "token")
    with open(os.open(token_file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(token)

    def worker(name):
        return subprocess.Popen([BINARY, "worker", "--url", server.url, "--token-file", token_file, "--labels", "far",
                                 "--slots", "1", "--data", os.path.join(scratch, name)],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=clean_env(), start_new_session=True)

    first = worker("w1")
    marker = f"marker-{os.getpid()}"
    once = os.path.join(scratch, "once")
    run = client.start(
        "jobs:\n  a:\n    runs_on: [far]\n    retry: {attempts: 2, backoff: 100ms}\n    steps:\n"
        f"      - env: {{MARK: '{marker}', ONCE: '{once}'}}\n        run: |\n"
        "          if [ ! -e \"$ONCE\" ]; then touch \"$ONCE\"; setsid sleep 600 & sleep 600; fi\n")
    # The shell and both sleepers: two might be the shell and its `touch`.
    wait_until(lambda: len(processes_with("MARK=" + marker)) >= 3, "the job runs")
    first.send_signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not processes_with("MARK=" + marker), "its processes are gone", deadline_s=20)
    second = worker("w2")
    try:
        done = client.finished(run["id"], deadline_s=90)
        assert done["status"] == "succeeded", done
        attempts = client.job(run["id"], quote("a"))["attempts"]
        assert [a["failure_kind"] for a in attempts] == ["lost_worker", None], attempts
    finally:
        second.send_signal(signal.SIGTERM)
        second.wait(30)
        server.stop()


def test_a_late_guard_leaves_the_next_life_alone(scratch):
    """The guard of a killed server, held up by a busy machine, comes when the next one runs jobs again."""
    import signal
    folder, go = os.path.join(scratch, "data"), os.path.join(scratch, "go")
    os.mkfifo(go)
    server = Server(folder, slots=1, options=())
    guard, = [pid for pid in processes_with("__guard") if parent_of(pid) == server.pid]
    os.kill(guard, signal.SIGSTOP)
    server.kill()
    server = Server(folder, slots=1, options=())
    client = server.client()
    run = client.start(f"jobs: {{a: {{steps: [{{run: 'echo up; read -r word < {go}'}}]}}}}")
    wait_until(lambda: "up" in client.log(run["id"], "a").text, "the job runs")
    os.kill(guard, signal.SIGCONT)
    wait_until(lambda: not os.path.exists(f"/proc/{guard}"), "the guard has done its work", deadline_s=40)
    wait_until(lambda: let_go(go) or client.job(run["id"], "a")["status"] != "running", "the job is let go")
    assert client.finished(run["id"])["status"] == "succeeded", client.job(run["id"], "a")
    server.stop()


def let_go(fifo):
    """Whether somebody read from it; without waiting, since a killed job never does."""
    with contextlib.suppress(OSError), os.fdopen(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK), "w") as file:
        return file.write("go\n") > 0
    return False


def parent_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])
    return 0  # one of a test beside this one, that has ended


def links_of(pid):
    """What its open files are."""
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return links


def test_no_port_is_held_by_what_outlives_the_server(server):
    """The worker's guard lives a little longer than a server that is killed; the next one needs the port."""
    client = server.client()
    run = client.start("jobs: {a: {steps: [{run: 'echo up; exec sleep 600'}]}}")
    wait_until(lambda: "up" in client.log(run["id"], "a").text, "the job runs")
    held = {}
    for pid in processes_with("__guard") + processes_with("MAESTRO_RUN_ID=" + run["id"]):
        if parent_of(pid) != server.pid:
            continue
        held[pid] = [link for link in links_of(pid) if link.startswith("socket:")]
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(200, 202)
    client.finished(run["id"])
    assert len(held) >= 2, held
    assert not any(held.values()), held


if __name__ == "__main__":
    main(globals())
