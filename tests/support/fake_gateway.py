# SPDX-License-Identifier: Apache-2.0
"""The part of the gateway that a worker talks to, strict about the contract, with faults on demand.

Leases are handed out by give(); polls are held open as the real one does; what a worker sends that the contract does
not have is an entry in `violations`, which every test checks."""

import base64
import hashlib
import http.server
import json
import threading
import time
import uuid

POLL = {"worker": str, "instance": str, "labels": dict, "capacity": dict, "host": str, "version": str, "leases": list,
        "draining": bool, "wait_ms": int}
FINISH = {"worker": str, "instance": str, "endings": list}
ENDING = {"lease": str, "status": str, "exit_code": int, "reason": str, "outputs": list, "log_uri": str,
          "log_bytes": int, "started_at_ms": int}
LOG = {"worker": str, "lease": str, "offset": int, "data": str}
OUTPUT = {"name": str, "uri": str, "size_bytes": int, "value": str, "small": bool}


class Gateway:
    """One of them for a test; port 0: any free one."""

    def __init__(self, token="worker-token", port=0):
        self.token = token
        self.lock = threading.Condition()
        self.ready = []  # leases to hand out
        self.next = {}  # lease id: the lease that the answer to its end brings
        self.held = {}  # lease id: lease, until it is finished or lost
        self.cancelled, self.lost = set(), set()
        self.finished = {}  # lease id: its ending
        self.refused = []  # endings that were
        self.finishes = []  # leases of each request
        self.finish_gate = None  # an Event that requests with endings wait for
        self.too_large = set()  # leases whose success makes a request be refused as a whole
        self.logs = {}  # lease id: bytes
        self.log_times = []
        self.polls = []  # (time, request)
        self.artifacts = {}
        self.violations = []
        self.open_poll = None  # (number, instance) of the one that is open
        self.away = False  # answers are 503
        self.taken_over = False  # polls are refused: another instance has the worker's name
        self.finish_times = {}
        self.closing = False
        self.hurry = False  # polls are answered at once
        outer = self

        class Handler(_Handler):
            gateway = outer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        with self.lock:
            self.closing = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()

    # ---- for tests ----

    def put(self, data):
        uri = "sha256:" + hashlib.sha256(data).hexdigest()
        self.artifacts[uri] = data
        return uri

    def lease(self, *argv, **fields):
        lease = {"lease": str(uuid.uuid4()), "workspace": "default", "run": str(uuid.uuid4()), "pipeline": "p", "task": "t",
                 "index": -1, "attempt": 1, "argv": list(argv), "timeout_s": 60, "lease_ms": 30000,
                 "resources": {"cpu": 1, "memory_mb": 256}}
        lease.update(fields)
        return lease

    def give(self, *argv, **fields):
        """A lease for whoever asks next; its id."""
        lease = self.lease(*argv, **fields)
        with self.lock:
            self.ready.append(lease)
            self.lock.notify_all()
        return lease["lease"]

    def give_chain(self, *leases):
        """The first for who asks next, each of the others with the answer to the end of the one before."""
        with self.lock:
            for before, after in zip(leases, leases[1:]):
                self.next[before["lease"]] = after
            self.ready.append(leases[0])
            self.lock.notify_all()

    def cancel(self, lease):
        with self.lock:
            self.cancelled.add(lease)
            self.lock.notify_all()

    def lose(self, lease):
        with self.lock:
            self.lost.add(lease)
            self.lock.notify_all()

    def wait(self, condition, timeout=20, what="condition"):
        end = time.monotonic() + timeout
        with self.lock:
            while not (value := condition()):
                if time.monotonic() > end:
                    raise AssertionError(f"waited {timeout} s for {what}")
                self.lock.wait(0.05)
            return value

    def finish_of(self, lease, timeout=20):
        return self.wait(lambda: self.finished.get(lease), timeout, "the end of a task")

    def live(self, lease):
        """What has been sent of a log while its task ran."""
        return self.logs.get(lease, b"")

    def log_of(self, finish):
        return self.artifacts[finish["log_uri"]] if finish.get("log_uri") else b""

    # ---- what a handler does ----

    def answer_poll(self, request):
        if self.taken_over:
            return 412, {"detail": "another instance of the worker has taken over"}
        end = time.monotonic() + request.get("wait_ms", 0) / 1000
        with self.lock:
            # A worker that drains gives its open one up, one that was killed leaves it behind: nobody reads these.
            if self.open_poll and self.open_poll[1] == request.get("instance") and not request.get("draining"):
                self.violations.append("two open polls")
            self.polls.append((time.monotonic(), request))
            mine = self.open_poll = len(self.polls), request.get("instance")
            self.lock.notify_all()
            named = set(request.get("leases", []))
            while True:
                if self.open_poll != mine:
                    return 200, {}
                answer = {"leases": [] if request.get("draining") else self.ready,
                          "cancelled": sorted(named & self.cancelled), "lost": sorted(named & self.lost)}
                left = end - time.monotonic()
                if any(answer.values()) or left <= 0 or self.hurry or self.closing or self.away:
                    break
                self.lock.wait(left)
            self.open_poll = None
            self.hand_out(answer["leases"])
            return 200, answer

    def hand_out(self, leases):
        for lease in leases:
            self.held[lease["lease"]] = lease
        if leases is self.ready:
            self.ready = []

    def answer_finish(self, request):
        leases = [ending["lease"] for ending in request["endings"]]
        with self.lock:
            self.finishes.append(leases)
            self.lock.notify_all()
        if self.finish_gate:
            self.finish_gate.wait(20)
        if self.too_large & {ending["lease"] for ending in request["endings"] if ending["status"] == "succeeded"}:
            return 413, {"detail": "too large"}
        with self.lock:
            refused, following = [], []
            for ending in request["endings"]:
                lease = ending["lease"]
                if lease not in self.held or lease in self.lost:
                    self.refused.append(ending)
                    refused.append({"lease": lease, "detail": "the lease is lost"})
                    continue
                del self.held[lease]
                self.finished[lease] = ending
                self.finish_times[lease] = time.time()
                if lease in self.next:
                    following.append(self.next.pop(lease))
            answer = {"leases": following or self.ready, "refused": refused}
            self.hand_out(answer["leases"])
            self.lock.notify_all()
            return 200, answer

    def answer_log(self, request):
        data = base64.b64decode(request.get("data", ""), validate=True)
        with self.lock:
            if not 0 < len(data) <= 256 * 1024:
                self.violations.append(f"log chunk of {len(data)} bytes")
            self.log_times.append(time.monotonic())
            text, offset = self.logs.get(request["lease"], b""), request.get("offset", 0)
            if offset > len(text):
                self.violations.append(f"a gap in a log: {offset} after {len(text)}")
                return 400, {"detail": f"offset: {len(text)} is what comes next"}
            self.logs[request["lease"]] = text[:offset] + data
            self.lock.notify_all()
        return 200, {"next_offset": offset + len(data)}


def check(violations, request, fields, what):
    for name, value in request.items():
        if name not in fields or not isinstance(value, fields[name]):
            violations.append(f"{what}: {name}: {value!r}")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway = None

    def log_message(self, *words):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # the worker was killed, or has given up this request

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.gateway.violations.append("a chunked body")
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(content, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        if self.gateway.closing:
            self.close_connection = True
            return False
        if self.headers.get("Authorization") != f"Bearer {self.gateway.token}":
            self.reply(401, {"detail": "who are you?"})
        elif self.gateway.away:
            self.reply(503, {"detail": "away"})
        else:
            return True
        return False

    def do_GET(self):
        self.body()
        if not self.allowed():
            return
        uri = self.path.removeprefix("/api/v1/artifacts/")
        if uri in self.gateway.artifacts:
            self.reply(200, self.gateway.artifacts[uri])
        else:
            self.reply(404, {"detail": "there is no such artifact"})

    def do_POST(self):
        g, body = self.gateway, self.body()
        if not self.allowed():
            return
        if self.path == "/api/v1/artifacts":
            uri = g.put(body)
            return self.reply(201, {"uri": uri, "size_bytes": len(body)})
        parts = self.path.split("/")
        what = parts[-1]
        if parts[:4] != ["", "api", "v1", "workers"] or len(parts) != 6:
            g.violations.append(f"POST {self.path}")
            return self.reply(404, {"detail": "no route"})
        request = json.loads(body)
        answers = {"poll": (POLL, g.answer_poll), "finish": (FINISH, g.answer_finish), "log": (LOG, g.answer_log)}
        fields, answer = answers[what]
        check(g.violations, request, fields, what)
        for ending in request.get("endings", []):
            check(g.violations, ending, ENDING, "ending")
            for output in ending.get("outputs", []):
                check(g.violations, output, OUTPUT, "output")
            if ending.get("status") not in ("succeeded", "failed", "cancelled"):
                g.violations.append(f"status {ending.get('status')}")
        if request.get("wait_ms", 0) > 30000:
            g.violations.append(f"wait_ms {request['wait_ms']}")
        status, content = answer(request)
        self.reply(status, content)
