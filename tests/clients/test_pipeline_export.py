# SPDX-License-Identifier: Apache-2.0
"""`modelbus pipeline graph` and `export --argo`, the latter read by the models that Argo's own schema was made into (hera)."""

import contextlib
import http.server
import json
import os
import pathlib
import subprocess
import threading

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

VENV = pathlib.Path(os.environ.get("MODELBUS_TEST_VENV", ROOT / "build/test-venv"))

DEFINITION = {
    "name": "Retrain_Churn",
    "parameters": [
        {"name": "mode", "type": "string", "default": "full"},
        {"name": "grid", "type": "list", "default_list": ["1", "2"]},
        {"name": "day", "required": True},
    ],
    "tasks": [
        {"name": "prepare", "run": ["python3", "prepare.py", "--day", "${params.day}"], "outputs": ["data", "rows"],
         "secrets": {"DB_PASSWORD": "db"}, "timeout_s": 60, "resources": {"cpu": 0.5, "memory_mb": 512},
         "retries": {"count": 3, "base_s": 2, "factor": 3, "cap_s": 60}},
        {"name": "train", "run": ["train", "--depth", "${item}", "--rows", "${tasks.prepare.outputs.rows}"],
         "needs": ["prepare"], "inputs": {"data": "${tasks.prepare.outputs.data}"}, "outputs": ["auc"],
         "map": {"over": "${params.grid}", "parallelism": 2}, "env": {"MODE": "${params.mode}", "RUN": "${run.id}"},
         "cache": {"key": ["${params.day}"], "max_age_s": 3600}, "labels": {"disk": "ssd"}, "resources": {"gpu": 1}},
        {"name": "score", "run": ["sh", "-c", "echo $${HOME} $0 ${item}"], "needs": ["prepare"],
         "map": {"items": ["a", "b"]}, "when": ["params.mode = full", "tasks.prepare.outputs.rows >= 10",
                                                "params.day ~ 2026-*|x"]},
        {"name": "report", "run": ["report"], "needs": ["train", "score"], "run_on": "always"},
        {"name": "alarm", "run": ["alarm"], "needs": ["train", "score"], "run_on": "failure",
         "when": ["tasks.train.status = failed"]},
    ],
    "timeout_s": 7200,
}


@contextlib.contextmanager
def gateway(definition):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"pipeline": {"name": definition["name"], "version": 1, "definition": definition}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def export(cli, definition, *words, code=0):
    with gateway(definition) as url:
        return cli("pipeline", "export", "x", "--argo", "--image", "img:1", *words, "--gateway", url, code=code)


def documents(cli, definition, *words):
    return list(yaml.safe_load_all(export(cli, definition, *words).stdout))


def taken_by_argo(document):
    """What the models read, written again: a field that they do not know would be missing."""
    program = """if True:
        import json, sys
        from hera.workflows.models import CronWorkflow, Workflow
        document = json.load(sys.stdin)
        model = {"Workflow": Workflow, "CronWorkflow": CronWorkflow}[document["kind"]].model_validate(document)
        json.dump(model.model_dump(by_alias=True, exclude_none=True, mode="json"), sys.stdout)"""
    done = subprocess.run([VENV / "bin/python", "-c", program], input=json.dumps(document), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(ours, theirs, path=""):
    """Everything of ours is there, in Argo's types (a quantity may be a number or a text)."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            assert key in theirs, f"{path}.{key} is not Argo's"
            same(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for i, value in enumerate(ours):
            same(value, theirs[i], f"{path}[{i}]")
    else:
        assert str(ours) == str(theirs), path


def test_what_is_written_is_argos(cli):
    [workflow] = documents(cli, DEFINITION)
    same(workflow, taken_by_argo(workflow))
    assert workflow["metadata"]["generateName"] == "retrain-churn-"
    spec = workflow["spec"]
    assert spec["activeDeadlineSeconds"] == 7200
    assert spec["arguments"]["parameters"] == [
        {"name": "mode", "value": "full"}, {"name": "grid", "value": '["1","2"]'}, {"name": "day"}]
    templates = {t["name"]: t for t in spec["templates"]}
    dag = {t["name"]: t for t in templates["main"]["dag"]["tasks"]}

    prepare = templates["prepare"]
    assert prepare["container"]["command"] == ["python3", "prepare.py", "--day", "{{workflow.parameters.day}}"]
    assert {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "value"}}} in prepare["container"]["env"]
    assert prepare["retryStrategy"] == {"limit": "3", "retryPolicy": "Always",
                                        "backoff": {"duration": "2s", "factor": "3", "cap": "60s"}}
    assert prepare["activeDeadlineSeconds"] == 60
    assert [p["name"] for p in prepare["outputs"]["parameters"]] == ["data", "rows"]

    assert dag["train"]["template"] == "train-map" and "withParam" not in dag["train"]
    around = templates["train-map"]
    assert around["parallelism"] == 2
    [inner] = around["dag"]["tasks"]
    assert inner["withParam"] == "{{workflow.parameters.grid}}" and inner["template"] == "train"
    assert {"name": "prepare-rows", "value": "{{inputs.parameters.prepare-rows}}"} in inner["arguments"]["parameters"]
    assert [p["name"] for p in around["inputs"]["parameters"]] == ["prepare-rows"]
    assert templates["train"]["container"]["command"][2:] == [
        "{{inputs.parameters.item}}", "--rows", "{{inputs.parameters.prepare-rows}}"]
    assert templates["train"]["memoize"] == {"key": "train-{{workflow.parameters.day}}", "maxAge": "3600s",
                                             "cache": {"configMap": {"name": "retrain-churn-cache"}}}
    assert templates["train"]["nodeSelector"] == {"disk": "ssd"}
    assert templates["train"]["container"]["resources"]["limits"]["nvidia.com/gpu"] == "1"

    assert dag["score"]["withItems"] == ["a", "b"]
    assert templates["score"]["container"]["command"][2] == "echo ${HOME} $0 {{inputs.parameters.item}}"
    assert dag["score"]["when"] == ("'{{workflow.parameters.mode}}' == 'full' && {{tasks.prepare.outputs.parameters.rows}} >= 10"
                                    " && '{{workflow.parameters.day}}' =~ '^(2026-.*|x)$'")
    assert dag["score"]["depends"] == "prepare.Succeeded"
    assert "train.Failed" in dag["report"]["depends"] and " && " in dag["report"]["depends"]
    assert dag["alarm"]["depends"] == "train.Failed || train.Errored || score.Failed || score.Errored"
    assert dag["alarm"]["when"] == "'{{tasks.train.status}}' == 'Failed'"


def test_each_cron_trigger_is_a_cron_workflow(cli):
    definition = dict(DEFINITION, concurrency="forbid", triggers=[
        {"name": "night", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "parameters": {"day": "today"}},
        {"name": "hourly", "cron": "@hourly", "disabled": True}])
    night, hourly = documents(cli, definition)
    for document in (night, hourly):
        same(document, taken_by_argo(document))
    assert night["metadata"]["name"] == "retrain-churn-night"
    assert night["spec"]["schedules"] == ["0 3 * * *"] and night["spec"]["timezone"] == "Europe/Berlin"
    assert night["spec"]["concurrencyPolicy"] == "Forbid" and hourly["spec"]["suspend"] is True
    assert {"name": "day", "value": "today"} in night["spec"]["workflowSpec"]["arguments"]["parameters"]


@pytest.mark.parametrize("change, named", [
    ({"archive": "sha256:" + "0" * 64}, "tasks[0].archive"),
    ({"retries": {"count": 1, "jitter": 0.2}}, "tasks[0].retries.jitter"),
    ({"retries": {"count": 1, "factor": 1.5}}, "tasks[0].retries.factor"),
    ({"inputs": {"data": "sha256:" + "0" * 64}}, "tasks[0].inputs"),
    ({"run": ["x", "${task.attempt}"]}, "tasks[0].run"),
    ({"env": {"A": "${run.logical_date}"}}, "tasks[0].env"),
])
def test_what_argo_has_not_is_refused_by_its_name(cli, change, named):
    definition = {"name": "p", "tasks": [{"name": "a", "run": ["true"], **change}]}
    assert named in export(cli, definition, code=1).stderr


@pytest.mark.parametrize("trigger, named", [
    ({"cron": "0 0 3 * * *"}, "triggers[0].cron"),
    ({"cron": "0 3 * * *", "catch_up": "all"}, "triggers[0].catch_up"),
    ({"event": "DriftDetected"}, "triggers[0]"),
])
def test_triggers_that_argo_has_not_are_refused(cli, trigger, named):
    definition = {"name": "p", "tasks": [{"name": "a", "run": ["true"]}], "triggers": [dict(trigger, name="t")]}
    assert named in export(cli, definition, code=1).stderr


def test_an_archive_may_be_in_the_image(cli):
    definition = {"name": "p", "tasks": [{"name": "a", "run": ["true"], "archive": "sha256:" + "0" * 64}]}
    [workflow] = documents(cli, definition, "--code-in-image")
    same(workflow, taken_by_argo(workflow))


def test_the_graph_is_a_tree_dot_and_mermaid(cli):
    with gateway(DEFINITION) as url:
        tree = cli("pipeline", "graph", "x", "--gateway", url).stdout
        dot = cli("pipeline", "graph", "x", "--dot", "--gateway", url).stdout
        mermaid = cli("pipeline", "graph", "x", "--mermaid", "--gateway", url).stdout
    assert tree.splitlines() == [
        "prepare",
        "├─ train  (map)",
        "└─ score  (map)  (when ...)",
        "   ├─ report  (on always)  (also needs train)",
        "   └─ alarm  (on failure)  (when ...)  (also needs train)",
    ]
    assert '"prepare" -> "train";' in dot and dot.startswith('digraph "Retrain_Churn" {')
    assert "  train --> report" in mermaid
