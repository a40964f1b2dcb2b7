# SPDX-License-Identifier: Apache-2.0
"""Labels: what a real model predicted, compared with what turned out to be true; a real pod, the embedded bus."""

import json
import random
import subprocess
import sys
import threading

import numpy
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from sklearn import metrics
from sklearn.datasets import load_breast_cancer

import stack as platform
import train
from stack import ROOT, headers, proto

DATA = load_breast_cancer()
ROWS = DATA.data.astype(numpy.float32).astype(float)
WINDOW = 200


def serve(stack, name, *rules):
    rest = stack.rest()
    model, _, _ = train.breast_cancer()
    status, stored, _ = rest("POST", "/api/v1/artifacts", model, {"Content-Type": "application/octet-stream"})
    assert status == 201, stored
    assert rest("POST", f"/api/v1/models/{name}/versions", {"artifact": {"uri": stored["uri"]}})[0] == 201
    assert rest("PUT", f"/api/v1/models/{name}/aliases/champion", {"version": 1})[0] == 200
    assert rest("POST", "/api/v1/endpoints", {"name": name, "model_name": name})[0] == 201
    platform.wait_for(lambda: rest("GET", f"/api/v1/endpoints/{name}")[1]["endpoint"]["status"] == "ENDPOINT_STATUS_SERVING",
                      30, "a pod that serves")
    platform.wait_for(lambda: rest("GET", f"/api/v1/monitors/{name}")[0] == 200, 10, "its monitor")
    stack.cli("label", "rules", name, "--task", "classification", "--window", str(WINDOW), *rules)


class Traffic:
    """Requests of some rows each; ids, outputs and truths of all rows."""

    def __init__(self, stack, name):
        self.pod, self.name, self.random = stack.pod(), name, numpy.random.default_rng(7)
        self.ids, self.outputs, self.truths = [], [], []

    def predict(self, count, per_request=10):
        first = len(self.ids)
        while count > 0:
            n = min(count, per_request)
            at = self.random.integers(0, len(ROWS), n)
            request = f"{self.name}-{len(self.ids)}"
            status, answer, _ = self.pod("POST", f"/v2/models/{self.name}/infer", {
                "id": request, "inputs": [{"name": "x", "shape": [n, ROWS.shape[1]], "datatype": "FP32", "data": ROWS[at].ravel().tolist()}]})
            assert status == 200 and answer["id"] == request, answer
            self.outputs += answer["outputs"][0]["data"]
            self.ids += [request] + [f"{request}#{i}" for i in range(1, n)]
            self.truths += DATA.target[at].tolist()
            count -= n
        return slice(first, len(self.ids))

    def csv(self, rows, right=True):
        return "prediction_id,label\n" + "".join(
            f"{i},{t if right else 1 - t}\n" for i, t in zip(self.ids[rows], self.truths[rows]))


def performance(rest, name):
    """When the service is there: a test kills it."""
    def answer():
        status, body, _ = rest("GET", f"/api/v1/endpoints/{name}/performance")
        assert status in (200, 503, 504), (status, body)
        return body if status == 200 else None
    return platform.wait_for(answer, 60, "performance")["performance"]


def counts(rest, name):
    shown = performance(rest, name)
    found = {c["reason"]: int(c["count"]) for c in shown["counts"]}
    labels = [r for r in found if r != "received" and not r.startswith("prediction_")]
    assert found["received"] == sum(found[r] for r in labels) + int(shown["waiting"]), found
    return found


def reports(rest, name):
    return rest("GET", f"/api/v1/endpoints/{name}/performance/reports?page_size=1000")[1]["reports"]


def alerts(rest, name):
    found = rest("GET", "/api/v1/alerts?include_resolved=true")[1]["alerts"]
    return [a["state"] for a in found if {"key": "alertname", "value": "PerformanceDegraded"} in a["labels"]
            and {"key": "endpoint", "value": name} in a["labels"]]


def two_events(stack, name):
    """What was said of the endpoint's performance, when there are two events at least."""
    topic = f"{stack.env['MODELBUS_BUS_PREFIX']}.monitoring"
    consumer = Consumer({"bootstrap.servers": stack.brokers, "group.id": "tests", "enable.auto.commit": False})
    parts = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
    left = sum(consumer.get_watermark_offsets(p, 10)[1] for p in parts)
    consumer.assign(parts)
    found = []
    while left:
        message = consumer.poll(10)
        assert message and not message.error(), message
        left -= 1
        kind = dict(message.headers())["ce_type"].decode().rsplit(".", 1)[-1]
        if message.key().decode() == name and kind.startswith("Performance"):
            found.append((kind, getattr(proto("monitoring.v1.events"), kind).FromString(message.value())))
    consumer.close()
    return found if len(found) >= 2 else None


@pytest.fixture
def push(stack, tmp_path):
    def push(name, text):
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return int(json.loads(stack.cli("label", "push", name, str(path), "--json").stdout)["taken"])
    return push


def push_by_client(stack, name, traffic, rows):
    """In a process of its own: the package has the name of the generated messages that tests import."""
    code = ("import json, sys; from modelbus import Client; labels = json.load(sys.stdin)\n"
            f"print(Client().push_labels({name!r}, {{k: bool(v) for k, v in labels.items()}}, batch=90))")
    labels = json.dumps(dict(zip(traffic.ids[rows], traffic.truths[rows])))
    done = subprocess.run([sys.executable, "-c", code], input=labels, text=True, stdout=subprocess.PIPE, check=True,
                          env={**stack.env, "PYTHONPATH": str(ROOT / "clients/python")}, timeout=60)
    return int(done.stdout)


def test_a_model_that_gets_worse_is_found_and_so_is_its_recovery(stack, push):
    rest = stack.rest()
    serve(stack, "cells", "--max-drop", "0.05", "--raise-after", "2")
    traffic = Traffic(stack, "cells")

    first = traffic.predict(WINDOW)
    assert push("cells", traffic.csv(first)) == WINDOW
    platform.wait_for(lambda: len(reports(rest, "cells")) == 1, 30, "a window")
    report = reports(rest, "cells")[0]
    outputs, truths = numpy.array(traffic.outputs), numpy.array(traffic.truths)
    predicted = outputs > 0.5
    expected = {"accuracy": metrics.accuracy_score(truths, predicted), "precision": metrics.precision_score(truths, predicted),
                "recall": metrics.recall_score(truths, predicted), "f1": metrics.f1_score(truths, predicted),
                "auc": metrics.roc_auc_score(truths, outputs), "log_loss": metrics.log_loss(truths, outputs)}
    # The answer's outputs are floats in as few digits as they need.
    assert {m["name"]: m["value"] for m in report["metrics"]} == pytest.approx(expected, rel=1e-6)
    assert int(report["window"]["positives"]) == truths.sum() and report["outcome"] == "undecided", "the one to compare with"

    worse = traffic.predict(2 * WINDOW)
    push("cells", traffic.csv(worse, right=False))
    platform.wait_for(lambda: performance(rest, "cells")["state"] == "degraded", 30, "degraded performance")
    platform.wait_for(lambda: alerts(rest, "cells") == ["firing"], 30, "an alert")
    shown = stack.cli("label", "status", "cells").stdout
    assert "degraded" in shown and "auc" in shown and "joined" in shown

    # Labels may come before the predictions are logged, and by the Python client.
    better = traffic.predict(2 * WINDOW)
    assert push_by_client(stack, "cells", traffic, better) == 2 * WINDOW
    platform.wait_for(lambda: performance(rest, "cells")["state"] == "ok", 30, "recovered performance")
    platform.wait_for(lambda: alerts(rest, "cells") == ["resolved"], 30, "a resolved alert")

    (_, degraded), (_, recovered) = found = platform.wait_for(lambda: two_events(stack, "cells"), 30, "both events")
    assert [kind for kind, _ in found] == ["PerformanceDegraded", "PerformanceRecovered"]
    assert degraded.episode == recovered.episode and degraded.metric == "auc"
    assert degraded.value < degraded.bound == pytest.approx(expected["auc"] - 0.05, rel=1e-6)
    status, answer, _ = rest("GET", f"/api/v1/performance-reports/{degraded.report_id}")
    assert status == 200 and answer["report"]["outcome"] == "degraded"
    assert "degraded" in stack.cli("label", "reports", "cells", "--degraded").stdout


def test_labels_are_explained(stack, push):
    rest = stack.rest()
    status, answer, _ = rest("POST", "/api/v1/endpoints/nothing/labels", {"labels": [{"prediction_id": "a", "value": "1"}]})
    assert status == 404, answer
    serve(stack, "odd", "--metric", "accuracy", "--limit", "0.5")
    traffic = Traffic(stack, "odd")
    rows = traffic.predict(20)
    platform.wait_for(lambda: counts(rest, "odd")["prediction_stored"] == 20, 30, "the predictions")
    push("odd", traffic.csv(rows))
    push("odd", traffic.csv(rows))
    push("odd", traffic.csv(slice(0, 3), right=False))
    push("odd", f"prediction_id,label\nstranger,1\n{traffic.ids[0]},perhaps\n")
    platform.wait_for(lambda: counts(rest, "odd")["received"] == 45, 30, "all labels")
    found = counts(rest, "odd")
    assert {r: n for r, n in found.items() if n} == {
        "received": 45, "joined": 20, "duplicate": 20, "conflicting": 3, "invalid": 1, "prediction_stored": 20}
    assert int(performance(rest, "odd")["waiting"]) == 1, "the stranger's"
    shown = stack.cli("label", "status", "odd").stdout
    assert "which stays" in shown and "correct it" in shown
    stack.cli("label", "rules", "odd", "--off")
    done = stack.cli("label", "push", "odd", "-", input=traffic.csv(rows), check=False)
    assert done.returncode != 0 and "label rules" in done.stderr


def test_killed_at_random_no_label_counts_twice_or_is_lost(stack):
    """kill -9 while predictions and labels flow, labels over Kafka, each in twice: windows and episodes are exact."""
    rest = stack.rest()
    serve(stack, "killed", "--metric", "accuracy", "--limit", "0.5")
    traffic = Traffic(stack, "killed")
    producer = Producer({"bootstrap.servers": stack.brokers, "linger.ms": 0})
    events = proto("monitoring.v1.events")
    stopping = threading.Event()

    def say(rows, right):
        event = events.LabelsReceived(endpoint="killed")
        for i in rows:
            event.labels.add(prediction_id=traffic.ids[i], value=str(traffic.truths[i] if right else 1 - traffic.truths[i]))
        for _ in range(2):
            producer.produce(f"{stack.env['MODELBUS_BUS_PREFIX']}.labels", event.SerializeToString(), "killed",
                             headers=headers("modelbus.monitoring.v1.LabelsReceived"))
        producer.poll(0)

    def kill():
        while not stopping.wait(0.8):
            stack.kill("monitoring")

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for part in range(20):
            rows = list(range(*traffic.predict(WINDOW, per_request=8).indices(10**9)))
            random.Random(part).shuffle(rows)
            for at in range(0, WINDOW, 25):
                say(rows[at:at + 25], right=part < 8 or part >= 14)
        assert producer.flush(30) == 0
    finally:
        stopping.set()
        killer.join()
    total = 20 * WINDOW
    platform.wait_for(lambda: counts(rest, "killed")["received"] == 2 * total and counts(rest, "killed")["prediction_stored"] == total,
                      60, "all labels and predictions")
    found = counts(rest, "killed")
    assert (found["joined"], found["duplicate"]) == (total, total), found
    windows = reports(rest, "killed")
    assert [int(r["window"]["number"]) for r in windows] == list(range(20, 0, -1))
    assert all(int(r["window"]["rows"]) == WINDOW for r in windows)
    assert performance(rest, "killed")["state"] == "ok" and int(performance(rest, "killed")["predictions"]) == total

    (first, begun), (second, ended) = platform.wait_for(lambda: two_events(stack, "killed"), 30, "both events")
    assert (first, second, begun.episode) == ("PerformanceDegraded", "PerformanceRecovered", ended.episode)
