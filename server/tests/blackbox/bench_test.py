#!/usr/bin/env python3
"""`maestro bench`: one JSON line a figure; says so when the disk keeps no promise."""
import json
import os
import subprocess

import harness
from cluster import Postgres
from harness import RELEASE, clean_env, maestro

FIELDS = {"bench", "metric", "value", "unit", "runs", "min", "max"}
IN_MEMORY = "/dev/shm"


def bench(*words, env=None):
    return subprocess.run([RELEASE, "bench", *words], env=clean_env(env), capture_output=True, text=True, timeout=240)


def figures(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_unknown_benchmarks_are_usage_errors(scratch):
    done = maestro("bench", "b4", "b99", "--json", cwd=scratch)
    assert done.code == 2, done
    assert "b99" in done.err and "b10" in done.err, done.err


def test_one_json_line_a_figure(scratch):
    rows = figures(bench("b4", "--json", env={"TMPDIR": scratch}))
    assert [row["metric"] for row in rows] == ["fan_of_100"], rows
    for row in rows:
        assert FIELDS <= set(row) and row["bench"] == "b4" and row["unit"] == "ms", row
        assert 0 < row["min"] <= row["value"] <= row["max"] and row["runs"] > 1, row
        assert abs(row["ratio"] - row["value"] / row["reference"]) < 0.001 * row["ratio"], row
    assert os.listdir(scratch) == [], "nothing is left"


def test_a_database_is_measured_where_it_can_be(scratch):
    for words, said in ((("b1", "--db", "postgres://x"), "on SQLite only"), (("b2",), "--db URL"),
                        (("b4", "--replicas", "2"), "needs --db"), (("b4", "--replicas", "0"), "--replicas")):
        done = maestro("bench", *words).expect(2)
        assert said in done.err, done.err
    database = Postgres(scratch)
    try:
        rows = figures(bench("b4", "--json", "--db", database.url(), env={"TMPDIR": harness.SCRATCH.folder("bench")}))
        assert [row["metric"] for row in rows] == ["fan_of_100"], rows
        assert int(database.run("maestro", "SELECT count(*) FROM runs")) > 0, "it was this database"
        folder = harness.SCRATCH.folder("replicas")
        rows = figures(bench("b4", "--json", "--db", database.url(), "--replicas", "2", env={"TMPDIR": folder}))
        assert [row["metric"] for row in rows] == ["fan_of_100"], rows
        assert os.listdir(folder) == [], "both replicas are gone"
    finally:
        database.stop()


def test_a_disk_without_promise_is_named(scratch):
    if not os.access(IN_MEMORY, os.W_OK):
        raise harness.Skip(f"{IN_MEMORY} cannot be written")
    done = bench("b4", "--json", env={"TMPDIR": IN_MEMORY})
    assert "not durable" in done.stderr and "tmpfs" in done.stderr, done.stderr
    for row in figures(done):
        assert row["durable"] is False and "tmpfs" in row["doubt"], row


if __name__ == "__main__":
    harness.main(globals())
