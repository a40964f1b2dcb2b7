# SPDX-License-Identifier: Apache-2.0
"""What a task says, to a real platform: an experiment run, a model, the version that the registry makes of it."""

import os
import pathlib
import subprocess
import sys

import pytest

import stack

ROOT = pathlib.Path(__file__).resolve().parents[2]

SOURCE = """
from modelbus import current, task

@task(outputs=["version", "holder"])
def train():
    current.log_params({"depth": 3})
    for step in range(3):
        current.log_metric("loss", 1 / (step + 1), step)
    rows = [[0.1 * i, i] for i in range(100)]
    version = current.publish_model("churn", MODEL, file_name="model.json", metrics={"auc": 0.9}, feature_names=["a", "b"], reference=rows)
    client = current.client
    assert client.read_artifact(version["artifact"]["uri"]) == MODEL
    assert client.get_alias("churn", "champion") is None and client.get_alias("no", "champion") is None
    client.set_alias("churn", "champion", version["version"])
    return {"version": version["version"], "holder": client.get_alias("churn", "champion")["version"]}

MODEL = b'{"kind": "a model that nobody loads"}'
"""


@pytest.fixture(scope="module")
def platform():
    with stack.Stack() as running:
        yield running


def test_a_task_publishes_a_model(platform, tmp_path):
    (tmp_path / "flow.py").write_text(SOURCE)
    (tmp_path / "out").mkdir()
    done = subprocess.run([sys.executable, "-m", "modelbus.run", "flow:train"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env={
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients/python"), "MODELBUS_GATEWAY_URL": platform.gateway,
        "MODELBUS_TOKEN": platform.env.get("MODELBUS_TOKEN", ""), "MODELBUS_RUN": "run-1", "MODELBUS_PIPELINE": "nightly", "MODELBUS_TASK": "train",
        "MODELBUS_INDEX": "-1", "MODELBUS_ATTEMPT": "1", "MODELBUS_OUTPUTS": str(tmp_path / "out")})
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / "out" / name).read_text() for name in ["version", "holder"]] == ["1", "1"]
    rest = platform.rest(token=platform.env.get("MODELBUS_TOKEN"))
    status, answer, _ = rest("GET", "/api/v1/models/churn/versions/1")
    version = answer["version"]
    assert status == 200 and version["feature_names"] == ["a", "b"] and version["reference_sample"]["file_name"] == "reference.csv"
    _, answer, _ = rest("GET", f"/api/v1/runs/{version['run_id']}")
    made = answer["run"]
    assert (made["experiment"], made["status"]) == ("nightly", "RUN_STATUS_FINISHED")
    assert {"key": "depth", "value": "3"} in made["params"] and {m["key"] for m in made["metrics"]} == {"loss", "auc"}
