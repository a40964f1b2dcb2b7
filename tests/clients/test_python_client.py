# SPDX-License-Identifier: Apache-2.0
"""The Python package against a gateway that records what it is asked."""

import http.server
import json
import pathlib
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients/python"))
from modelbus import Client, Error  # noqa: E402


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        status, document = self.server.answers.pop(0)
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        if self.server.close_after:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.answers, server.close_after = [], [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_artifact_is_sent_as_bytes_and_its_uri_returned(gateway, tmp_path):
    gateway.answers = [(201, {"uri": "sha256:1", "size_bytes": 3}), (201, {"uri": "sha256:1", "size_bytes": 3})]
    (tmp_path / "model").write_bytes(b"\0\1\2")
    with Client(gateway.url, token="mb_x") as client:
        assert client.upload_artifact(b"\0\1\2") == client.upload_artifact(tmp_path / "model") == "sha256:1"
    for verb, path, headers, body in gateway.seen:
        assert (verb, path, body) == ("POST", "/api/v1/artifacts", b"\0\1\2")
        assert headers["Authorization"] == "Bearer mb_x" and headers["Idempotency-Key"]


def test_names_are_quoted_and_the_fields_are_those_of_the_contract(gateway):
    gateway.answers = [(201, {"version": {"version": 1}}), (200, {"alias": {"version": 1}}), (200, {"endpoint": {"name": "e"}})]
    client = Client(gateway.url)
    assert client.create_version("a/b", "sha256:1", metrics={"auc": 1}, tags={"k": "v"})["version"] == 1
    client.set_alias("a/b", "champion", 1, expected_version=-1)
    client.rollback("e", reason="why")
    (_, path, _, body), alias, rollback = gateway.seen
    assert path == "/api/v1/models/a%2Fb/versions"
    assert json.loads(body)["metrics"] == [{"key": "auc", "value": 1.0}]
    assert alias[:2] == ("PUT", "/api/v1/models/a%2Fb/aliases/champion")
    assert json.loads(alias[3]) == {"version": 1, "expected_version": -1, "reason": ""}
    assert rollback[:2] == ("POST", "/api/v1/endpoints/e/rollback")
    client.close()


def test_challengers_are_judged_by_the_contract(gateway, monkeypatch):
    gateway.answers = [(200, {"policy": {}}), (200, {"policy": {}}), (200, {}), (201, {"evaluation": {}}),
                       (200, {"decision": {"promoted": False}, "decided_before": False})]
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with Client(gateway.url) as client:
        client.set_promotion_policy("a/b", "loss", higher_is_better=False, min_margin=0.5)
        client.get_promotion_policy("a/b")
        client.delete_promotion_policy("a/b", alias="shadow")
        client.evaluate_version("a/b", 2, "may", {"loss": float("nan"), "auc": 1}, rows=10)
        assert client.challenge("a/b", 2, "may") == {"promoted": False}
    bodies = [json.loads(body) if body else None for _, _, _, body in gateway.seen]
    assert [f"{verb} {path.removeprefix('/api/v1/models/a%2Fb/')}" for verb, path, _, _ in gateway.seen] == [
        "PUT promotion-policy", "GET promotion-policy?alias=champion", "DELETE promotion-policy?alias=shadow",
        "POST versions/2/evaluations", "POST versions/2/challenge"]
    assert bodies[0] == {"alias": "champion", "metric": "loss", "direction": "minimize", "min_margin": 0.5, "any_window": False}
    assert bodies[3] == {"window": "may", "rows": 10, "metrics": [{"key": "loss", "value": "NaN"}, {"key": "auc", "value": 1.0}]}
    assert bodies[4] == {"window": "may", "alias": "champion"}
    assert all("0af7651916cd43dd8448eb211c80319c" in headers["traceparent"] for _, _, headers, _ in gateway.seen)


def test_labels_go_in_batches(gateway):
    gateway.answers = [(200, {"taken": 2}), (200, {"taken": 1}), (200, {"taken": 1}), (200, {"performance": {"state": "ok"}})]
    with Client(gateway.url) as client:
        assert client.push_labels("churn", [("a", 1), ("a#1", True), ("b", 0.25)], batch=2) == 3
        assert client.push_labels("churn", {"c": "virginica"}) == 1
        assert client.get_performance("churn") == {"state": "ok"}
    bodies = [json.loads(body)["labels"] for verb, path, _, body in gateway.seen if verb == "POST"]
    assert bodies == [[{"prediction_id": "a", "value": "1"}, {"prediction_id": "a#1", "value": "true"}],
                      [{"prediction_id": "b", "value": "0.25"}], [{"prediction_id": "c", "value": "virginica"}]]
    assert {path for verb, path, _, _ in gateway.seen if verb == "POST"} == {"/api/v1/endpoints/churn/labels"}


def test_a_problem_document_becomes_an_error(gateway):
    gateway.answers = [(404, {"code": "NOT_FOUND", "detail": "endpoint 'x'"}), (502, b"<html>")]
    client = Client(gateway.url)
    with pytest.raises(Error, match="endpoint 'x'") as caught:
        client.get_endpoint("x")
    assert (caught.value.code, caught.value.status) == ("NOT_FOUND", 404)
    with pytest.raises(Error):
        client.get_endpoint("x")
    client.close()


def test_a_closed_connection_is_opened_again_with_the_same_key(gateway):
    gateway.close_after = True
    gateway.answers = [(200, {"endpoint": {}})] * 3
    client = Client(gateway.url)
    for _ in range(3):
        client.get_endpoint("x")
    client.close()


def test_nobody_there_is_an_error_that_says_so():
    with pytest.raises(Error) as caught:
        Client("http://127.0.0.1:1").get_endpoint("x")
    assert caught.value.code == "UNAVAILABLE"
    with pytest.raises(ValueError):
        Client("ftp://x")
