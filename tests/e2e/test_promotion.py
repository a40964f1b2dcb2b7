# SPDX-License-Identifier: Apache-2.0
"""A challenger against the champion: by the command line and the Python package, on a running platform."""

import json
import pathlib
import sys

import pytest
from stack import artifact_uri, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "clients/python"))
from modelbus import Client, Error  # noqa: E402

TRACE = "0af7651916cd43dd8448eb211c80319c"


def register(rest, model, count):
    for number in range(count):
        status, answer, _ = rest("POST", f"/api/v1/models/{model}/versions",
                                 {"artifact": {"uri": artifact_uri(f"{model} {number}"), "size_bytes": 1}})
        assert status == 201, answer


def champion(rest, model):
    return int(rest("GET", f"/api/v1/models/{model}/aliases/champion")[1]["version"]["version"])


def alerts(stack, model):
    return [a for a in json.loads(stack.cli("alert", "list", "--json").stdout)
            if {"key": "alertname", "value": "ChallengerLost"} in a["labels"] and {"key": "model", "value": model} in a["labels"]]


def test_a_challenger_loses_and_another_one_wins(stack):
    rest = stack.rest()
    register(rest, "duel", 3)
    stack.cli("model", "alias", "duel", "champion", "1")
    assert stack.cli("model", "challenge", "duel", "2", "--window", "may", check=False).returncode == 4
    assert stack.cli("model", "promotion-policy", "duel", check=False).returncode == 3
    assert stack.cli("model", "promotion-policy", "duel", "--metric", "auc", check=False).returncode == 2
    stack.cli("model", "promotion-policy", "duel", "--metric", "auc", "--higher-is-better", "--min-margin", "0.01")
    shown = json.loads(stack.cli("model", "promotion-policy", "duel", "--json").stdout)
    assert (shown["metric"], shown["direction"], shown["min_margin"], shown["alias"]) == ("auc", "maximize", 0.01, "champion")

    stack.cli("model", "evaluate", "duel", "2", "--window", "may", "--metric", "auc=0.905", "--metric", "loss=nan", "--rows", "1000")
    refused = stack.cli("model", "challenge", "duel", "2", "--window", "may", check=False)
    assert refused.returncode == 4 and "model evaluate duel 1 --window may --metric auc=" in refused.stderr
    stack.cli("model", "evaluate", "duel", "1", "--window", "may", "--metric", "auc=0.9")
    lost = stack.cli("model", "challenge", "duel", "2", "--window", "may", check=False)
    assert lost.returncode == 9 and lost.stdout.startswith("lost: duel version 2 against 1 on may: auc 0.905 is not better than 0.9")
    assert champion(rest, "duel") == 1
    listed = json.loads(stack.cli("model", "evaluations", "duel", "2", "--json").stdout)
    assert [(e["window"], int(e["rows"]), {m["key"]: m["value"] for m in e["metrics"]}) for e in listed] == [
        ("may", 1000, {"auc": 0.905, "loss": "NaN"})]
    wait_for(lambda: alerts(stack, "duel"), 20, "the alert")

    stack.cli("model", "evaluate", "duel", "3", "--window", "may", "--metric", "auc=0.93")
    won = stack.cli("model", "challenge", "duel", "3", "--window", "may", "--json", env_more={"TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"})
    assert json.loads(won.stdout)["decision"]["promoted"] is True
    assert champion(rest, "duel") == 3
    again = stack.cli("model", "challenge", "duel", "3", "--window", "may")
    assert "decided before" in again.stdout
    wait_for(lambda: not alerts(stack, "duel"), 20, "the alert is over")

    decided = stack.find_event("PromotionDecided", lambda _, data: data["model_name"] == "duel" and data.get("promoted"))
    assert decided["traceparent"].split("-")[1] == TRACE, "the caller's trace goes on in what the registry says"
    chain = json.loads(stack.cli("event", "trace", decided["id"], "--json").stdout)["events"]
    kinds = {e["type"].rsplit(".", 1)[1] for e in chain}
    assert {"PromotionDecided", "AliasMoved", "StageChanged", "AlertResolved"} <= kinds, kinds
    assert not [e for e in chain if e["data"].get("challenger") == 2], "the other challenge is another story"


def test_the_python_package_judges(stack):
    rest = stack.rest()
    register(rest, "python-duel", 2)
    with Client(stack.gateway, stack.env.get("MODELBUS_TOKEN")) as client:
        client.set_promotion_policy("python-duel", "loss", higher_is_better=False)
        assert client.get_promotion_policy("python-duel")["direction"] == "minimize"
        client.evaluate_version("python-duel", 1, "may", {"loss": 0.5}, rows=10)
        first = client.challenge("python-duel", 1, "may")
        assert first["promoted"] and first["champion"] == 0
        client.evaluate_version("python-duel", 2, "may", {"loss": float("nan")})
        lost = client.challenge("python-duel", 2, "may")
        assert not lost["promoted"] and lost["challenger_value"] == "NaN" and lost["champion_value"] == 0.5
        client.delete_promotion_policy("python-duel")
        client.evaluate_version("python-duel", 2, "june", {"loss": 0.1})
        with pytest.raises(Error, match="no promotion policy") as refused:
            client.challenge("python-duel", 2, "june")
        assert refused.value.status == 412
    assert champion(rest, "python-duel") == 1
