# SPDX-License-Identifier: Apache-2.0
"""The templates of docs/examples/pipelines: the YAML beside each is what it compiles to, the service's own reader takes
it, and its tasks do their work with real data, from the archive alone, one after the other."""

import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import BIN
from memory_gateway import Gateway

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/examples/pipelines"
TEMPLATES = ["train_register_deploy", "retrain_on_drift", "nightly_batch_scoring", "sweep", "champion_challenger"]
sys.path.insert(0, str(ROOT / "clients/python"))
from modelbus import _yaml  # noqa: E402
from test_python_compile import HOSTILE  # noqa: E402


def compiled(path, *options):
    done = subprocess.run([sys.executable, "-m", "modelbus.compile", path, *options], capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT / "clients/python"), "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_template_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_yaml_beside_a_template_is_what_it_compiles_to(name):
    assert compiled(FOLDER / f"{name}.py") == (FOLDER / f"{name}.yaml").read_text()


@pytest.mark.parametrize("path", [*(FOLDER / f"{name}.yaml" for name in TEMPLATES), ROOT / "tests/clients/pipelines/every_feature.yaml"],
                         ids=lambda path: path.stem)
def test_the_service_takes_what_is_compiled(path):
    done = subprocess.run([BIN.parent / "tests/check_definition"], input=path.read_bytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == yaml.safe_load(path.read_text())  # what it understood, no less and no more


def test_the_service_reads_every_text_as_it_was():
    texts = {f"T{i}": text.replace("\x7f", "").replace("\x85", "").replace("\x1b", "") for i, text in enumerate(HOSTILE)}
    document = {"name": "p", "tasks": [{"name": "a", "run": ["x", *texts.values()], "env": texts}]}
    done = subprocess.run([BIN.parent / "tests/check_definition"], input=_yaml.dump(document).encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["tasks"] == document["tasks"]


class Failed(Exception):
    pass


class Player:
    """Runs a definition's tasks in the order of the file: what the service and a worker do, without either."""

    def __init__(self, name, folder, gateway, **parameters):
        archive = folder / "source.tar"
        self.definition = yaml.safe_load(compiled(FOLDER / f"{name}.py", "--archive", str(archive)))
        self.folder, self.gateway = folder, gateway
        self.values = {"run.id": "run-1", "run.pipeline": name, "run.logical_date": "2026-03-01"}
        for parameter in self.definition["parameters"]:
            text = str(parameters.get(parameter["name"], parameter.get("default", "")))
            self.values[f"params.{parameter['name']}"] = text
        self.source = folder / "source"
        self.source.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", self.source], check=True)
        self.files, self.status, self.log = {}, {}, ""

    def fill(self, text, **more):
        return re.sub(r"\$\{([^}]*)\}", lambda m: {**self.values, **more}[m.group(1)], text)

    def holds(self, condition):
        name, op, value = re.fullmatch(r"([\w.]+) (=|>=) (.*)", condition).groups()
        return self.values[name] == value if op == "=" else float(self.values[name]) >= float(value)

    def run(self):
        for task in self.definition["tasks"]:
            needs = [self.status[need] for need in task.get("needs", [])]
            skipped = "skipped" in needs or not all(map(self.holds, task.get("when", [])))
            self.status[task["name"]] = "skipped" if skipped else "succeeded"
            if not skipped:
                self.play(task)
        return self

    def play(self, task):
        items = json.loads(self.fill(task["map"]["over"])) if "map" in task else [None]
        put_out = [self.attempt(task, index, item) for index, item in enumerate(items)]
        for output in task.get("outputs", []):
            texts = [files[output].read_text() if files[output].stat().st_size <= 4096 else f"large:{files[output]}" for files in put_out]
            self.values[f"tasks.{task['name']}.outputs.{output}"] = json.dumps(texts) if "map" in task else texts[0]
            self.files["${tasks.%s.outputs.%s}" % (task["name"], output)] = put_out[0][output]

    def attempt(self, task, index, item):
        base = self.folder / f"{task['name']}-{index}"
        inputs, outputs, work = base / "inputs", base / "outputs", base / "work"
        shutil.copytree(self.source, work)
        for folder in [inputs, outputs]:
            folder.mkdir()
        for name, text in task.get("inputs", {}).items():
            if text == "${item}":
                (inputs / name).write_bytes(self.gateway.artifacts[item])
            else:
                (inputs / name).symlink_to(self.files[text])
        argv = [self.fill(text, item=item or "", index=str(index)) for text in task["run"]]
        env = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "MODELBUS_GATEWAY_URL": self.gateway.url, "MODELBUS_TOKEN": "mb_task", "MODELBUS_RUN": "run-1",
               "MODELBUS_TASK": task["name"], "MODELBUS_INDEX": str(index if item is not None else -1), "MODELBUS_ATTEMPT": "1",
               "MODELBUS_PIPELINE": self.definition["name"], "MODELBUS_INPUTS": str(inputs), "MODELBUS_OUTPUTS": str(outputs)}
        done = subprocess.run([sys.executable, *argv[1:]], cwd=work, env=env, capture_output=True, text=True, timeout=120)
        self.log += done.stdout
        if done.returncode:
            raise Failed(f"{task['name']}: {done.stderr}")
        return {output: outputs / output for output in task.get("outputs", [])}

    def output(self, task, name):
        return self.values[f"tasks.{task}.outputs.{name}"]


@pytest.fixture
def gateway():
    with Gateway() as gateway:
        gateway.token = "mb_task"
        yield gateway


def play(name, tmp_path, gateway, **parameters):
    folder = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    return Player(name, folder, gateway, **parameters).run()


@pytest.fixture(scope="module")
def data():
    """The module that the templates share."""
    sys.path.insert(0, str(FOLDER))
    return importlib.import_module("breast_cancer")


@pytest.fixture
def champion(gateway, data):
    """Version 1 of breast-cancer, a fair model of the rows before the change, is champion."""
    return add_version(gateway, data, 50, alias="champion")


def add_version(gateway, data, trees, scale=1.0, alias=None):
    train, _ = data.rows(scale)
    uri = gateway.store(data.fit(train[:, :-1], train[:, -1], trees, max_depth=3))
    model = gateway.models.setdefault("breast-cancer", {"versions": [], "aliases": {}, "evaluations": {}})
    model["versions"].append({"version": str(len(model["versions"]) + 1), "artifact": {"uri": uri}})
    if alias:
        model["aliases"][alias] = len(model["versions"])
    return model


def test_a_good_model_is_registered_and_deployed(tmp_path, gateway):
    gateway.endpoints["breast-cancer"] = {}  # it may be there
    played = Player("train_register_deploy", tmp_path, gateway).run()
    assert float(played.output("evaluate", "auc")) > 0.97
    model = gateway.models["breast-cancer"]
    assert model["aliases"] == {"champion": 1}
    sample = gateway.artifacts[model["versions"][0]["reference_sample"]["uri"]].decode().splitlines()
    assert sample[0].startswith("mean_radius,") and len(sample) > 400


def test_a_bad_model_is_not_registered(tmp_path, gateway):
    played = Player("train_register_deploy", tmp_path, gateway, trees=1, depth=1).run()
    assert float(played.output("evaluate", "auc")) < 0.95
    assert (played.status["register"], played.status["deploy"]) == ("skipped", "skipped")
    assert gateway.models == {} and gateway.endpoints == {}


def test_after_drift_the_retrained_model_wins(tmp_path, gateway, champion):
    played = Player("retrain_on_drift", tmp_path, gateway, window_start_ms=1000, window_end_ms=2007).run()
    new, old = (float(played.output(f"evaluate_{who}", "auc")) for who in ["challenger", "champion"])
    assert new > old
    assert played.output("challenge", "promoted") == "true"
    assert champion["aliases"] == {"champion": 2}
    assert set(champion["evaluations"]) == {(1, "breast-cancer-2007"), (2, "breast-cancer-2007")}
    losses = [champion["evaluations"][version, "breast-cancer-2007"]["log_loss"] for version in (1, 2)]
    assert losses[1] < losses[0] / 2


def test_a_day_is_scored_in_parts_with_the_champion(tmp_path, gateway, champion):
    played = Player("nightly_batch_scoring", tmp_path, gateway).run()
    assert json.loads(played.output("merge", "summary"))["rows"] == 250
    assert len(json.loads(played.output("extract", "parts"))) == 3
    scores = [float(line) for line in played.files["${tasks.merge.outputs.predictions}"].read_text().splitlines()[1:]]
    assert len(scores) == 250 and all(0 < score < 1 for score in scores) and 0.3 < sum(scores) / 250 < 0.9


def test_without_a_champion_nothing_is_scored(tmp_path, gateway):
    with pytest.raises(Failed, match="breast-cancer has no champion"):
        Player("nightly_batch_scoring", tmp_path, gateway).run()


def test_the_best_child_of_a_sweep_is_promoted(tmp_path, gateway):
    played = Player("sweep", tmp_path, gateway, method="random", count=3, trees=10).run()
    aucs = [float(auc) for auc in json.loads(played.output("fit", "auc"))]
    assert len(set(aucs)) == 3
    assert float(played.output("promote", "auc")) == max(aucs)
    model = gateway.models["breast-cancer"]
    assert model["aliases"] == {"champion": 1}
    best = json.loads(played.output("fit", "model"))[aucs.index(max(aucs))]
    assert model["versions"][0]["artifact"]["uri"] == best
    logged = [run for run in gateway.runs.values() if run["run_name"].startswith("fit[")]
    assert sorted(run["metrics"][0]["value"] for run in logged) == sorted(aucs)


def test_a_sweep_over_the_grid_has_each_point_once(data):
    sweep = importlib.import_module("sweep")
    points = sweep.choose("grid", 0, 0)["points"]
    assert len(set(points)) == len(points) == 9 and set(json.loads(points[0])) == {"max_depth", "eta"}
    assert sweep.choose("random", 5, 1) == sweep.choose("random", 5, 1) != sweep.choose("random", 5, 2)
    with pytest.raises(ValueError, match="grid or random"):
        sweep.choose("guess", 1, 1)


@pytest.mark.parametrize("trees, promoted", [(2, "false"), (60, "true")])
def test_a_new_version_challenges_the_champion(tmp_path, gateway, champion, data, trees, promoted):
    add_version(gateway, data, trees, scale=1.3)
    played = Player("champion_challenger", tmp_path, gateway, challenger=2, scale=1.3 if promoted == "true" else 1.0).run()
    assert played.output("challenge", "promoted") == promoted
    assert "auc" in played.output("challenge", "reason")
    assert champion["aliases"] == {"champion": 2 if promoted == "true" else 1}
