# SPDX-License-Identifier: Apache-2.0
"""Rules, Prometheus', Alertmanager's and Grafana's files are sound, before anything runs."""

import json
import re

import yaml

from stack import ROOT, run

RULES = ROOT / "k8s/prometheus/rules.yml"
COMPOSE = ROOT / "scripts/compose"


def alerts():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_the_rules_are_sound_and_say_what_to_do():
    run("promtool", "check", "rules", RULES)
    assert len(alerts()) > 15
    for rule in alerts():
        assert {"summary", "action"} == set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]


def test_each_rule_fires_when_it_should_and_only_then():
    cases = ROOT / "tests/k8s/rules_test.yml"
    tested = {case["name"] for case in yaml.safe_load(cases.read_text())["tests"]}
    assert tested == {rule["alert"] for rule in alerts()}
    run("promtool", "test", "rules", cases)


def test_the_operations_page_names_alerts_that_exist():
    page = (ROOT / "docs/operations.md").read_text()
    names = {rule["alert"] for rule in alerts()}
    assert set(re.findall(r"Modelbus\w+", page)) <= names
    assert {f"Modelbus{short}" for short in re.findall(r"…([A-Z]\w+[a-z])\b", page)} <= names


def test_compose_configures_prometheus_and_alertmanager(tmp_path):
    config = yaml.safe_load((COMPOSE / "prometheus.yml").read_text())
    run("promtool", "check", "config", "--syntax-only", COMPOSE / "prometheus.yml")
    run("amtool", "check-config", COMPOSE / "alertmanager.yml")
    # Every service of the platform is scraped, where it listens.
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    targets = set()
    for name, service in services.items():
        command = service.get("command", [""])[0]
        if command.startswith("modelbus-"):
            listens = {v.rsplit(":", 1)[1] for k, v in service["environment"].items() if k.endswith(("HTTP_BIND", "INFERENCE_BIND"))}
            assert len(listens) == 1, name
            targets.add(f"{name}:{listens.pop()}")
    scraped = next(job for job in config["scrape_configs"] if job["job_name"] == "modelbus")
    assert set(scraped["static_configs"][0]["targets"]) == targets
    built = {p.parent.name for p in (ROOT / "services").glob("*/main.c")}
    assert {target.split(":")[0].removesuffix("-1").removesuffix("-2") for target in targets} == built
    assert scraped["relabel_configs"][0]["target_label"] == "service"


def test_the_page_is_what_its_source_makes():
    run(ROOT / "k8s/grafana/dashboard.py", "--check")
    page = json.loads((ROOT / "k8s/grafana/modelbus.json").read_text())
    taken = {}
    for panel in page["panels"]:
        at = panel["gridPos"]
        assert at["w"] > 0 and at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    source = yaml.safe_load((COMPOSE / "grafana/datasources/prometheus.yml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in page["panels"] if panel["type"] != "row"} == {source["uid"]}
