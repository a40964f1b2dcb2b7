# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of a pipeline's file, as an editor uses it: it takes the manual's examples, and refuses what is wrong."""

import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
MANUAL = (ROOT / "docs/pipelines.md").read_text()
FILES = re.findall(r"^```yaml\n(name: .*?)^```$", MANUAL, re.M | re.S)
SEED = (ROOT / "tests/fuzz/seeds/fuzz_pipeline_definition/every_field").read_text()


class Loader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: `on` is a text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:bool"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


@pytest.fixture(scope="module")
def validator():
    program = pathlib.Path(os.environ["MODELBUS_TEST_BIN"]) / "pipeline_schema"
    schema = json.loads(subprocess.run([program], check=True, capture_output=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(validator, document):
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("text", [*FILES, SEED], ids=lambda text: text.split("\n", 1)[0])
def test_right_files_are_valid(validator, text):
    assert errors(validator, yaml.load(text, Loader)) == []


def test_the_manual_has_examples():
    assert len(FILES) >= 3


def wrong(change):
    document = yaml.load(SEED, Loader)
    change(document)
    return document


WRONG = {
    "no name": lambda d: d.pop("name"),
    "no tasks": lambda d: d.update(tasks=[]),
    "unknown field": lambda d: d.update(task=[]),
    "unknown field of a task": lambda d: d["tasks"][0].update(command=["x"]),
    "command as one text": lambda d: d["tasks"][0].update(run="python x.py"),
    "no command": lambda d: d["tasks"][0].update(run=[]),
    "name of a task": lambda d: d["tasks"][0].update(name="a b"),
    "output that is a path": lambda d: d["tasks"][0].update(outputs=["../x"]),
    "name of a variable": lambda d: d["tasks"][0]["env"].update({"A-B": "x"}),
    "run_on": lambda d: d["tasks"][0].update(run_on="sometimes"),
    "archive": lambda d: d["tasks"][0].update(archive="http://x"),
    "negative timeout": lambda d: d["tasks"][0].update(timeout_s=-1),
    "long timeout": lambda d: d["tasks"][0].update(timeout_s=1e9),
    "part of a second": lambda d: d["tasks"][0].update(timeout_s=1.5),
    "factor below 1": lambda d: d["tasks"][1]["retries"].update(factor=0.5),
    "jitter above 1": lambda d: d["tasks"][1]["retries"].update(jitter=2),
    "map of both": lambda d: d["tasks"][1]["map"].update(items=["a"]),
    "map of neither": lambda d: d["tasks"][1]["map"].pop("over"),
    "type of a parameter": lambda d: d["parameters"][0].update(type="integer"),
    "trigger of two kinds": lambda d: d["triggers"][0].update(event="DriftDetected"),
    "trigger of no kind": lambda d: d["triggers"][0].pop("cron"),
    "catch_up": lambda d: d["triggers"][0].update(catch_up="yes"),
    "concurrency": lambda d: d.update(concurrency="queue"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_wrong_files_are_refused(validator, change):
    assert errors(validator, wrong(change))


def test_every_field_has_a_description(validator):
    schema = validator.schema
    for type_ in [schema, *schema["$defs"].values()]:
        for name, field in type_["properties"].items():
            assert field.get("description"), name
