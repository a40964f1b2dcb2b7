# SPDX-License-Identifier: Apache-2.0
"""Drift found in what an endpoint predicts: a real model, its training sample, rows that change and change back."""

import io
import json
import threading

import numpy
import pytest
import stack as platform
import train
from sklearn.datasets import load_breast_cancer

NAMES = [name.replace(" ", "_") for name in load_breast_cancer().feature_names]
ROWS = load_breast_cancer().data
WINDOW = 200
LEARNED = 2 * WINDOW  # beside a sample: what the model's output is compared with


def sample_csv(rows):
    text = io.StringIO()
    numpy.savetxt(text, rows, delimiter=",", header=",".join(NAMES), comments="", fmt="%.17g")
    return text.getvalue().encode()


def register(rest, name, seed, reference=True, rows=ROWS):
    model, _, _ = train.breast_cancer(seed=seed)
    status, stored, _ = rest("POST", "/api/v1/artifacts", model, {"Content-Type": "application/octet-stream"})
    assert status == 201, stored
    body = {"artifact": {"uri": stored["uri"]}, "feature_names": NAMES}
    if reference:
        status, sample, _ = rest("POST", "/api/v1/artifacts", sample_csv(rows), {"Content-Type": "application/octet-stream"})
        assert status == 201, sample
        body["reference_sample"] = {"uri": sample["uri"]}
    status, answer, _ = rest("POST", f"/api/v1/models/{name}/versions", body)
    assert status == 201, answer
    status, answer2, _ = rest("PUT", f"/api/v1/models/{name}/aliases/champion", {"version": answer["version"]["version"]})
    assert status == 200, answer2
    return int(answer["version"]["version"])


def serve(stack, name, **options):
    """An endpoint of a new model, watched by small windows."""
    rest = stack.rest()
    version = register(rest, name, 1, **options)
    status, answer, _ = rest("POST", "/api/v1/endpoints", {"name": name, "model_name": name})
    assert status == 201, answer
    platform.wait_for(lambda: rest("GET", f"/api/v1/endpoints/{name}")[1]["endpoint"]["status"] == "ENDPOINT_STATUS_SERVING",
                      30, "a pod that serves")
    platform.wait_for(lambda: rest("GET", f"/api/v1/monitors/{name}")[0] == 200, 10, "its monitor")
    rules = {"window_rows": WINDOW, "reference_rows": LEARNED if options.get("reference", True) else len(ROWS), "raise_after": 2}
    status, answer, _ = rest("PUT", f"/api/v1/monitors/{name}", {"rules": rules})
    assert status == 200, answer
    assert answer["monitor"]["rules"]["window_rows"] == WINDOW
    return version


class Traffic:
    """Rows of the real data, drawn with replacement; scale changes some features."""

    def __init__(self, stack, name, seed=1, rows=ROWS):
        self.pod, self.name, self.random, self.rows = stack.pod(), name, numpy.random.default_rng(seed), rows

    def send(self, count, scale=1.0, only=None):
        """only: rows whose last feature has this value."""
        while count > 0:
            n = min(count, 50)
            rows = self.rows[self.random.integers(0, len(self.rows), n)].copy()
            rows[(rows[:, -1] == only) if only is not None else slice(None), :5] *= scale
            data = rows.astype(numpy.float32).astype(float).ravel().tolist()
            status, answer, _ = self.pod("POST", f"/v2/models/{self.name}/infer", {
                "inputs": [{"name": "x", "shape": [n, len(NAMES)], "datatype": "FP32", "data": data}]})
            assert status == 200, answer
            count -= n


def get(rest, path):
    """The answer, when the service is there: a test kills it."""
    def answer():
        status, body, _ = rest("GET", path)
        assert status in (200, 503, 504), (status, body)
        return body if status == 200 else None
    return platform.wait_for(answer, 60, path)


def monitor(rest, name):
    return get(rest, f"/api/v1/monitors/{name}")["monitor"]


def reports(rest, name, query=""):
    return get(rest, f"/api/v1/monitors/{name}/reports{query}")["reports"]


def wait_windows(rest, name, count):
    return platform.wait_for(lambda: len(reports(rest, name)) >= count, 30, f"{count} reports of {name}")


def events(stack, count):
    """The first events of the topic, by type."""
    text = stack.cli("event", "tail", "monitoring", "--from-start", "--count", str(count), "--json").stdout
    return [(e["type"].rsplit(".", 1)[-1], e["data"]) for e in map(json.loads, text.splitlines())]


def test_drift_is_found_and_cleared(stack):
    rest = stack.rest()
    version = serve(stack, "cells")
    traffic = Traffic(stack, "cells")

    traffic.send(2 * WINDOW)
    wait_windows(rest, "cells", 2)
    state = monitor(rest, "cells")
    assert state["state"] == "ok" and int(state["version"]) == version
    reference = state["reference"]
    assert reference["kind"] == "sample" and int(reference["rows"]) == len(ROWS)
    assert int(reference["learned_rows"]) == LEARNED and reference["learned_columns"] == 1, "the output"

    traffic.send(2 * WINDOW, scale=1.3)
    platform.wait_for(lambda: monitor(rest, "cells")["state"] == "drift", 30, "drift")
    drifted = reports(rest, "cells", "?drifted=true")
    assert len(drifted) == 2 and all(int(r["window"]["rows"]) == WINDOW for r in drifted)
    status, answer, _ = rest("GET", f"/api/v1/reports/{drifted[0]['id']}")
    assert status == 200, answer
    report = answer["report"]
    found = {c["column"] for c in report["columns"] if c["outcome"] == "drift"}
    outputs = {c["column"] for c in report["columns"] if c["role"] == "output"}
    assert found - outputs and found - outputs <= set(NAMES[:5]), found
    assert {c["reference"] for c in report["columns"] if c["column"] not in outputs} == {"sample"}
    assert [(c["finding"], c["reference"]) for c in report["columns"] if c["column"] in outputs] == [("distribution", "rows")]
    assert report["drifted"] == len(found) and report["checked"] >= len(NAMES)
    histogram = next(h for h in report["histograms"] if h["column"] in found - outputs)
    assert sum(map(int, histogram["current"])) == WINDOW and sum(map(int, histogram["reference"])) == len(ROWS)

    traffic.send(2 * WINDOW)
    platform.wait_for(lambda: monitor(rest, "cells")["state"] == "ok", 30, "no drift")
    (first, detected), (second, cleared) = events(stack, 2)
    assert (first, second) == ("DriftDetected", "DriftCleared")
    assert detected["episode"] == cleared["episode"] == report["episode"]
    assert {c["column"] for c in detected["columns"]} == found
    assert detected["report_id"] == drifted[0]["id"]


def test_the_verdict_is_what_scipy_says(stack):
    """The report holds what is needed to compute it again; scipy computes it."""
    stats = pytest.importorskip("scipy.stats")
    rest = stack.rest()
    serve(stack, "scipy")
    status, answer, _ = rest("PUT", "/api/v1/monitors/scipy", {"rules": {
        "window_rows": WINDOW, "profile": "scipy", "method": "ks", "correction": "none"}})
    assert status == 200, answer
    rows = ROWS[:WINDOW].astype(numpy.float32).astype(float)
    status, answer, _ = stack.pod()("POST", "/v2/models/scipy/infer", {
        "inputs": [{"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}]})
    assert status == 200, answer
    wait_windows(rest, "scipy", 1)
    report = rest("GET", f"/api/v1/reports/{reports(rest, 'scipy')[0]['id']}")[1]["report"]
    verdicts = {c["column"]: c for c in report["columns"] if c["finding"] == "distribution"}
    for i, name in enumerate(NAMES):
        expected = stats.ks_2samp(ROWS[:, i].astype(numpy.float32), rows[:, i])
        assert verdicts[name]["statistic"] == pytest.approx(expected.statistic, abs=1e-9), name
        assert verdicts[name]["p"] == pytest.approx(expected.pvalue, rel=1e-6), name


def test_without_a_sample_the_first_rows_are_the_reference(stack):
    rest = stack.rest()
    serve(stack, "bare", reference=False)
    traffic = Traffic(stack, "bare", seed=2)
    traffic.send(len(ROWS))
    platform.wait_for(lambda: monitor(rest, "bare")["reference"]["kind"] == "rows", 30, "a reference of rows")
    traffic.send(WINDOW)
    wait_windows(rest, "bare", 1)
    report = rest("GET", f"/api/v1/reports/{reports(rest, 'bare')[0]['id']}")[1]["report"]
    assert report["outcome"] == "no drift"
    assert "output" in {c["role"] for c in report["columns"] if c["outcome"] == "no drift"}


def test_rules_are_checked_and_kept(stack):
    rest = stack.rest()
    serve(stack, "ruled")
    for rules, field in [({"profile": "nope"}, "rules.profile"), ({"window_rows": 3}, "rules.window_rows"),
                         ({"slide_rows": 7}, "rules.slide_rows"), ({"method": "nope"}, "rules.method"),
                         ({"columns": [{"column": "a"}, {"column": "a"}]}, "rules.columns")]:
        status, answer, _ = rest("PUT", "/api/v1/monitors/ruled", {"rules": rules})
        assert status == 400 and field in answer["detail"], answer
    assert rest("GET", "/api/v1/monitors/nothing")[0] == 404
    stack.cli("drift", "rules", "ruled", "--window", "500", "--method", "psi", "--ignore", f"{NAMES[0]},{NAMES[1]}",
              "--column", f"{NAMES[2]}=0.5", "--column", f"{NAMES[4]}=0.7,ks")
    stack.cli("drift", "rules", "ruled", "--column", f"{NAMES[4]}=hellinger")
    rules = json.loads(stack.cli("drift", "rules", "ruled", "--json").stdout)["rules"]
    assert rules["window_rows"] == 500 and rules["method"] == "psi"
    assert {c["column"]: c.get("ignore", False) for c in rules["columns"]} == {NAMES[0]: True, NAMES[1]: True, NAMES[2]: False,
                                                                                NAMES[4]: False}
    Traffic(stack, "ruled").send(500)
    wait_windows(rest, "ruled", 1)
    report = rest("GET", f"/api/v1/reports/{reports(rest, 'ruled')[0]['id']}")[1]["report"]
    by_name = {c["column"]: c for c in report["columns"] if c["finding"] == "distribution"}
    assert NAMES[0] not in by_name and by_name[NAMES[2]]["threshold"] == 0.5 and by_name[NAMES[3]]["threshold"] == 0.2
    assert (by_name[NAMES[4]]["method"], by_name[NAMES[4]]["threshold"]) == ("hellinger", 0.1)
    for words in ["status"], ["status", "ruled"], ["reports", "ruled"], ["show", report["id"]]:
        assert stack.cli("drift", *words).stdout.strip()


def test_killed_at_random_no_row_counts_twice_or_is_lost(stack):
    """kill -9 while rows flow: the windows hold exactly the rows that were logged."""
    rest = stack.rest()
    serve(stack, "killed")
    traffic = Traffic(stack, "killed", seed=3)
    stopping = threading.Event()

    def kill():
        while not stopping.wait(0.7):
            stack.kill("monitoring")

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        traffic.send(40 * WINDOW + WINDOW // 2)
    finally:
        stopping.set()
        killer.join()
    platform.wait_for(lambda: len(reports(rest, "killed", "?page_size=1000")) == 40, 60, "40 windows")
    platform.wait_for(lambda: int(monitor(rest, "killed")["window"]["rows"]) == WINDOW // 2, 30, "half a window")
    windows = [r["window"] for r in reports(rest, "killed", "?page_size=1000")]
    assert [int(w["number"]) for w in windows] == list(range(40, 0, -1))
    assert all(int(w["rows"]) == int(w["compared"]) == WINDOW for w in windows)
    state = monitor(rest, "killed")
    assert int(state["rows_dropped"]) == 0 and int(state["rows_other"]) == 0
    assert int(state["reference"]["learned_rows"]) == LEARNED and state["reference"]["learned_columns"] == 1


def test_a_segment_drifts_alone(stack):
    """The last feature says which of three instruments measured; one of them is recalibrated."""
    rest = stack.rest()
    rows = ROWS.copy()
    rows[:, -1] = numpy.arange(len(rows)) % 3
    serve(stack, "instruments", rows=rows)
    stack.cli("drift", "rules", "instruments", "--window", "600", "--segment", NAMES[-1], "--raise-after", "1")
    assert NAMES[-1] in stack.cli("drift", "rules", "instruments").stdout
    status, answer, _ = rest("PUT", "/api/v1/monitors/instruments", {"rules": {"segments": ["a", "b", "c", "d"]}})
    assert status == 400 and "rules.segments" in answer["detail"], answer
    traffic = Traffic(stack, "instruments", seed=6, rows=rows)
    traffic.send(600)
    wait_windows(rest, "instruments", 1)
    traffic.send(600, scale=1.15, only=2)
    wait_windows(rest, "instruments", 2)
    calm, drifted = (rest("GET", f"/api/v1/reports/{r['id']}")[1]["report"] for r in reversed(reports(rest, "instruments")))
    names = {f"{NAMES[-1]}={value}" for value in ("0", "1", "2", "(others)")}
    assert {s["name"] for s in calm["segments"]} == {s["name"] for s in drifted["segments"]} == names
    found = {(c["segment"], c["column"]) for c in drifted["columns"] if c["outcome"] == "drift" and c["segment"]}
    assert found and {segment for segment, _ in found} == {f"{NAMES[-1]}=2"}, found
    shown = stack.cli("drift", "show", drifted["id"]).stdout
    assert all(f"{segment}: {column}" in shown for segment, column in found), shown


def test_a_quiet_endpoint_is_judged_by_the_clock(stack):
    """No row comes any more, and monitoring is killed while a window is due: it is judged, once."""
    rest = stack.rest()
    serve(stack, "quiet")
    status, answer, _ = rest("PUT", "/api/v1/monitors/quiet", {"rules": {"window_rows": 10000, "window_seconds": 2, "min_rows": 100}})
    assert status == 200, answer
    traffic, sent = Traffic(stack, "quiet", seed=5), 0
    for burst in range(1, 4):
        traffic.send(150)
        sent += 150
        platform.wait_for(lambda: sum(int(r["window"]["rows"]) for r in reports(rest, "quiet"))
                          + int(monitor(rest, "quiet")["window"]["rows"]) == sent, 30, "the rows to be taken")
        if burst > 1:
            stack.kill("monitoring")
        platform.wait_for(lambda: sum(int(r["window"]["rows"]) for r in reports(rest, "quiet")) == sent, 30, f"the end of window {burst}")
        assert int(monitor(rest, "quiet")["window"]["rows"]) == 0
    windows = [r["window"] for r in reports(rest, "quiet")]
    assert [int(w["number"]) for w in windows] == list(range(len(windows), 0, -1)) and len(windows) == 3, windows


def endpoint(rest, name):
    return rest("GET", f"/api/v1/endpoints/{name}")[1]["endpoint"]


def actions(rest, name):
    return rest("GET", f"/api/v1/endpoints/{name}/drift-actions")[1]["actions"]


def test_drift_rolls_back_once(stack):
    """on_drift: rollback. The episode goes on under the earlier version and ends when the rows are as before."""
    rest = stack.rest()
    first = serve(stack, "policy")
    second = register(rest, "policy", 2)
    platform.wait_for(lambda: endpoint(rest, "policy")["status"] == "ENDPOINT_STATUS_SERVING"
                      and int(endpoint(rest, "policy")["target"]["version"]) == second, 30, "the second version")
    for body in {"on_drift": "explode"}, {"on_drift": "rollback", "cool_down_s": 2**31}, {"on_drift": "retrain"}:
        status, answer, _ = rest("PUT", "/api/v1/endpoints/policy/drift-policy", {"policy": body})
        assert status == 400 and "policy" in answer["detail"], answer
    assert "--pipeline" in stack.cli("endpoint", "policy", "policy", "--on-drift", "retrain", check=False).stderr
    stack.cli("endpoint", "policy", "policy", "--on-drift", "rollback_and_retrain", "--cool-down", "600", "--pipeline", "anew",
              "--retrains-per-day", "1")
    assert endpoint(rest, "policy")["drift_policy"] == {"on_drift": "rollback_and_retrain", "cool_down_s": 600, "pipeline": "anew",
                                                        "retrains_per_day": 1} | {k: 0 for k in ("avoid_s", "retrain_cool_down_s")}
    traffic = Traffic(stack, "policy", seed=4)

    traffic.send(2 * WINDOW)
    wait_windows(rest, "policy", 2)
    assert monitor(rest, "policy")["state"] == "ok"
    traffic.send(2 * WINDOW, scale=1.5)
    platform.wait_for(lambda: int(endpoint(rest, "policy")["target"]["version"]) == first, 30, "the first version")
    shown = endpoint(rest, "policy")
    assert shown["held"] and int(shown["generation"]) == 3
    done = actions(rest, "policy")
    assert len(done) == 1 and done[0]["action"] == "rolled back and retrain requested" and int(done[0]["to_version"]) == first
    assert "columns" in done[0]["why"] and done[0]["pipeline"] == "anew"
    episode = monitor(rest, "policy")["episode"]
    assert done[0]["episode"] == episode

    platform.wait_for(lambda: endpoint(rest, "policy")["status"] == "ENDPOINT_STATUS_SERVING", 30, "pods at the first version")
    traffic.send(3 * WINDOW, scale=1.5)
    wait_windows(rest, "policy", 7)
    assert monitor(rest, "policy")["episode"] == episode and len(actions(rest, "policy")) == 1
    traffic.send(2 * WINDOW)
    platform.wait_for(lambda: monitor(rest, "policy")["state"] == "ok", 30, "no drift")

    # From what the pod says back to the drift, and down again to all that came of it.
    types = ["DriftDetected", "RolledBack", "RetrainRequested", "ModelDeployed", "EndpointState", "ModelLoaded"]
    loaded = stack.find_event("ModelLoaded", lambda _, data: data["endpoint"] == "policy" and int(data["generation"]) == 3)
    chain = json.loads(stack.cli("event", "trace", loaded["id"], "--json").stdout)["events"]
    depth = {e["type"].rsplit(".", 1)[1]: e["depth"] for e in chain}
    assert [depth[kind] for kind in types] == [0, 1, 1, 1, 1, 2], chain
    assert len({e["traceparent"].split("-")[1] for e in chain}) == 1, "one trace"
    drift = next(e for e in chain if e["type"].endswith("DriftDetected"))
    assert drift["data"]["episode"] == episode and drift["cause"], "what it was found in are predictions"

    # A new episode within the cool-down: nothing is done, and it is said why.
    traffic.send(2 * WINDOW, scale=1.5)
    platform.wait_for(lambda: len(actions(rest, "policy")) == 2, 30, "a second decision")
    assert actions(rest, "policy")[0]["action"] == "none"
    assert "cools down" in actions(rest, "policy")[0]["why"] and "no retraining: the cap of 1" in actions(rest, "policy")[0]["why"]
    assert int(endpoint(rest, "policy")["generation"]) == 3
    assert "cools down" in stack.cli("endpoint", "actions", "policy").stdout
