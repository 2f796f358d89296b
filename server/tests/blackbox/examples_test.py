#!/usr/bin/env python3
"""Every example runs as its header says (examples/README.md has the form of headers)."""
import glob
import os
import re
import shutil
import subprocess

import harness
from harness import BINARY, ROOT, SCRATCH, Skip, clean_env, wait_until

NEEDED = {"services-postgres": "/usr/lib/postgresql/15/bin/postgres"}


def read_header(path):
    """Pairs of a command and what is expected of it."""
    text, pairs = "", []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                break
            text += line[1:].strip() + "\n" if not re.match(r"# (Shows|Run|Expect):", line) else "\x00" + line[2:]
    for part in text.split("\x00"):
        kind, _, value = part.partition(":")
        value = " ".join(value.split())
        if kind == "Run":
            pairs.append([value, None])
        elif kind == "Expect":
            pairs[-1][1] = value
    return pairs


def copy_of_examples():
    """A root with the examples under version control, as a user's repository would have them."""
    root = SCRATCH.folder("repository")
    shutil.copytree(os.path.join(ROOT, "examples"), os.path.join(root, "examples"))
    git = ["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "examples"]):
        subprocess.run([*git, *words], check=True, env=clean_env())
    return root


def run_line(line, root, env):
    """Runs a header's command; @latest may not be ready for it at once."""
    folder = SCRATCH.folder("bin")
    os.symlink(BINARY, os.path.join(folder, "maestro"))
    env = clean_env({**env, "PATH": folder + ":" + os.environ["PATH"]})
    return subprocess.run(["bash", "-c", line], cwd=root, env=env, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
                          errors="replace")


def statuses_of(line, output, client):
    """Statuses by job: from the table that exec printed, or from the server."""
    if not line.split("maestro ", 1)[1].startswith("exec"):
        newest = client.get("/api/v1/runs?limit=1").expect(200).json()["items"][0]
        return client.statuses(newest["id"])
    if "-o json" in line:
        found = re.findall(r'"([\w:-]+)":\s*\{\s*"status":\s*"(\w+)"', output)
        return dict(found)
    rows = {}
    for row in output.splitlines():
        match = re.match(r"(\S+)\s+\S\s+([a-z_]+)(\s|$)", row)  # job, sign, status
        if match:
            rows[match.group(1)] = match.group(2)
    return rows


def check(name, line, expect, root, server):
    done = run_line(line, root, {"MAESTRO_URL": server.url, "MAESTRO_TOKEN": server.token} if server else {})
    told = f"{name}: {line}\n{done.stdout[-4000:]}"
    code = int(re.search(r"exit (\d+)", expect).group(1))
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {told}"
    wanted = re.findall(r"`([^`]+)` (\w+)", expect)
    statuses = statuses_of(line, done.stdout, server.client() if server else None) if wanted else {}
    for key, status in wanted:
        found = statuses.get(key)
        assert status == found, f"`{key}` is not {status} but {found}: {told}"
    for text in re.findall(r'prints "((?:[^"\\]|\\.)*)"', expect):
        assert text.replace('\\"', '"') in done.stdout, f"did not print {text}: {told}"


def run_example(path, server=None):
    name = os.path.splitext(os.path.basename(path))[0]
    if name in NEEDED and not os.path.exists(NEEDED[name]):
        raise Skip(f"needs {NEEDED[name]}")
    pairs, root = read_header(path), copy_of_examples()
    assert pairs and all(expect for _, expect in pairs), f"{path} does not say how to run it"
    for line, expect in pairs:
        if "@latest" in line and server:
            settle(server, line)
        check(name, line, expect, root, server)


def settle(server, line):
    """Waits until the newest run stands where the next command wants it."""
    client = server.client()
    newest = client.get("/api/v1/runs?limit=1").expect(200).json()["items"][0]["id"]
    if "signal" in line:
        wait_until(lambda: "waiting" in client.statuses(newest).values(), "the run waits")


def needs_server(path):
    return any(not re.search(r"maestro (exec|validate|plan) ", line) for line, _ in read_header(path))


def define(path):
    """A test function for one example."""
    if needs_server(path):
        def test(fresh):
            run_example(path, fresh())
    else:
        def test():
            run_example(path)
    test.__name__ = "test_" + os.path.splitext(os.path.basename(path))[0].replace("-", "_")
    globals()[test.__name__] = test


def test_all_examples_are_valid():
    files = sorted(glob.glob(os.path.join(ROOT, "examples", "*.yaml")))
    assert len(files) >= 12, files
    harness.maestro("validate", *files, os.path.join(ROOT, ".maestro", "ci.yaml")).expect(0)


for example in sorted(glob.glob(os.path.join(ROOT, "examples", "*.yaml"))):
    define(example)

if __name__ == "__main__":
    harness.main(globals())
