# SPDX-License-Identifier: Apache-2.0
"""A worker that is cut off from the network for longer than its lease, with connections that stay open."""

import contextlib
import json
import pathlib
import selectors
import socket
import threading
import urllib.parse

import chaos
import pytest
from stack import wait_for

LEASE_S = 30  # services/pipeline/work.h

WAITS = """
name: waits
tasks:
  - name: effect
    run: [sh, -c, "until test -e %(folder)s/go-$MODELBUS_ATTEMPT; do sleep 0.1; done; touch %(folder)s/done-$MODELBUS_ATTEMPT"]
"""


class Proxy(threading.Thread):
    """Forwards TCP. While it is cut it keeps what it is given to itself, and closes nothing."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.cut, self.over = target, False, False
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.server, selectors.EVENT_READ)
        self.other = {}  # end of each end
        self.held, self.answers = [], b""

    def run(self):
        while not self.over:
            for key, _ in self.selector.select(.02):
                if key.fileobj is self.server:
                    self.accept()
                else:
                    self.take(key.fileobj)
            while self.held and not self.cut:
                self.forward(*self.held.pop(0))

    def accept(self):
        near = self.server.accept()[0]
        far = socket.create_connection(self.target)
        for one, another in ((near, far), (far, near)):
            self.other[one] = another
            self.selector.register(one, selectors.EVENT_READ, one is far)

    def take(self, source):
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        self.held.append((source, self.selector.get_key(source).data, data))
        if not data:
            self.selector.unregister(source)

    def forward(self, source, is_answer, data):
        if is_answer:
            self.answers += data
        with contextlib.suppress(OSError):  # the other end may have gone
            if data:
                self.other[source].sendall(data)
            else:
                self.other[source].shutdown(socket.SHUT_WR)

    def stop(self):
        self.over = True
        self.join()
        for one in (self.server, *self.other):
            one.close()


@pytest.fixture
def proxy(stack):
    url = urllib.parse.urlparse(stack.gateway)
    running = Proxy((url.hostname, url.port))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def worker(stack, proxy):
    peer = chaos.Peer(stack, "worker", "worker-cut", NAME="cut", DIR=f"{stack.folder}/worker-cut", GATEWAY_URL=proxy.url, HTTP_BIND="127.0.0.1:0")
    yield peer
    peer.kill()


def attempts(stack, run):
    shown = json.loads(stack.cli("pipeline", "status", run, "--json").stdout)
    return shown["status"], [(a["attempt"], a["status"], a.get("worker")) for a in sorted(shown["attempts"], key=lambda a: a["attempt"])]


def start(stack):
    return json.loads(stack.cli("pipeline", "run", "waits", "--json").stdout)["run"]


def test_a_worker_cut_off_for_longer_than_its_lease_is_refused(stack, tmp_path, proxy, worker):
    file = tmp_path / "pipeline.yaml"
    file.write_text(WAITS % {"folder": tmp_path})
    stack.cli("pipeline", "apply", str(file))
    wait_for(lambda: "cut" in stack.cli("worker", "list").stdout, what="the worker")
    stack.cli("worker", "drain", "local")
    run = start(stack)
    wait_for(lambda: attempts(stack, run)[1] == [(1, "running", "cut")], what="the task to run at the worker", interval=.1)

    proxy.cut = True
    stack.cli("worker", "drain", "local", "--off")
    (tmp_path / "go-2").touch()
    twice = [(1, "lost", "cut"), (2, "succeeded", "local")]
    wait_for(lambda: attempts(stack, run) == ("succeeded", twice), LEASE_S + 30, "the task to run elsewhere", .2)
    assert not (tmp_path / "done-1").exists(), "the lost process runs on: nobody can tell it"

    # It ends well, cannot say so, and is refused as soon as it can.
    (tmp_path / "go-1").touch()
    wait_for(lambda: any(b"/workers/cut/finish" in data for _, _, data in list(proxy.held)), what="the worker to report it")
    assert (tmp_path / "done-1").exists()
    proxy.answers = b""
    proxy.cut = False

    line, = wait_for(lambda: worker.said("its result is thrown away"), 60, "the worker to be refused")
    assert (line["run"], line["task"], line["result"]) == (run, "effect", "succeeded")
    assert b'"refused":[{"lease":"' in proxy.answers, "its completion was refused by the service"
    assert attempts(stack, run) == ("succeeded", twice), "both facts are to be seen, and nothing has changed"

    # It is a worker like any other again.
    stack.cli("worker", "drain", "local")
    run = start(stack)
    wait_for(lambda: attempts(stack, run) == ("succeeded", [(1, "succeeded", "cut")]), 60, "a run by the worker that is back", .2)
    wait_for(lambda: not list((pathlib.Path(stack.folder) / "worker-cut").glob("????????-*")), 10, "its folders to go")
