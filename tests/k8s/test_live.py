# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real platform while the quickstart's story happens: the names follow its rules,
each query of the page for Grafana has an answer, and the alert that the story earns fires."""

import json
import pathlib
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest
import yaml

from stack import BIN, ROOT, Stack, free_port, run, wait_for

PAGE = json.loads((ROOT / "k8s/grafana/modelbus.json").read_text())
QUERIES = [(f"{panel['title']}: {target['legendFormat']}", target["expr"])
           for panel in PAGE["panels"] for target in panel.get("targets", [])]
# What Grafana puts in: all services, all endpoints, a window that has the story in it.
VARIABLES = {"$service": ".*", "$endpoint": ".*", "$__rate_interval": "2m"}


def services(stack):
    """Name and port of /metrics of each service of this stack."""
    chosen = json.loads(pathlib.Path(stack.folder, "state.json").read_text())
    return {key.removesuffix("_admin_port"): port for key, port in chosen.items() if key.endswith("_admin_port")} | {
        "inference": chosen["inference_port"]}


class Prometheus:
    def __init__(self, folder, targets):
        self.port = free_port()
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                  "rule_files": [str(ROOT / "k8s/prometheus/rules.yml")],
                  "scrape_configs": [{"job_name": "modelbus", "static_configs": [
                      {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name}} for name, port in targets.items()]}]}
        pathlib.Path(folder, "prometheus.yml").write_text(yaml.safe_dump(config))
        self.log = open(f"{folder}/log", "w+")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expr):
        return self.get("query", query=expr)["result"]

    def up(self, targets):
        assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10).close()
        except OSError:  # not listening, or still starting
            return False
        return len(self.query("up == 1")) == len(targets)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def stack():
    with Stack() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(stack):
    with tempfile.TemporaryDirectory(prefix="mb-prometheus-", dir="/tmp") as folder:
        targets = services(stack)
        running = Prometheus(folder, targets)
        try:
            wait_for(lambda: running.up(targets), what="all services to be scraped", interval=0.2)
            run(ROOT / "scripts/quickstart", "--no-install", "--bin", BIN, "--dir", stack.folder, timeout=240)
            wait_for(lambda: running.query('modelbus_inference_load_failures_total offset 3s'), what="scrapes after the story")
            yield running
        finally:
            running.stop()


@pytest.mark.parametrize("name", sorted(p.parent.name for p in (ROOT / "services").glob("*/main.c")))
def test_names_follow_prometheus_rules(stack, prometheus, name):
    """After the story: most series are there by then."""
    with urllib.request.urlopen(f"http://127.0.0.1:{services(stack)[name]}/metrics", timeout=10) as response:
        text = response.read().decode()
    done = run("promtool", "check", "metrics", input=text, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name,expr", QUERIES, ids=[name for name, _ in QUERIES])
def test_a_panel_has_data(prometheus, name, expr):
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr
    # What the Kafka client counts is told every 30 s.
    result = wait_for(lambda: prometheus.query(expr), timeout=45, what=expr, interval=0.5)
    assert all(re.fullmatch(r"[-+.\de]+|NaN", series["value"][1]) for series in result), f"{expr}: {result}"
    # A quantile or mean of nothing is NaN: some series must have seen something.
    assert any(series["value"][1] != "NaN" for series in result), f"{expr}: {result}"


def test_the_variables_have_values(prometheus):
    for variable in PAGE["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
        assert prometheus.get(f"label/{label}/values", **{"match[]": metric}), variable["name"]


def test_rules_evaluate_and_what_the_story_earns_fires(prometheus):
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert rules and all(rule["health"] == "ok" for rule in rules), rules
    firing = {alert["labels"]["alertname"]: alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"}
    assert set(firing) == {"ModelbusModelLoadFailed", "ModelbusDrift"}
    summary = firing["ModelbusModelLoadFailed"]["annotations"]["summary"]
    assert summary == "inference could not load the new model of breast-cancer"
