#!/usr/bin/env python3
"""What the API says to those who get it wrong, by accident or on purpose."""
import socket
import threading
import time
import urllib.parse
import uuid

import harness
from harness import Client

HELLO = "jobs:\n  a: {steps: [{uses: noop}]}\n"
NOWHERE = "01900000-0000-7000-8000-000000000000"


def test_the_type_of_an_error_leads_to_its_meaning(client):
    body = client.get(f"/api/v1/runs/{NOWHERE}").problem(404)
    path, code = body["type"].split("#")
    page = Client(client.url, None).get(path).expect(200)
    assert page.headers["Content-Type"].startswith("text/plain") and f"\n## {code}\n" in page.text, page.text[:200]


def raw(server, data, timeout=15, pause=None):
    """Sends bytes (a list: piece by piece, with pauses) and returns all that comes back."""
    parts = urllib.parse.urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout) as sock:
        pieces = data if isinstance(data, list) else [data]
        try:
            for piece in pieces:
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = b""
        try:
            while True:
                piece = sock.recv(65536)
                if not piece:
                    return got
                got += piece
        except ConnectionResetError:
            return got


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_tokens(server):
    for token, code in ((None, "unauthenticated"), ("nonsense", "unauthenticated"), ("a" * 5000, None)):
        answer = Client(server.url, None).get(
            "/api/v1/runs", headers={"Authorization": f"Bearer {token}"} if token else {})
        answer.problem(401, code)
        assert "WWW-Authenticate" in answer.headers or answer.status == 401
    Client(server.url, None).get("/api/v1/runs", headers={"Authorization": "Basic eDp5"}).problem(401)
    for open_path in ("/healthz", "/readyz", "/metrics"):
        Client(server.url, None).get(open_path).expect(200)


def test_tokens_that_nobody_made_are_not_listed(server):
    names = [token["name"] for token in server.client().get("/api/v1/tokens").expect(200).json()["items"]]
    assert "admin" in names and not [name for name in names if "worker" in name], names


def test_an_expired_token_says_so(server):
    client = server.client()
    token = client.token_of("viewer", expires_at="2020-01-01T00:00:00.000Z") \
        if client.post("/api/v1/tokens", {"name": "old", "role": "viewer",
                                          "expires_at": "2020-01-01T00:00:00.000Z"}).status == 201 else None
    if token is None:  # refused from the start: then one that ends soon
        soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3)) + ".999Z"
        token = client.token_of("viewer", expires_at=soon)
        harness.wait_until(lambda: server.client(token).get("/api/v1/me").status == 401, "the token expires")
    server.client(token).get("/api/v1/me").problem(401, "token_expired")


def test_roles_may_do_what_they_may(server):
    admin = server.client()
    viewer, operator, worker = (server.client(admin.token_of(role)) for role in ("viewer", "operator", "worker"))
    run = admin.succeed(HELLO)
    yaml = {"Content-Type": "application/yaml"}
    assert viewer.get("/api/v1/me").expect(200).json()["role"] == "viewer"
    viewer.get(f"/api/v1/runs/{run['id']}").expect(200)
    viewer.post("/api/v1/runs", {"definition": HELLO}).problem(403, "forbidden")
    viewer.post(f"/api/v1/runs/{run['id']}/rerun", {"scope": "all"}).problem(403, "forbidden")
    viewer.call("DELETE", f"/api/v1/runs/{run['id']}").problem(403, "forbidden")
    operator.succeed(HELLO)
    operator.call("PUT", "/api/v1/workflows/x", raw=HELLO, headers=yaml).problem(403, "forbidden")
    operator.post("/api/v1/tokens", {"name": "x", "role": "admin"}).problem(403, "forbidden")
    operator.get("/api/v1/secrets").problem(403, "forbidden")
    operator.post("/api/v1/worker/register", {"name": "x", "labels": [], "slots": 1, "version": "1"}) \
        .problem(403, "forbidden")
    worker.get("/api/v1/runs").problem(403, "forbidden")
    worker.post("/api/v1/runs", {"definition": HELLO}).problem(403, "forbidden")


def test_a_revoked_token_is_refused_at_once(server):
    admin = server.client()
    made = admin.post("/api/v1/tokens", {"name": "gone", "role": "viewer"}).expect(201).json()
    holder = server.client(harness.secret_of(made))
    holder.get("/api/v1/me").expect(200)
    listed = admin.get("/api/v1/tokens").expect(200).text
    assert harness.secret_of(made) not in listed
    admin.call("DELETE", f"/api/v1/tokens/{made['id']}").expect(204)
    holder.get("/api/v1/me").problem(401)


def test_bodies_that_are_wrong(client):
    json_type = {"Content-Type": "application/json"}
    for text in ("", "{", "[]", '"x"', "null", '{"a": 1} x', '{"workflow": "a", "workflow": "b"}', "\xff"):
        answer = client.call("POST", "/api/v1/runs", raw=text.encode("latin-1"), headers=json_type)
        assert answer.status in (400, 422), (text, answer.status, answer.text)
        answer.problem(answer.status)
    client.call("POST", "/api/v1/runs", raw="[" * 100_000, headers=json_type).problem(400)
    body = client.post("/api/v1/runs", {"definition": HELLO, "colour": "red"}).problem(422, "unknown_field")
    assert "colour" in str(body), body
    client.post("/api/v1/runs", {"definition": 7}).problem(422, "invalid_field")
    client.post("/api/v1/runs", {}).problem(422, "missing_field")
    client.post("/api/v1/runs", {"definition": HELLO, "workflow": "x"}).problem(422)
    client.call("POST", "/api/v1/runs", raw="x", headers={"Content-Type": "text/plain"}).problem(415)
    client.call("PUT", "/api/v1/workflows/x", raw="{}", headers=json_type).expect(415, 422)
    client.call("POST", "/api/v1/runs", raw="x", headers={**json_type, "Content-Encoding": "gzip"}).problem(415)


def test_definitions_that_are_wrong_name_every_problem(client):
    text = "jobs:\n  a: {needs: b, steps: [{rum: x}]}\n  c: {steps: [{run: x}], tiemout: 5}\n"
    body = client.post("/api/v1/runs", {"definition": text}).problem(422, "invalid_definition")
    assert len(body["errors"]) >= 3, body
    for error in body["errors"]:
        assert error["line"] >= 1 and error["column"] >= 1 and error["code"] and error["message"], error
    assert any("timeout" in (error.get("hint") or error["message"]) for error in body["errors"]), body
    valid = client.call("POST", "/api/v1/workflows/validate", raw=text,
                        headers={"Content-Type": "application/yaml"}).expect(200).json()
    assert valid["valid"] is False and len(valid["errors"]) == len(body["errors"]), valid


def test_things_that_are_not_there(client):
    client.get(f"/api/v1/runs/{NOWHERE}").problem(404, "run_not_found")
    client.get("/api/v1/runs/not-an-id").expect(400, 404)
    client.post(f"/api/v1/runs/{NOWHERE}/cancel").problem(404, "run_not_found")
    client.call("DELETE", f"/api/v1/runs/{NOWHERE}").problem(404, "run_not_found")
    client.get("/api/v1/workflows/nope").problem(404)
    client.post(f"/api/v1/approvals/{NOWHERE}", {"decision": "approve"}).problem(404)
    client.get("/api/v1/artifacts/sha256:" + "0" * 64).problem(404)
    client.get("/api/v1/nothing").problem(404)
    assert len(client.get("/api/v1/runs/" + "0" * 9_000).problem(404)["detail"]) <= 1_024
    assert "%2F" in client.get("/api/v1%2Fruns").problem(404)["detail"]
    client.get("/").expect(200, 302, 404)
    run = client.succeed(HELLO)
    client.get(f"/api/v1/runs/{run['id']}/jobs/zzz").problem(404, "job_not_found")
    client.log(run["id"], "zzz").problem(404)
    answer = client.call("PATCH", f"/api/v1/runs/{run['id']}")
    answer.problem(405)
    assert "GET" in answer.headers["Allow"], answer.headers


def test_idempotency_keys(server):
    client = server.client()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = client.post("/api/v1/runs", {"definition": HELLO}, headers=key).expect(201).json()
    again = client.post("/api/v1/runs", {"definition": HELLO}, headers=key).expect(201).json()
    assert again["id"] == first["id"]
    client.post("/api/v1/runs", {"definition": HELLO + "\n"}, headers=key).problem(422, "idempotency_key_reused")
    other = server.client(client.token_of("operator"))
    mine = other.post("/api/v1/runs", {"definition": HELLO}, headers=key).expect(201).json()
    assert mine["id"] != first["id"], "keys of different tokens have nothing to do with each other"
    client.post("/api/v1/runs", {"definition": HELLO}, headers={"Idempotency-Key": "x" * 300}).problem(422)


def test_one_key_at_the_same_time_makes_one_run(server):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    answers = []

    def post():
        with Client(server.url, server.token) as own:
            answers.append(own.post("/api/v1/runs", {"definition": HELLO}, headers=key))

    threads = [threading.Thread(target=post) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = {answer.json()["id"] for answer in answers if answer.status == 201}
    assert len(made) == 1, [(answer.status, answer.text[:100]) for answer in answers]
    assert {answer.status for answer in answers} <= {201, 409}


def test_if_match(client):
    run = client.succeed(HELLO)
    path = f"/api/v1/runs/{run['id']}"
    tag = client.get(path).headers["ETag"]
    assert tag
    client.call("DELETE", path, headers={"If-Match": '"other"'}).problem(412, "precondition_failed")
    assert client.get(path, headers={"If-None-Match": tag}).status in (200, 304)
    client.call("DELETE", path, headers={"If-Match": tag}).expect(204)


def test_malformed_http(server):
    host = b"Host: x\r\n"
    for request, wanted in (
            (b"GARBAGE\r\n\r\n", {400}),
            (b"GET / HTTP/9.9\r\n" + host + b"\r\n", {400, 505}),
            (b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
            (b"GET /healthz HTTP/1.1\r\n" + host + host + b"\r\n", {400}),
            (b"GET /healthz HTTP/1.1\r\n" + host + b"Bad Name: x\r\n\r\n", {400}),
            (b"GET /healthz HTTP/1.1\r\n" + host + b"A: x\r\n folded\r\n\r\n", {400}),
            (b"GET /healthz HTTP/1.1\r\n" + host + b"A: " + b"x" * 200_000 + b"\r\n\r\n", {431, 400}),
            (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + host + b"\r\n", {414, 431, 400}),
            (b"POST /api/v1/runs HTTP/1.1\r\n" + host + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", {400}),
            (b"POST /api/v1/runs HTTP/1.1\r\n" + host +
             b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
            (b"POST /api/v1/runs HTTP/1.1\r\n" + host + b"Transfer-Encoding: xchunked\r\n\r\nabc", {400, 501}),
            (b"POST /api/v1/runs HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n", {400}),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400, 0})):
        # Each is the last of its connection, so that an answer always ends.
        answer = raw(server, request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
                     if request.startswith(b"GET / HTTP/1") else request)
        assert status_of(answer) in wanted, (request[:60], answer[:300])
    server.client().get("/healthz").expect(200)


def test_an_oversized_body_is_refused_before_it_is_sent(server):
    head = ("POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Length: 999999999999\r\n\r\n").encode()
    answer = raw(server, head)
    assert status_of(answer) == 413, answer[:300]
    stranger = b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"
    assert status_of(raw(server, stranger)) in (401, 413)


def test_slow_and_half_sent_requests_do_not_hold_others_up(server):
    parts = urllib.parse.urlsplit(server.url)
    half = (f"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {server.token}\r\nContent-Length: 100\r\n\r\n" + '{"defin').encode()
    socks = [socket.create_connection((parts.hostname, parts.port), 30) for _ in range(200)]
    try:
        for number, sock in enumerate(socks):
            sock.sendall(half if number % 2 else b"GET /healthz HT")
        client = server.client()

        def twenty():
            began = time.monotonic()
            for _ in range(20):
                client.get("/readyz").expect(200)
            return time.monotonic() - began
        assert any(twenty() < 5 for _ in range(3))  # those that are slow have ten
        before = len(client.get("/api/v1/runs?limit=100").json()["items"])
        for sock in socks[1::2]:
            sock.shutdown(socket.SHUT_WR)
            answer = sock.recv(4096)
            assert status_of(answer) == 400, answer
        assert len(client.get("/api/v1/runs?limit=100").json()["items"]) == before, "half a request made a run"
    finally:
        for sock in socks:
            sock.close()


def test_pipelined_requests_are_answered_in_order(server):
    auth = f"Host: x\r\nAuthorization: Bearer {server.token}\r\n".encode()
    request = (b"GET /healthz HTTP/1.1\r\n" + auth + b"\r\n" + b"GET /api/v1/me HTTP/1.1\r\n" + auth + b"\r\n" +
               b"GET /nothing HTTP/1.1\r\n" + auth + b"Connection: close\r\n\r\n")
    answer = raw(server, request)
    assert [int(part.split()[0]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [200, 200, 404], answer[:900]


if __name__ == "__main__":
    harness.main(globals())
