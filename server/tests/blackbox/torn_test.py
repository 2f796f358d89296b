#!/usr/bin/env python3
"""Data folders whose files were cut or lost after the server had answered: said clearly, never less."""
import os
import shutil

from harness import Server, maestro, wait_until

HELLO = "jobs: {a: {steps: [{uses: noop}]}}"


def killed_server(scratch, runs=5):
    """A folder as a kill leaves it, and the runs that were acknowledged in it."""
    folder = os.path.join(scratch, "data")
    server = Server(folder, slots=1)
    client = server.client()
    ids = [client.start(HELLO)["id"] for _ in range(runs)]
    for run_id in ids:
        client.finished(run_id)
    server.kill()
    return folder, ids


def refused(folder, *words):
    done = maestro("up", "--data", folder, "--listen", "127.0.0.1:0", timeout=60)
    assert done.code not in (0, -6, -11), (done.code, done.err)
    for word in words:
        assert word in done.err, (word, done.err)
    doctor = maestro("doctor", "--data", folder)
    assert doctor.code != 0, doctor.out
    for word in words:
        assert word in doctor.out + doctor.err, (word, doctor.out, doctor.err)


def all_there(folder, ids):
    server = Server(folder, slots=1)
    client = server.client()
    for run_id in ids:
        assert client.run(run_id)["status"] == "succeeded"
    server.stop()


def test_a_log_that_is_cut_or_lost_is_refused_and_may_be_put_back(scratch):
    folder, ids = killed_server(scratch)
    log, kept = os.path.join(folder, "maestro.db-wal"), os.path.join(scratch, "kept")
    shutil.copy(log, kept)
    size = os.path.getsize(log)
    for left in (size - 1, size // 2, 40, 0):
        os.truncate(log, left)
        refused(folder, "maestro.mark", "maestro.db-wal", "backup")
        assert os.path.getsize(log) == left, "a refusal must leave the files alone"
        shutil.copy(kept, log)
    os.unlink(log)
    refused(folder, "maestro.mark", "maestro.db-wal", "backup")
    shutil.copy(kept, log)
    all_there(folder, ids)


def test_who_removes_the_mark_goes_on_with_what_is_left(scratch):
    folder, ids = killed_server(scratch)
    os.truncate(os.path.join(folder, "maestro.db-wal"), os.path.getsize(os.path.join(folder, "maestro.db-wal")) // 2)
    refused(folder, "maestro.mark")
    os.unlink(os.path.join(folder, "maestro.mark"))
    server = Server(folder, slots=1)
    server.client().succeed(HELLO)
    server.stop()
    assert ids


def test_a_database_that_is_cut_is_refused(scratch):
    folder, ids = killed_server(scratch)
    server = Server(folder, slots=1)
    server.stop()
    path = os.path.join(folder, "maestro.db")
    with open(path, "rb") as file:
        whole = file.read()
    for lost in (1, 4096, len(whole) // 2):
        with open(path, "wb") as file:
            file.write(whole[:-lost])
        refused(folder, "maestro.db", "backup")
    with open(path, "wb") as file:
        file.write(whole)
    all_there(folder, ids)


def test_a_job_log_that_lost_its_end_says_so(scratch):
    folder = os.path.join(scratch, "data")
    server = Server(folder, slots=1)
    client = server.client()
    run = client.succeed("jobs: {a: {steps: [{run: 'for ((i = 0; i < 200; i++)); do echo line $i; done'}]}}")
    whole = client.log(run["id"], "a").text
    server.kill()
    logs = os.path.join(folder, "logs", run["id"])
    name = [name for name in os.listdir(logs) if name.endswith(".log")][0]
    os.truncate(os.path.join(logs, name), len(whole) - 500)
    server.start()
    client = server.client()
    text = wait_until(lambda: client.log(run["id"], "a").text, "the log is there")
    assert text.startswith(whole[:-500]) and len(text) == len(whole), len(text)
    assert "[maestro: 500 bytes of this log were lost" in text, text[-600:]
    server.stop()


if __name__ == "__main__":
    from harness import main
    main(globals())
