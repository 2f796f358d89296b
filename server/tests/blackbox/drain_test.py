#!/usr/bin/env python3
"""SIGTERM: running jobs end, nothing new begins, and what is waited for is said."""
import os
import signal

from harness import main, wait_until


def start_and_wait(server, gate):
    client = server.client()
    run = client.start(f"jobs:\n  a: {{steps: [{{run: 'echo up; while [ ! -e {gate} ]; do sleep 0.05; done; echo over'}}]}}\n"
                       "  b: {needs: a, steps: [{uses: noop}]}\n")
    client.wait_job(run["id"], "a", "running")
    wait_until(lambda: "up" in client.log(run["id"], "a").text, "the job works")
    return run["id"]


def test_a_running_job_ends_and_the_rest_goes_on_later(fresh, scratch):
    server, gate = fresh(options=["--drain-timeout", "60s"]), os.path.join(scratch, "gate")
    run_id = start_and_wait(server, gate)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: '"jobs":1' in server.stderr(), "it says what it waits for")
    assert server.process.poll() is None
    open(gate, "w", encoding="utf-8").close()
    assert server.process.wait(60) == 0, server.stderr()
    assert not os.path.exists(os.path.join(server.folder, "server.json"))
    server.kill()
    server.start()
    client = server.client()
    run = client.finished(run_id)
    assert run["status"] == "succeeded", run
    assert client.job(run_id, "a")["attempt"] == 1, "the job was carried out once"
    assert "over" in client.log(run_id, "a").text


def test_a_second_signal_does_not_wait(fresh, scratch):
    server = fresh(options=["--drain-timeout", "600s"])
    run_id = start_and_wait(server, os.path.join(scratch, "never"))
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: '"jobs":1' in server.stderr(), "it says what it waits for")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) in (0, 130), server.stderr()
    server.kill()
    server.start()
    client = server.client()
    client.post(f"/api/v1/runs/{run_id}/cancel").expect(202)
    assert client.finished(run_id)["status"] == "cancelled"


def test_an_idle_server_stops_at_once(fresh):
    server = fresh()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0, server.stderr()
    server.kill()


if __name__ == "__main__":
    main(globals())
