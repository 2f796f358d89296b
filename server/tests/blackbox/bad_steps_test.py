#!/usr/bin/env python3
"""Steps that misbehave: they print too much, do not end, leave children, and fill what they can."""
import os
import time

import harness
from harness import maestro, processes_with, sanitized

PRINT_MIB = 64 if sanitized() else 1024


def write(folder, text):
    path = os.path.join(folder, "w.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def size_of(folder):
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(folder) for name in names)


def test_a_flood_of_output_is_kept_up_to_a_limit_that_is_told(server):
    client = server.client()
    run = client.start(f"jobs:\n  a: {{steps: [{{run: 'yes 0123456789abcdef | head -c {PRINT_MIB}M || true; echo; echo the end'}}]}}\n")
    done = client.finished(run["id"], deadline_s=240)
    assert done["status"] == "succeeded", done
    size = int(client.log(run["id"], "a", headers={"Range": "bytes=0-0"}).headers["Content-Range"].split("/")[1])
    assert size <= (PRINT_MIB << 20) + 4096
    if size < PRINT_MIB << 20:
        tail = client.log(run["id"], "a", headers={"Range": "bytes=-4096"}).text
        assert "[maestro:" in tail and "dropped" in tail, tail[-600:]
    assert size_of(server.folder) < (PRINT_MIB + 300) << 20
    assert harness.peak_kib(server.pid) < (2000 if sanitized() else 400) << 10, "the log went through memory"


def test_a_step_that_ignores_signals_is_killed_in_bounded_time(server):
    client, marker = server.client(), f"deaf-{time.time_ns()}"
    run = client.start(f"jobs:\n  a: {{steps: [{{run: \"trap '' INT TERM; echo deaf; while :; do sleep 0.2; done\", env: {{MARK: {marker}}}}}]}}\n")
    client.wait_job(run["id"], "a", "running")
    harness.wait_until(lambda: "deaf" in client.log(run["id"], "a").text, "the trap is set")
    began = time.monotonic()
    client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
    assert client.finished(run["id"], deadline_s=60)["status"] == "cancelled"
    assert time.monotonic() - began < 45
    harness.wait_until(lambda: not processes_with(marker), "its processes are gone")


def test_a_daemon_that_was_left_behind_is_gone(server):
    client, marker = server.client(), f"daemon-{time.time_ns()}"
    client.succeed(f"jobs:\n  a: {{steps: [{{run: 'setsid sleep 900 > /dev/null 2>&1 < /dev/null & sleep 0.2; echo left', env: {{MARK: {marker}}}}}]}}\n")
    harness.wait_until(lambda: not processes_with(marker), "the daemon is gone", 20)


def test_a_daemon_without_an_environment_is_gone(server):
    client, seconds = server.client(), str(time.time_ns() % 10**8 + 10**6)
    script = f"env -i setsid sleep {seconds} > /dev/null 2>&1 < /dev/null & sleep 0.2"
    client.succeed(f"jobs:\n  a: {{steps: [{{run: '{script}'}}]}}\n")
    harness.wait_until(lambda: not processes_with(f"sleep\0{seconds}"), "the daemon is gone", 20)


def test_a_child_that_keeps_the_pipe_open_does_not_hold_the_step(server):
    client = server.client()
    began = time.monotonic()
    client.succeed("jobs:\n  a: {steps: [{run: 'sleep 900 & echo done'}]}\n")
    assert time.monotonic() - began < 30


def test_binary_output_is_kept_as_it_is(server):
    client = server.client()
    run = client.succeed("jobs:\n  a: {steps: [{run: \"printf '\\\\000\\\\377\\\\376\\\\033[31mred\\\\n'\"}]}\n")
    assert b"\x00\xff\xfe\x1b[31mred\n" in client.log(run["id"], "a").body
    records = client.log(run["id"], "a", headers={"Accept": "application/x-ndjson"}).expect(200)
    records.body.decode("utf-8")


def test_answer_files_that_are_none_any_more_fail_the_step(server):
    client = server.client()
    for trick in ("mkfifo $F", "mkdir $F", "ln -s /dev/zero $F", "ln -s /etc/passwd $F"):
        for name in ("MAESTRO_OUTPUT", "MAESTRO_ENV"):
            script = f"F=${name}; rm $F; {trick}"
            run = client.finished(client.start(f"jobs:\n  a: {{steps: [{{run: '{script}'}}]}}\n")["id"], deadline_s=30)
            assert run["status"] == "failed" and run["failure_kind"] == "user", (script, run)
            assert name in run["message"] and "regular file" in run["message"], run["message"]
    run = client.finished(client.start("jobs:\n  a: {steps: [{run: 'rm $MAESTRO_SUMMARY; mkfifo $MAESTRO_SUMMARY'}]}\n")["id"])
    assert run["status"] == "succeeded", run


def test_outputs_have_a_limit_that_is_told(server):
    client = server.client()
    run = client.finished(client.start(
        "jobs:\n  a: {steps: [{id: s, run: 'echo \"big=$(head -c 100000 /dev/zero | tr \"\\\\0\" x)\" >> \"$MAESTRO_OUTPUT\"'}],"
        " outputs: {big: '${{ steps.s.outputs.big }}'}}\n")["id"])
    assert run["status"] == "failed" and "64" in run["message"] and "artifact" in run["message"], run["message"]


def test_a_pipe_in_place_of_a_file_holds_no_slot(server):
    client = server.client()
    swap = 'rm "$MAESTRO_{0}"; mkfifo "$MAESTRO_{0}"'
    for name, status in (("OUTPUT", "failed"), ("ENV", "failed"), ("SUMMARY", "succeeded"), ("ANNOTATIONS", "succeeded")):
        run = client.finished(client.start(f"jobs:\n  a: {{steps: [{{run: '{swap.format(name)}'}}]}}\n")["id"], 30)
        assert run["status"] == status, (name, run)
        assert status == "succeeded" or run["failure_kind"] == "user", run
    client.succeed("jobs:\n  a: {steps: [{run: 'cd $(dirname $MAESTRO_OUTPUT); mkfifo 2.sh 2.output'}, {run: 'true'}]}\n")


def test_links_carry_nothing_from_outside(server, scratch):
    client, secret = server.client(), write(scratch, "not for artifacts")
    for make, path in ((f"ln -s {secret} l", "l"), (f"ln -s {scratch} l", "l/w.yaml"), (f"ln -s {scratch} l", "l/*"),
                       ("true", "../w.yaml"), ("true", secret)):
        run = client.finished(client.start(
            f"jobs:\n  a: {{steps: [{{run: '{make}'}}, {{uses: artifact/upload, with: {{name: x, path: '{path}'}}}}]}}\n")["id"])
        assert run["status"] == "failed" and "leads out of the workspace" in run["message"], (path, run["message"])
        assert client.get(f"/api/v1/runs/{run['id']}/artifacts").expect(200).json()["items"] == []
    run = client.finished(client.start(
        f"jobs:\n  a: {{steps: [{{run: 'ln -sf {secret} \"$MAESTRO_OUTPUT\"'}}]}}\n")["id"])
    assert run["status"] == "failed" and "leads out of the workspace" in run["message"], run


def test_downloads_write_only_into_the_workspace(server, scratch):
    client, kept = server.client(), write(scratch, "kept")
    made = "  a: {steps: [{run: 'mkdir d; echo new > d/w.yaml; echo more > d/more'}], artifacts: [{name: one, path: d/w.yaml}, {name: all, path: d}]}\n"
    for make, path, name in ((f"ln -s {scratch} l", "l", "one"), (f"ln -s {scratch} l", "l/deep", "all"), ("true", scratch, "all")):
        run = client.finished(client.start(
            f"jobs:\n{made}  b: {{needs: a, steps: [{{run: '{make}'}}, {{uses: artifact/download, with: {{name: {name}, path: '{path}'}}}}]}}\n")["id"])
        assert run["status"] == "failed" and "leads out of the workspace" in run["message"], (path, run["message"])
    client.succeed(f"jobs:\n{made}  b: {{needs: a, steps: [{{run: 'ln -s {kept} w.yaml'}}, {{uses: artifact/download, with: {{name: one}}}}, {{run: 'grep new w.yaml'}}]}}\n")
    assert os.listdir(scratch) == ["w.yaml"]
    with open(kept, encoding="utf-8") as file:
        assert file.read() == "kept"


def test_a_removed_workspace_is_the_jobs_own_fault(server):
    client = server.client()
    run = client.finished(client.start("jobs:\n  a: {steps: [{run: 'rm -rf \"$(dirname $MAESTRO_WORKSPACE)\"'}, {run: 'true'}], finally: [{run: 'true'}]}\n")["id"])
    assert run["failure_kind"] == "user" and "the workspace is gone" in run["message"], run


def test_a_stopped_step_is_ended_at_its_time_out(server):
    client = server.client()
    run = client.finished(client.start("jobs:\n  a: {timeout: 300ms, steps: [{run: 'kill -STOP $$'}]}\n")["id"])
    # Before the ladder's next signal.
    assert run["failure_kind"] == "timeout" and client.job(run["id"], "a")["duration_ms"] < 9_000, run


def test_memory_that_the_kernel_takes_back_is_told(server):
    group = f"/sys/fs/cgroup/memory/maestro-test-{os.getpid()}"
    try:
        os.mkdir(group)
    except OSError as error:
        raise harness.Skip(f"no memory limits can be set here: {error}") from None
    try:
        if not os.path.exists(f"{group}/memory.limit_in_bytes"):
            raise harness.Skip("this is no cgroup v1 with a memory controller")
        with open(f"{group}/memory.limit_in_bytes", "w", encoding="utf-8") as file:
            file.write("64M")
        client = server.client()
        run = client.finished(client.start(
            f"jobs:\n  a: {{steps: [{{run: 'echo $$ > {group}/cgroup.procs; head -c 400M /dev/zero | tail'}}]}}\n")["id"])
        assert run["failure_kind"] == "oom" and "out of memory" in run["message"], run
    finally:
        harness.wait_until(lambda: harness.remove_group(group), "the group is empty")


def test_a_full_disk_fails_the_step_not_the_worker(server):
    client = server.client()
    run = client.finished(client.start("jobs:\n  a: {steps: [{run: 'ulimit -f 8; head -c 1000000 /dev/zero > big'}]}\n")["id"])
    assert run["status"] == "failed" and run["failure_kind"] == "user", run
    client.succeed("jobs:\n  a: {steps: [{run: 'true'}]}\n")


def test_a_time_out_ends_the_step(server):
    client = server.client()
    run = client.finished(client.start("jobs:\n  a: {timeout: 300ms, steps: [{run: 'sleep 600'}]}\n")["id"])
    assert run["status"] in ("failed", "timed_out") and run["failure_kind"] == "timeout", run


def test_workspaces_are_removed(scratch):
    result = maestro("exec", write(scratch, "jobs:\n  a: {steps: [{id: s, run: 'mkdir -m 0 locked; echo \"w=$PWD\" >> \"$MAESTRO_OUTPUT\"'}],"
                                            " outputs: {w: '${{ steps.s.outputs.w }}'}}\n"), "-o", "json", cwd=scratch).expect(0).json()
    assert not os.path.exists(result["jobs"]["a"]["outputs"]["w"]), result


if __name__ == "__main__":
    harness.main(globals())
