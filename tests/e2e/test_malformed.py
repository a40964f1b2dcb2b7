# SPDX-License-Identifier: Apache-2.0
"""What comes from outside and is wrong gets a clear answer or a dead letter; nothing crashes, nothing stops."""

import json
import os
import random
import socket
import urllib.parse

import confluent_kafka
import pytest

from stack import headers, model_trained, proto, wait_for

TRAINED = "modelbus.experiment.v1.ModelTrained"


def pids(stack):
    return {name: (part["pid"], part.get("restarts", 0)) for name, part in stack.parts().items()}


def produce(stack, *messages):
    failures = []
    producer = confluent_kafka.Producer({"bootstrap.servers": stack.brokers, "message.max.bytes": 1000000})
    for topic, key, value, head in messages:
        producer.produce(topic, key=key, value=value, headers=head,
                         on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(30) == 0 and not failures


def latest(stack, model):
    status, answer, _ = stack.rest()("GET", f"/api/v1/models/{model}")
    return answer["model"]["latest_version"] if status == 200 else 0


def letters(stack, service):
    found, token = [], ""
    while True:
        status, page, _ = stack.rest()("GET", f"/api/v1/dead-letters?service={service}&page_size=1000" + (f"&page_token={token}" if token else ""))
        assert status == 200, page
        found += [row["letter"] for row in page.get("letters", [])]
        token = page.get("next_page_token", "")
        if not token:
            return found


def test_bad_events_become_dead_letters_and_good_ones_go_on(stack):
    before = pids(stack)
    good = model_trained("fine", 0).SerializeToString()
    nested = b"\x1a\x7f" * 64
    dice = random.Random(7)
    bad = {
        "truncated": (good[:-3], headers(TRAINED)),
        "random": (dice.randbytes(4096), headers(TRAINED)),
        "nested": (nested, headers(TRAINED)),
        "invalid utf-8": (b"\x0a\x04\xff\xfe\xfd\xfc", headers(TRAINED)),
        "no type": (good, {k: v for k, v in headers(TRAINED).items() if k != "ce_type"}),
        "no id": (good, {k: v for k, v in headers(TRAINED).items() if k != "ce_id"}),
        "no headers": (good, {}),
        "wrong topic": (good, headers("modelbus.registry.v1.AliasMoved")),
        "wrong content": (good, {**headers(TRAINED), "content-type": "application/json"}),
        "wrong version": (good, {**headers(TRAINED), "ce_specversion": "2.0"}),
        "bad workspace": (good, headers(TRAINED, ce_workspace="../etc")),
        "no name": (proto("experiment.v1.events").ModelTrained().SerializeToString(), headers(TRAINED)),
        "huge": (model_trained("huge", 0, description="x" * 900000).SerializeToString(), headers(TRAINED)),
    }
    skipped = {
        "unknown type": (b"anything", headers("org.example.Other")),
        "newer event": (b"\x0a\x01x", headers("modelbus.experiment.v1.RunPaused")),
        "tombstone": (None, headers(TRAINED)),
    }
    unknown_field = good + b"\x82\x7d\x03new"  # field 2000, from a newer minor version
    messages = [("modelbus.experiment", "fine", v, h) for v, h in [*bad.values(), *skipped.values()]]
    messages.append(("modelbus.experiment", "fine", unknown_field, headers(TRAINED)))
    messages.append(("modelbus.experiment", "fine", model_trained("fine", 1).SerializeToString(), headers(TRAINED)))
    produce(stack, *messages)

    wait_for(lambda: latest(stack, "fine") == 2, 30, "the two good events after the bad ones")
    found = wait_for(lambda: (lambda f: f if len(f) >= len(bad) else None)(letters(stack, "registry")), 30, "dead letters")
    assert len(found) == len(bad), [(f["error_code"], f["error_message"]) for f in found]
    assert all(f["error_message"] and f["topic"] == "modelbus.experiment" for f in found)
    assert pids(stack) == before


def test_a_dead_letter_is_shown_and_replayed(stack):
    rest = stack.rest()
    letter = letters(stack, "registry")[0]
    shown = json.loads(stack.cli("dlq", "show", letter["id"], "--json").stdout)
    assert letter["error_message"] in json.dumps(shown)
    stack.cli("dlq", "replay", letter["id"])
    # Replayed poison is poison again: a new letter, the old one marked.
    wait_for(lambda: any(l["id"] != letter["id"] and l["error_message"] == letter["error_message"] and l["offset"] > letter["offset"]
                         for l in letters(stack, "registry")), 30, "the letter to come back")
    assert rest("GET", "/api/v1/models/fine")[0] == 200


@pytest.mark.parametrize("verb, path, body, status", [
    ("GET", "/api/v1/nothing", None, 404),
    ("PATCH", "/api/v1/models", None, 405),
    ("POST", "/api/v1/models", "{", 400),
    ("POST", "/api/v1/models", "[]", 400),
    ("POST", "/api/v1/models", '{"name": 7}', 400),
    ("POST", "/api/v1/models", '{"nmae": "x"}', 400),
    ("POST", "/api/v1/models", '{"name": ""}', 400),
    ("POST", "/api/v1/models", '{"name": "a\\u0000b"}', 400),
    ("POST", "/api/v1/models", b'{"name": "\xff\xfe"}', 400),
    ("POST", "/api/v1/models", "[" * 100000, 413),  # nested too deep
    ("POST", "/api/v1/models", b'{"name": "' + b"x" * 2000000 + b'"}', 413),
    ("GET", "/api/v1/models?page_size=banana", None, 400),
    ("GET", "/api/v1/models?page_size=-1", None, 400),
    ("GET", "/api/v1/models?page_token=%00%ff", None, 400),
    ("GET", "/api/v1/models?unknown=1", None, 400),
    ("GET", "/api/v1/models/none", None, 404),
    ("GET", "/api/v1/models/none/versions/x", None, 400),
    ("GET", "/api/v1/models/none/versions/99999999999999999999", None, 400),
    ("GET", "/api/v1/artifacts/sha256:zz", None, 400),
    ("GET", "/api/v1/artifacts/..%2f..%2fetc%2fpasswd", None, 400),
    ("PUT", "/api/v1/models/none/aliases/champion", '{"version": 1}', 404),
    ("POST", "/api/v1/endpoints", '{"name": "Bad Name", "model_name": "x"}', 400),
], ids=lambda value: repr(value)[:40])
def test_malformed_rest_is_a_problem_document(stack, verb, path, body, status):
    answered, problem, head = stack.rest()(verb, path, body, {"Content-Type": "application/json"})
    assert answered == status, problem
    assert head["content-type"].startswith("application/problem+json")
    assert problem["status"] == status and problem["title"] and problem["detail"] and problem["code"]


@pytest.mark.parametrize("body", [
    "", "{", "null", '{"inputs": 1}', '{"inputs": []}', '{"inputs": [{"name": "x"}]}',
    '{"inputs": [{"name": "x", "shape": [1, 1000000000000], "datatype": "FP32", "data": [1]}]}',
    '{"inputs": [{"name": "x", "shape": [-1, 3], "datatype": "FP32", "data": [1]}]}',
    '{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": ["a"]}]}',
    '{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "WHAT", "data": [1]}]}',
    "[" * 50000,
], ids=lambda value: value[:40] or "empty")
def test_malformed_v2_is_a_v2_error(stack, body):
    status, answer, _ = stack.pod()("POST", "/v2/models/none/infer", body)
    assert status in (400, 404), answer
    assert answer["error"]


def test_raw_garbage_on_every_port_harms_nobody(stack):
    before = pids(stack)
    dice = random.Random(11)
    targets = [urllib.parse.urlparse(url) for url in (stack.gateway, stack.inference)]
    for url in targets:
        for payload in (dice.randbytes(20000), b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 100000 + b"\r\n\r\n", b"\x00" * 5000,
                        b"POST /api/v1/models HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"):
            with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
                try:
                    connection.sendall(payload)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:
                    pass  # a reset is an answer, too
    for name in os.listdir(f"{stack.folder}/run"):
        path = f"{stack.folder}/run/{name}"
        if name.startswith(("registry", "experiment", "deployment")) and name.endswith(".sock"):
            for payload in (dice.randbytes(20000), b"\x00SP\x00\x00\x30\x00\x00" + b"\xff" * 64):
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(5)
                    connection.connect(path)
                    try:
                        connection.sendall(payload)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:
                        pass
    assert stack.rest()("GET", "/api/v1/models")[0] == 200
    assert pids(stack) == before


@pytest.mark.parametrize("method, body, complaint", [
    ("GetModelVersion", '{"name": 5}', "name"),
    ("GetModelVersion", '{"nmae": "x"}', "nmae"),
    ("GetModelVersion", "{", "JSON"),
    ("NoSuchMethod", "{}", "NoSuchMethod"),
    ("GetModelVersion", '{"name": "none"}', "none"),
])
def test_malformed_queries_say_what_is_wrong(stack, method, body, complaint):
    done = stack.cli("query", "registry", method, body, check=False)
    assert done.returncode != 0
    assert complaint.lower() in done.stderr.lower()
