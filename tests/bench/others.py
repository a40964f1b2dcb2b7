# SPDX-License-Identifier: Apache-2.0
"""The same no-op tasks through Prefect and Airflow, four at a time, where MODELBUS_TEST_VENVS has them (the tests with
the label heavy put them there). Each on a fresh folder with its own database; what starting up costs does not count."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import stack as platform

PREFECT = """
import json, subprocess, time
from prefect import flow, task
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

@task
def nothing():
    subprocess.run(["true"], check=True)

@flow(task_runner=ThreadPoolTaskRunner(max_workers=4))
def many(count):
    wait([nothing.submit() for _ in range(count)])

many(4)
began = time.monotonic()
many(COUNT)
print(json.dumps(time.monotonic() - began))
"""

AIRFLOW = """
import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("many", schedule=None, start_date=pendulum.datetime(2026, 1, 1), is_paused_upon_creation=False, max_active_tasks=4):
    BashOperator.partial(task_id="nothing").expand(bash_command=["true"] * COUNT)
"""


def python_of(name):
    folder = pathlib.Path(os.environ.get("MODELBUS_TEST_VENVS", "/nowhere")) / name
    return folder / "bin" if (folder / "installed").exists() else None


def prefect(count):
    """Tasks a second; None: it is not installed."""
    programs = python_of("prefect")
    if not programs:
        return None
    with tempfile.TemporaryDirectory(prefix="mb-prefect-") as home:
        done = subprocess.run([programs / "python", "-c", PREFECT.replace("COUNT", str(count))], capture_output=True, text=True, timeout=900, env={
            "PATH": os.environ["PATH"], "HOME": home, "PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180"})
        assert done.returncode == 0, done.stderr[-2000:]
        return count / json.loads(done.stdout.splitlines()[-1])


def airflow(count):
    """Tasks a second, from the first one's start to the last one's end; None: it is not installed."""
    programs = python_of("airflow")
    if not programs:
        return None
    home = tempfile.mkdtemp(prefix="mb-airflow-", dir="/tmp")
    pathlib.Path(home, "dags").mkdir()
    pathlib.Path(home, "dags/many.py").write_text(AIRFLOW.replace("COUNT", str(count)))
    port = platform.free_port()
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": home, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
           "AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__CORE__PARALLELISM": "4", "AIRFLOW__CORE__MAX_MAP_LENGTH": str(count),
           "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
           "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/"}
    with open(f"{home}/log", "w") as log:
        started = subprocess.Popen([programs / "airflow", "standalone"], env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            def ask(sql):
                """None: the database is still being made."""
                with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True, timeout=30) as database:
                    return database.execute(sql).fetchall()

            platform.wait_for(lambda: ask("SELECT 1 FROM dag WHERE dag_id = 'many'"), 240, "Airflow's DAG", interval=0.5)
            subprocess.run([programs / "airflow", "dags", "trigger", "many"], env=env, check=True, stdout=log, stderr=log)
            platform.wait_for(lambda: ask("SELECT 1 FROM dag_run WHERE state IN ('success', 'failed')"), 1200, "Airflow's run", interval=0.5)
            assert ask("SELECT state FROM dag_run") == [("success",)], "Airflow's run failed"
            (took,), = ask("SELECT (max(julianday(end_date)) - min(julianday(start_date))) * 86400 FROM task_instance WHERE state = 'success'")
            return count / took
        except AssertionError:
            print(pathlib.Path(home, "log").read_text()[-3000:])
            raise
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            started.wait(60)
            shutil.rmtree(home, ignore_errors=True)
