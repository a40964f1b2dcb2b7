# SPDX-License-Identifier: Apache-2.0
"""Broker away for two minutes, PostgreSQL away for one of them: pods predict throughout, everything else says
UNAVAILABLE quickly, and all recovers without hands; then a broker that answers nothing for a while. The first two overlap, so that the
test takes little more than two minutes."""

import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import stack as platform  # noqa: E402
import train  # noqa: E402

BROKER_AWAY_S = float(os.environ.get("MODELBUS_TEST_BROKER_AWAY_S", "120"))
POSTGRES_AWAY_S = float(os.environ.get("MODELBUS_TEST_POSTGRES_AWAY_S", "60"))
BROKER_SLOW_S = 15


@pytest.fixture(scope="module")
def parts():
    work = tempfile.mkdtemp(prefix="mb-outage-", dir="/tmp")
    os.chmod(work, 0o755)
    postgres = kafka = None
    try:
        postgres = platform.Postgres(f"{work}/postgres")
        kafka = platform.Kafka(f"{work}/kafka")
        with platform.Stack(kafka=kafka.brokers, postgres=postgres.url) as running:
            yield running, kafka, postgres
    finally:
        for part in (kafka, postgres):
            if part:
                part.stop()
        shutil.rmtree(work, ignore_errors=True)


class Predictor(threading.Thread):
    def __init__(self, stack, rows, expected):
        super().__init__()
        self.stack, self.rows, self.expected = stack, rows, expected
        self.stopping, self.failures, self.count = threading.Event(), [], 0

    def run(self):
        pod = self.stack.pod()
        while not self.stopping.wait(0.01):
            number = self.count % len(self.rows)
            body = {"inputs": [{"name": "x", "shape": [1, len(self.rows[number])], "datatype": "FP32",
                                "data": [float(x) for x in self.rows[number]]}]}
            status, answer, _ = pod("POST", "/v2/models/outage/infer", body)
            self.count += 1
            value = answer["outputs"][0]["data"][-1] if status == 200 else None
            if status != 200 or abs(value - self.expected[number]) > 1e-6:
                self.failures.append((status, answer, float(self.expected[number])))


def answers_quickly(rest, verb, path, body=None):
    began = time.monotonic()
    status, answer, _ = rest(verb, path, body)
    took = time.monotonic() - began
    return status, answer, took


def test_outages(parts, tmp_path):
    stack, kafka, postgres = parts
    model, rows, expected = train.breast_cancer()
    (tmp_path / "model.json").write_bytes(model)
    stack.cli("deploy", "outage", tmp_path / "model.json", "--wait")
    predictor = Predictor(stack, rows, expected)
    predictor.start()
    try:
        rest = stack.rest()
        kafka.kill()
        broker_back = time.monotonic() + BROKER_AWAY_S
        # Without the broker the registry goes on: its events wait in the outbox.
        status, answer, took = answers_quickly(rest, "POST", "/api/v1/models/outage/versions",
                                               {"artifact": {"uri": platform.artifact_uri("x"), "size_bytes": 1}})
        assert status == 201 and took < 2, (answer, took)

        postgres.kill()
        postgres_back = time.monotonic() + POSTGRES_AWAY_S
        while time.monotonic() < postgres_back:
            status, answer, took = answers_quickly(rest, "GET", "/api/v1/models/outage")
            assert status == 503 and answer["code"] == "UNAVAILABLE", (status, answer)
            assert took < 3, f"an unavailable service took {took:.1f} s to say so"
            threading.Event().wait(1)
        postgres.start()
        platform.wait_for(lambda: rest("GET", "/api/v1/models/outage")[0] == 200, 15, "the registry to recover")
        while time.monotonic() < broker_back:
            threading.Event().wait(0.5)
        rest = stack.rest()  # the idle connection has been closed meanwhile
        assert rest("GET", "/api/v1/models/outage")[0] == 200
        kafka.start()
        platform.wait_for(lambda: all(p.get("ready", True) for p in stack.parts().values()), 60, "every service ready")

        # A broker that is there and answers nothing is no worse than none.
        kafka.signal("STOP")
        slow_until = time.monotonic() + BROKER_SLOW_S
        status, answer, took = answers_quickly(rest, "POST", "/api/v1/models/outage/versions",
                                               {"artifact": {"uri": platform.artifact_uri("y"), "size_bytes": 1}})
        assert status == 201 and took < 2, (answer, took)
        while time.monotonic() < slow_until:
            status, answer, took = answers_quickly(rest, "GET", "/api/v1/models/outage")
            assert status == 200 and took < 1, (status, answer, took)
            threading.Event().wait(0.2)
        kafka.signal("CONT")

        # The whole loop works again, including what was said while the broker was away.
        (tmp_path / "next.json").write_bytes(train.breast_cancer(trees=10, seed=2)[0])
        predictor.stopping.set()
        predictor.join()
        stack.cli("deploy", "outage", tmp_path / "next.json", "--wait", "--timeout", "60")
        platform.wait_for(lambda: all(p.get("ready", True) for p in stack.parts().values()), 30, "every service ready")
        assert stack.rest()("GET", "/api/v1/dead-letters")[1].get("letters", []) == []
        assert not any(p.get("restarts") for p in stack.parts().values()), "what is away ends nobody"
    finally:
        predictor.stopping.set()
        predictor.join()
    assert predictor.count > 20 * BROKER_AWAY_S
    assert not predictor.failures, predictor.failures[0]
