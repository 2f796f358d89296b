#!/usr/bin/env python3
"""Settings and the server's own log: what is refused at start, and what a log line holds."""
import json
import os
import re
import subprocess

import harness
from harness import BINARY, Server, clean_env, maestro, wait_until

GOOD = {"POSTGRES_URL": "postgres://maestro:hunter2@127.0.0.1:1/maestro",
        "JWT_SECRET": "a-secret-of-thirty-two-bytes-or-more", "SESSION_SECRET": "another-secret-of-thirty-two-bytes-or-more"}


def refused(env, *names):
    done = maestro("serve", env=env).expect(2)
    for name in names:
        assert name in done.err, (name, done.err)
    for name, value in env.items():
        assert name.endswith("_FILE") or value not in done.err, "a value was told"
    return done.err


def test_serve_names_every_key_that_is_missing_short_or_known():
    refused({}, "POSTGRES_URL is not set", "JWT_SECRET is not set", "SESSION_SECRET is not set")
    refused({**GOOD, "JWT_SECRET": "too-short"}, "JWT_SECRET is shorter than 32 bytes")
    refused({**GOOD, "SESSION_SECRET": "changeme" * 5}, "SESSION_SECRET")


def test_a_database_that_cannot_be_reached_is_told_without_its_password():
    for words in (("serve", "--listen", "127.0.0.1:0"), ("migrate", "status"),
                  ("tokens", "create", "first", "--role", "admin", "--direct")):
        done = maestro(*words, env=GOOD).expect(8)
        assert "127.0.0.1" in done.err and "hunter2" not in done.err, done.err


def test_secrets_come_from_files_too(scratch):
    path = os.path.join(scratch, "jwt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(GOOD["JWT_SECRET"] + "\n")
    from_file = {"SESSION_SECRET": GOOD["SESSION_SECRET"]}
    assert "JWT_SECRET" not in refused({**from_file, "JWT_SECRET_FILE": path})
    refused({**GOOD, "JWT_SECRET_FILE": path}, "JWT_SECRET_FILE")
    refused({**from_file, "JWT_SECRET_FILE": os.path.join(scratch, "none")}, "JWT_SECRET_FILE")


def test_unknown_settings_are_refused_with_a_suggestion(scratch):
    done = maestro("up", "--data", os.path.join(scratch, "d"), "--listen", "127.0.0.1:0",
                   env={"MAESTRO_WORKER_SLOT": "2"}).expect(2)
    assert "MAESTRO_WORKER_SLOT" in done.err and "MAESTRO_WORKER_SLOTS" in done.err, done.err
    maestro("up", "--data", os.path.join(scratch, "d"), "--listen", "127.0.0.1:0", env={"LOG_LEVEL": "loud"}).expect(2)


def test_weights_of_projects_that_cannot_be_are_refused(scratch):
    for weights, what in (("intelgraph", "PROJECT=WEIGHT"), ("a=0", "from 1 to 1000"), ("a=2,a=3", "twice")):
        done = maestro("up", "--data", os.path.join(scratch, "d"), "--listen", "127.0.0.1:0",
                       env={"MAESTRO_PROJECT_WEIGHTS": weights}).expect(2)
        assert "MAESTRO_PROJECT_WEIGHTS" in done.err and what in done.err, done.err


def test_up_takes_its_settings_from_file_environment_and_flags(scratch):
    config, data = os.path.join(scratch, "config.yaml"), os.path.join(scratch, "from-file")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"data: {data}\nlisten: 127.0.0.1:0\nworker_slots: 3\nworker_labels: gpu\n")
    env = {"MAESTRO_CONFIG": config}

    def workers(count, *flags, **more):
        process = subprocess.Popen([BINARY, "up", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=clean_env({**env, **more}))
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", harness.read_line(process.stdout, harness.DEADLINE_S)).group(0)
            with open(os.path.join(data, "admin.token"), encoding="utf-8") as file, \
                    harness.Client(url, file.read().strip()) as client:
                def registered():
                    answer = client.get("/api/v1/workers").expect(200).json()
                    return answer if len(answer["items"]) == count else None
                return wait_until(registered, f"{count} workers are registered")["items"]
        finally:
            process.terminate()
            process.communicate(timeout=harness.DEADLINE_S)
    worker = workers(1)[0]
    assert worker["slots"] == 3 and "gpu" in worker["labels"], worker
    assert workers(1, MAESTRO_WORKER_SLOTS="2")[0]["slots"] == 2, "the environment wins over the file"
    assert workers(1, "--worker-slots", "1", MAESTRO_WORKER_SLOTS="2")[0]["slots"] == 1, "flags win over all"
    assert workers(0, "--worker-slots", "0") == [], "a 0 that is said means no worker"


def test_verbs_on_the_store_take_the_database_unless_a_folder_is_named(scratch):
    env = {"POSTGRES_URL": GOOD["POSTGRES_URL"]}
    assert "pg_dump" in maestro("backup", os.path.join(scratch, "copy"), env=env).expect(2).err
    data = os.path.join(scratch, "data")
    maestro("tokens", "create", "first", "--role", "admin", "--direct", "--data", data, env=env).expect(0)


def lines(server):
    """The log as far as it is written."""
    return [json.loads(line) for line in server.stderr().splitlines(keepends=True) if line[0] == "{" and line[-1] == "\n"]


def test_changes_are_logged_as_json_with_the_callers_request_id(scratch):
    server = Server(os.path.join(scratch, "data"))
    client = server.client()
    made = client.call("POST", "/api/v1/runs", {"definition": "jobs: {a: {steps: [{uses: noop}]}}"},
                       headers={"X-Request-Id": "asked-for-this"}).expect(201)
    assert made.headers["X-Request-Id"] == "asked-for-this"
    client.get("/api/v1/runs")
    wait_until(lambda: any(line.get("request_id") == "asked-for-this" for line in lines(server)), "the line is written")
    told = [line for line in lines(server) if line["msg"] == "request"]
    assert [(line["method"], line["path"], line["status"], line["by"]) for line in told] == \
        [("POST", "/api/v1/runs", 201, "admin")], told
    assert all(line["level"] == "info" and line["time"].endswith("Z") for line in told)
    server.stop()
    assert server.client is not None and lines(server)[-1]["msg"] == "stopped"


def test_the_log_level_decides(scratch):
    server = Server(os.path.join(scratch, "data"), env={"LOG_LEVEL": "debug"})
    server.client().get("/api/v1/runs?q=secret-word")
    wait_until(lambda: any(line.get("path") == "/api/v1/runs" for line in lines(server)), "reads are told at debug")
    assert "secret-word" not in server.stderr(), "queries stay out of the log"
    server.stop()
    quiet = Server(os.path.join(scratch, "quiet"), env={"LOG_LEVEL": "error"})
    quiet.client().start("jobs: {a: {steps: [{uses: noop}]}}")
    quiet.stop()
    assert not lines(quiet), quiet.stderr()


if __name__ == "__main__":
    harness.main(globals())
