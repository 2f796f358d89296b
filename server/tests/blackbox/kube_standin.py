"""A stand-in for a Kubernetes API server with a kubelet: what the worker's Kubernetes executor needs of them.

It refuses what a real one refuses (paths, verbs, content types, tokens, unknown fields of what we send, Pod
Security `restricted`), keeps Jobs, pods and Secrets with resource versions, serves lists and watches, and plays
pods by running their containers' commands here, with each mount path replaced by a folder. `images` may hold
fates: "missing" (cannot be pulled), "oom", "evicted", "pending" (no node), "late" (its deadline),
"dumb" (ends without doing anything). `lose` may hold verbs and paths whose next answer is lost.
"""
import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse
import uuid

import harness

FIELDS = {
    "Job.spec": {"suspend", "parallelism", "completions", "backoffLimit", "activeDeadlineSeconds",
                 "ttlSecondsAfterFinished", "template"},
    "pod": {"restartPolicy", "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds",
            "securityContext", "initContainers", "containers", "volumes"},
    "container": {"name", "image", "command", "workingDir", "env", "resources", "securityContext", "volumeMounts",
                  "terminationMessagePolicy"},
}
LABEL = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")
NAME = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def need(condition, message, code=422):
    if not condition:
        raise Refused(code, message)


def check_meta(body, kind, version, namespace):
    need(body.get("kind") == kind and body.get("apiVersion") == version, f"not a {version} {kind}", 400)
    meta = body["metadata"]
    need(NAME.match(meta.get("name", "")), "metadata.name")
    need(meta.get("namespace", namespace) == namespace, "the namespaces differ", 400)
    for key, value in meta.get("labels", {}).items():
        need(isinstance(value, str) and LABEL.match(value), f"label {key}={value!r}")
    for key, value in meta.get("annotations", {}).items():
        need(isinstance(value, str), f"annotation {key}")


def check_restricted(pod):
    """Pod Security `restricted`, for what we use."""
    need(set(pod) <= FIELDS["pod"], f"unknown fields {set(pod) - FIELDS['pod']}", 400)
    need(pod["restartPolicy"] == "Never" and pod["automountServiceAccountToken"] is False, "restartPolicy or token")
    need(pod["securityContext"].get("runAsNonRoot") is True, "runAsNonRoot", 403)
    need(pod["securityContext"].get("runAsUser", 1) != 0, "runAsUser", 403)
    need(pod["securityContext"].get("seccompProfile", {}).get("type") == "RuntimeDefault", "seccompProfile", 403)
    need(all(set(v) & {"secret", "emptyDir", "configMap", "projected"} for v in pod["volumes"]), "volume", 403)
    names = {volume["name"] for volume in pod["volumes"]}
    for container in pod["initContainers"] + pod["containers"]:
        need(set(container) <= FIELDS["container"], f"unknown fields {set(container) - FIELDS['container']}", 400)
        security = container["securityContext"]
        need(security.get("allowPrivilegeEscalation") is False, "allowPrivilegeEscalation", 403)
        need(security.get("capabilities", {}).get("drop") == ["ALL"], "capabilities", 403)
        need(all(mount["name"] in names for mount in container["volumeMounts"]), "volumeMounts")
        need(" " not in container["image"], f"image {container['image']!r}")


class Player:
    """A kubelet of sorts: runs the containers of a pod as processes here. `status` tells how the pod stands."""

    def __init__(self, scratch):
        self.scratch, self.lock = scratch, threading.Condition()
        self.logs, self.processes = {}, {}

    def status(self, pod, **status):
        raise NotImplementedError

    def run(self, name, pod, handed):
        """Runs the containers one after the other; the exit code of the first that fails, else 0."""
        root = os.path.join(self.scratch, "pods", name)
        code = 0
        for container in pod["spec"]["initContainers"] + pod["spec"]["containers"]:
            folders = {}
            for mount in container["volumeMounts"]:
                folders[mount["mountPath"]] = os.path.join(root, mount["name"])
                os.makedirs(folders[mount["mountPath"]], exist_ok=True)
            if "/maestro/secret" in folders:
                for key, text in handed.items():
                    with open(os.path.join(root, "secret", key), "w", encoding="utf-8") as file:
                        file.write(text)
            words = [self.local(word, folders) for word in container["command"]]
            words[0] = harness.BINARY if words[0] == "maestro" else words[0]
            env = {"PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": "10.96.0.1", "OF_THE_IMAGE": "yes"}
            env.update({pair["name"]: self.local(pair["value"], folders) for pair in container.get("env", [])})
            with open(os.path.join(root, container["name"] + ".log"), "ab") as log:
                process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd=self.local(container.get("workingDir", root), folders),
                                           start_new_session=True)
            with self.lock:
                self.processes[name] = process
            if container["name"] == "job":
                self.status(pod, phase="Running")
            code = process.wait()
            with open(os.path.join(root, container["name"] + ".log"), encoding="utf-8", errors="replace") as log:
                self.logs[pod["metadata"]["name"]] = log.read()
            if code:
                break
        with self.lock:
            self.processes.pop(name, None)
        return code if code >= 0 else 128 - code

    @staticmethod
    def local(word, folders):
        for path, folder in folders.items():
            if word == path or word.startswith(path + "/"):
                return folder + word[len(path):]
        return word


class Cluster(Player):
    """Jobs, pods and Secrets of one namespace, and who may do what."""

    def __init__(self, scratch, namespace="jobs", token="cluster-token"):
        super().__init__(scratch)
        self.namespace, self.tokens = namespace, {token}
        self.version, self.forgotten = 100, 0
        self.objects = {"jobs": {}, "pods": {}, "secrets": {}}
        self.events = []  # (version, kind, type, object)
        self.denied, self.requests = set(), []
        self.down, self.lose = False, set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                owner.answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.token_file = os.path.join(scratch, "cluster-token")
        self.write_token(token)
        self.kubeconfig = os.path.join(scratch, "kubeconfig")
        with open(self.kubeconfig, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                       "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "users": [{"name": "u", "user": {"tokenFile": self.token_file}}]}, file)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def write_token(self, token):
        with open(self.token_file + ".new", "w", encoding="utf-8") as file:
            file.write(token + "\n")
        os.replace(self.token_file + ".new", self.token_file)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for process in list(self.processes.values()):
            with contextlib.suppress(OSError):
                process.kill()

    # --- HTTP ---

    def answer(self, call):
        size = int(call.headers.get("Content-Length") or 0)
        body = call.rfile.read(size) if size else b""
        url = urllib.parse.urlsplit(call.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            with self.lock:
                self.requests.append((call.command, url.path))
                need(not self.down, "down", 503)
            need(call.headers.get("Authorization", "")[7:] in self.tokens, "Unauthorized", 401)
            if query.get("watch") == "true":
                return self.watch(call, url.path, query)
            answer = self.route(call, url.path, query, json.loads(body) if body else None)
            if (call.command, url.path) in self.lose:
                self.lose.discard((call.command, url.path))
                call.close_connection = True
                return None
            return self.reply(call, 200 if call.command != "POST" else 201, answer)
        except Refused as no:
            self.reply(call, no.code, {"kind": "Status", "apiVersion": "v1", "code": no.code, "message": str(no)})
        except (BrokenPipeError, ConnectionResetError):
            call.close_connection = True

    @staticmethod
    def reply(call, code, body):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        call.send_response(code)
        call.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        call.send_header("Content-Length", str(len(data)))
        call.end_headers()
        call.wfile.write(data)

    def route(self, call, path, query, body):
        verb = call.command
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" and verb == "POST":
            asked = body["spec"]["resourceAttributes"]
            right = f"{asked['verb']} {asked['resource']}" + (f"/{asked['subresource']}" if "subresource" in asked else "")
            need(asked["group"] == ("batch" if asked["resource"] == "jobs" else ""), "group", 400)
            return {**body, "status": {"allowed": right not in self.denied}}
        match = re.fullmatch(r"/(?:apis/batch/v1|api/v1)/namespaces/([^/]+)/(jobs|pods|secrets)(?:/([^/]+))?(/log)?", path)
        need(match, f"the path {path}", 404)
        namespace, kind, name, log = match.groups()
        need(path.startswith("/apis/batch/v1/") == (kind == "jobs"), "the group", 404)
        need(namespace == self.namespace, f'namespaces "{namespace}" not found', 404)
        if verb in ("POST", "PATCH", "DELETE"):
            wanted = "application/merge-patch+json" if verb == "PATCH" else "application/json"
            need(call.headers.get("Content-Type") == wanted, "the content type", 415)
        with self.lock:
            if log:
                return self.logs.get(name, "")
            if verb == "GET" and name is None:
                return self.list(kind, query)
            if verb == "POST":
                return self.create(kind, body, query.get("dryRun") == "All")
            need(name in self.objects[kind], f"{kind} {name} not found", 404)
            if verb == "PATCH":
                return self.patch(self.objects[kind][name], body)
            if verb == "DELETE":
                need(body.get("propagationPolicy") == "Foreground", "propagationPolicy", 400)
                return self.delete(name)
            return self.objects[kind][name]

    # --- objects; with the lock held ---

    def selected(self, kind, query):
        wanted = dict(pair.split("=") for pair in query["labelSelector"].split(","))
        return [thing for thing in self.objects[kind].values() if wanted.items() <= thing["metadata"]["labels"].items()]

    def list(self, kind, query):
        return {"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": self.selected(kind, query)}

    def changed(self, kind, what, thing):
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, kind, what, json.loads(json.dumps(thing))))
        self.lock.notify_all()

    def create(self, kind, body, dry):
        if kind == "jobs":
            check_meta(body, "Job", "batch/v1", self.namespace)
            spec = body["spec"]
            need(set(spec) <= FIELDS["Job.spec"], f"unknown fields {set(spec) - FIELDS['Job.spec']}", 400)
            need(spec["activeDeadlineSeconds"] > 0 and spec["backoffLimit"] == 0, "the bounds")
            check_restricted(spec["template"]["spec"])
        else:
            need(kind == "secrets", "only controllers create pods", 403)
            check_meta(body, "Secret", "v1", self.namespace)
            owners = body["metadata"].get("ownerReferences", [])
            uids = {job["metadata"]["uid"] for job in self.objects["jobs"].values()}
            need(dry or (len(owners) == 1 and owners[0]["uid"] in uids), "a Secret without an owner")
        name = body["metadata"]["name"]
        need(name not in self.objects[kind], f"{kind} {name} already exists", 409)
        if dry:
            return body
        body["metadata"]["uid"] = str(uuid.uuid4())
        self.objects[kind][name] = body
        self.changed(kind, "ADDED", body)
        return body

    def patch(self, job, body):
        need(body == {"spec": {"suspend": False}}, "the patch")
        if job["spec"]["suspend"]:
            job["spec"]["suspend"] = False
            self.changed("jobs", "MODIFIED", job)
            name = job["metadata"]["name"]
            pod = {"metadata": {"name": name + "-x", "labels": job["metadata"]["labels"],
                                "ownerReferences": [{"kind": "Job", "name": name}]},
                   "spec": job["spec"]["template"]["spec"], "status": {"phase": "Pending"}}
            self.objects["pods"][name + "-x"] = pod
            self.changed("pods", "ADDED", pod)
            threading.Thread(target=self.play, args=(job, pod), daemon=True).start()
        return job

    def delete(self, name):
        job = self.objects["jobs"][name]
        if "deletionTimestamp" in job["metadata"]:
            return job
        job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.changed("jobs", "MODIFIED", job)
        if name in self.processes:
            self.processes[name].send_signal(signal.SIGTERM)
        else:
            self.collect(name)
        return job

    def collect(self, name):
        for kind, key in (("pods", name + "-x"), ("secrets", name), ("jobs", name)):
            thing = self.objects[kind].pop(key, None)
            if thing:
                self.changed(kind, "DELETED", thing)

    def watch(self, call, path, query):
        kind = path.rsplit("/", 1)[1]
        after = int(query["resourceVersion"])
        need(query.get("allowWatchBookmarks") == "true" and after > 0, "the watch", 400)
        call.send_response(200)
        call.send_header("Content-Type", "application/json")
        call.send_header("Connection", "close")
        call.end_headers()
        call.close_connection = True
        while True:
            with self.lock:
                forgotten = after < self.forgotten
                news = [event for event in self.events if event[0] > after]
                if self.down:
                    return
                if not news and not forgotten:
                    self.lock.wait(0.5)
                    continue
            if forgotten:
                call.wfile.write(b'{"type":"ERROR","object":{"kind":"Status","code":410,"metadata":{}}}\n')
                return
            for version, of, what, thing in news:
                after = version
                if of == kind:
                    line = json.dumps({"type": what, "object": thing}).encode() + b"\n"
                    call.wfile.write(line[:20])  # half a line first
                    call.wfile.flush()
                    call.wfile.write(line[20:])
            bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(after)}}}
            call.wfile.write(json.dumps(bookmark).encode() + b"\n")
            call.wfile.flush()

    def forget(self):
        """Watches from versions up to now are told 410, and end."""
        with self.lock:
            self.version += 10
            self.forgotten = self.version
            self.lock.notify_all()

    # --- the kubelet ---

    def status(self, pod, **status):
        with self.lock:
            if pod["metadata"]["name"] in self.objects["pods"]:
                pod["status"] = status
                self.changed("pods", "MODIFIED", pod)

    def end(self, job, kind, reason=""):
        with self.lock:
            name = job["metadata"]["name"]
            if "deletionTimestamp" in job["metadata"]:
                return self.collect(name)
            job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
            return self.changed("jobs", "MODIFIED", job)

    def play(self, job, pod):
        image = pod["spec"]["containers"][0]["image"]
        failed = {"phase": "Failed", "containerStatuses": [
            {"name": "job", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}
        if image == "missing":
            return self.status(pod, phase="Pending", containerStatuses=[
                {"name": "job", "image": image, "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}])
        if image == "pending":
            return self.status(pod, phase="Pending", conditions=[
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}])
        if image == "evicted":
            failed = {"phase": "Failed", "reason": "Evicted", "message": "the node was low on memory"}
        if image == "late":
            return self.end(job, "Failed", "DeadlineExceeded")
        if image in ("oom", "evicted"):
            self.status(pod, **failed)
            return self.end(job, "Failed", "BackoffLimitExceeded")
        if image == "dumb":
            self.logs[pod["metadata"]["name"]] = "nothing to see\n"
            self.status(pod, phase="Succeeded")
            return self.end(job, "Complete")
        name = job["metadata"]["name"]
        code = self.run(name, pod, self.objects["secrets"][name]["stringData"])
        self.status(pod, phase="Failed" if code else "Succeeded", containerStatuses=[
            {"name": "job", "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}}])
        return self.end(job, "Failed" if code else "Complete", "BackoffLimitExceeded" if code else "")
