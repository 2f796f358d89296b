#!/usr/bin/env python3
"""`maestro exec`: a workflow here, without a server; its exit code is the result."""
import os
import signal
import subprocess

import harness
from harness import BINARY, clean_env, maestro, processes_with, wait_until

OUTPUTS = """
inputs: {who: {type: string, default: you}}
jobs:
  a:
    steps: [{id: s, run: 'echo "v=for $WHO" >> "$MAESTRO_OUTPUT"', env: {WHO: "${{ inputs.who }}"}}]
    outputs: {v: "${{ steps.s.outputs.v }}"}
  b: {needs: a, steps: [{run: 'exit "$CODE"', env: {CODE: "0"}}]}
  c: {steps: [{run: 'exit 7'}], continue_on_error: true}
outputs: {v: "${{ needs.a.outputs.v }}"}
"""


def write(folder, text, name="w.yaml"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_json_result(scratch):
    result = maestro("exec", write(scratch, OUTPUTS), "--input", "who=me", "-o", "json", cwd=scratch).expect(0).json()
    assert set(result) == {"status", "jobs", "outputs", "duration_ms"}, result
    assert result["status"] == "succeeded" and result["outputs"] == {"v": "for me"}, result
    assert result["jobs"]["a"] == {"status": "succeeded", "exit_code": 0, "outputs": {"v": "for me"}, "attempts": 1}
    assert result["jobs"]["c"]["status"] == "failed" and result["jobs"]["c"]["exit_code"] == 7, result


def test_exit_codes(scratch):
    maestro("exec", write(scratch, "jobs:\n  a: {steps: [{run: 'exit 9'}]}\n"), cwd=scratch).expect(1)
    maestro("exec", write(scratch, "jobs:\n  a: {steps: [{rnu: 'x'}]}\n"), cwd=scratch).expect(2)
    maestro("exec", os.path.join(scratch, "nothing.yaml"), cwd=scratch).expect(2)
    maestro("exec", write(scratch, OUTPUTS), "--input", "nope=1", cwd=scratch).expect(2)
    maestro("exec", write(scratch, "jobs:\n  a: {approve: {}}\n"), cwd=scratch).expect(3)
    several = write(scratch, "jobs:\n  a: {approve: {by: [\"group:release\"], count: 2, self: false}}\n")
    maestro("exec", several, "--approve", "all", cwd=scratch).expect(0)
    maestro("exec", several, cwd=scratch).expect(3)
    maestro("exec", write(scratch, "jobs:\n  a: {steps: [{run: 'sleep 600'}]}\n"), "--timeout", "300ms", cwd=scratch).expect(5)
    maestro("exec", "-", stdin="jobs:\n  a: {steps: [{uses: noop}]}\n", cwd=scratch).expect(0)


def test_a_time_out_is_told_once_in_one_story(scratch):
    path = os.path.join(scratch, "slow.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("jobs: {a: {steps: [{run: 'sleep 600'}]}}\n")
    done = maestro("exec", path, "--timeout", "300ms", cwd=scratch).expect(5)
    assert done.out.count("run queued") == 1 and "cancelled" in done.out, done.out
    assert done.err.count("the run is cancelled after") == 1, done.err


def test_one_job_and_what_it_needs(scratch):
    file = write(scratch, "jobs:\n  a: {steps: [{uses: noop}]}\n  b: {needs: a, steps: [{uses: noop}]}\n"
                          "  c: {steps: [{run: 'exit 1'}]}\n")
    result = maestro("exec", file, "--job", "b", "-o", "json", cwd=scratch).expect(0).json()
    assert set(result["jobs"]) == {"a", "b"}, result
    assert "did you mean" in maestro("exec", file, "--job", "bb", cwd=scratch).expect(2).err


def test_the_second_exec_reuses_until_an_input_changes(scratch):
    write(scratch, "one\n", "in.txt")
    text = ("jobs:\n  a:\n    steps: [{uses: checkout}, {id: s, run: 'cp in.txt out.txt; "
            "echo \"v=$(cat in.txt)\" >> \"$MAESTRO_OUTPUT\"'}]\n"
            "    cache: {key: k, inputs: [in.txt], outputs: [out.txt]}\n"
            "    outputs: {v: '${{ steps.s.outputs.v }}'}\n"
            "    artifacts: [{name: out, path: out.txt}]\n"
            "  b:\n    needs: a\n    steps: [{uses: artifact/download, with: {name: out}}, {run: 'cat out.txt'}]\n")
    file = write(scratch, text)

    def run(*options):
        return maestro("exec", file, "-o", "json", *options, cwd=scratch).expect(0).json()["jobs"]["a"]
    assert run()["status"] == "succeeded"
    second = run()
    assert second["status"] == "reused" and second["outputs"] == {"v": "one"}, second
    assert run("--no-cache")["status"] == "succeeded"
    write(scratch, "two\n", "in.txt")
    third = run()
    assert third["status"] == "succeeded" and third["outputs"] == {"v": "two"}, third


def test_plan_tells_what_exec_would_reuse(scratch):
    subprocess.run(["git", "init", "-q"], cwd=scratch, check=True)
    write(scratch, "build/\n", ".gitignore")
    write(scratch, "one", "source.txt")
    os.makedirs(os.path.join(scratch, "build"))
    write(scratch, "left over", "build/old.txt")  # ignored: no part of any key
    file = write(scratch, """
inputs: {mode: {type: string, default: fast}}
env: {MODE: "${{ inputs.mode }}"}
jobs:
  build:
    matrix: {n: [1, 2]}
    steps: [{uses: checkout}, {run: 'mkdir -p out; cat source.txt > out/x'}]
    cache: {key: "k-${{ matrix.n }}", inputs: ["**/*.txt"], outputs: [out/x]}
  later:
    needs: build
    steps: [{run: 'true'}]
    cache: {key: "${{ needs.build.status }}"}
  never: {if: "${{ inputs.mode == 'slow' }}", steps: [{run: 'false'}]}
""")

    own = os.path.join(scratch, "tmp")
    os.mkdir(own)

    def planned(*more):
        plan = maestro("plan", file, "-o", "json", *more, cwd=scratch, env={"TMPDIR": own}).expect(0).json()
        return {job["key"]: job for stage in plan["stages"] for job in stage["jobs"]}

    assert planned()["build"]["decision"] == "run" and planned()["build"]["cache"]["hits"] == 0
    maestro("exec", file, cwd=scratch).expect(0)
    jobs = planned()
    assert jobs["build"]["decision"] == "reuse" and jobs["build"]["cache"]["hits"] == 2, jobs
    assert jobs["later"]["cache"] is None and jobs["never"]["decision"] == "skip", jobs
    write(scratch, "changed", "build/old.txt")
    assert planned()["build"]["decision"] == "reuse", "an ignored file"
    assert planned("--input", "mode=other")["build"]["decision"] == "run", "another environment"
    assert "2 of 2 built before" in maestro("plan", file, cwd=scratch).expect(0).out
    write(scratch, "two", "source.txt")
    assert planned()["build"]["decision"] == "run"
    assert not os.listdir(own), "it cleans up"


def test_what_a_job_sees_of_the_environment(scratch):
    text = "jobs:\n  a: {steps: [{id: s, run: 'echo \"seen=${HIDDEN:-}|${SHOWN:-}|$CI|${PATH:+path}\" >> \"$MAESTRO_OUTPUT\"'}]," \
           " outputs: {seen: '${{ steps.s.outputs.seen }}'}}\n"
    env = {"HIDDEN": "h", "SHOWN": "s"}
    result = maestro("exec", write(scratch, text), "--pass-env", "SHOWN", "-o", "json", cwd=scratch, env=env).expect(0).json()
    assert result["jobs"]["a"]["outputs"] == {"seen": "|s|true|path"}, result


def test_checkout_takes_the_tree_as_it_is(scratch):
    for words in (["init", "-q"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", scratch, *words], check=True, env=clean_env())
    write(scratch, "uncommitted", "new.txt")
    write(scratch, "secret.txt\n", ".gitignore")
    write(scratch, "ignored", "secret.txt")
    file = write(scratch, "jobs:\n  a: {steps: [{uses: checkout}, {run: 'cat new.txt; [ ! -e secret.txt ]'}]}\n")
    maestro("exec", file, cwd=scratch).expect(0)


def test_interrupt_cancels_and_leaves_nothing(scratch):
    marker = f"exec-marker-{os.getpid()}"
    file = write(scratch, f"jobs:\n  a: {{steps: [{{run: 'sleep 600; true', env: {{MARK: {marker}}}}}]}}\n")
    process = subprocess.Popen([BINARY, "exec", file], env=clean_env(), cwd=scratch, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_until(lambda: processes_with(marker), "the job runs")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=harness.DEADLINE_S)
    assert process.returncode == 3, (process.returncode, err[-2000:])
    assert processes_with(marker) == []


if __name__ == "__main__":
    harness.main(globals())
