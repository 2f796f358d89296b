#!/usr/bin/env python3
"""scripts/smoke/synthetic.sh against a real server, and its exit codes when something is wrong."""
import os
import subprocess

from harness import ROOT, clean_env, main

SCRIPT = os.path.join(ROOT, "scripts", "smoke", "synthetic.sh")


def smoke(url, token):
    return subprocess.run([SCRIPT, url], env=clean_env({"MAESTRO_TOKEN": token}), capture_output=True, text=True,
                          timeout=120, check=False)


def test_a_healthy_server_passes_and_nothing_is_left(server):
    done = smoke(server.url, server.token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.client().get("/api/v1/runs").json()["items"] == []


def test_a_wrong_token_fails_at_create(server):
    assert smoke(server.url, "mst_wrong").returncode == 13


def test_no_server_fails_at_healthz(scratch):
    assert smoke("http://127.0.0.1:9", "x").returncode == 11


if __name__ == "__main__":
    main(globals())
