# SPDX-License-Identifier: Apache-2.0
"""The snippets for Airflow and Prefect, under the real packages: each in a virtual environment of its own, which is
kept in MODELBUS_TEST_VENVS."""

import os
import pathlib
import subprocess
import sys

import pytest

from memory_gateway import Gateway

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SNIPPETS = ROOT / "docs/examples/schedulers"


def python_of(name, tmp_path_factory):
    """The interpreter of a virtual environment with requirements-<name>.txt."""
    kept = os.environ.get("MODELBUS_TEST_VENVS")
    folder = (pathlib.Path(kept) if kept else tmp_path_factory.mktemp("venvs")) / name
    wanted = (HERE / f"requirements-{name}.txt").read_text()
    installed = folder / "installed"
    if not installed.exists() or installed.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / f"requirements-{name}.txt"], check=True)
        installed.write_text(wanted)
    return folder / "bin/python"


@pytest.fixture
def gateway():
    with Gateway() as gateway:
        gateway.token = "mb_x"
        yield gateway


def run(python, program, gateway, home, **env):
    return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=300, env={
        "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": f"{ROOT / 'clients/python'}:{SNIPPETS}", "PYTHONDONTWRITEBYTECODE": "1",
        "MODELBUS_GATEWAY_URL": gateway.url, "MODELBUS_TOKEN": "mb_x", **env})


AIRFLOW = """
import airflow_dag
operator, = airflow_dag.dag.tasks
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    return python_of("airflow", tmp_path_factory)


def test_an_airflow_task_starts_a_run_and_waits_for_it(airflow, gateway, tmp_path):
    done = run(airflow, AIRFLOW + "print('id', operator.execute({}))", gateway, tmp_path, AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("id p1\n") and "sweep p1: succeeded" in done.stdout
    (started,) = gateway.pipeline_runs.values()
    assert (started["pipeline"], started["parameters"]) == ("sweep", {"method": "random", "trees": "100"})


def test_an_airflow_task_fails_with_its_run_and_cancels_it(airflow, gateway, tmp_path):
    gateway.outcome = "failed"
    done = run(airflow, AIRFLOW + "operator.execute({})", gateway, tmp_path, AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 1 and "RunFailed: run p1 of sweep failed" in done.stderr
    done = run(airflow, AIRFLOW + "operator._run = airflow_dag.Client().start('sweep'); operator.on_kill()", gateway, tmp_path, AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 0 and gateway.pipeline_runs["p2"]["status"] == "cancelled", done.stderr


def test_a_prefect_flow_starts_a_run_and_waits_for_it(gateway, tmp_path, tmp_path_factory):
    python = python_of("prefect", tmp_path_factory)
    program = "import prefect_flow; print('id', prefect_flow.weekly_sweep(trees=7))"
    settings = {"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    done = run(python, program, gateway, tmp_path, **settings)
    assert done.returncode == 0 and "id p1\n" in done.stdout, done.stdout + done.stderr
    (started,) = gateway.pipeline_runs.values()
    assert started["parameters"] == {"method": "random", "trees": "7"}
    gateway.outcome = "failed"
    done = run(python, program, gateway, tmp_path, **settings)
    assert done.returncode == 1 and "RunFailed" in done.stderr
