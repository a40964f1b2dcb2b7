# SPDX-License-Identifier: Apache-2.0
"""`modelbus event` on the embedded bus alone."""

import contextlib
import json
import subprocess

import pytest

from conftest import BIN, Cli, clean_env
from stack import wait_for


@contextlib.contextmanager
def embedded_bus(folder):
    address = folder / "bus"
    process = subprocess.Popen([BIN / "modelbus-devbus", "--port", "0", "--bootstrap-file", address], env=clean_env(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(address.exists, 20, "the embedded bus")
        yield Cli(BIN / "modelbus", folder, MODELBUS_BROKERS=address.read_text().strip())
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def bus(tmp_path):
    with embedded_bus(tmp_path) as cli:
        yield cli


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


def publish(bus, kind, key, value="x", **options):
    words = [word for name, option in options.items() for word in (f"--{name}", option)]
    bus("event", "publish", kind, json.dumps({key: value}), *words)


def trace(bus, *words):
    return json.loads(bus("event", "trace", *words, "--json").stdout)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """drift -> rollback and deployment -> loaded -> alert; and two events that have no part in it."""
    with embedded_bus(tmp_path_factory.mktemp("chain")) as bus:
        publish(bus, "DriftDetected", "endpoint", id="drift")
        publish(bus, "RolledBack", "endpoint", id="rollback", cause="drift")
        publish(bus, "EndpointState", "endpoint", id="state", cause="drift")
        publish(bus, "ModelLoaded", "pod", "p1", id="loaded-1", cause="state")
        publish(bus, "ModelLoaded", "pod", "p2", id="loaded-2", cause="state")
        publish(bus, "AlertFired", "fingerprint", id="alert", cause="rollback")
        publish(bus, "DriftDetected", "endpoint", "other", id="other")
        publish(bus, "ModelLoaded", "pod", "p3", id="later", cause="other")
        yield bus


@pytest.mark.parametrize("asked", ["drift", "rollback", "loaded-2", "alert"])
def test_a_chain_is_walked_from_any_of_its_events(chain, asked):
    found = trace(chain, asked)
    depths = {event["id"]: event["depth"] for event in found["events"]}
    assert depths == {"drift": 0, "rollback": 1, "state": 1, "loaded-1": 2, "loaded-2": 2, "alert": 2}
    assert [event["id"] for event in found["events"] if event["asked"]] == [asked]
    order = [event["id"] for event in found["events"]]
    assert all(order.index(event["cause"]) < order.index(event["id"]) for event in found["events"] if "cause" in event)
    assert all(event["after_ms"] == event["time_ms"] - found["start_ms"] >= 0 for event in found["events"])
    assert found["more"] is False and found["events"][0]["data"] == {"endpoint": "x"}


def test_a_chain_is_printed_as_a_tree(chain):
    lines = chain("event", "trace", "state").stdout.splitlines()
    assert lines[0].startswith("6 events from 20")
    state = next(line for line in lines if "EndpointState" in line)
    below = lines[lines.index(state) + 1:][:2]
    assert " * " in state and all("ModelLoaded" in line for line in below)
    assert all(line.index("ModelLoaded") == state.index("EndpointState") + 2 for line in below)
    assert "(caused by" not in chain("event", "trace", "loaded-1").stdout
    # Of topics that do not have the cause it is said what is missing.
    assert "(caused by state, which is not in these topics)" in chain("event", "trace", "loaded-1", "serving").stdout


def test_the_newest_event_of_a_type_needs_no_id(chain):
    def asked(*words):
        return [event["id"] for event in trace(chain, *words)["events"] if event["asked"]]

    assert asked("--last", "DriftDetected") == ["other"]
    assert asked("--last", "DriftDetected", "--key", "x") == ["drift"]
    assert asked("--last", "ModelLoaded", "--key", "p2") == ["loaded-2"]
    assert len(trace(chain, "--last", "ModelLoaded", "serving")["events"]) == 1
    assert "no DriftDetected of nobody" in chain("event", "trace", "--last", "DriftDetected", "--key", "nobody", code=3).stderr
    assert "which type" in chain("event", "trace", "--last", "serving", code=2).stderr
    assert "--last TYPE" in chain("event", "trace", code=2).stderr


def test_an_event_that_nobody_knows_is_exit_code_3(chain):
    assert "no event 'nobody'" in chain("event", "trace", "nobody", code=3).stderr
    assert "no event 'drift'" in chain("event", "trace", "drift", "serving", code=3).stderr
    assert "did you mean" in chain("event", "trace", "drift", "servin", code=2).stderr


def test_producers_that_lie_and_deliveries_that_come_twice_end_the_walk(bus):
    publish(bus, "DriftDetected", "endpoint", id="a", cause="b")
    publish(bus, "DriftDetected", "endpoint", id="b", cause="a")
    publish(bus, "DriftDetected", "endpoint", id="b", cause="a")
    publish(bus, "DriftDetected", "endpoint", id="self", cause="self")
    assert [(e["id"], e["depth"]) for e in trace(bus, "a")["events"]] == [("a", 0), ("b", 1)]
    assert [e["id"] for e in trace(bus, "self")["events"]] == ["self"]


def test_every_type_says_something_in_a_line(bus):
    types = json.loads(bus("event", "types", "--json").stdout)
    publish(bus, types[0]["type"], types[0]["key"], id="first")
    for number, kind in enumerate(types):
        publish(bus, kind["type"], kind["key"], id=f"e{number}", cause="first")
    events = trace(bus, "first", *{kind["topic"] for kind in types})["events"]
    assert {e["type"] for e in events} == {kind["type"] for kind in types} and len(events) == len(types) + 1
    for event in events:
        # Its template names only fields that are there, or the line would be JSON, which begins with a brace.
        assert event["text"] and (not event["text"].startswith("{") or event["type"].endswith(WITHOUT_A_LINE)), event


WITHOUT_A_LINE = ("ServingStats", "PredictionsLogged", "PodStopped")
