# SPDX-License-Identifier: Apache-2.0
"""Pipelines and runs through the client, against a gateway that plays a run by a script."""

import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import threading
import types
import urllib.parse

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients/python"))
from modelbus import Client, Error, Run, RunFailed, _pipeline_run, _watch, compile  # noqa: E402


def state(revision, status="running", **tasks):
    """tasks: name to status."""
    return {"run": "r1", "pipeline": "nightly", "version": "3", "status": status, "revision": str(revision), "tasks": [
        {"task": name, "status": value, "items": 1, "started_at_ms": "1000", "finished_at_ms": "3500" if value in ("succeeded", "failed") else "0",
         "reason": "exit code 1" if value == "failed" else ""} for name, value in tasks.items()]}


STORY = [
    state(1, prepare="ready", train="waiting"),
    state(2, prepare="running", train="waiting"),
    state(3, prepare="succeeded", train="running"),
    state(4, "succeeded", prepare="succeeded", train="succeeded"),
]


class Script(http.server.BaseHTTPRequestHandler):
    """GET of a run with a revision goes one step on in server.story; a number in it is a status to fail with."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.seen.append((self.command, url.path, query, body))
        status, answer = self.choose(url.path, query)
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def choose(self, path, query):
        server = self.server
        if path == "/api/v1/artifacts":
            return 201, {"uri": "sha256:" + hashlib.sha256(server.seen[-1][3]).hexdigest(), "size_bytes": "1"}
        if path == "/api/v1/pipelines":
            return 200, {"pipeline": {"name": "p", "version": "1"}, "outcome": "created"}
        if path.startswith("/api/v1/artifacts/"):
            return 200, server.log.pop(0)
        if path.endswith("/log"):
            return 200, server.log.pop(0)
        if "revision" in query and len(server.story) > 1:
            server.story.pop(0)
        now = server.story[0]
        if isinstance(now, int):
            server.story.pop(0)
            return now, {"code": "UNAVAILABLE" if now == 503 else "NOT_FOUND", "detail": "away"}
        return 200, {"run": now}

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Script)
    server.seen, server.story, server.log, server.daemon_threads = [], list(STORY), [], True
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(gateway):
    with Client(gateway.url, token="t") as client:
        yield client


def test_apply_stores_the_source_and_names_it(client, gateway, tmp_path):
    (tmp_path / "flow.py").write_text("from modelbus import *\n@task\ndef a(): ...\n@pipeline\ndef p(): a()\n")
    assert client.apply(compile.choose(str(tmp_path / "flow.py")))["outcome"] == "created"
    (_, _, _, content), (verb, path, _, body) = gateway.seen
    text = json.loads(body)["text"]
    assert (verb, path) == ("PUT", "/api/v1/pipelines")
    assert yaml.safe_load(text)["tasks"][0]["archive"] == "sha256:" + hashlib.sha256(content).hexdigest()


def test_apply_takes_text_and_files(client, gateway, tmp_path):
    (tmp_path / "p.yaml").write_text("name: p\n")
    client.apply("name: p\n", dry_run=True)
    client.apply(tmp_path / "p.yaml")
    assert [json.loads(body) for *_, body in gateway.seen] == [{"text": "name: p\n", "dry_run": True}, {"text": "name: p\n", "dry_run": False}]


def test_parameters_travel_as_text(client, gateway):
    run = client.start("a/b", pipeline="x", depth=3, rate=0.5, on=True, names=["1", "b"])
    verb, path, _, body = gateway.seen[0]
    assert (verb, path) == ("POST", "/api/v1/pipelines/a%2Fb/runs")
    assert json.loads(body)["parameters"] == {"pipeline": "x", "depth": "3", "rate": "0.5", "on": "true", "names": '["1", "b"]'}
    assert (run.id, run.status) == ("r1", "running")
    with pytest.raises(ValueError, match="parameter x: "):
        client.start("p", x=object())


def test_wait_is_one_long_poll_after_the_other(client, gateway):
    run = client.start("nightly").wait()
    assert run.status == "succeeded"
    polls = [query for _, _, query, _ in gateway.seen[2:]]
    assert [poll["revision"] for poll in polls] == ["1", "2", "3"] and all(poll["wait_ms"] == "25000" for poll in polls)


def test_a_run_that_fails_raises_with_the_task(client, gateway):
    gateway.story = [STORY[0], state(2, "failed", prepare="failed", train="skipped")]
    with pytest.raises(RunFailed, match=r"run r1 of nightly failed: prepare \(exit code 1\)") as caught:
        client.start("nightly").wait()
    assert caught.value.run.ended
    gateway.story = [STORY[0], state(2, "cancelled")]
    assert client.start("nightly").wait(check=False).status == "cancelled"


def test_a_gateway_that_is_restarted_does_not_end_a_wait_and_a_refusal_does(client, gateway):
    gateway.story = [STORY[0], 503, 503, STORY[3]]
    assert client.start("nightly").wait().status == "succeeded"
    gateway.story = [STORY[0], 404, STORY[3]]
    with pytest.raises(Error, match="away"):
        client.start("nightly").wait()


def test_a_wait_has_an_end(client, gateway):
    gateway.story = [STORY[0]]
    with pytest.raises(TimeoutError, match="run r1 of nightly is still running"):
        client.start("nightly").wait(timeout=0.2)


def test_logs_are_lines_whatever_the_pieces(client, gateway):
    text = "one\nzwei ü\n\nlast".encode() + b"\xff"
    pieces = [text[:8], text[8:10], b"", text[10:]]
    offsets = [sum(map(len, pieces[: i + 1])) for i in range(4)]
    gateway.log = [{"data": base64.b64encode(piece).decode(), "next_offset": str(offset), "attempt": 2, "ended": i == 3}
                   for i, (piece, offset) in enumerate(zip(pieces, offsets))]
    run = client.start("nightly")
    assert list(run.logs("train", index=4, follow=True)) == ["one", "zwei ü", "", "last�"]
    polls = gateway.seen[1:]
    assert polls[0][1] == "/api/v1/pipeline-runs/r1/tasks/train/log"
    assert [poll[2]["offset"] for poll in polls] == ["0", *map(str, offsets[:3])]
    assert [poll[2]["attempt"] for poll in polls] == ["0", "2", "2", "2"]  # of the attempt that it began with


def test_logs_that_are_not_followed_end_where_there_is_no_more(client, gateway):
    gateway.log = [{"data": base64.b64encode(b"so far").decode(), "next_offset": "6"}, {"next_offset": "6"}]
    assert list(client.start("nightly").logs("train")) == ["so far"]
    assert {query["wait_ms"] for *_, query, _ in gateway.seen[1:]} == {"0"}


def test_what_was_not_streamed_before_the_end_comes_from_the_artifact(client, gateway):
    gateway.log = [{"data": base64.b64encode(b"one\ntw").decode(), "next_offset": "6"}, {"next_offset": "6", "ended": True, "uri": "sha256:1"},
                   b"one\ntwo\nthree\n"]
    assert list(client.start("nightly").logs("train")) == ["one", "two", "three"]


def test_outputs_cancel_resume(client, gateway):
    gateway.story = [state(1, train="succeeded")]
    gateway.story[0]["tasks"][0]["outputs"] = [{"name": "auc", "value": "0.9", "small": True, "uri": "sha256:1"}, {"name": "model", "uri": "sha256:2"}]
    run = client.start("nightly")
    assert run.outputs("train") == {"auc": "0.9", "model": "sha256:2"}
    with pytest.raises(KeyError):
        run.outputs("trian")
    gateway.story[0]["attempts"] = [{"task": "train", "index": 1, "status": status, "outputs": [{"name": "auc", "value": value, "small": True}]}
                                    for status, value in [("failed", "0"), ("succeeded", "0.8")]]
    assert run.outputs("train", index=1) == {"auc": "0.8"}
    run.cancel("why")
    run.resume("train")
    assert [(path, json.loads(body)) for _, path, _, body in gateway.seen[-2:]] == [
        ("/api/v1/pipeline-runs/r1/cancel", {"reason": "why"}), ("/api/v1/pipeline-runs/r1/resume", {"task": "train"})]


# ---- watch ----


def test_when_piped_watch_writes_a_line_for_each_change(client, capsys):
    client.start("nightly").watch()
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in capsys.readouterr().out.splitlines()]
    assert lines == ["prepare ready", "prepare running", "prepare succeeded 2.5 s", "train running", "train succeeded 2.5 s", "nightly r1: succeeded"]


def test_on_a_terminal_watch_draws_over_itself(gateway):
    """A real terminal: what stands on it at the end is one table."""
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'clients/python')!r})\nfrom modelbus import Client\nClient({gateway.url!r}, 't').start('nightly').watch()"
    main, side = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", program], stdout=side, env={"COLUMNS": "80", "LINES": "24"})
    os.close(side)
    drawn = b""
    try:
        while piece := os.read(main, 4096):
            drawn += piece
    except OSError:  # Linux' way of saying that the other end is closed
        pass
    assert process.wait(30) == 0
    rows, at = {}, 0
    for part in re.findall(rb"\x1b\[(\d+)A|\x1b\[[0-9;]*[mKJ]|([^\x1b\r\n]+)|(\n)", drawn):
        up, text, newline = part
        at += -int(up) if up else 1 if newline else 0
        if text:
            rows[at] = text.decode()
    assert list(rows) == [0, 1, 2, 3]
    assert rows[0] == "nightly r1: succeeded" and rows[2].split() == ["prepare", "succeeded", "2.5", "s"]


def test_in_a_notebook_watch_updates_one_output(client, monkeypatch):
    shown = []

    class Handle:
        def update(self, table):
            shown.append(("update", table))

    def display(table, display_id):
        assert display_id is True
        shown.append(("display", table))
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(
        get_ipython=lambda: shell, display=types.SimpleNamespace(HTML=lambda text: text, display=display)))
    client.start("nightly").watch()
    assert [how for how, _ in shown] == ["display", "update", "update", "update"]
    assert "<td" in shown[-1][1] and "nightly r1: succeeded" in shown[-1][1]


def test_what_a_task_is_called_cannot_break_the_table():
    run = Run(None, state(1, **{"<b>\x1b[31m": "failed"}))
    assert "<b>" not in _watch.to_html(run) and "\x1b[31m\x1b" not in _watch.to_html(run)
    out = io.StringIO()
    _watch.Lines(out).show(run)
    assert "\x1b" not in out.getvalue()


def test_the_names_of_ends_are_those_of_the_contract():
    text = (ROOT / "proto/modelbus/pipeline/v1/events.proto").read_text()
    for status in _pipeline_run.ENDED:
        assert f'"{status}"' in text
