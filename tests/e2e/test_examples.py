# SPDX-License-Identifier: Apache-2.0
"""docs/examples: every one is run, on the embedded bus and against what it says it does."""

import os
import subprocess
import uuid

import stack as platform
import train

EXAMPLES = platform.ROOT / "docs/examples"
TYPE = "modelbus.monitoring.v1.DriftDetected"


def example(stack, *words, **options):
    return platform.run(*words, env={**os.environ, **stack.env}, timeout=120, **options).stdout


def say_drift(stack, endpoint):
    """An episode, said as monitoring would."""
    body = {"endpoint": endpoint, "model_name": endpoint, "version": 3, "generation": 1, "episode": str(uuid.uuid4()),
            "checked": 30, "drifted": 1, "columns": [{"column": "mean_radius", "method": "ks", "statistic": 0.5}]}
    stack.cli("event", "publish", "DriftDetected", platform.json.dumps(body))
    stack.cli("event", "publish", "DriftCleared", platform.json.dumps({"endpoint": endpoint, "episode": body["episode"]}))
    return body["episode"]


def test_a_pipeline_in_python_says_model_trained(stack):
    example(stack, "/usr/bin/python3", EXAMPLES / "train_breast_cancer.py", "--model", "by-python", "--trees", "5")
    rest = stack.rest()
    version = platform.wait_for(lambda: rest("GET", "/api/v1/models/by-python/versions/1")[0] == 200
                                and rest("GET", "/api/v1/models/by-python/versions/1")[1]["version"], 30, "version 1")
    assert version["reference_sample"]["uri"].startswith("sha256:") and len(version["feature_names"]) == 30


def test_kcat_and_protoc_say_model_trained(stack, tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(train.breast_cancer(trees=5)[0])
    assert "said ModelTrained" in example(stack, EXAMPLES / "model_trained.sh", "by-kcat", path)
    rest = stack.rest()
    platform.wait_for(lambda: rest("GET", "/api/v1/models/by-kcat/versions/1")[0] == 200, 30, "version 1")
    stack.cli("endpoint", "create", "by-kcat", "--model", "by-kcat", "--version", "1")
    platform.wait_for(lambda: "SERVING" in rest("GET", "/api/v1/endpoints/by-kcat")[1]["endpoint"]["status"], 30, "the model serves")


def test_rows_are_sent(stack):
    stack.cli("endpoint", "create", "by-python", "--model", "by-python", "--version", "1")
    rest = stack.rest()
    platform.wait_for(lambda: "SERVING" in rest("GET", "/api/v1/endpoints/by-python")[1]["endpoint"]["status"], 30, "the model serves")
    text = example(stack, "/usr/bin/python3", EXAMPLES / "send_rows.py", "--endpoint", "by-python", "--rows", "520", "--scale", "1.3")
    assert text == "520 rows predicted by version 1\n"


def test_handlers_hear_drift(stack, tmp_path):
    first, second = say_drift(stack, "one"), say_drift(stack, "two")
    out = tmp_path / "episodes"
    text = example(stack, "/usr/bin/python3", EXAMPLES / "on_drift.py", "--count", "2", "--command", f'echo "$ENDPOINT $EPISODE" >>"{out}"')
    assert "one: 1 of 30 columns" in text and "mean_radius (ks 0.500)" in text
    assert sorted(out.read_text().split("\n")) == ["", f"one {first}", f"two {second}"]

    text = example(stack, EXAMPLES / "on_drift.sh", "--from-start", "2")
    assert text.count("column: \"mean_radius\"") == 2 and first in text and second in text

    text = example(stack, platform.BIN.parent / "examples/on_drift", "2")
    assert first in text and second in text and "mean_radius: ks 0.500" in text


def test_a_handler_that_was_away_goes_on_where_it_was(stack):
    say_drift(stack, "three")
    done = subprocess.run(["/usr/bin/python3", str(EXAMPLES / "on_drift.py"), "--count", "1"], env={**os.environ, **stack.env},
                          stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    assert done.stdout.startswith("three: ")
