#!/usr/bin/env python3
"""The command line: exit codes, formats, positions, following, and what happens without a server."""
import contextlib
import json
import os
import pty
import signal
import subprocess

import harness
from harness import BINARY, clean_env, maestro, wait_until

HELLO = "name: hello\njobs:\n  a: {steps: [{run: 'echo hi there'}]}\n"
FAILS = "name: fails\njobs:\n  a: {steps: [{run: 'echo oh no; exit 4'}]}\n"
SLEEPS = "name: sleeps\njobs:\n  a: {steps: [{run: 'sleep 600'}]}\n"


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_usage():
    assert "maestro" in maestro("version").expect(0).out
    assert json.loads(maestro("version", "-o", "json").expect(0).out)["version"]
    maestro("--help").expect(0)
    wrong = maestro("valdiate").expect(2)
    assert "validate" in wrong.err, wrong.err
    maestro("run").expect(2)
    maestro("runs", "list", "--nonsense").expect(2)
    json.loads(maestro("schema").expect(0).out)
    for shell in ("bash", "zsh", "fish"):
        assert "maestro" in maestro("completion", shell).expect(0).out
    maestro("completion", "tcsh").expect(2)
    script = maestro("completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_validate_shows_every_problem_with_its_place(scratch):
    path = write(scratch, "bad.yaml", "jobs:\n  a:\n    needs: b\n    tiemout: 5m\n    steps: [{run: x}]\n")
    done = maestro("validate", path).expect(2)
    told = done.out + done.err
    assert f"{path}:4:5: error[unknown_key]" in told and "did you mean `timeout`" in told, told
    assert f"{path}:3:" in told and "^" in told, told
    maestro("validate", write(scratch, "good.yaml", HELLO)).expect(0)
    maestro("validate", os.path.join(scratch, "none.yaml")).expect(2)
    answer = maestro("validate", path, "-o", "json").expect(2)
    assert "unknown_key" in answer.out


def test_run_follow_and_logs(server, scratch):
    file = write(scratch, "hello.yaml", HELLO)
    followed = server.cli("run", file, "--follow").expect(0)
    assert "hi there" in followed.out, followed.out
    assert server.cli("runs", "logs", "@latest", "a").expect(0).out.startswith("hi there\n")
    failed = server.cli("run", write(scratch, "fails.yaml", FAILS), "--wait").expect(1)
    assert "failed" in failed.out + failed.err
    assert "oh no" in server.cli("runs", "logs", "@latest", "--failed").expect(0).out
    shown = server.cli("runs", "show", "@latest", "-o", "json").expect(0).json()
    assert (shown.get("run") or shown)["status"] == "failed", shown
    server.cli("runs", "watch", "@latest").expect(1)
    lines = server.cli("runs", "list", "-o", "ndjson").expect(0).out.splitlines()
    assert [json.loads(line)["status"] for line in lines[:2]] == ["failed", "succeeded"]
    assert len(server.cli("runs", "list", "--quiet").expect(0).out.split()) >= 2
    server.cli("why", "@latest").expect(0)


def test_cancel_and_time_out(server, scratch):
    file = write(scratch, "sleeps.yaml", SLEEPS)
    server.cli("run", file, "--wait", "--timeout", "200ms").expect(5)
    run_id = server.cli("runs", "list", "--quiet", "--limit", "1").out.strip()
    server.cli("runs", "delete", run_id).expect(7)
    server.cli("runs", "cancel", run_id, "--wait").expect(0, 3)
    server.cli("runs", "watch", run_id).expect(3)
    server.cli("runs", "cancel", run_id).expect(7)
    server.cli("runs", "delete", run_id).expect(0)
    server.cli("runs", "show", run_id).expect(6)


def test_rerun_from(server, scratch):
    file = write(scratch, "two.yaml", "name: two\njobs:\n  a: {steps: [{uses: noop}]}\n"
                                      "  b: {needs: a, steps: [{uses: noop}]}\n")
    server.cli("run", file, "--wait").expect(0)
    server.cli("runs", "rerun", "@latest", "--from", "b", "--wait").expect(0)
    client = server.client()
    newest = client.get("/api/v1/runs?limit=1").json()["items"][0]["id"]
    assert client.statuses(newest) == {"a": "reused", "b": "succeeded"}


def test_workflows_secrets_tokens(server, scratch):
    file = write(scratch, "hello.yaml", HELLO)
    server.cli("workflows", "apply", file).expect(0)
    assert "hello" in server.cli("workflows", "list").expect(0).out
    assert server.cli("workflows", "show", "hello").expect(0).out.rstrip() == HELLO.rstrip()
    server.cli("run", "hello", "--wait").expect(0)
    server.cli("run", "no-such-workflow").expect(2, 6)
    server.cli("secrets", "set", "KEY", stdin="s3cret-value").expect(0)
    listed = server.cli("secrets", "list", "-o", "json").expect(0).out
    assert "KEY" in listed and "s3cret-value" not in listed
    token = server.cli("tokens", "create", "bot", "--role", "viewer").expect(0).out
    assert len(token.split()) == 1, "the secret alone is printed"
    server.cli("runs", "list", env={"MAESTRO_TOKEN": token.strip()}).expect(0)
    server.cli("run", "hello", env={"MAESTRO_TOKEN": token.strip()}).expect(4)
    server.cli("runs", "list", env={"MAESTRO_TOKEN": "wrong"}).expect(4)
    server.cli("tokens", "revoke", "bot").expect(0)
    server.cli("runs", "list", env={"MAESTRO_TOKEN": token.strip()}).expect(4)


def test_apply_stores_all_or_nothing_and_says_what_it_did(server, scratch):
    good, bad = write(scratch, "applied.yaml", HELLO.replace("hello", "applied")), write(scratch, "bad.yaml", "jobs: {}")
    assert "nothing was stored" in server.cli("workflows", "apply", good, bad).expect(2).err
    server.cli("workflows", "show", "applied").expect(6)
    assert "created" in server.cli("workflows", "apply", good).expect(0).out
    assert "unchanged" in server.cli("workflows", "apply", good).expect(0).out
    write(scratch, "applied.yaml", HELLO.replace("hello", "applied") + "# more\n")
    assert "stored" in server.cli("workflows", "apply", good).expect(0).out


def test_a_failure_that_is_allowed_has_its_own_sign(server, scratch):
    text = "name: spared\njobs:\n  a: {continue_on_error: true, steps: [{run: 'exit 4'}]}\n"
    followed = server.cli("run", write(scratch, "spared.yaml", text), "--follow").expect(0)
    assert "! a failed (allowed)" in followed.out, followed.out
    assert "! failed (allowed)" in server.cli("runs", "show", "@latest").expect(0).out


def on_a_terminal(words, env, cwd):
    """What a command wrote to a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(BINARY, ["maestro", *words], {**env, "TERM": "xterm"})
    out = b""
    with contextlib.suppress(OSError):  # the terminal is gone with the last process that had it
        while piece := os.read(terminal, 65536):
            out += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, out
    return out.decode("utf-8", "replace")


def test_groups_and_errors_in_logs_are_shown_as_such_on_a_terminal(scratch):
    text = ("name: marks\njobs:\n  a:\n    steps:\n      - run: |\n          echo '::group::compile'; echo inside\n"
            "          echo '::endgroup::'; echo '::error file=a.c,line=3::it broke'\n")
    path = write(scratch, "marks.yaml", text)
    env = clean_env()
    del env["NO_COLOR"]
    shown = on_a_terminal(("exec", path), env, scratch)
    assert "▸ compile" in shown and "it broke" in shown and "inside" in shown, shown
    assert "::group::" not in shown and "::endgroup::" not in shown and "::error" not in shown, shown
    plain = maestro("exec", path, cwd=scratch).expect(0).out
    assert "::group::compile" in plain and "::error file=a.c,line=3::it broke" in plain, "pipes get it as written"


def test_completion_offers_what_fits(scratch):
    script = write(scratch, "completion.bash", maestro("completion", "bash").expect(0).out)
    write(scratch, "flow.yaml", HELLO)

    def offered(*words):
        line = f"source {script}; COMP_WORDS=(maestro {' '.join(repr(word) for word in words)}); " \
               f"COMP_CWORD={len(words)}; _maestro; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(["bash", "--norc", "-c", line], cwd=scratch, text=True, check=True,
                              stdout=subprocess.PIPE, timeout=harness.DEADLINE_S).stdout.split()
    assert "runs" in offered("ru") and "list" in offered("runs", "l")
    assert offered("tokens", "create", "x", "--role", "") == ["admin", "operator", "viewer", "worker"]
    assert offered("runs", "list", "-o", "ya") == ["yaml"]
    assert "--status" in offered("runs", "list", "--st") and "flow.yaml" in offered("exec", "")
    assert offered("completion", "") == ["bash", "zsh", "fish"]


def test_no_server_is_exit_8():
    maestro("runs", "list", env={"MAESTRO_URL": "http://127.0.0.1:1", "MAESTRO_TOKEN": "x"}).expect(8)


def test_interrupt_detaches_and_the_run_goes_on(server, scratch):
    file = write(scratch, "sleeps.yaml", SLEEPS)
    env = clean_env({"MAESTRO_URL": server.url, "MAESTRO_TOKEN": server.token})
    process = subprocess.Popen([BINARY, "run", file, "--follow"], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    client = server.client()
    newest = wait_until(lambda: [item for item in client.get("/api/v1/runs?limit=1").json()["items"]
                                 if item["workflow"] == "sleeps" and item["status"] == "running"], "the run starts")[0]
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=harness.DEADLINE_S)
    assert process.returncode == 130 and "cancel" in err, (process.returncode, err)
    assert client.run(newest["id"])["status"] == "running"
    client.post(f"/api/v1/runs/{newest['id']}/cancel").expect(202)
    client.finished(newest["id"])


def test_doctor_and_plan(server, scratch):
    server.cli("doctor", "--data", server.folder).expect(0, 1)
    planned = maestro("plan", write(scratch, "hello.yaml", HELLO)).expect(0)
    assert "a" in planned.out.split()


if __name__ == "__main__":
    harness.main(globals())
