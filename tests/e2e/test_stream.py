# SPDX-License-Identifier: Apache-2.0
"""Live events over REST (Server-Sent Events): filters, resume, workspaces, bounds, slow readers, stop."""

import http.client
import json
import pathlib
import socket
import time
import urllib.parse
import uuid

import confluent_kafka
import pytest
import stack as platform


@pytest.fixture(scope="module")
def stack():
    with platform.Stack(env={"GATEWAY_EVENT_STREAMS": "8"}) as running:
        yield running


class Stream:
    """A client as a browser's EventSource is."""

    def __init__(self, stack, query="", last=None, workspace=None, timeout=20):
        url = urllib.parse.urlparse(stack.gateway)
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        if workspace:
            headers["X-Modelbus-Workspace"] = workspace
        self.connection.request("GET", f"/api/v1/events/stream{query}", headers=headers)
        self.answer = self.connection.getresponse()
        self.last = last
        if self.answer.status == 200:
            assert self.answer.headers["Content-Type"] == "text/event-stream"
            assert self.block() == {None: "hears"}

    def block(self):
        fields = {}
        while (line := self.answer.readline().decode().rstrip("\n")):
            assert ": " in line, line
            name, value = line.split(": ", 1)
            fields[name or None] = value
        return fields

    def next(self):
        """(type, subject, data) of the next event."""
        while "data" not in (fields := self.block()):
            assert fields, "the stream has ended"
        self.last = fields.get("id")
        event = json.loads(fields["data"])
        assert event["type"].endswith(f".{fields['event']}")
        return fields["event"], event["subject"], event["data"]

    def close(self):
        self.connection.close()
        self.answer.close()


def say(stack, run, workspace=None):
    words = ["--workspace", workspace] if workspace else []
    stack.cli("event", "publish", "RunStarted", json.dumps({"run_id": run, "experiment": "streams"}), *words)


def test_events_are_heard_as_they_happen(stack):
    stream = Stream(stack)
    say(stack, "run-1")
    kind, subject, data = stream.next()
    assert (kind, subject, data["run_id"], data["experiment"]) == ("RunStarted", "run-1", "run-1", "streams")
    stream.close()


def test_filters_by_type_and_aggregate(stack):
    rest = stack.rest()
    models = Stream(stack, "?type=ModelRegistered,AliasMoved")
    one = Stream(stack, "?key=streamed-2")
    for name in "streamed-1", "streamed-2":
        status, answer, _ = rest("POST", f"/api/v1/models/{name}/versions", {"artifact": {"uri": platform.artifact_uri(name)}})
        assert status == 201, answer
        status, answer, _ = rest("PUT", f"/api/v1/models/{name}/aliases/champion", {"version": 1})
        assert status == 200, answer
    heard = [models.next()[:2] for _ in range(4)]
    for name in "streamed-1", "streamed-2":
        assert [kind for kind, subject in heard if subject == name] == ["ModelRegistered", "AliasMoved"]
    kinds = [one.next()[:2] for _ in range(3)]
    assert all(subject == "streamed-2" for _, subject in kinds)
    models.close()
    one.close()


def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(stack):
    name, heard = f"resume-{uuid.uuid4().hex[:8]}", []
    stream = Stream(stack, "?type=RunStarted")
    for turn in range(5):
        for i in range(10):
            say(stack, f"{name}-{turn}-{i}")
        for _ in range(7):  # away in the middle
            heard.append(stream.next()[1])
        last = stream.last
        stream.close()
        stream = Stream(stack, "?type=RunStarted", last=last)
    while len(heard) < 50:
        heard.append(stream.next()[1])
    assert sorted(heard) == sorted(f"{name}-{turn}-{i}" for turn in range(5) for i in range(10))
    stream.close()


def test_only_the_callers_workspace(stack):
    other, own = Stream(stack, "?type=RunStarted", workspace="elsewhere"), Stream(stack, "?type=RunStarted")
    say(stack, "there", workspace="elsewhere")
    say(stack, "here")
    assert own.next()[1] == "here"
    assert other.next()[1] == "there"
    own.close()
    other.close()


@pytest.mark.parametrize("query, last", [("?type=Nothing", None), ("?type=PredictionsLogged", None), ("?type=DeadLetter", None),
                                         ("?other=1", None), ("", "nonsense"), ("", "0123456789abcdef;registry=x"),
                                         ("", "0123456789abcdef;" + "a" * 5000), ("", "0123456789abcdef;registry=-1")])
def test_what_is_malformed_is_refused(stack, query, last):
    stream = Stream(stack, query, last=last)
    assert stream.answer.status == 400
    problem = json.loads(stream.answer.read())
    assert problem["code"] == "INVALID" and problem["detail"]
    stream.close()


def test_there_is_a_bound(stack):
    rest = stack.rest()
    platform.wait_for(lambda: metric(stack, "modelbus_gateway_event_listeners") == 0, 40, "the others to be gone")
    streams = [Stream(stack) for _ in range(8)]
    more = Stream(stack)
    assert more.answer.status == 429 and "GATEWAY_EVENT_STREAMS" in json.loads(more.answer.read())["detail"]
    for stream in streams:
        stream.close()
    assert rest("GET", "/api/v1/version")[0] == 200


def metric(stack, name):
    port = json.loads((pathlib.Path(stack.folder) / "state.json").read_text())["gateway_admin_port"]
    text = platform.Rest(f"http://127.0.0.1:{port}")("GET", "/metrics", raw=True)[1].decode()
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))


def test_a_slow_reader_is_dropped_and_holds_up_nobody(stack):
    platform.wait_for(lambda: metric(stack, "modelbus_gateway_event_listeners") == 0, 40, "the others to be gone")
    url = urllib.parse.urlparse(stack.gateway)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((url.hostname, url.port))
    slow.sendall(b"GET /api/v1/events/stream?type=RunStarted HTTP/1.1\r\nHost: x\r\n\r\n")
    assert slow.recv(12) == b"HTTP/1.1 200"
    quick = Stream(stack, "?type=RunStarted", timeout=60)
    message = platform.proto("experiment.v1.events").RunStarted(run_id="flood", experiment="x" * 200)
    producer = confluent_kafka.Producer({"bootstrap.servers": stack.brokers})
    for i in range(20000):
        message.run_id = f"flood-{i}"
        producer.produce("modelbus.experiment", message.SerializeToString(), key=message.run_id,
                         headers=list(platform.headers("modelbus.experiment.v1.RunStarted").items()))
        if i % 1000 == 0:
            producer.flush()
    producer.flush()
    began = time.monotonic()
    heard = {quick.next()[1] for _ in range(20000)}
    assert len(heard) == 20000 and time.monotonic() - began < 30
    platform.wait_for(lambda: metric(stack, "modelbus_gateway_event_listeners_dropped_total") == 1, 30, "the slow one to be dropped")
    slow.settimeout(20)
    text = b""
    while chunk := slow.recv(1 << 16):
        text += chunk
    assert b"event: dropped" in text[-4000:]
    slow.close()
    quick.close()


def test_the_gateway_stops_with_listeners(stack):
    streams = [Stream(stack) for _ in range(2)]
    began = time.monotonic()
    stack.down(remove=False)
    assert time.monotonic() - began < 15
    for stream in streams:
        assert "data" not in stream.block()
        stream.close()
    ended = [json.loads(line) for line in (pathlib.Path(stack.folder) / "logs/supervisor.log").read_text().splitlines()
             if '"part ended"' in line or '"part exited"' in line]
    assert not [line for line in ended if line.get("part") == "gateway" and "signal" in str(line.get("with"))]
