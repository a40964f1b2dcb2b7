# SPDX-License-Identifier: Apache-2.0
"""Words, help, completion, exit codes: what the command line does before it talks to anybody."""

import json
import re
import subprocess

import pytest

from conftest import BIN, clean_env

COMMANDS = [
    "local up", "local down", "local status", "local logs", "model list", "model show", "model push", "model alias",
    "model stage", "model versions", "model promotion-policy", "model evaluate", "model evaluations", "model challenge", "endpoint create", "endpoint list", "endpoint show", "endpoint rollback",
    "endpoint history", "endpoint delete", "run list", "run show", "deploy", "predict", "event tail", "event trace", "event publish",
    "event types", "query", "dlq list", "dlq show", "dlq replay", "token create", "token list", "token revoke",
    "artifact push", "artifact pull", "drift check", "version", "completion",
]
NOWHERE = {"MODELBUS_GATEWAY_URL": "http://127.0.0.1:1", "MODELBUS_INFERENCE_URL": "http://127.0.0.1:1"}


def test_help_lists_every_command_and_the_exit_codes(cli):
    text = cli("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", text, re.M), command
    for code in range(10):
        assert re.search(rf"^  {code}  \w", text, re.M), code


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_a_sentence_and_its_usage(cli, command):
    text = cli(*command.split(), "--help").stdout
    assert re.match(r"[A-Z]", text)
    assert f"Usage: modelbus {command}" in text


def test_a_group_without_a_command_lists_its_commands(cli):
    assert "model alias" in cli("model", "--help").stdout
    assert "modelbus model --help" in cli("model", code=2).stderr


@pytest.mark.parametrize("words, suggestion", [
    (["modle", "list"], "model"),
    (["model", "lst"], "list"),
    (["model", "list", "--jsn"], "--json"),
    (["deploy", "x", "y", "--wiat"], "--wait"),
    (["query", "registri", "--list"], "registry"),
    (["query", "registry", "GetModl", "{}"], "GetModel"),
    (["event", "publish", "ModelTraind", "{}"], "ModelTrained"),
])
def test_a_misspelt_word_is_named_with_the_right_one(cli, words, suggestion):
    done = cli(*words, code=2, MODELBUS_REGISTRY_RPC_URL="ipc:///nowhere", MODELBUS_RPC_KEY="0123456789abcdef")
    assert f"did you mean" in done.stderr and suggestion in done.stderr


@pytest.mark.parametrize("words", [
    ["model", "show"], ["model", "list", "extra"], ["local", "up", "--gateway-port", "x"],
    ["local", "up", "--gateway-port", "70000"], ["deploy", "name"], ["model", "alias", "m", "a"],
    ["model", "list", "--gateway"], ["version", "--json=yes"], ["completion"], ["token", "create", "x", "--expires", "soon"],
])
def test_wrong_usage_is_exit_code_2(cli, words):
    assert cli(*words, code=2, **NOWHERE).stderr.strip()


def test_without_a_platform_the_error_says_how_to_start_one(cli):
    assert "modelbus local up" in cli("model", "list", code=4).stderr


def test_a_gateway_that_does_not_answer_is_exit_code_5(cli):
    assert cli("model", "list", code=5, **NOWHERE).stderr.startswith("error: ")
    document = json.loads(cli("model", "list", "--json", code=5, **NOWHERE).stderr)
    assert document["error"]["code"] == "UNAVAILABLE" and document["error"]["hint"]


def test_flags_win_over_the_environment(cli):
    done = cli("model", "list", "--gateway", "http://127.0.0.1:2", code=5, **NOWHERE)
    assert "127.0.0.1:2" in done.stderr


def test_piped_output_has_no_colours(cli):
    assert "\033" not in cli("event", "types").stdout
    assert "ModelTrained" in cli("event", "types").stdout
    assert any(t["type"] == "modelbus.experiment.v1.ModelTrained" for t in json.loads(cli("event", "types", "--json").stdout))


def test_version(cli):
    assert re.fullmatch(r"modelbus \d+\.\d+\.\d+\n", cli("version").stdout)


def complete(line):
    """What bash offers for a line, through the script that users source."""
    script = f"""
        PATH={BIN}:$PATH
        source <(modelbus completion bash)
        COMP_WORDS=({line}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _modelbus; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], env=clean_env(), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("line, expected", [
    ("modelbus mod", ["model"]),
    ("modelbus endpoint r", ["rollback"]),
    ("modelbus local ''", ["up", "down", "status", "logs"]),
    ("modelbus local up --gate", ["--gateway-port", "--gateway"]),
    ("modelbus query reg", ["registry"]),
    ("modelbus drift check --col", ["--column", "--columns"]),
    ("modelbus completion ''", ["bash", "zsh", "fish"]),
    ("modelbus event publish ModelTr", ["ModelTrained"]),
    ("modelbus token create ci --role ed", ["editor"]),
])
def test_bash_completion_offers_what_the_table_has(line, expected):
    assert complete(line) == expected


def test_completion_scripts_are_valid_shell(cli):
    script = cli("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "__complete" in cli("completion", "zsh").stdout and "__complete" in cli("completion", "fish").stdout
    cli("completion", "tcsh", code=1)


def test_a_folder_without_a_model_is_refused_with_what_was_looked_for(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "MLmodel" in cli("deploy", "x", tmp_path / "empty", code=2, **NOWHERE).stderr
    for name in "a.json", "b.json":
        (tmp_path / "empty" / name).write_text("{}")
    assert "2 model files" in cli("deploy", "x", tmp_path / "empty", code=2, **NOWHERE).stderr
    cli("deploy", "x", tmp_path / "none", code=3, **NOWHERE)
