#!/usr/bin/env python3
"""Jobs in containers, for real: with podman and an image made here of a static busybox.

Skipped where podman, busybox or the right to start a container is missing. CONTAINERS_CONF of the
environment is passed on, for machines where podman works only with settings of its own.
"""
import os
import shutil
import signal
import subprocess
import time

import harness
from harness import maestro, processes_with

IMAGE = "localhost/maestro-busybox"
PASS = ("--pass-env", "CONTAINERS_CONF")
APPLETS = "sh cat echo env false grep id ls ps rm setsid sleep tail true".split()


def podman(*words, check=True):
    return subprocess.run(["podman", *words], check=check, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=harness.DEADLINE_S)


def need_image(scratch):
    """Makes the image; skips where that, or a container of it, does not work."""
    busybox = shutil.which("busybox")
    if not shutil.which("podman") or not busybox:
        raise harness.Skip("there is no podman, or no busybox, on this machine")
    root = os.path.join(scratch, "root")
    os.makedirs(os.path.join(root, "bin"))
    shutil.copy(busybox, os.path.join(root, "bin", "busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(root, "bin", applet))
    tar = os.path.join(scratch, "image.tar")
    subprocess.run(["tar", "-C", root, "-cf", tar, "."], check=True)
    made = podman("import", tar, IMAGE, check=False)
    tried = podman("run", "--rm", "--network", "host", IMAGE, "true", check=False)
    if made.returncode != 0 or tried.returncode != 0:
        raise harness.Skip(f"podman cannot start a container here: {(made.stdout + tried.stdout)[-300:]}")


def write(folder, text):
    path = os.path.join(folder, "w.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("defaults: {shell: sh}\n" + text)
    return path


def containers():
    return podman("ps", "-a", "--format", "{{.Names}}").stdout.split()


def test_a_job_runs_in_its_container(scratch):
    need_image(scratch)
    done = maestro("exec", write(scratch, f"""
jobs:
  a:
    container: {{image: {IMAGE}}}
    env: {{WORD: "two words"}}
    steps:
      - {{id: s, run: 'test ! -e /etc/passwd; echo "x=$WORD in $(echo $(ls /))" >> "$MAESTRO_OUTPUT"; echo kept > f; echo "LATER=yes" >> "$MAESTRO_ENV"'}}
      - {{run: 'test "$(cat f) $LATER" = "kept yes"; setsid sleep 900 & exit 3'}}
    outputs: {{x: "${{{{ steps.s.outputs.x }}}}"}}
    finally: [{{run: 'echo "at the end"'}}]
"""), "-o", "json", *PASS).expect(1)
    job = done.json()["jobs"]["a"]
    assert job["exit_code"] == 3 and job["outputs"]["x"].startswith("two words in bin"), job
    assert not [name for name in containers() if name.startswith("maestro-")]


def test_a_time_out_ends_the_container(scratch):
    need_image(scratch)
    marker = f"timed-{time.time_ns()}"
    done = maestro("exec", write(scratch, f"""
jobs:
  a: {{container: {{image: {IMAGE}}}, timeout: 2s, steps: [{{run: 'sleep 900', env: {{MARK: {marker}}}}}]}}
"""), "-o", "json", *PASS).expect(1).json()
    assert done["jobs"]["a"]["status"] == "timed_out", done
    harness.wait_until(lambda: not processes_with(marker), "what ran in the container is gone", 20)
    assert not [name for name in containers() if name.startswith("maestro-")]


def test_a_killed_worker_leaves_no_container(scratch):
    need_image(scratch)
    marker = f"killed-{time.time_ns()}"
    process = subprocess.Popen([harness.BINARY, "exec", write(scratch, f"""
jobs:
  a: {{container: {{image: {IMAGE}}}, steps: [{{run: 'sleep 900', env: {{MARK: {marker}}}}}]}}
"""), *PASS], env=harness.clean_env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.wait_until(lambda: processes_with(marker), "the step runs")
    process.send_signal(signal.SIGKILL)
    process.wait()
    harness.wait_until(lambda: not processes_with(marker), "the step is gone", 20)
    harness.wait_until(lambda: not processes_with("while :; do sleep 3600 & wait; done"), "the container is gone", 20)
    for name in containers():  # podman's books; its own upkeep may have been killed with the rest
        if name.startswith("maestro-"):
            podman("rm", "-f", name, check=False)


def test_an_image_is_no_option(scratch):
    if not shutil.which("podman") and not shutil.which("docker"):
        raise harness.Skip("there is neither podman nor docker on this machine")
    done = maestro("exec", write(scratch, """
jobs:
  a: {container: {image: "--privileged"}, steps: [{run: 'true'}]}
""")).expect(1)
    assert "is no container image" in done.out + done.err, (done.out, done.err)


if __name__ == "__main__":
    harness.main(globals())
