#!/usr/bin/env python3
"""Artifacts and logs over a line that breaks: what has arrived is not sent again, and nothing is lost or doubled."""
import contextlib
import hashlib
import http.client
import os
import socket
import threading

from data_folder_test import tmpfs
from harness import main, wait_until
from worker_protocol_test import NOOP, Worker, working

MIB = 1 << 20
SIZE = 48 * MIB
MAKE = f"""
jobs:
  make:
    runs_on: [far]
    steps: [{{run: 'head -c {SIZE} /dev/urandom > big'}}]
    artifacts: [{{name: big, path: big}}]
"""
LINES = 120_000
SAY = f"jobs: {{say: {{runs_on: [far], steps: [{{run: 'seq -f \"line %.0f\" {LINES}'}}]}}}}\n"
SAID = "".join(f"line {number}\n" for number in range(1, LINES + 1))


class Line:
    """Between workers and a server: counts what workers send, and breaks at the marks."""

    def __init__(self, server, *marks, broken=lambda: None):
        self.server, self.marks, self.broken = server, list(marks), broken
        self.sent, self.breaks, self.open = 0, 0, set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        with near, contextlib.suppress(OSError):
            host, port = self.server.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as far:
                back = threading.Thread(target=self.pass_back, args=(far, near), daemon=True)
                back.start()
                self.pass_on(near, far)

    def pass_on(self, near, far):
        try:
            while piece := near.recv(256 << 10):
                with self.lock:
                    self.sent += len(piece)
                    breaks = bool(self.marks) and self.sent >= self.marks[0]
                    if breaks:
                        self.marks.pop(0)
                        self.breaks += 1
                        self.broken()
                far.sendall(piece)
                if breaks:
                    return
        finally:
            for end in (near, far):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def pass_back(far, near):
        with contextlib.suppress(OSError):
            while piece := far.recv(64 << 10):
                near.sendall(piece)
        with contextlib.suppress(OSError):
            near.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def finish(server, line, scratch, definition):
    with working(server, scratch, "--url", line.url, "--name", "far", "--labels", "far"):
        run = server.client().start(definition)["id"]

        def over():
            # The server may be away: that is what some of these tests do to it.
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError, AttributeError, ValueError):
                found = server.client().run(run)
                return found if found["status"] not in ("queued", "running", "waiting") else None
            return None
        found = wait_until(over, "the run ends", deadline_s=150)
    assert found["status"] == "succeeded", (found["message"], server.client().jobs(run))
    return run


def check_artifact(server, run):
    artifact = server.client().get(f"/api/v1/runs/{run}/artifacts").expect(200).json()["items"][0]
    body = server.client().get(f"/api/v1/artifacts/{artifact['digest']}").expect(200).body
    assert len(body) == SIZE and artifact["digest"] == "sha256:" + hashlib.sha256(body).hexdigest()
    assert not os.listdir(os.path.join(server.folder, "parts")), "nothing unfinished is left"


def test_what_has_arrived_is_not_sent_again(fresh, scratch):
    server = fresh(slots=0)
    with Line(server, 10 * MIB, 25 * MIB, 44 * MIB) as line:
        run = finish(server, line, scratch, MAKE)
    check_artifact(server, run)
    assert line.breaks == 3, line.breaks
    # What was on its way, in the buffers of sockets, may be sent twice; whole parts would be 31 MiB.
    assert SIZE <= line.sent < SIZE + 16 * MIB, f"{line.sent} bytes were sent for {SIZE}"


def test_an_upload_goes_on_after_the_server_was_killed(fresh, scratch):
    server = fresh(slots=0)

    def crash():
        server.kill()
        assert os.listdir(os.path.join(server.folder, "parts")), "it was killed half way"
        server.start()
    with Line(server, 30 * MIB, broken=crash) as line:
        run = finish(server, line, scratch, MAKE)
    check_artifact(server, run)
    # What was on its way to the dead server, in the buffers of sockets, is sent twice.
    assert line.breaks == 1 and line.sent < SIZE + 16 * MIB, f"{line.sent} bytes were sent for {SIZE}"


def test_a_log_is_whole_though_its_line_breaks(fresh, scratch):
    server = fresh(slots=0)
    with Line(server, 100_000, 400_000, 900_000) as line:
        run = finish(server, line, scratch, SAY)
    assert line.breaks == 3, line.breaks
    assert server.client().log(run, "say").text == SAID


def test_a_log_is_whole_though_the_server_was_killed(fresh, scratch):
    server = fresh(slots=0)

    def crash():
        server.kill()
        server.start()
    with Line(server, 300_000, 800_000, broken=crash) as line:
        run = finish(server, line, scratch, SAY)
    assert line.breaks == 2, line.breaks
    assert server.client().log(run, "say").text == SAID


class Upload:
    """By hand, of the task that a worker holds."""

    def __init__(self, worker, task, content):
        self.client, self.content = worker.client, content
        self.digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.path = f"/api/v1/worker/blobs/{self.digest}?task_id={task['task_id']}&fence={task['fence']}"

    def arrived(self):
        answer = self.client.call("HEAD", self.path)
        return int(answer.headers["Upload-Offset"]) if answer.status == 404 else answer.status

    def send(self, offset, content, size=None):
        return self.client.call("PATCH", self.path, raw=content, headers={
            "Upload-Offset": str(offset), "Upload-Length": str(size or len(self.content)),
            "Content-Type": "application/octet-stream"})


def test_only_the_right_bytes_at_the_right_place(fresh):
    server = fresh(slots=0)
    server.client().start(NOOP)
    worker = Worker(server)
    task, = worker.poll()
    upload = Upload(worker, task, os.urandom(3 * MIB))
    assert upload.arrived() == 0
    assert upload.send(0, upload.content[:MIB]).expect(204).headers["Upload-Offset"] == str(MIB)
    for wrong in (0, MIB - 1, MIB + 1):
        answer = upload.send(wrong, upload.content[wrong:wrong + 10])
        answer.problem(409, "conflict")
        assert answer.headers["Upload-Offset"] == str(MIB), dict(answer.headers)
    assert upload.arrived() == MIB
    upload.send(MIB, bytes(2 * MIB)).problem(422, "invalid_field")
    assert upload.arrived() == 0 and not os.listdir(os.path.join(server.folder, "parts"))
    worker.client.get(upload.path).problem(404, "not_found")

    upload.send(0, upload.content[:MIB]).expect(204)
    older = Upload(worker, task, upload.content)  # in one request, as ever
    worker.client.call("PUT", older.path, raw=older.content).expect(204)
    assert upload.arrived() == 200
    assert worker.client.get(upload.path).expect(200).body == upload.content
    worker.complete(task)
    upload.send(MIB, b"x").problem(409, "fenced")


def test_a_disk_without_room_says_so_at_the_first_part(fresh):
    with tmpfs("size=32m") as folder:
        server = fresh(folder=os.path.join(folder, "data"), slots=0)
        server.client().start(NOOP)
        worker = Worker(server)
        task, = worker.poll()
        upload = Upload(worker, task, os.urandom(MIB))
        refused = upload.send(0, upload.content, size=64 * MIB).problem(503, "store_failed")
        assert "No space left" in refused["detail"], refused
        assert upload.arrived() == 0 and not os.listdir(os.path.join(server.folder, "parts"))
        upload.send(0, upload.content).expect(204)
        assert upload.arrived() == 200


if __name__ == "__main__":
    main(globals())
