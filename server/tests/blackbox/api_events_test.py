#!/usr/bin/env python3
"""Events: in order, without gaps, as lists and as streams that can be taken up again."""
import json

import harness
from harness import Sse

TEXT = """
jobs:
  a: {retry: {attempts: 2, backoff: 1ms, on: [any]}, steps: [{run: '[ $MAESTRO_ATTEMPT = 2 ]'}]}
  b: {needs: a, steps: [{uses: noop}]}
"""


def test_a_run_tells_its_story(client):
    run = client.succeed(TEXT)
    events = client.events(run["id"])
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs)), seqs
    types = [event["type"] for event in events]
    assert types[0] == "run.queued" and types[-1] == "run.finished", types
    for wanted in ("run.started", "job.ready", "job.started", "job.retrying", "job.finished"):
        assert wanted in types, types
    starts = [event["data"] for event in events if event["type"] == "job.started"]
    assert [(data["job"], data["attempt"]) for data in starts] == [("a", 1), ("a", 2), ("b", 1)], starts
    ends = [event["data"] for event in events if event["type"] == "job.finished"]
    assert [(data["job"], data["status"]) for data in ends] == [("a", "succeeded"), ("b", "succeeded")], ends
    assert all(event["time"].endswith("Z") for event in events)
    middle = events[len(events) // 2]["seq"]
    rest = client.get(f"/api/v1/runs/{run['id']}/events?after={middle}").json()["items"]
    assert rest[0]["seq"] > middle and rest[-1]["seq"] == seqs[-1]


def test_a_stream_of_one_run_can_be_taken_up_again(server):
    client = server.client()
    run = client.start(TEXT)
    path = f"/api/v1/runs/{run['id']}/events"
    stream, first = Sse(server.url, server.token, path), []
    for event in stream.events():
        first.append(event)
        if len(first) == 2:
            break
    stream.close()
    again, rest = Sse(server.url, server.token, path, {"Last-Event-ID": first[-1]["id"]}), []
    for event in again.events():
        rest.append(event)
        if json.loads(event["data"])["type"] == "run.finished":
            break
    again.close()
    told = [json.loads(event["data"])["seq"] for event in first + rest]
    assert told == [event["seq"] for event in client.events(run["id"])], told


def test_the_stream_of_all_runs(server):
    client = server.client()
    stream = Sse(server.url, server.token, "/api/v1/events")
    run = client.start(TEXT)
    for event in stream.events():
        body = json.loads(event["data"])
        if run["id"] in event["data"] and body["type"] == "run.finished":
            break
    else:
        raise AssertionError("the stream ended")
    stream.close()
    assert client.get("/api/v1/events?limit=5").expect(200).json()["items"]


if __name__ == "__main__":
    harness.main(globals())
