#!/usr/bin/env python3
"""Definitions made to hurt: refused within seconds and little memory; long honest ones are taken."""
import os
import subprocess
import time

import harness
from harness import BINARY, RELEASE, Skip, clean_env, sanitized

SECONDS_MAX = 60 if sanitized() else 10
RSS_MAX_KIB = (1200 if sanitized() else 200) * 1024


def validate(scratch, content):
    """Exit code, all that was printed, and the peak memory of `maestro validate`."""
    path = os.path.join(scratch, "w.yaml")
    with open(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    began = time.monotonic()
    with open(os.path.join(scratch, "out"), "wb") as out:
        process = subprocess.Popen([BINARY, "validate", path], env=clean_env(), stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    with open(os.path.join(scratch, "out"), encoding="utf-8", errors="replace") as file:
        told = file.read()
    assert took < SECONDS_MAX, f"{took:.1f} s"
    assert usage.ru_maxrss < RSS_MAX_KIB, f"{usage.ru_maxrss} KiB"
    return process.returncode, told


def refused(scratch, content, *words):
    code, told = validate(scratch, content)
    assert code == 2, (code, told[:1000])
    assert any(word in told for word in words), (words, told[:1500])
    assert len(told) < 1_000_000, "the answer itself is a flood"


def test_five_megabytes(scratch):
    refused(scratch, "name: x\n# " + "x" * (5 << 20) + "\njobs: {a: {steps: [{uses: noop}]}}\n", "MiB")


def test_too_many_jobs(scratch):
    refused(scratch, "jobs:\n" + "".join(f"  j{n}: {{steps: [{{uses: noop}}]}}\n" for n in range(10_001)), "10,000", "limit")


def test_too_many_steps(scratch):
    refused(scratch, "jobs:\n  a:\n    steps:\n" + "      - {uses: noop}\n" * 1_001, "1,000")


def test_deep_brackets(scratch):
    refused(scratch, "jobs: " + "[" * 100_000, "error[")
    refused(scratch, "jobs: " + "[" * 100 + "]" * 100 + "\n", "error[")
    refused(scratch, "jobs: {a: {if: \"${{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}\", steps: [{uses: noop}]}}", "error[")
    refused(scratch, "jobs: {a: {if: \"${{ " + "!" * 50_000 + "true }}\", steps: [{uses: noop}]}}", "error[")


def test_alias_bomb(scratch):
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 12):
        text += f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]\n"
    refused(scratch, text + "jobs: {a: {steps: [{uses: noop}]}}\n", "alias", "size", "limit")


def test_billion_cells(scratch):
    axes = "".join(f"      x{n}: [{', '.join(str(i) for i in range(32))}]\n" for n in range(6))
    refused(scratch, f"jobs:\n  a:\n    matrix:\n{axes}    steps: [{{uses: noop}}]\n", "cells", "256")


def test_bytes_that_are_no_text(scratch):
    refused(scratch, b"name: x\njobs: {a: {steps: [{run: '\xff\xfe'}]}}\n", "UTF-8", "invalid")
    refused(scratch, b"\x00\x01\x02\x03", "error[")
    refused(scratch, b"", "error[")
    refused(scratch, b"%YAML 1.2\n---\n!!python/object:os.system {x: y}\n", "error[")


def test_a_zero_byte_is_refused(scratch):
    refused(scratch, 'jobs: {a: {steps: [{run: "a\\0b"}]}}\n', "zero_byte")


def test_what_is_quoted_is_cut(scratch):
    _, told = validate(scratch, "jobs: {a: {needs: " + "é" * 100_000 + ", steps: [{uses: noop}]}}\n")
    assert "missing_need" in told and len(told) < 5_000, told[:500]


def test_names_given_twice(scratch):
    refused(scratch, "jobs:\n  a: {steps: [{uses: noop}]}\n  a: {steps: [{uses: noop}]}\n", "duplicate")


def test_cycles_are_named(scratch):
    refused(scratch, "jobs:\n  a: {needs: c, steps: [{uses: noop}]}\n  b: {needs: a, steps: [{uses: noop}]}\n"
                     "  c: {needs: b, steps: [{uses: noop}]}\n", "→")
    long = "".join(f"  j{n}: {{needs: j{(n + 1) % 5000}, steps: [{{uses: noop}}]}}\n" for n in range(5_000))
    refused(scratch, "jobs:\n" + long, "cycle", "→")


def test_endless_patterns(scratch):
    refused(scratch, "inputs: {x: {type: string, pattern: '(a{1000}){1000}'}}\njobs: {a: {steps: [{uses: noop}]}}\n", "pattern")
    refused(scratch, "on: {schedule: [{cron: '61 * * * *'}]}\njobs: {a: {steps: [{uses: noop}]}}\n", "cron")
    refused(scratch, "on: {schedule: [{cron: '0 0 * * *', timezone: Mars/Base}]}\njobs: {a: {steps: [{uses: noop}]}}\n", "zone")


def test_the_server_refuses_them_too(server):
    client = server.client()
    yaml = {"Content-Type": "application/yaml"}
    client.call("PUT", "/api/v1/workflows/big", raw="# " + "x" * (5 << 20), headers=yaml).expect(413, 422)
    client.call("PUT", "/api/v1/workflows/deep", raw="jobs: " + "[" * 100_000, headers=yaml).problem(422, "invalid_definition")
    client.post("/api/v1/runs", {"definition": "jobs: {a: {steps: [{run: 'echo ${{ inputs.x }}'}]}}"}).problem(422)
    client.get("/readyz").expect(200)


def test_hostile_definitions_leave_no_memory_behind(fresh):
    server = fresh(slots=0)
    client = server.client()
    wide = "jobs:\n" + "".join(f"  j{n}: {{needs: zz{n}, stepz: 1}}\n" for n in range(9_000))
    keys = "".join(f"k{n}: 1\n" for n in range(80_000)) + "jobs: {a: {steps: [{uses: noop}]}}\n"
    for text in (wide, keys) * 4:
        body = client.post("/api/v1/runs", {"definition": text}).problem(422, "invalid_definition")
        assert len(body["errors"]) > 1 and len(str(body)) < 300_000, len(str(body))
        client.call("POST", "/api/v1/workflows/validate", raw=text, headers={"Content-Type": "application/yaml"}).expect(200)
    assert harness.peak_kib(server.pid) < RSS_MAX_KIB, f"{harness.peak_kib(server.pid)} KiB"


def test_a_definition_in_a_run_that_is_too_large_has_a_place(server):
    body = server.client().post("/api/v1/runs", {"definition": "# " + "x" * (5 << 20)}).problem(422, "invalid_definition")
    assert body["errors"][0]["code"] == "too_large" and body["errors"][0]["line"] == 1, body


def chain(count):
    return "jobs:\n  j0: {steps: [{uses: noop}]}\n" + "".join(
        f"  j{n}: {{needs: j{n - 1}, steps: [{{uses: noop}}]}}\n" for n in range(1, count))


def test_a_chain_of_9999_jobs_is_valid(scratch):
    code, told = validate(scratch, chain(9_999))
    assert code == 0, told[:2000]


def test_a_chain_of_9999_jobs_runs(fresh):
    if sanitized() and (RELEASE == BINARY or not os.access(RELEASE, os.X_OK)):
        raise Skip("takes too long with a sanitizer, and there is no release build")
    client = fresh(binary=RELEASE).client()
    run = client.finished(client.start(chain(9_999))["id"], deadline_s=200)
    assert run["status"] == "succeeded" and run["jobs"]["succeeded"] == 9_999, run


if __name__ == "__main__":
    harness.main(globals())
