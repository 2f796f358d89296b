#!/usr/bin/env python3
"""Logs: bytes as written, ranges, tails, NDJSON, and a stream that follows."""
import json

import harness
from harness import Sse, quote

LINES = "jobs:\n  a: {steps: [{id: one, run: 'for i in $(seq 1 200); do echo line $i; done'}, {id: two, run: 'echo err >&2'}]}\n"


def test_text_as_written_with_ranges_and_tail(client):
    run = client.succeed(LINES)
    answer = client.log(run["id"], "a").expect(200)
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, 201)], lines[:5]
    part = client.log(run["id"], "a", headers={"Range": "bytes=5-14"}).expect(206)
    assert part.body == answer.body[5:15], part.body
    assert part.headers["Content-Range"] == f"bytes 5-14/{len(answer.body)}", part.headers["Content-Range"]
    end = client.log(run["id"], "a", headers={"Range": "bytes=-7"}).expect(206)
    assert end.body == answer.body[-7:]
    client.log(run["id"], "a", headers={"Range": "bytes=99999999-"}).expect(416)
    assert len(client.log(run["id"], "a", "?tail=3").expect(200).text.splitlines()) == 3
    only = client.log(run["id"], "a", "?step=two").expect(200).text
    assert "err" in only and "line 1" not in only, only
    client.log(run["id"], "a", "?attempt=9").expect(404, 422, 400)


def test_ndjson(client):
    run = client.succeed(LINES)
    answer = client.log(run["id"], "a", headers={"Accept": "application/x-ndjson"}).expect(200)
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert {"t", "step", "stream", "text"} <= set(records[0]), records[0]
    assert [(r["step"], r["stream"]) for r in records if "err\n" in r["text"]] == [("two", "stderr")]
    assert [(r["step"], r["stream"]) for r in records if "line 7\n" in r["text"]] == [("one", "stdout")]
    assert "".join(r["text"] for r in records) == client.log(run["id"], "a").text


def test_tails_count_lines_in_every_form(client):
    run = client.succeed(LINES)
    ndjson = {"Accept": "application/x-ndjson"}
    for query, wanted in (("?step=one&tail=3", "line 198\nline 199\nline 200\n"), ("?step=two&tail=9", "err\n")):
        assert client.log(run["id"], "a", query).expect(200).text == wanted
        records = [json.loads(line) for line in client.log(run["id"], "a", query, headers=ndjson).text.splitlines()]
        assert "".join(r["text"] for r in records) == wanted, records
        stream = Sse(client.url, client.token, f"/api/v1/runs/{run['id']}/jobs/a/logs{query}")
        texts = [json.loads(event["data"]).get("text", "") for event in stream.events()]
        stream.close()
        assert "".join(texts) == wanted, texts
    whole = client.log(run["id"], "a").expect(200).text
    assert client.log(run["id"], "a", "?tail=99999").expect(200).text == whole


def test_a_large_log_keeps_to_the_step(client):
    run = client.succeed("jobs:\n  a: {steps: [{id: one, run: 'echo first'}, {id: two, run: 'seq 1 1500000'}, {id: one-more, run: 'echo last'}]}\n")
    ndjson = {"Accept": "application/x-ndjson"}
    texts, query, pages = [], "?step=one-more", 0
    while query:
        page = client.log(run["id"], "a", query, headers=ndjson).expect(200)
        texts += [json.loads(line)["text"] for line in page.text.splitlines()]
        link = page.headers.get("Link")
        query, pages = (link.split(">")[0].lstrip("<") if link else None), pages + 1
    assert "".join(texts) == "last\n" and pages > 1, (pages, texts[:3])
    small = client.succeed("jobs:\n  a: {steps: [{id: one, run: 'echo first'}, {id: two, run: 'seq 1 150000'}]}\n")
    stream = Sse(client.url, client.token, f"/api/v1/runs/{small['id']}/jobs/a/logs?step=one&tail=1")
    texts = [json.loads(event["data"]).get("text", "") for event in stream.events()]
    stream.close()
    assert "".join(texts) == "first\n", texts


def test_a_stream_follows_a_running_job(server):
    client = server.client()
    run = client.start("jobs:\n  a: {steps: [{run: 'echo first; while [ ! -e \"$GO\" ]; do sleep 0.05; done; "
                       f"echo last', env: {{GO: '{server.folder}.go'}}}}]}}\n")
    client.wait_job(run["id"], "a", "running")
    stream = Sse(server.url, server.token, f"/api/v1/runs/{run['id']}/jobs/a/logs")
    assert stream.status == 200
    seen = ""
    for event in stream.events():
        seen += event["data"]
        if "first" in seen and "last" not in seen:
            open(server.folder + ".go", "w", encoding="utf-8").close()
        if "last" in seen:
            break
    assert "first" in seen and "last" in seen, seen
    for _ in stream.events():
        pass  # it ends by itself once the job has
    stream.close()


def test_attempts_keep_their_own_logs(client):
    run = client.succeed("jobs:\n  a: {retry: {attempts: 2, backoff: 1ms, on: [any]}, "
                         "steps: [{run: 'echo try $MAESTRO_ATTEMPT; [ $MAESTRO_ATTEMPT = 2 ]'}]}\n")
    assert "try 1" in client.log(run["id"], "a", "?attempt=1").text
    newest = client.log(run["id"], "a").text
    assert "try 2" in newest and "try 1" not in newest


def test_logs_of_cells(client):
    run = client.succeed("jobs:\n  a: {matrix: {x: [p, q]}, steps: [{run: 'echo I am $X', env: {X: '${{ matrix.x }}'}}]}\n")
    assert "I am q" in client.log(run["id"], "a[x=q]").expect(200).text
    assert quote("a[x=q]") == "a%5Bx%3Dq%5D"


if __name__ == "__main__":
    harness.main(globals())
