#!/usr/bin/env python3
"""The Kubernetes executor against a real API server, controller manager and scheduler, with the rights of docs/kubernetes.md.

Needs the scripts that start a local control plane (KUBE_TOOLS_DIR, else ../shared/tools/cluster beside the repository)
and the programs that its build.sh makes with Go; skipped, with the reason, where they are missing. Pods on this test's
own node are played by running their commands here; those on the simulated node end at once without doing anything.
"""
import base64
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import harness
from harness import maestro, wait_until
from kube_standin import Player
from kubernetes_test import STEPS, Worker

TOOLS = os.environ.get("KUBE_TOOLS_DIR") or os.path.join(harness.ROOT, "..", "shared", "tools", "cluster")
PROGRAMS = os.environ.get("TOOLS_DIR") or os.path.expanduser("~/.cache/maestro-tools/bin")
NEEDED = "etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok".split()
NAMESPACE = "maestro-jobs"


def need_tools():
    if not os.access(os.path.join(TOOLS, "up.sh"), os.X_OK):
        raise harness.Skip("there are no scripts for a local control plane (KUBE_TOOLS_DIR)")
    missing = [name for name in NEEDED if not os.access(os.path.join(PROGRAMS, name), os.X_OK)]
    if missing:
        how = "run its build.sh" if shutil.which("go") else "they are built with Go, which is missing here"
        raise harness.Skip(f"{' '.join(missing)} not found in TOOLS_DIR: {how}")


def free_port():
    """The first of six free ports in a row."""
    for first in range(26000 + os.getpid() % 2000, 30000, 6):
        with_all = []
        try:
            for port in range(first, first + 6):
                with_all.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in with_all:
                one.close()
    raise harness.Skip("there are no six free ports in a row")


def manifest():
    """The documents of docs/kubernetes.md."""
    with open(os.path.join(harness.ROOT, "docs", "kubernetes.md"), encoding="utf-8") as file:
        return "---\n".join(re.findall(r"```yaml\n(.*?)```", file.read(), re.S))


class Real(Player):
    """A control plane, a node of our own and its kubelet."""

    namespace = NAMESPACE

    def __init__(self, scratch):
        super().__init__(scratch)
        self.env = {**os.environ, "CLUSTER_DIR": os.path.join(scratch, "cluster"), "TOOLS_DIR": PROGRAMS,
                    "CLUSTER_PORT": str(free_port())}
        self.script("up.sh")
        try:
            self.join()
        except BaseException:
            self.script("down.sh")
            raise

    def join(self):
        """Our node, the manifest, and the way in for a worker with its rights."""
        scratch = self.scratch
        self.admin = os.path.join(scratch, "cluster", "kubeconfig")
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json"))
        self.server = config["clusters"][0]["cluster"]
        self.server["certificate-authority"] = os.path.join(os.path.dirname(self.admin), self.server["certificate-authority"])
        self.token = config["users"][0]["user"]["token"]
        self.url, self.stopping, self.seen = self.server["server"], threading.Event(), set()
        self.kubectl("apply", "--server-side", "-f", "-", stdin=self.node("True"))
        self.call("PATCH", "/api/v1/nodes/own/status", json.loads(self.node("True")))
        self.kubelet = threading.Thread(target=self.play, daemon=True)
        self.kubelet.start()
        self.choose("own")
        self.kubectl("apply", "-f", "-", stdin=manifest())
        self.kubeconfig = self.config_for("maestro-worker", "kubeconfig-worker")

    def script(self, name):
        subprocess.run([os.path.join(TOOLS, name)], env=self.env, check=True, timeout=120,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kubectl(self, *words, stdin=None, check=True):
        done = subprocess.run([os.path.join(PROGRAMS, "kubectl"), "--kubeconfig", self.admin, *words], input=stdin,
                              text=True, check=False, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert not check or done.returncode == 0, (words, done.stderr)
        return done.stdout

    def call(self, verb, path, body=None):
        trust = ssl.create_default_context(cafile=self.server["certificate-authority"])
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body is not None else None,
                                         {"Authorization": "Bearer " + self.token, "Content-Type":
                                          "application/merge-patch+json" if verb == "PATCH" else "application/json"},
                                         method=verb)
        with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
            return json.load(answer)

    @staticmethod
    def node(ready):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        size = {"cpu": "32", "memory": "64Gi", "pods": "110"}
        return json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "own"}, "status": {
            "capacity": size, "allocatable": size, "conditions": [
                {"type": "Ready", "status": ready, "reason": "KubeletReady", "message": "", "lastHeartbeatTime": now,
                 "lastTransitionTime": now}]}})

    def choose(self, node):
        """New pods go to this node: `own`, or the simulated `node-1`."""
        self.kubectl("cordon" if node == "own" else "uncordon", "node-1")
        self.kubectl("uncordon" if node == "own" else "cordon", "own")

    def config_for(self, account, name):
        token_file = os.path.join(self.scratch, name + ".token")
        with open(token_file, "w", encoding="utf-8") as file:
            file.write(self.kubectl("-n", NAMESPACE, "create", "token", account))
        path = os.path.join(self.scratch, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"current-context": "c", "clusters": [{"name": "c", "cluster": self.server}],
                       "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "users": [{"name": "u", "user": {"tokenFile": token_file}}]}, file)
        return path

    def jobs(self):
        return self.call("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")["items"]

    def secrets(self):
        names = [one["metadata"]["name"] for one in self.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]]
        return [name for name in names if name.startswith("maestro-") and name != "maestro-worker"]

    # --- the kubelet of the node `own` ---

    def play(self):
        beat = 0.0
        while not self.stopping.wait(0.1):
            try:
                if time.monotonic() > beat + 10:
                    beat = time.monotonic()
                    self.call("PATCH", "/api/v1/nodes/own/status", json.loads(self.node("True")))
                for pod in self.call("GET", "/api/v1/pods?fieldSelector=spec.nodeName=own")["items"]:
                    self.look(pod)
            except (OSError, urllib.error.HTTPError):
                continue

    def look(self, pod):
        uid = pod["metadata"]["uid"]
        job = next((owner["name"] for owner in pod["metadata"].get("ownerReferences", [])
                    if owner["kind"] == "Job"), None)
        if job is None or pod["metadata"]["namespace"] != NAMESPACE:
            return
        if uid not in self.seen:
            self.seen.add(uid)
            threading.Thread(target=self.carry_out, args=(job, pod), daemon=True).start()
        elif "deletionTimestamp" in pod["metadata"]:
            process = self.processes.get(job)
            if process:
                process.send_signal(signal.SIGTERM)
            elif pod["status"].get("phase") in ("Succeeded", "Failed"):
                self.call("DELETE", self.path(pod), {"gracePeriodSeconds": 0})

    @staticmethod
    def path(pod):
        return f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"

    def status(self, pod, **status):
        self.call("PATCH", self.path(pod) + "/status", {"status": status})

    def carry_out(self, job, pod):
        secret = self.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{job}")
        handed = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
        code = self.run(job, pod, handed)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.status(pod, phase="Failed" if code else "Succeeded", containerStatuses=[
            {"name": "job", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": {
                "exitCode": code, "reason": "Error" if code else "Completed", "startedAt": now, "finishedAt": now}}}])

    def close(self):
        self.stopping.set()
        self.kubelet.join()
        for process in list(self.processes.values()):
            process.kill()
        self.script("down.sh")


class Setup:
    """A server without a worker of its own, a control plane, and a worker for it; `with` ends them."""

    def __init__(self, fresh, scratch, *options):
        need_tools()
        self.cluster = Real(scratch)
        self.server = fresh(slots=0)
        self.client = self.server.client()
        self.worker = Worker(self.server, self.cluster, scratch, *options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.worker.text()[-3000:], self.cluster.logs)
        if self.worker.process.poll() is None:
            self.worker.end(signal.SIGKILL)
        self.cluster.close()

    def start(self, jobs):
        return self.client.start("defaults: {runs_on: [pods]}\njobs:\n" + jobs)["id"]


def test_on_a_real_control_plane(fresh, scratch):
    with Setup(fresh, scratch) as it:
        check_the_manifest(it)
        check_a_job(it)
        check_a_restart(it, os.path.join(scratch, "gate"))
        check_cancel(it)
        check_a_pod_that_does_nothing(it)
        check_missing_rights(it, scratch)


def check_the_manifest(it):
    it.cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest())


def check_a_job(it):
    run = it.start("""
  a:
    resources: {cpu: 0.1, memory: 64MiB}
    outputs: {answer: "${{ steps.s.outputs.answer }}"}
    steps: [{id: s, run: 'echo hello; echo "answer=42" >> "$MAESTRO_OUTPUT"'}]
  b: {needs: a, env: {A: "${{ needs.a.outputs.answer }}"}, steps: [{run: 'test "$A" = 42'}]}
""")
    done = it.client.finished(run)
    assert done["status"] == "succeeded" and "hello" in it.client.log(run, "a").text, (done, it.client.log(run, "a").text)
    # The controller manager's own word: both Jobs are complete, and Pod Security let their pods in.
    wait_until(lambda: sum(job["status"].get("succeeded", 0) for job in it.cluster.jobs()) == 2, "the Jobs are complete")


def check_a_restart(it, gate):
    run = it.start(f"  a: {{steps: [{{run: 'echo up; until [ -e {gate} ]; do sleep 0.05; done'}}]}}\n")
    wait_until(lambda: "up" in it.client.log(run, "a").text, "the job works")
    it.worker.end(signal.SIGKILL)
    it.worker.start()
    wait_until(lambda: "holds again" in it.worker.text(), "the Job is taken over")
    open(gate, "w", encoding="utf-8").close()
    assert it.client.finished(run)["status"] == "succeeded"
    assert it.client.job(run, "a")["attempt"] == 1


def check_cancel(it):
    run = it.start("  a: {steps: [{run: 'echo up; exec sleep 600'}], finally: [{run: 'echo cleaned'}]}\n")
    wait_until(lambda: "up" in it.client.log(run, "a").text, "the job works")
    before = len(it.cluster.secrets())
    it.client.post(f"/api/v1/runs/{run}/cancel").expect(202)
    assert it.client.finished(run)["status"] == "cancelled"
    assert "cleaned" in it.client.log(run, "a").text
    wait_until(lambda: len(it.cluster.secrets()) == before - 1, "garbage collection has taken the Secret")


def check_a_pod_that_does_nothing(it):
    it.cluster.choose("node-1")
    run = it.start(f"  a: {{retry: {{attempts: 1}}, {STEPS}}}\n")
    assert it.client.finished(run)["status"] == "failed"
    job = it.client.job(run, "a")
    assert job["failure_kind"] == "infra" and "without a result" in job["message"], job


def check_missing_rights(it, scratch):
    kubeconfig = it.cluster.config_for("default", "kubeconfig-default")
    done = maestro("worker", "--executor", "kubernetes", "--namespace", NAMESPACE, "--image", "m", "--url",
                   "http://127.0.0.1:1", "--kubeconfig", kubeconfig, "--data", scratch + "/w",
                   env={"MAESTRO_TOKEN": "t"}).expect(4)
    for right in ("create jobs.batch", "watch pods", "get pods/log", "create secrets"):
        assert right in done.err, done.err


if __name__ == "__main__":
    harness.main(globals())
