# SPDX-License-Identifier: Apache-2.0
"""/openapi.json is what happens: Schemathesis makes requests from it, right and wrong, and judges the answers.
The AsyncAPI document has what the catalogue has."""

import contextlib
import http.client
import json
import os
import pathlib
import subprocess

import pytest

from stack import BIN, ROOT, Rest, free_port, run, wait_for

VENV = pathlib.Path(os.environ.get("MODELBUS_TEST_VENV", ROOT / "build/test-venv"))
TOKEN = "the-first-admin-of-this-test"
# All checks; fixed seed. A conflict with what an earlier request made is a right answer to a right request.
CONFIG = f"""
seed = 4
hooks = "openapi_hooks"
[auth.openapi.bearer]
bearer = "{TOKEN}"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412"]
# 413 beside the usual ones: a list that is too long can be a body that is too large before anybody counts.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
# It has no end; test_stream.py hears it.
[[operations]]
include-path = "/api/v1/events/stream"
enabled = false
# Its answer's "version" is no version of a model; it would be fed to the others' paths.
[[operations]]
include-path = "/api/v1/version"
phases.stateful.enabled = false
"""


@pytest.fixture(scope="module")
def gateway(stack):
    """A second gateway of the platform that wants tokens; the first, on loopback, takes anyone."""
    url = f"http://127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "GATEWAY_ADMIN_TOKEN": TOKEN,
        "GATEWAY_ALERT_URL": stack.env["MODELBUS_ALERT_RPC_URL"],
        "GATEWAY_ARTIFACT_URL": f"file://{stack.folder}/artifacts",
        "GATEWAY_AUTH": "token",
        "GATEWAY_BIND": url[7:],
        "GATEWAY_BROKERS": stack.brokers,
        "GATEWAY_BUS_PREFIX": stack.env["MODELBUS_BUS_PREFIX"],
        "GATEWAY_DB_URL": stack.env["MODELBUS_POSTGRES_URL"],
        "GATEWAY_DEPLOYMENT_URL": stack.env["MODELBUS_DEPLOYMENT_RPC_URL"],
        "GATEWAY_EXPERIMENT_URL": stack.env["MODELBUS_EXPERIMENT_RPC_URL"],
        "GATEWAY_PIPELINE_URL": stack.env["MODELBUS_PIPELINE_RPC_URL"],
        "GATEWAY_HTTP_BIND": f"127.0.0.1:{free_port()}",
        "GATEWAY_MONITORING_URL": stack.env["MODELBUS_MONITORING_RPC_URL"],
        "GATEWAY_REGISTRY_URL": stack.env["MODELBUS_REGISTRY_RPC_URL"],
        "GATEWAY_RPC_KEY": "@" + stack.env["MODELBUS_RPC_KEY_FILE"],
        "GATEWAY_RPC_URL": f"ipc://{stack.folder}/run/gateway-of-test.sock",
    }
    with open(f"{stack.folder}/logs/gateway-of-test.log", "w") as log:
        process = subprocess.Popen([BIN / "modelbus-gateway"], env=env, stdout=log, stderr=log)

    def ready():
        assert process.poll() is None, stack.logs()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return Rest(url)("GET", "/readyz", raw=True)[0] == 200

    try:
        wait_for(ready, 30, "the gateway")
        yield url
        assert process.poll() is None, stack.logs()
    finally:
        process.terminate()
        process.wait(30)


def test_the_document_is_the_committed_one_and_needs_no_token(gateway):
    status, served, head = Rest(gateway)("GET", "/openapi.json")
    assert status == 200 and head["content-type"] == "application/json"
    assert served == json.loads((ROOT / "docs/openapi.json").read_text())
    assert Rest(gateway)("GET", "/api/v1/whoami")[0] == 401


def test_every_operation_does_what_it_says(gateway, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    done = subprocess.run(
        [VENV / "bin/schemathesis", "--config-file", config, "run", f"{gateway}/openapi.json", "--checks", "all", "--phases",
         "examples,coverage,fuzzing,stateful", "--max-examples", "10", "--workers", "1", "--continue-on-failure", "--no-shrink",
         "--generation-database", "none", "--no-color"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent)})
    assert done.returncode == 0, done.stdout


def test_the_asyncapi_document_is_whole():
    document = json.loads(run(BIN / "modelbus", "event", "types", "--asyncapi").stdout)
    assert document == json.loads((ROOT / "docs/asyncapi.json").read_text())
    for event in json.loads(run(BIN / "modelbus", "event", "types", "--json").stdout):
        name = event["type"].rsplit(".", 1)[-1]
        said = document["operations"][f"say{name}"]
        assert said["channel"] == {"$ref": f"#/channels/{event['topic']}"} and said["summary"] == event["doc"]
        assert document["components"]["messages"][name]["name"] == event["type"]

    def check(part):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
            if key == "$ref":
                found = document
                for step in value.removeprefix("#/").split("/"):
                    found = found[step]
            check(value)

    check(document)
