#!/usr/bin/env python3
"""Artifacts and logs in S3, against a real S3 server (nanio, from PyPI): the store's own tests, then a server that
loses its disk. Skipped, with the reason, where Python cannot make an environment or the package cannot be had.
"""
import glob
import os
import shutil
import socket
import subprocess
import sys

import harness
from harness import maestro, wait_until
from upload_test import Line
from worker_protocol_test import working

S3_SERVER = "nanio==0.1.7"
KEY, SECRET = "test-key", "test-secret-of-the-bucket"
RUN = """
name: build
jobs:
  make:
    steps:
      - run: echo "the line that must last"; mkdir -p out; head -c 20000000 /dev/urandom > out/big; echo small > out/small
      - uses: artifact/upload
        with: {name: result, path: out}
"""


class S3:
    """nanio on a free port, with one bucket."""

    def __init__(self, scratch):
        home = os.path.join(scratch, "venv")
        for command in ([sys.executable, "-m", "venv", home],
                        [f"{home}/bin/pip", "--quiet", "--disable-pip-version-check", "install", S3_SERVER]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
                raise harness.Skip(f"no S3 server: {' '.join(command[1:3])} failed: {said[-1]}")
        self.program = f"{home}/bin/nanio"
        self.data = os.path.join(scratch, "buckets")
        os.makedirs(os.path.join(self.data, "maestro"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "serve", "--data-dir", self.data, "--host", "127.0.0.1", "--port", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET})

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(listens, "the S3 server listens")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def settings(self, **other):
        return {"S3_ENDPOINT": f"http://127.0.0.1:{self.port}", "S3_BUCKET": "maestro", "S3_ACCESS_KEY_ID": KEY,
                "S3_SECRET_ACCESS_KEY": SECRET, "S3_LOG_INTERVAL": "200ms", **other}

    def objects(self, prefix):
        return glob.glob(f"{self.data}/maestro/{prefix}/**", recursive=True)


def test_s3(fresh, scratch):
    s3 = S3(scratch)
    try:
        check_store(s3)
        check_refusals(s3, scratch)
        check_lost_disk(s3, fresh)
        check_lost_objects(s3, fresh)
        check_new_leader(s3, fresh, scratch)
        check_collection(s3, fresh)
    finally:
        s3.stop()


def check_store(s3):
    program = os.path.join(os.path.dirname(harness.BINARY), "test_blob_s3")
    done = subprocess.run([program, "--gtest_filter=RealS3.*"], capture_output=True, text=True, check=False,
                          env={**os.environ, "MC_TEST_S3": f"http://127.0.0.1:{s3.port} maestro {KEY} {SECRET}"})
    assert done.returncode == 0 and "SKIPPED" not in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]


def check_refusals(s3, scratch):
    for wrong, named in (({"S3_SECRET_ACCESS_KEY": "not-the-secret"}, "S3_SECRET_ACCESS_KEY"),
                         ({"S3_BUCKET": "no-such-bucket"}, "S3_BUCKET"),
                         ({"S3_ENDPOINT": "ftp://127.0.0.1"}, "S3_ENDPOINT"),
                         ({"S3_ACCESS_KEY_ID": ""}, "S3_ACCESS_KEY_ID")):
        done = maestro("up", "--data", os.path.join(scratch, "refused"), "--listen", "127.0.0.1:0",
                       env=s3.settings(**wrong))
        assert done.code != 0 and named in done.err, (wrong, done.code, done.err)
        assert SECRET not in done.err and "not-the-secret" not in done.err, done.err


def check_lost_objects(s3, fresh):
    """What the bucket has lost, by a rule of its own or by another server, is not taken for there."""
    server = fresh(env=s3.settings())
    server.client().succeed(RUN)
    server.stop()
    shutil.rmtree(os.path.join(s3.data, "maestro", "sha256"))
    server.start()
    server.client().succeed(RUN)
    assert s3.objects("sha256"), "it is sent again, though the server has a copy"


def check_lost_disk(s3, fresh):
    server = fresh(env=s3.settings())
    client = server.client()
    run = client.succeed(RUN)
    assert s3.objects("sha256"), "an artifact is in the bucket before its job has succeeded"
    server.stop()
    assert s3.objects(f"logs/{run['id']}"), "an orderly stop leaves the log in the bucket"
    shutil.rmtree(os.path.join(server.folder, "s3"))

    server.start()
    client = server.client()
    assert "the line that must last" in client.log(run["id"], "make").expect(200).text
    artifact = client.get(f"/api/v1/runs/{run['id']}/artifacts").expect(200).json()["items"][0]
    body = client.get(f"/api/v1/artifacts/{artifact['digest']}").expect(200).body
    assert len(body) == artifact["size"], (len(body), artifact)

    # While the bucket is away jobs go on; what they print comes into it later.
    s3.stop()
    quiet = client.succeed("name: q\njobs: {say: {steps: [{run: 'echo said in the meantime'}]}}\n")
    s3.start()
    wait_until(lambda: s3.objects(f"logs/{quiet['id']}"), "the log comes into the bucket")


def check_new_leader(s3, fresh, scratch):
    """A server that comes after another has what is in the bucket, and the worker sends the rest of the log again."""
    server = fresh(env=s3.settings(S3_PREFIX="leader", S3_LOG_INTERVAL="1m"), slots=0)
    gate = os.path.join(scratch, "gate")
    os.mkfifo(gate)
    run_text = f"jobs: {{a: {{runs_on: [far], steps: [{{run: 'seq 1 500; read < {gate}; seq 501 1000'}}]}}}}\n"
    with Line(server) as line, working(server, scratch, "--url", line.url, "--name", "far", "--labels", "far"):
        run = server.client().start(run_text)["id"]
        wait_until(lambda: server.client().log(run, "a").text.endswith("\n500\n"), "the first half has come")
        server.kill()
        shutil.rmtree(os.path.join(server.folder, "s3"))
        server.start()
        with open(gate, "w", encoding="utf-8") as opened:
            opened.write("go\n")
        assert server.client().finished(run)["status"] == "succeeded"
    assert server.client().log(run, "a").text == "".join(f"{number}\n" for number in range(1, 1001))


def check_collection(s3, fresh):
    server = fresh(env=s3.settings(S3_PREFIX="kept"))
    client = server.client()
    kept = client.succeed(RUN.replace("path: out}", "path: out, keep: 1d}"))
    digest = client.get(f"/api/v1/runs/{kept['id']}/artifacts").expect(200).json()["items"][0]["digest"]
    client.succeed(RUN.replace("path: out}", "path: out/small, keep: 1s}"))
    # Only now: until its job is over an upload is kept by the grace alone.
    server.stop()
    server.env["MAESTRO_BLOB_GRACE"] = "1s"
    server.start()

    def files():
        return {path for path in s3.objects("kept/sha256") if os.path.isfile(path)}
    wait_until(lambda: [digest.removeprefix("sha256:")] == [os.path.basename(path) for path in files()],
               "what nobody keeps leaves the bucket, and what is kept stays")


harness.main(globals())
