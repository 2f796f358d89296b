#!/usr/bin/env python3
"""Data folders that cannot be used, or are used already: said clearly, without harm."""
import contextlib
import os
import sqlite3
import subprocess

import harness
from harness import BINARY, SCRATCH, Skip, clean_env, maestro, wait_until

HELLO = "jobs:\n  a: {steps: [{uses: noop}]}\n"


def up(folder):
    return maestro("up", "--data", folder, "--listen", "127.0.0.1:0", timeout=60)


@contextlib.contextmanager
def tmpfs(options):
    """A small file system of its own; needs root and the right to mount."""
    folder = SCRATCH.folder("tmpfs")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("may not mount a tmpfs here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_second_server_is_refused(server):
    done = up(server.folder)
    assert done.code != 0 and server.folder in done.err, done.err
    assert "use" in done.err or "running" in done.err, done.err
    server.client().succeed(HELLO)


def test_a_relative_folder_is_as_good(fresh, scratch):
    text = """
jobs:
  a:
    steps: [{id: s, run: 'cd /; echo v=x >> "$MAESTRO_OUTPUT"; echo y > "$MAESTRO_WORKSPACE/f"'}]
    outputs: {v: "${{ steps.s.outputs.v }}"}
    artifacts: [{name: f, path: f}]
outputs: {v: "${{ needs.a.outputs.v }}"}
"""
    inside = fresh(folder=os.path.relpath(os.path.join(scratch, "inside")))
    assert inside.client().succeed(text)["outputs"] == {"v": "x"}
    server = fresh(slots=0)
    token = os.path.join(scratch, "token")
    with open(token, "w", encoding="utf-8") as file:
        file.write(server.client().token_of("worker"))
    os.chmod(token, 0o600)
    with subprocess.Popen([BINARY, "worker", "--url", server.url, "--token-file", token, "--slots", "1",
                           "--data", os.path.relpath(os.path.join(scratch, "remote"))],
                          env=clean_env({}), stderr=subprocess.DEVNULL) as worker:
        assert server.client().succeed(text)["outputs"] == {"v": "x"}
        worker.terminate()


def test_the_folder_is_private(fresh, scratch):
    server = fresh(folder=os.path.join(scratch, "made"))
    assert os.stat(server.folder).st_mode & 0o077 == 0
    assert os.stat(os.path.join(server.folder, "admin.token")).st_mode & 0o077 == 0


def test_a_read_only_folder_is_named():
    with tmpfs("size=16m,ro") as folder:
        done = up(os.path.join(folder, "data"))
        assert done.code != 0 and folder in done.err, done.err
        assert "ead-only" in done.err and "writable" in done.err and "--data" in done.err, done.err


def test_a_file_in_its_place_is_named(scratch):
    path = os.path.join(scratch, "file")
    open(path, "w", encoding="utf-8").close()
    done = up(path)
    assert done.code != 0 and path in done.err and "--data" in done.err, done.err
    done = up("")
    assert done.code != 0 and "--data" in done.err, done.err


def test_a_full_disk_loses_nothing_acknowledged(fresh):
    with tmpfs("size=24m") as folder:
        server = fresh(folder=os.path.join(folder, "data"), slots=0)
        client = server.client()
        acknowledged, refused = [], None
        padding = "#" * 200_000
        for number in range(400):
            answer = client.post("/api/v1/runs", {"definition": f"{HELLO}{padding}{number}\n"})
            if answer.status != 201:
                refused = answer
                break
            acknowledged.append(answer.json()["id"])
        assert refused is not None, "24 MiB took 80 MiB"
        assert refused.status in (503, 507), (refused.status, refused.text[:300])
        for run_id in acknowledged:
            client.get(f"/api/v1/runs/{run_id}").expect(200)
        client.get("/healthz").expect(200)
        client.get("/readyz").expect(200, 503)
        server.kill()
        subprocess.run(["mount", "-o", "remount,size=200m", folder], check=True)
        server.start()
        client = server.client()
        for run_id in acknowledged:
            client.get(f"/api/v1/runs/{run_id}").expect(200)
        client.start(HELLO)


def test_a_step_that_fills_the_servers_disk_fails_and_makes_room(fresh):
    with tmpfs("size=48m") as folder:
        server = fresh(folder=os.path.join(folder, "data"))
        client = server.client()
        for place in ("big", "$TMPDIR/big"):
            run = client.finished(client.start(f"jobs:\n  a: {{steps: [{{run: 'head -c 1G /dev/zero > {place}'}}]}}\n")["id"])
            assert run["status"] == "failed" and run["failure_kind"] == "user", run
            client.get("/readyz").expect(200)
        client.succeed(HELLO)


def test_a_newer_schema_is_refused(fresh):
    server = fresh(slots=0)
    server.stop()
    files = [os.path.join(base, name) for base, _, names in os.walk(server.folder) for name in names
             if name.endswith((".db", ".sqlite", ".sqlite3"))]
    assert files, os.listdir(server.folder)
    with contextlib.closing(sqlite3.connect(files[0])) as store:
        store.execute("pragma user_version = 9999")
        tables = {row[0] for row in store.execute("select name from sqlite_master where type = 'table'")}
        if "schema_version" in tables:
            store.execute("update schema_version set version = 9999")
        elif "migrations" in tables or "schema_migrations" in tables:
            table = "migrations" if "migrations" in tables else "schema_migrations"
            columns = [row[1] for row in store.execute(f"pragma table_info({table})")]
            newest = list(store.execute(f"select * from {table} order by 1 desc limit 1").fetchone())
            newest[0] = newest[columns.index("oldest")] = 9999
            store.execute(f"insert into {table} values ({', '.join('?' * len(columns))})", newest)
        store.commit()
    done = up(server.folder)
    assert done.code != 0 and "9999" in done.err, (done.code, done.out, done.err)


def test_kept_over_a_restart(fresh):
    server = fresh()
    run = server.client().succeed(HELLO)
    token = server.token
    server.stop()
    server.start()
    assert server.token == token, "the admin token changed"
    assert server.client().run(run["id"])["status"] == "succeeded"


def test_artifacts_go_when_their_time_is_over(fresh):
    server = fresh(env={"MAESTRO_KEEP_ARTIFACTS": "1h"})
    run = server.client().succeed("""
name: keeps
jobs:
  make:
    steps:
      - run: echo brief > brief; echo usual > usual
      - {uses: artifact/upload, with: {name: brief, path: brief, keep: 1s}}
      - {uses: artifact/upload, with: {name: usual, path: usual}}
""")
    # Only now: until its job is over an upload is kept by the grace alone.
    server.stop()
    server.env["MAESTRO_BLOB_GRACE"] = "1s"
    server.start()
    client = server.client()
    items = client.get(f"/api/v1/runs/{run['id']}/artifacts").expect(200).json()["items"]
    brief, usual = sorted(items, key=lambda item: item["name"])
    assert items and all(item["expires_at"] > item["created_at"] for item in items), items
    wait_until(lambda: client.get(f"/api/v1/artifacts/{brief['digest']}").status == 404, "its time is over")
    refused = client.get(f"/api/v1/artifacts/{brief['digest']}").expect(404).json()
    assert "kept no longer" in refused["detail"], refused
    client.get(f"/api/v1/artifacts/{usual['digest']}").expect(200)

    # With its run goes what only that run refers to.
    server.stop()
    server.env["MAESTRO_KEEP_DELETED_RUNS"] = "0s"
    server.start()
    client = server.client()
    client.call("DELETE", f"/api/v1/runs/{run['id']}").expect(204)
    wait_until(lambda: client.get(f"/api/v1/artifacts/{usual['digest']}").status == 404, "it goes with its run")


def test_doctor_misses_the_key_of_the_secrets(fresh):
    server = fresh()
    server.client().call("PUT", "/api/v1/secrets/S", body={"value": "v"}).expect(201)
    server.stop()
    key = os.path.join(server.folder, "secret.key")
    maestro("doctor", "--data", server.folder).expect(0)
    os.chmod(key, 0o644)
    assert "chmod 0600" in maestro("doctor", "--data", server.folder).expect(1).out
    os.remove(key)
    assert "secret.key is missing" in maestro("doctor", "--data", server.folder).expect(1).out


def test_migrate_and_backup(fresh, scratch):
    server = fresh()
    run = server.client().succeed(HELLO)
    copy = os.path.join(scratch, "copy")
    maestro("backup", copy, "--data", server.folder).expect(0)
    server.stop()
    maestro("migrate", "status", "--data", server.folder).expect(0)
    other = fresh(folder=copy)
    assert other.client().run(run["id"])["status"] == "succeeded"
    assert subprocess.run([BINARY, "backup", copy, "--data", server.folder], env=clean_env(), check=False,
                          stderr=subprocess.DEVNULL).returncode != 0, "a backup over another"


if __name__ == "__main__":
    harness.main(globals())
