"""What must hold after kills: nothing acknowledged is lost, nothing ends twice, everything ends."""
import time

from load import DOWN, JOBS, LINES
from machines import Patience

END_S = 120  # for everything that was started to end, once nobody kills any more
STATUS = {"cancel": "cancelled"}


def wait_for_ends(load, machines):
    """The runs that still had not ended when the time was over."""
    patience = Patience(END_S)
    while load.open() and not patience.over():
        if machines.server.poll() is not None:
            return load.open()
        time.sleep(0.02)
    return load.open()


def check(load, machines):
    """Requires: server and worker are up and nobody kills them. Returns what is wrong, a line each, and
    forgets the runs that it looked at."""
    wrong, load.wrong = load.wrong, []
    client = machines.client()
    for run in wait_for_ends(load, machines):
        wrong.append(f"run {run.id} ({run.shape}) never ended: {why(client, run)}")
    with load.lock:
        ended, load.runs = [run for run in load.runs if run.ended], [run for run in load.runs if not run.ended]
    for run in ended:
        wrong += [f"run {run.id} ({run.shape}): {what}" for what in check_run(client, run)]
    wrong += check_kept(client, load)
    if not load.runs:
        wrong += check_orphans(machines)
    client.close()
    return wrong


def why(client, run):
    try:
        return client.get(f"/api/v1/runs/{run.id}/why").text[:600]
    except DOWN as error:
        return f"the server does not answer ({error!r})"


def check_run(client, run):
    answer = client.get(f"/api/v1/runs/{run.id}")
    if answer.status != 200:
        return [f"acknowledged and lost: {answer.status} {answer.text[:200]}"]
    status = answer.json()["status"]
    wrong = []
    if status != STATUS.get(run.shape, "succeeded") or status != run.ended:
        wrong.append(f"it is {status}, was seen {run.ended}: {answer.json().get('message')}; said: {sorted(run.said)}")
    wrong += check_events(client.events(run.id), run)
    if run.shape == "log" and status == "succeeded":
        wrong += check_log(client, run)
    if run.shape == "artifact" and status == "succeeded":
        wrong += check_artifact(client, run)
    return wrong


def check_events(events, run):
    wrong = []
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        wrong.append("its events have a gap or repeat")
    finished = [event["data"]["job"] for event in events if event["type"] == "job.finished"]
    if len(finished) != len(set(finished)):
        wrong.append(f"a job ended twice: {finished}")
    if run.shape in JOBS and len(set(finished) - {"m"}) != JOBS[run.shape]:
        wrong.append(f"{JOBS[run.shape]} jobs, these ended: {finished}")
    if [event["type"] for event in events if event["type"] == "run.finished"] != ["run.finished"]:
        wrong.append("it did not end exactly once")
    grants = [(event["data"]["job"], event["data"]["attempt"]) for event in events if event["type"] == "job.started"]
    if len(grants) != len(set(grants)):
        wrong.append(f"an attempt was granted twice: {grants}")
    kinds = {event["type"] for event in events}
    for said, kind in (("signal", "signal.received"), ("approve", "approval.decided"), ("cancel", "run.cancelling")):
        if said in run.said and kind not in kinds:
            wrong.append(f"acknowledged and lost: {said}")
    return wrong


def check_log(client, run):
    text = client.log(run.id, "a").text
    if text == "".join(f"line {i} of a log\n" for i in range(1, LINES + 1)):
        return []
    return [f"its log has {text.count(chr(10))} lines of {LINES}, {len(text)} bytes"]


def check_artifact(client, run):
    items = client.get(f"/api/v1/runs/{run.id}/artifacts").expect(200).json()["items"]
    if len(items) != 1:
        return [f"{len(items)} artifacts, not one"]
    answer = client.get("/api/v1/artifacts/" + items[0]["digest"])
    if answer.status != 200 or answer.text != run.id + "\n":
        return [f"its artifact is gone or has other bytes: {answer.status} {answer.text[:80]}"]
    return []


def check_kept(client, load):
    with load.lock:
        kept = dict(load.kept)
    there = set()
    for kind in ("secrets", "workflows"):
        cursor = ""
        while cursor is not None:
            page = client.get(f"/api/v1/{kind}?limit=100" + (f"&cursor={cursor}" if cursor else "")).expect(200).json()
            there |= {f"{kind[:-1]} {item['name']}" for item in page["items"] if not item.get("broken")}
            cursor = page.get("next_cursor")
    wrong = [f"acknowledged and lost or broken: {what}" for what in kept if what not in there]
    secrets = sorted(what.split()[1] for what in kept if what.startswith("secret "))[-3:]
    if secrets and not wrong:
        env = ", ".join(f"{name}: '${{{{ secrets.{name} }}}}'" for name in secrets)
        test = " && ".join(f'[ "${name}" = "value of {name}" ]' for name in secrets)
        run = client.start(load.head + "jobs: {a: {steps: [{run: '%s', env: {%s}}]}}" % (test, env))
        status = client.finished(run["id"], END_S)["status"]
        if status != "succeeded":
            wrong.append(f"secrets {secrets} have other values: run {run['id']} {status}")
    return wrong


def check_orphans(machines):
    patience = Patience(15)
    while machines.orphans():
        if patience.over():
            return [f"processes of jobs are left though no run is open: {machines.orphans()}"]
        time.sleep(0.05)
    return []
