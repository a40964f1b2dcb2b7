# SPDX-License-Identifier: Apache-2.0
"""`modelbus event` on the embedded bus alone."""

import json
import subprocess

import pytest

from conftest import BIN, clean_env
from stack import wait_for


@pytest.fixture
def bus(cli, tmp_path):
    address = tmp_path / "bus"
    process = subprocess.Popen([BIN / "modelbus-devbus", "--port", "0", "--bootstrap-file", address], env=clean_env(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address.exists, 20, "the embedded bus")
        cli.env["MODELBUS_BROKERS"] = address.read_text().strip()
        yield cli
    finally:
        process.terminate()
        process.wait(10)


def tail(cli, *words):
    return [json.loads(line) for line in cli("event", "tail", "--from-start", *words).stdout.splitlines()]


def test_what_is_published_is_tailed_as_json_lines(bus):
    bus("event", "publish", "RunStarted", '{"run_id": "r1", "experiment": "x"}', "--id", "one", "--workspace", "team", "--source", "/me")
    bus("event", "publish", "modelbus.experiment.v1.ModelTrained", "-", stdin='{"model_name": "m"}')
    # Events of different keys have no order between them.
    found = {event["type"].rsplit(".", 1)[1]: event for event in tail(bus, "experiment", "--count", "2")}
    first, second = found["RunStarted"], found["ModelTrained"]
    assert (first["type"], first["id"], first["workspace"], first["source"]) == ("modelbus.experiment.v1.RunStarted", "one", "team", "/me")
    assert first["data"] == {"run_id": "r1", "experiment": "x"} and second["data"] == {"model_name": "m"}
    assert [e["id"] for e in tail(bus, "ModelTrained", "--count", "1")] == [second["id"]]
    assert [e["id"] for e in tail(bus, "experiment", "--type", "ModelTrained", "--count", "1")] == [second["id"]]
    assert len(tail(bus, "ModelTrained", "experiment", "--count", "2")) == 2


@pytest.mark.parametrize("body, complaint", [("{", "JSON"), ('{"model_nme": "x"}', "model_name"), ('{"model_name": 5}', "model_name")])
def test_a_wrong_event_is_refused_before_anything_is_sent(bus, body, complaint):
    assert complaint.lower() in bus("event", "publish", "ModelTrained", body, code=2).stderr.lower()
