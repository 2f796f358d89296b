#!/usr/bin/env python3
"""Secrets: in a step's environment and nowhere else."""
import os

import harness
from harness import maestro

SECRET = "correct-horse-battery-staple-7391"
TEXT = """
jobs:
  a:
    steps:
      - id: s
        run: |
          echo "plain $TOKEN"
          echo "twice $TOKEN$TOKEN" >&2
          printf '%s' "${TOKEN%%-staple*}"; sleep 0.1; printf '%s\\n' "-staple-7391"
          echo "v=$TOKEN" >> "$MAESTRO_OUTPUT"
          echo "summary $TOKEN" >> "$MAESTRO_SUMMARY"
          echo "::error::it was $TOKEN"
          tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline
          exit 1
        env: {TOKEN: "${{ secrets.TOKEN }}"}
    outputs: {v: "${{ steps.s.outputs.v }}"}
"""


def test_masked_everywhere(fresh):
    server = fresh()
    client = server.client()
    client.call("PUT", "/api/v1/secrets/TOKEN", body={"value": SECRET}).expect(200, 201, 204)
    assert SECRET not in client.get("/api/v1/secrets").expect(200).text
    run = client.finished(client.start(TEXT)["id"])
    assert run["status"] == "failed"
    log = client.log(run["id"], "a").text
    assert "plain ***" in log, log
    seen = {"log": log, "run": client.get(f"/api/v1/runs/{run['id']}").text,
            "jobs": client.get(f"/api/v1/runs/{run['id']}/jobs/a").text,
            "events": client.get(f"/api/v1/runs/{run['id']}/events").text,
            "ndjson": client.log(run["id"], "a", headers={"Accept": "application/x-ndjson"}).text,
            "list": client.get("/api/v1/runs").text, "all events": client.get("/api/v1/events").text,
            "stderr": server.stderr(), "metrics": client.get("/metrics").text}
    for where, text in seen.items():
        assert SECRET not in text, f"in {where}: {text[max(0, text.find(SECRET) - 200):][:300]}"
    server.stop()
    for base, _, names in os.walk(server.folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                assert SECRET.encode() not in file.read(), f"in {os.path.join(base, name)}"


def test_a_job_gets_only_what_it_names(server):
    client = server.client()
    for name in ("ONE", "TWO"):
        client.call("PUT", f"/api/v1/secrets/{name}", body={"value": f"value-of-{name}-xyz"}).expect(200, 201, 204)
    client.succeed("jobs:\n  a: {steps: [{run: '! env | grep -q value-of-TWO; [ ${#ONE} = 16 ]', env: {ONE: '${{ secrets.ONE }}'}}]}\n")


def test_secrets_stand_only_where_they_may(server):
    client = server.client()
    for text in ("jobs:\n  a: {if: \"${{ secrets.X == 'a' }}\", steps: [{uses: noop}]}\n",
                 "jobs:\n  a: {steps: [{uses: noop}], outputs: {x: '${{ secrets.X }}'}}\n",
                 "jobs:\n  a: {steps: [{run: 'echo ${{ secrets.X }}'}]}\n"):
        client.post("/api/v1/runs", {"definition": text}).problem(422, "invalid_definition")


def test_a_deleted_secret_is_gone(server):
    client = server.client()
    client.call("PUT", "/api/v1/secrets/GONE", body={"value": "x" * 20}).expect(200, 201, 204)
    client.call("DELETE", "/api/v1/secrets/GONE").expect(204)
    client.call("DELETE", "/api/v1/secrets/GONE").problem(404)
    assert "GONE" not in client.get("/api/v1/secrets").text


def test_exec_masks_what_it_was_given(scratch):
    path = os.path.join(scratch, "w.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("jobs:\n  a: {steps: [{run: 'echo it is $T', env: {T: '${{ secrets.T }}'}}]}\n")
    done = maestro("exec", path, "--secret", "T", cwd=scratch, env={"T": SECRET}).expect(0)
    assert "it is ***" in done.out and SECRET not in done.out + done.err
    maestro("exec", path, "--secret", "T", cwd=scratch).expect(2)


if __name__ == "__main__":
    harness.main(globals())
