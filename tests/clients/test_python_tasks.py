# SPDX-License-Identifier: Apache-2.0
"""modelbus.run as a worker starts it: a process with arguments, folders and a gateway."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from memory_gateway import Gateway

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Worker:
    """Starts tasks of flow.py."""

    def __init__(self, folder, gateway):
        self.folder = folder
        self.inputs, self.outputs = folder / "in", folder / "out"
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.env = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients/python"), "MODELBUS_GATEWAY_URL": gateway.url,
            "MODELBUS_TOKEN": "mb_task", "MODELBUS_RUN": "run-1", "MODELBUS_PIPELINE": "flow", "MODELBUS_TASK": "a",
            "MODELBUS_INDEX": "-1", "MODELBUS_ATTEMPT": "2", "MODELBUS_INPUTS": str(self.inputs), "MODELBUS_OUTPUTS": str(self.outputs),
        }

    def source(self, text):
        (self.folder / "flow.py").write_text("from modelbus import *\nfrom pathlib import Path\n" + textwrap.dedent(text))

    def start(self, *words, **env):
        environment = {name: value for name, value in {**self.env, **env}.items() if value is not None}
        return subprocess.Popen([sys.executable, "-m", "modelbus.run", *words], cwd=self.folder, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *words, code=0, **env):
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        return out + err


@pytest.fixture
def gateway():
    with Gateway() as gateway:
        gateway.token = "mb_task"
        yield gateway


@pytest.fixture
def worker(tmp_path, gateway):
    return Worker(tmp_path, gateway)


def test_parameters_have_the_types_of_the_annotations(worker):
    worker.source("""
        @task
        def a(n: int, x: float, on: bool, text: str, names: list[str], scores: list[float], point: dict, table: Path, missing: Path = None, more: str = "m"):
            print([n, x, on, text, names, scores, point, table.read_text(), missing, more])
    """)
    (worker.inputs / "table").write_text("t")
    words = ["n=-7", "x=1e-3", "on=true", "text=a=b\n${c}", 'names=["1","b"]', 'scores=["0.5","1"]', 'point={"depth": 3}']
    assert worker("flow:a", *words) == worker("flow.py:a", *words) == str(
        [-7, 0.001, True, "a=b\n${c}", ["1", "b"], [0.5, 1.0], {"depth": 3}, "t", None, "m"]) + "\n"


@pytest.mark.parametrize("words, told", [
    (["flow:a", "n=x"], "parameter n: 'x' is no int"),
    (["flow:a", "m=1"], "'m=1': PARAMETER=VALUE is expected; there is n, table"),
    (["flow:a"], "parameter n is not given"),
    (["flow:a", "n=1"], "there is no input 'table': there are none"),
    (["flow:b"], "flow has no task 'b'"),
    (["floe:a"], "there is no module floe in .*: is the pipeline's source the task's archive?"),
    (["no.py:a"], "there is no file no.py"),
    (["flow"], "MODULE:FUNCTION is expected"),
])
def test_a_task_that_cannot_be_called_says_why(worker, words, told):
    worker.source("@task\ndef a(n: int, table: Path): ...\n")
    out = worker(*words, code=2)

    assert re.search(told, out) and "Traceback" not in out, out


def test_outputs_are_files(worker):
    worker.source("""
        @task(outputs=["text", "number", "yes", "raw", "table", "items", "own", "numpy"])
        def a():
            import numpy
            Path("local.csv").write_text("1,2")
            (current.outputs / "own").write_text("mine")
            current.output("number", 0.25)
            return {"text": "é", "yes": True, "raw": b"\\0\\xff", "table": Path("local.csv"), "items": ["a", 1], "numpy": numpy.float64(0.5)}
    """)
    worker("flow:a")
    assert {path.name: path.read_bytes() for path in worker.outputs.iterdir()} == {
        "text": "é".encode(), "number": b"0.25", "yes": b"true", "raw": b"\0\xff", "table": b"1,2", "items": b'["a", 1]', "own": b"mine", "numpy": b"0.5"}


@pytest.mark.parametrize("body, told", [
    ("return {'x': 1}", "the task did not put out y"),
    ("return {'x': 1, 'z': 2}", "returned 'z', which is none of its outputs; there is x, y"),
    ("return 3", "the task returned a int: a dict with its outputs"),
    ("return {'x': object(), 'y': 1}", "output 'x': <object .* is a object"),
    ("return {'x': float('nan'), 'y': 1}", "output 'x': nan is not a finite number"),
    ("raise ValueError('why')", "ValueError: why"),
])
def test_a_task_that_goes_wrong_fails(worker, body, told):

    worker.source(f"@task(outputs=['x', 'y'])\ndef a():\n    {body}\n")
    assert re.search(told, worker("flow:a", code=1))


def test_what_is_logged_goes_to_one_experiment_run_in_batches(worker, gateway):
    worker.source("""
        @task
        def a():
            current.log_params({f"p{i}": i for i in range(150)})
            for step in range(1200):
                current.log_metrics({"loss": 1 / (step + 1)}, step=step)
            current.log_metric("bad", float("nan"))
    """)
    worker("flow:a")
    (run,) = gateway.runs.values()
    assert run["experiment"] == "flow" and run["status"] == "RUN_STATUS_FINISHED" and run["run_name"] == "a of run-1"
    assert {"key": "modelbus.run", "value": "run-1"} in run["tags"] and {"key": "modelbus.attempt", "value": "2"} in run["tags"]
    assert len(run["params"]) == 150 and len(run["metrics"]) == 1201
    assert [m["step"] for m in run["metrics"]][:1200] == list(range(1200)) and run["metrics"][-1]["value"] == "NaN"
    assert len([path for _, path in gateway.seen if path.endswith("/batch")]) <= 2 + 3 + 5  # and a second apart


def test_a_failed_task_ends_its_experiment_run_as_failed(worker, gateway):
    worker.source("@task\ndef a():\n    current.log_metric('x', 1)\n    raise SystemExit(3)\n")
    worker("flow:a", code=3)
    (run,) = gateway.runs.values()
    assert run["status"] == "RUN_STATUS_FAILED" and run["metrics"][0]["value"] == 1


def test_a_cancelled_task_ends_its_experiment_run_as_failed(worker, gateway):
    worker.source("@task\ndef a():\n    current.log_metric('x', 1)\n    print('ready')\n    import signal; signal.pause()\n")
    process = worker.start("flow:a")
    assert process.stdout.readline() == "ready\n"  # at once, though it is no terminal
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert [run["status"] for run in gateway.runs.values()] == ["RUN_STATUS_FAILED"]


def test_a_published_model_becomes_a_version_with_its_sample(worker, gateway):
    worker.source("""
        @task(outputs=["version"])
        def a():
            Path("model.json").write_text("{}")
            version = current.publish_model("churn", "model.json", metrics={"auc": 0.9}, feature_names=["a", "b"], reference=[[1, 2.5], [3, 4]])
            return {"version": version["version"]}
    """)
    worker("flow:a")
    assert (worker.outputs / "version").read_text() == "1"
    (version,) = gateway.models["churn"]["versions"]
    assert gateway.artifacts[version["artifact"]["uri"]] == b"{}" and version["artifact"]["file_name"] == "model.json"
    assert gateway.artifacts[version["reference_sample"]["uri"]] == b"a,b\n1,2.5\n3,4\n"
    assert version["metrics"][0]["key"] == "auc"


@pytest.mark.parametrize("missing, told", [
    ("MODELBUS_GATEWAY_URL", "MODELBUS_GATEWAY_URL is not set: is this a task"),
    ("MODELBUS_TOKEN", "no token .*; MODELBUS_TOKEN is not set: give the worker a token"),
    ("MODELBUS_RUN", "MODELBUS_RUN is not set"),
])
def test_what_the_worker_did_not_give_is_named(worker, missing, told):

    worker.source("@task\ndef a():\n    current.log_metric('x', 1)\n")
    assert re.search(told, worker("flow:a", code=1, **{missing: None}))


def test_a_gateway_that_is_away_fails_the_task(worker):
    worker.source("@task\ndef a():\n    current.store(b'x')\n")
    assert "UNAVAILABLE" in worker("flow:a", code=1, MODELBUS_GATEWAY_URL="http://127.0.0.1:1")


def test_json_lists_of_numbers_come_back_as_numbers(worker):
    worker.source("@task\ndef a(xs: list[int]): print(sum(xs))\n")
    assert worker("flow:a", "xs=" + json.dumps([1, "2"])) == "3\n"
