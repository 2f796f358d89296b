#!/usr/bin/env python3
"""Every exit code of scripts/smoke/synthetic.sh, against stand-ins that misbehave at one stage each."""
import http.server
import json
import os
import subprocess
import threading

from harness import ROOT, clean_env, main

SCRIPT = os.path.join(ROOT, "scripts", "smoke", "synthetic.sh")
RUN = "01900000-0000-7000-8000-000000000001"


class StandIn(http.server.BaseHTTPRequestHandler):
    """A server that does all right but what `server.wrong` names."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def give(self, status, body=None, headers=None):
        data = json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def wrong(self, stage):
        return self.server.wrong == stage

    def run_now(self):
        status = "failed" if self.wrong("fails") else "succeeded"
        shown = RUN if not self.wrong("get") or "wait" in self.path else RUN.replace("1", "2")
        return {"id": shown, "status": status, "outcome": status, "message": "as told", "reason": ""}

    def do_GET(self):  # pylint: disable=invalid-name
        path = self.path
        if path == "/healthz":
            return self.give(500 if self.wrong("healthz") else 200)
        if path == "/readyz":
            return self.give(503 if self.wrong("readyz") else 200)
        if path.startswith("/api/v1/runs?"):
            there = (not self.server.deleted or self.wrong("listed")) and not self.wrong("list")
            return self.give(200, {"items": [{"id": RUN}] if there else [], "next_cursor": None})
        if self.server.deleted and not self.wrong("still"):
            return self.give(404)
        if self.wrong("hangs"):
            running = {**self.run_now(), "status": "running", "outcome": "running"}
            return self.give(200, running)
        return self.give(200, self.run_now())

    def do_POST(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/api/v1/runs":
            return self.give(202, self.run_now())
        if self.wrong("create"):
            return self.give(500)
        self.server.keys.add(self.headers.get("Idempotency-Key"))
        return self.give(201, {"id": RUN}, {"Location": f"/api/v1/runs/{RUN}"})

    def do_DELETE(self):  # pylint: disable=invalid-name
        if self.wrong("delete"):
            return self.give(500)
        self.server.deleted = True
        self.send_response(204)
        self.end_headers()
        return None


def smoke(wrong, *options):
    """Exit code and standard output of the script against one stand-in."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.wrong, server.deleted, server.keys, server.daemon_threads = wrong, False, set(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        env = clean_env({"MAESTRO_TOKEN": "stand-in", "SYNTHETIC_TIMEOUT_S": "5", "SYNTHETIC_WAIT_S": "1"})
        done = subprocess.run([SCRIPT, f"http://127.0.0.1:{server.server_port}", *options], env=env,
                              capture_output=True, text=True, timeout=120, check=False)
    finally:
        server.shutdown()
        server.server_close()
    return done.returncode, done.stdout, done.stderr


def test_each_stage_has_its_exit_code():
    for wrong, code in (("", 0), ("healthz", 11), ("readyz", 12), ("create", 13), ("fails", 14), ("hangs", 14),
                        ("get", 15), ("list", 16), ("delete", 17), ("still", 18), ("listed", 18)):
        got, out, err = smoke(wrong)
        assert got == code, (wrong, got, code, out, err)


def test_usage_is_10():
    for words in ((), ("ftp://x",), ("http://x", "--nonsense"), ("http://a", "http://b")):
        done = subprocess.run([SCRIPT, *words], env=clean_env({"MAESTRO_TOKEN": "x"}), capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == 10 and "usage" in done.stderr, (words, done)
    far = subprocess.run([SCRIPT, "http://198.51.100.1"], env=clean_env(), capture_output=True, text=True,
                         timeout=30, check=False)
    assert far.returncode == 10 and "MAESTRO_TOKEN" in far.stderr, far


def test_json_says_what_failed():
    code, out, _ = smoke("readyz", "--json")
    told = json.loads(out)
    assert code == 12 and told["ok"] is False and told["exit_code"] == 12, told
    assert [(stage["stage"], stage["ok"]) for stage in told["stages"]] == [("healthz", True), ("readyz", False)]


if __name__ == "__main__":
    main(globals())
