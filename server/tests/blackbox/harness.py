"""What the black-box tests share: a server in a scratch folder, calls to it, waiting, cleaning up.

A test file is a set of functions `test_*`, each with the arguments it wants out of `server` (one for
all tests of the file), `fresh` (starts servers of its own) and `scratch` (an empty folder). `main(globals())`
runs them; alone: `MAESTRO_BIN=build/bin/maestro server/tests/blackbox/api_runs_test.py [NAME…]`.
Exit code 0: all passed or were skipped; 77: all were skipped; 1: one failed.
"""
import contextlib
import http.client
import inspect
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BINARY = os.path.abspath(os.environ.get("MAESTRO_BIN") or os.path.join(ROOT, "build", "bin", "maestro"))
# The program of the release before (scripts/build-previous).
PREVIOUS = os.environ.get("MAESTRO_PREVIOUS_BIN") or os.path.join(ROOT, "build", "previous", "bin", "maestro")
RELEASE = os.path.abspath(os.environ.get("MAESTRO_RELEASE_BIN") or BINARY)
DEADLINE_S = float(os.environ.get("BLACKBOX_DEADLINE_S", "60"))  # of one wait; sanitizers are slow
FINAL = {"succeeded", "failed", "cancelled", "timed_out", "denied"}
SKIPPED = 77


class Skip(Exception):
    """A test that cannot run here, and why."""


def sanitized():
    """Whether the binary was built with a sanitizer (slower, and with a larger memory)."""
    if "value" not in sanitized.__dict__:
        with open(BINARY, "rb") as file:
            program = file.read()
        sanitized.value = b"__asan_init" in program or b"__tsan_init" in program
    return sanitized.value


def wait_until(condition, what, deadline_s=None, every_s=0.02):
    """Returns the first true value of condition(); fails with `what` after the deadline."""
    end = time.monotonic() + (deadline_s or DEADLINE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s or DEADLINE_S} s: {what}")
        time.sleep(every_s)


class Answer:
    """What came back from one HTTP call."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def expect(self, *statuses):
        if self.status not in statuses:
            raise AssertionError(f"status {self.status}, not {statuses}: {self.text[:600]}")
        return self

    def problem(self, status, code=None):
        """The problem document of an error with this status (and code)."""
        self.expect(status)
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("application/problem+json"):
            raise AssertionError(f"{status} came as {kind}: {self.text[:300]}")
        body = self.json()
        for name in ("type", "title", "status", "detail", "code", "request_id"):
            assert name in body, f"the problem has no {name}: {body}"
        assert body["status"] == status, body
        if code is not None:
            assert body["code"] == code, f"code {body['code']}, not {code}: {body}"
        return body


class Client:
    """HTTP calls with a token; one connection, opened again when it was lost. One per thread."""

    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        self.url, self.token = url, token
        self.host, self.port = parts.hostname, parts.port
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None, timeout=DEADLINE_S, raw=None):
        """`body` goes as JSON; `raw` (bytes or text) as it is, with the headers given."""
        headers = dict(headers or {})
        if self.token is not None and "Authorization" not in headers:
            headers["Authorization"] = "Bearer " + self.token
        data = raw.encode() if isinstance(raw, str) else raw
        if body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        fresh = self.connection is None
        if fresh:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            if self.connection.sock:
                self.connection.sock.settimeout(timeout)
            self.connection.timeout = timeout
            self.connection.request(method, path, body=data, headers=headers)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if fresh or method != "GET":
                raise
            return self.call(method, path, body, headers, timeout, raw)
        except Exception:
            self.close()
            raise
        if answer.headers.get("Connection", "").lower() == "close":
            self.close()
        return answer

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body={} if body is None else body, **options)

    def start(self, definition=None, **fields):
        """Starts a run; returns the Run."""
        body = dict(fields)
        if definition is not None:
            body["definition"] = definition
        return self.post("/api/v1/runs", body).expect(201).json()

    def run(self, run_id):
        return self.get(f"/api/v1/runs/{run_id}").expect(200).json()

    def finished(self, run_id, deadline_s=None):
        """The Run once it is final."""
        end = time.monotonic() + (deadline_s or DEADLINE_S)
        while True:
            run = self.get(f"/api/v1/runs/{run_id}?wait=5s").expect(200).json()
            if run["status"] in FINAL:
                return run
            if time.monotonic() > end:
                raise AssertionError(f"the run is still {run['status']} ({run['reason']}); "
                                     f"jobs: {self.statuses(run_id)}")

    def succeed(self, definition, **fields):
        run = self.finished(self.start(definition, **fields)["id"])
        assert run["status"] == "succeeded", (run["status"], run["message"], self.statuses(run["id"]))
        return run

    def jobs(self, run_id):
        answer = self.get(f"/api/v1/runs/{run_id}/jobs").expect(200).json()
        return {job["key"]: job for job in answer["items"]}

    def statuses(self, run_id):
        return {key: job["status"] for key, job in self.jobs(run_id).items()}

    def job(self, run_id, key):
        return self.get(f"/api/v1/runs/{run_id}/jobs/{quote(key)}").expect(200).json()

    def log(self, run_id, key, query="", headers=None):
        return self.get(f"/api/v1/runs/{run_id}/jobs/{quote(key)}/logs{query}", headers=headers)

    def events(self, run_id):
        """All events of a run, oldest first."""
        items, after = [], 0
        while True:
            page = self.get(f"/api/v1/runs/{run_id}/events?after={after}").expect(200).json()["items"]
            if not page:
                return items
            items += page
            after = page[-1]["seq"]

    def wait_job(self, run_id, key, status, deadline_s=None):
        def there():
            job = self.jobs(run_id).get(key)
            return job if job and job["status"] == status else None
        return wait_until(there, f"job {key} {status}", deadline_s)

    def token_of(self, role, name=None, **fields):
        body = {"name": name or f"{role}-{time.monotonic_ns()}", "role": role, **fields}
        made = self.post("/api/v1/tokens", body).expect(201).json()
        return secret_of(made)


def secret_of(made):
    """The secret of a minted token, whatever the field's name."""
    for name in ("secret", "token"):
        if isinstance(made.get(name), str):
            return made[name]
    raise AssertionError(f"no secret in {list(made)}")


def quote(key):
    return urllib.parse.quote(key, safe="")


class Server:
    """A `maestro up` on a free port of 127.0.0.1, in a folder of its own."""

    def __init__(self, folder, slots=2, options=(), env=None, wait=True, binary=BINARY):
        self.binary = binary
        self.folder, self.slots, self.options, self.env = folder, slots, tuple(options), dict(env or {})
        self.process = None
        self.clients = []
        if wait:
            self.start()

    def start(self, deadline_s=None):
        began = time.monotonic()
        self.process = subprocess.Popen(
            [self.binary, "up", "--data", self.folder, "--listen", "127.0.0.1:0",
             "--worker-slots", str(self.slots), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=open(self.folder.rstrip("/") + ".err", "ab"), env=clean_env(self.env), start_new_session=True)
        line = read_line(self.process.stdout, deadline_s or DEADLINE_S)
        match = re.search(r"http://[\d.]+:\d+", line)
        if not match:
            self.kill()
            raise AssertionError(f"no ready line but {line!r}; exit {self.process.returncode}; "
                                 f"stderr: {self.stderr()[-3000:]}")
        self.ready_s = time.monotonic() - began
        self.url = match.group(0)
        with open(os.path.join(self.folder, "admin.token"), encoding="utf-8") as file:
            self.token = file.read().strip()
        return self

    @property
    def pid(self):
        return self.process.pid

    def client(self, token=None):
        client = Client(self.url, token or self.token)
        self.clients.append(client)
        return client

    def stderr(self):
        with open(self.folder.rstrip("/") + ".err", encoding="utf-8", errors="replace") as file:
            return file.read()

    def cli(self, *words, **options):
        env = {"MAESTRO_URL": self.url, "MAESTRO_TOKEN": self.token}
        env.update(options.pop("env", {}))
        return maestro(*words, env=env, **options)

    def kill(self, sig=signal.SIGKILL):
        """Signals the whole group (the worker's jobs are in others) and waits for the server."""
        if self.process is None:
            return None
        for client in self.clients:
            client.close()
        self.clients = []
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(DEADLINE_S)
        finally:
            self.process.stdout.close()
        self.process = None
        return code

    def stop(self):
        """Ends it in order; a sanitizer's report or another exit code than 0 is a failure."""
        if self.process is None:
            return
        try:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
            code = self.kill(signal.SIGTERM) if self.process.poll() is None else self.process.returncode
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the server did not stop: " + self.stderr()[-3000:]) from None
        if self.process is not None:
            self.kill()
        assert code in (0, 130), f"the server ended with {code}: {self.stderr()[-6000:]}"


def read_line(stream, deadline_s):
    """One line of a pipe, or what came until the deadline or its end."""
    end, got = time.monotonic() + deadline_s, b""
    while not got.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            break
        piece = os.read(stream.fileno(), 4096)
        if not piece:
            break
        got += piece
    return got.decode("utf-8", "replace")


def clean_env(extra=None):
    """This environment without what points a maestro elsewhere."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("MAESTRO_", "XDG_")) and name.lower() not in ("http_proxy", "https_proxy")}
    env["XDG_CACHE_HOME"] = os.path.join(SCRATCH.path, "cache")
    env["XDG_DATA_HOME"] = os.path.join(SCRATCH.path, "share")
    env["XDG_CONFIG_HOME"] = os.path.join(SCRATCH.path, "config")
    env["NO_COLOR"] = "1"
    env.update(extra or {})
    return env


class Done:
    """A command that has ended."""

    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def expect(self, *codes):
        if self.code not in codes:
            raise AssertionError(f"{' '.join(self.words)}: exit {self.code}, not {codes}\n"
                                 f"--- out\n{self.out[-3000:]}\n--- err\n{self.err[-3000:]}")
        return self

    def json(self):
        return json.loads(self.out)


def maestro(*words, env=None, cwd=None, stdin=None, timeout=None, binary=BINARY):
    """Runs the binary to its end."""
    process = subprocess.run([binary, *words], input=stdin if stdin is not None else "", text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace",
                             env=clean_env(env), cwd=cwd, timeout=timeout or DEADLINE_S * 2, check=False)
    return Done(("maestro", *words), process.returncode, process.stdout, process.stderr)


def processes_with(marker):
    """Ids of living processes whose command line or environment holds the marker."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        for part in ("cmdline", "environ"):
            with contextlib.suppress(OSError), open(f"/proc/{name}/{part}", "rb") as file:
                if marker.encode() in file.read() and state_of(name) not in ("Z", "X"):
                    found.append(int(name))
                    break
    return found


def state_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()[0]
    return "X"


def remove_group(path):
    """Removes a control group; false while a process is in it."""
    with contextlib.suppress(OSError):
        os.rmdir(path)
    return not os.path.exists(path)


def peak_kib(pid):
    """The most memory (KiB resident) a living process has had."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1))


class Sse:
    """A stream of server-sent events over a plain socket."""

    def __init__(self, url, token, path, headers=None):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), DEADLINE_S)
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {token}",
                 "Accept: text/event-stream", *[f"{k}: {v}" for k, v in (headers or {}).items()]]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.response = http.client.HTTPResponse(self.socket)
        self.response.begin()
        self.status = self.response.status

    def events(self, deadline_s=None):
        """Yields {event, id, data} until the stream ends or the deadline."""
        self.socket.settimeout(deadline_s or DEADLINE_S)
        event = {"event": "message", "id": None, "data": []}
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            if line == "":
                if event["data"]:
                    yield {**event, "data": "\n".join(event["data"])}
                event = {"event": "message", "id": event["id"], "data": []}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if name == "data":
                    event["data"].append(value)
                else:
                    event[name] = value

    def close(self):
        self.response.close()
        self.socket.close()


class Scratch:
    """The folder of one test program; removed at its end."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="maestro-test-")
        self.count = 0

    def folder(self, name="dir"):
        self.count += 1
        path = os.path.join(self.path, f"{name}-{self.count}")
        os.mkdir(path)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


SCRATCH = Scratch()


class World:
    """What tests ask for by the names of their arguments."""

    def __init__(self):
        self.servers = []
        self.shared = None

    def fresh(self, **options):
        folder = options.pop("folder", None) or SCRATCH.folder("data")
        server = Server(folder, **options)
        self.servers.append(server)
        return server

    def argument(self, name):
        if name == "fresh":
            return self.fresh
        if name == "scratch":
            return SCRATCH.folder("scratch")
        if self.shared is None or self.shared.process is None or self.shared.process.poll() is not None:
            self.shared = Server(SCRATCH.folder("server"))
        if name == "server":
            return self.shared
        if name == "client":
            return self.shared.client()
        raise TypeError(f"a test asks for {name}")

    def end_fresh(self):
        servers, self.servers = self.servers, []
        for server in servers:
            server.stop()

    def end_all(self):
        self.end_fresh()
        if self.shared is not None:
            self.shared.stop()

    def abandon(self):
        for server in [*self.servers, self.shared]:
            with contextlib.suppress(Exception):
                if server is not None:
                    server.kill()
        self.servers, self.shared = [], None


def run_one(world, test):
    """Returns passed, skipped or failed, and prints why."""
    began = time.monotonic()
    result, why = "passed", ""
    try:
        test(**{name: world.argument(name) for name in inspect.signature(test).parameters})
        world.end_fresh()
    except Skip as reason:
        result, why = "skipped", str(reason)
        world.abandon()
    except Exception:  # pylint: disable=broad-except
        result, why = "failed", traceback.format_exc()
        for server in [*world.servers, world.shared]:
            if server is not None:
                why += f"--- stderr of the server in {server.folder}\n" + server.stderr()[-3000:]
        world.abandon()
    print(f"{result:7} {test.__name__} ({time.monotonic() - began:.2f} s)" + (f": {why}" if why else ""), flush=True)
    return result


def main(names):
    """Runs the file's tests, or those named on the command line, and exits."""
    if not os.access(BINARY, os.X_OK):
        print(f"there is no {BINARY}; set MAESTRO_BIN")
        sys.exit(1)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    if sys.argv[1:]:
        tests = [test for test in tests if test.__name__ in sys.argv[1:]]
    world, results = World(), []
    try:
        for test in tests:
            results.append(run_one(world, test))
        try:
            world.end_all()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            results.append("failed")
    finally:
        world.abandon()
        SCRATCH.remove()
    print(", ".join(f"{results.count(kind)} {kind}" for kind in ("passed", "failed", "skipped")))
    sys.exit(1 if "failed" in results or not results else SKIPPED if set(results) == {"skipped"} else 0)
