#!/usr/bin/env python3
"""The actions that reach addresses outside: `http` and `notify`, against a server of the test's own."""
import contextlib
import http.server
import json
import threading

import harness


class Outside:
    """What the actions talk to: keeps requests; /slow answers when the test is over."""

    def __init__(self):
        outside = self
        self.requests, self.asked, self.go = [], threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outside.requests.append((self.command, self.path, dict(self.headers), body))
                if self.path == "/slow":
                    outside.asked.set()
                    outside.go.wait()
                status = int(self.path[1:]) if self.path[1:].isdigit() else 200
                self.send_response(status)
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked may be gone
                    self.wfile.write(b"x" * 100_000 if self.path == "/large" else b"hello")

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def outside():
    made = Outside()
    try:
        yield made
    finally:
        made.close()


def http_step(**inputs):
    return "jobs:\n  a:\n    outputs: {status: '${{ steps.s.outputs.status }}', size: '${{ steps.n.outputs.n }}'}\n" \
           f"    steps:\n      - {{id: s, uses: http, with: {json.dumps(inputs)}}}\n" \
           "      - {id: n, run: 'n=0; [ ! -f got ] || n=$(wc -c < got); echo n=$n >> $MAESTRO_OUTPUT'}\n"


def test_http_sends_what_it_is_told_and_keeps_the_answer(server):
    with outside() as there:
        client = server.client()
        run = client.succeed(http_step(url=there.url + "/large", body='{"a":1}', headers='{"X-Kind": "test"}',
                                       output="got"))
        assert client.job(run["id"], "a")["outputs"] == {"status": "200", "size": "100000"}
        method, path, headers, body = there.requests[0]
        assert (method, path, body) == ("POST", "/large", b'{"a":1}'), there.requests
        assert headers["X-Kind"] == "test" and headers["Content-Type"] == "application/json", headers


def test_http_judges_the_answer(server):
    with outside() as there:
        client = server.client()
        for path, expect, kind in (("/404", "", "user"), ("/503", "", "infra"), ("/200", "201", "user"),
                                   ("/404", "404", None), ("/204", "2xx", None)):
            run = client.start(http_step(url=there.url + path, **({"expect_status": expect} if expect else {})))
            done = client.finished(run["id"])
            assert done["status"] == ("failed" if kind else "succeeded"), (path, expect, done)
            assert done["failure_kind"] == kind, done
        run = client.start(http_step(url="http://127.0.0.1:1/"))
        assert client.finished(run["id"])["failure_kind"] == "infra"


def test_a_cancel_ends_a_call_at_once(server):
    with outside() as there:
        client = server.client()
        run = client.start(http_step(url=there.url + "/slow", timeout="1h"))
        assert there.asked.wait(harness.DEADLINE_S)
        client.post(f"/api/v1/runs/{run['id']}/cancel").expect(202)
        # Nobody lets the call go: only the cancel can end it.
        assert client.finished(run["id"])["status"] == "cancelled"
        assert client.job(run["id"], "a")["status"] == "cancelled"


def test_notify_says_who_speaks(server):
    with outside() as there:
        client = server.client()
        text = ("name: told\njobs:\n  a: {steps: [{uses: notify, with: "
                f"{{message: 'it works', level: warning, url: '{there.url}/hook'}}}}]}}\n")
        run = client.succeed(text)
        method, path, _, body = there.requests[0]
        said = json.loads(body)
        assert (method, path) == ("POST", "/hook")
        assert said["text"] == "it works" and said["level"] == "warning" and said["run"] == run["id"], said
        assert "warning: it works" in client.log(run["id"], "a").text
        failed = client.finished(client.start(text.replace("/hook", "/500"))["id"])
        assert failed["status"] == "failed" and failed["failure_kind"] == "infra", failed


if __name__ == "__main__":
    harness.main(globals())
