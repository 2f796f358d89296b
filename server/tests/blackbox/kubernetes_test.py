#!/usr/bin/env python3
"""`maestro worker --executor kubernetes` against a stand-in API server that runs the pods' commands here."""
import os
import signal
import subprocess

import harness
from harness import maestro, wait_until
from kube_standin import Cluster

STEPS = "steps: [{run: 'echo hello from the pod'}]"


class Worker:
    """A worker of `server` for `cluster`, as a process."""

    def __init__(self, server, cluster, scratch, *options):
        self.token = os.path.join(scratch, "worker-token")
        with open(self.token, "w", encoding="utf-8") as file:
            file.write(server.client().token_of("worker"))
        self.words = ["worker", "--executor", "kubernetes", "--namespace", cluster.namespace,
                      "--kubeconfig", cluster.kubeconfig, "--image", "maestro:test", "--url", server.url, "--token-file", self.token, "--name", "kube",
                      "--slots", "4", "--labels", "pods", "--data", os.path.join(scratch, "worker"), *options]
        self.log = os.path.join(scratch, "worker.err")
        self.start()

    def start(self):
        self.process = subprocess.Popen([harness.BINARY, *self.words], stdin=subprocess.DEVNULL,
                                        stderr=open(self.log, "ab"), env=harness.clean_env(), start_new_session=True)

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(harness.DEADLINE_S)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Setup:
    """A server without a worker of its own, a cluster, and a worker for it; `with` ends them."""

    def __init__(self, fresh, scratch, *options):
        self.server, self.cluster = fresh(slots=0), Cluster(scratch)
        self.client = self.server.client()
        self.worker = Worker(self.server, self.cluster, scratch, *options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.worker.text()[-3000:], self.cluster.requests[-20:], self.cluster.logs)
        if self.worker.process.poll() is None:
            self.worker.end(signal.SIGKILL)
        self.cluster.close()

    def start(self, jobs):
        return self.client.start("defaults: {runs_on: [pods]}\njobs:\n" + jobs)["id"]

    def one_job(self):
        return wait_until(lambda: next(iter(self.cluster.objects["jobs"].values()), None), "a Job is made")

    def wait_log(self, run, key, text):
        wait_until(lambda: text in self.client.log(run, key).text, f"the log of {key} says {text}")


def test_a_job_runs_in_its_pod_with_all_that_jobs_have(fresh, scratch):
    with Setup(fresh, scratch) as it:
        it.client.call("PUT", "/api/v1/secrets/KEY", body={"value": "very-hidden"})
        run = it.start("""
  a:
    container: {image: "some/image:1"}
    resources: {cpu: 0.25, memory: 64MiB}
    outputs: {answer: "${{ steps.s.outputs.answer }}"}
    artifacts: [{name: out, path: out.txt}]
    steps:
      - {id: s, run: 'echo "answer=42" >> "$MAESTRO_OUTPUT"; echo bytes > out.txt; echo "image $OF_THE_IMAGE, cluster ${KUBERNETES_SERVICE_HOST-hidden}"'}
      - {run: 'echo "::add-mask::geheimnis"; echo "it is geheimnis"'}
  b: {needs: a, env: {A: "${{ needs.a.outputs.answer }}"}, steps: [{run: 'test "$A" = 42'}]}
""")
        done = it.client.finished(run)
        log = it.client.log(run, "a").text
        assert done["status"] == "succeeded", (done, log)
        assert "image yes, cluster hidden" in log and "it is ***" in log and "geheimnis\n" not in log.split("add-mask")[-1], log
        assert "Job jobs/maestro-" in log, log
        assert it.client.get(f"/api/v1/runs/{run}/artifacts").json()["items"][0]["name"] == "out"
        jobs = list(it.cluster.objects["jobs"].values())
        resources = next(job for job in jobs if "250m" in str(job))["spec"]["template"]["spec"]["containers"][0]["resources"]
        assert resources == {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}, resources
        assert not os.path.exists(os.path.join(scratch, "pods", jobs[0]["metadata"]["name"], "handover", "task.json"))


def test_a_failing_step_fails_its_job_as_anywhere(fresh, scratch):
    with Setup(fresh, scratch) as it:
        run = it.start("  a: {steps: [{run: 'exit 3'}]}\n")
        assert it.client.finished(run)["status"] == "failed"
        assert it.client.job(run, "a")["exit_code"] == 3, it.client.job(run, "a")


def test_cancel_deletes_the_job_and_finally_runs(fresh, scratch):
    with Setup(fresh, scratch) as it:
        run = it.start("  a: {steps: [{run: 'echo up; exec sleep 600'}], finally: [{run: 'echo cleaned'}]}\n")
        it.wait_log(run, "a", "up")
        it.client.post(f"/api/v1/runs/{run}/cancel").expect(202)
        assert it.client.finished(run)["status"] == "cancelled"
        assert "cleaned" in it.client.log(run, "a").text
        wait_until(lambda: not any(it.cluster.objects.values()), "Job, pod and Secret are gone")


def test_a_pod_that_waits_for_a_node_can_be_cancelled(fresh, scratch):
    with Setup(fresh, scratch) as it:
        run = it.start(f"  a: {{container: {{image: pending}}, {STEPS}}}\n")
        it.wait_log(run, "a", "Unschedulable: 0/1 nodes")
        it.client.post(f"/api/v1/runs/{run}/cancel").expect(202)
        assert it.client.finished(run)["status"] == "cancelled"


def test_how_a_pod_ends_without_a_result_is_told(fresh, scratch):
    rows = {"oom": ("oom", "OOMKilled"), "evicted": ("lost_worker", "low on memory"),
            "dumb": ("infra", "without a result"), "missing": ("infra", "no such image"), "late": ("timeout", "deadline")}
    with Setup(fresh, scratch, "--start-patience", "1s") as it:
        jobs = "".join(f"  {name}: {{container: {{image: {name}}}, retry: {{attempts: 1}}, {STEPS}}}\n" for name in rows)
        run = it.start(jobs)
        it.client.finished(run)
        for name, (kind, words) in rows.items():
            job = it.client.job(run, name)
            assert job["failure_kind"] == kind and words in job["message"], (name, job)
        assert "nothing to see" in it.client.log(run, "dumb").text


def test_a_restart_of_the_worker_loses_nothing(fresh, scratch):
    for sig in (signal.SIGTERM, signal.SIGKILL):
        folder = os.path.join(scratch, sig.name)
        os.mkdir(folder)
        gate = os.path.join(folder, "gate")
        with Setup(fresh, folder) as it:
            run = it.start(f"  a: {{steps: [{{run: 'echo up; until [ -e {gate} ]; do sleep 0.05; done; echo over'}}]}}\n")
            it.wait_log(run, "a", "up")
            it.worker.end(sig)
            it.worker.start()
            wait_until(lambda: "holds again" in it.worker.text(), "the Job is taken over")
            open(gate, "w", encoding="utf-8").close()
            assert it.client.finished(run)["status"] == "succeeded"
            assert it.client.job(run, "a")["attempt"] == 1
            assert sum(call == ("POST", "/apis/batch/v1/namespaces/jobs/jobs") for call in it.cluster.requests) == 1


def test_a_second_worker_of_the_name_is_refused(fresh, scratch):
    gate = os.path.join(scratch, "gate")
    os.mkfifo(gate)
    with Setup(fresh, scratch) as it:
        run = it.start(f"  a: {{steps: [{{run: 'echo up; cat {gate}; echo over'}}]}}\n")
        it.wait_log(run, "a", "up")  # another slot asks for tasks
        os.mkdir(os.path.join(scratch, "second"))
        second = Worker(it.server, it.cluster, os.path.join(scratch, "second"))
        wait_until(lambda: second.text(), "the second says something")
        open(gate, "w", encoding="utf-8").close()
        assert it.client.finished(run)["status"] == "succeeded" and it.client.job(run, "a")["attempt"] == 1
        assert second.process.wait(harness.DEADLINE_S) == 7, second.text()  # it may have been an earlier life's poll
        assert "another worker is called kube" in second.text(), second.text()
        assert "holds again" not in second.text() and "registered" not in second.text(), second.text()
        assert it.worker.process.poll() is None


def test_a_cancel_while_the_api_server_is_away_is_carried_out_later(fresh, scratch):
    with Setup(fresh, scratch) as it:
        run = it.start(f"  a: {{container: {{image: pending}}, {STEPS}}}\n")
        it.wait_log(run, "a", "Unschedulable: 0/1 nodes")
        it.cluster.down = True
        it.client.post(f"/api/v1/runs/{run}/cancel").expect(202)
        wait_until(lambda: "deleting the Job" in it.worker.text(), "it has tried")
        it.cluster.down = False
        assert it.client.finished(run)["status"] == "cancelled"
        assert not any(it.cluster.objects.values()), it.cluster.objects


def test_forgotten_versions_and_an_api_server_that_was_away(fresh, scratch):
    with Setup(fresh, scratch) as it:
        assert it.client.finished(it.start(f"  a: {{{STEPS}}}\n"))["status"] == "succeeded"
        it.cluster.forget()
        assert it.client.finished(it.start(f"  a: {{{STEPS}}}\n"))["status"] == "succeeded"
        with it.cluster.lock:
            it.cluster.down = True
            it.cluster.lock.notify_all()
        run = it.start(f"  a: {{{STEPS}}}\n")
        it.wait_log(run, "a", "(503)")
        it.cluster.down = False
        assert it.client.finished(run)["status"] == "succeeded"


def test_what_was_made_although_its_answer_was_lost_is_adopted(fresh, scratch):
    with Setup(fresh, scratch) as it:
        calls = {("POST", "/apis/batch/v1/namespaces/jobs/jobs"), ("POST", "/api/v1/namespaces/jobs/secrets")}
        wait_until(lambda: "registered" in it.worker.text(), "the worker is there")
        it.cluster.lose = set(calls)
        run = it.start(f"  a: {{{STEPS}}}\n")
        assert it.client.finished(run)["status"] == "succeeded"
        assert not it.cluster.lose and len(it.cluster.objects["jobs"]) == 1


def test_a_rotated_token_is_taken(fresh, scratch):
    with Setup(fresh, scratch) as it:
        wait_until(lambda: "registered" in it.worker.text(), "the worker is there")
        it.cluster.write_token("another")
        it.cluster.tokens = {"another"}
        assert it.client.finished(it.start(f"  a: {{{STEPS}}}\n"))["status"] == "succeeded"
        assert "another" not in it.worker.text()


def test_what_is_wrong_with_the_workflow_is_the_jobs_failure(fresh, scratch):
    with Setup(fresh, scratch) as it:
        run = it.start(f"  a: {{container: {{image: \"${{{{ ' ' }}}}\"}}, {STEPS}}}\n")
        assert it.client.finished(run)["status"] == "failed"
        job = it.client.job(run, "a")
        assert job["failure_kind"] == "user" and "container.image: there is none" in job["message"], job


def test_refusals_at_the_start_say_what_and_how_to_mend_it(scratch):
    cluster = Cluster(scratch)

    def refused(code, *words, namespace="jobs", kubeconfig=None):
        done = maestro("worker", "--executor", "kubernetes", "--namespace", namespace, "--image", "m", "--url",
                       "http://127.0.0.1:1", "--kubeconfig", kubeconfig or cluster.kubeconfig, "--data", scratch + "/w",
                       env={"MAESTRO_TOKEN": "mst_secret"}).expect(code)
        for word in words:
            assert word in done.err, (word, done.err)
        assert "cluster-token" not in done.err and "mst_secret" not in done.err

    refused(6, "no namespace nowhere", "kubectl create namespace", namespace="nowhere")
    cluster.denied = {"create jobs", "get pods/log"}
    refused(4, "create jobs.batch", "get pods/log", "docs/kubernetes.md")
    cluster.tokens = {"other"}
    refused(4, "not valid")
    cluster.close()
    refused(8, "does not answer")
    refused(2, "cannot be read", kubeconfig=scratch + "/none")
    maestro("worker", "--url", "http://127.0.0.1:1", "--namespace", "x", env={"MAESTRO_TOKEN": "t"}).expect(2)


if __name__ == "__main__":
    harness.main(globals())
