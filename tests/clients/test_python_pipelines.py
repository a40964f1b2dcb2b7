# SPDX-License-Identifier: Apache-2.0
"""From the Python source to the end of the run on a real platform with a real worker: applied, started, watched, its
log and outputs read; and what is wrong reaches the author."""

import subprocess
import sys

import pytest

import stack
from conftest import BIN

sys.path.insert(0, str(stack.ROOT / "clients/python"))
from modelbus import Client, Error, RunFailed, compile  # noqa: E402

SOURCE = """
from pathlib import Path
from modelbus import current, item, pipeline, task

@task(outputs=["words", "table"])
def split(text: str):
    (current.outputs / "table").write_text("x" * 5000)
    return {"words": text.split()}

@task(outputs=["size"])
def measure(word: str, table: Path):
    print(f"{word}: {len(word)}, {len(table.read_text())}")
    return {"size": len(word)}

@task(outputs=["sum"])
def add(sizes: list[int], fail: bool):
    if fail:
        raise ValueError("as asked")
    current.log_metric("sum", sum(sizes))
    return {"sum": sum(sizes)}

@task
def celebrate(): ...

@pipeline
def lengths(text: str = "a bb ccc", fail: bool = False):
    words = split(text)
    sizes = measure.map(words.words, parallelism=2)(item, words.table)
    total = add(sizes.size, fail)
    celebrate.options(when=[total.sum >= 100])()
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with stack.Stack() as running:
        env = {"PATH": "/usr/bin:/bin", "WORKER_GATEWAY_URL": running.gateway, "WORKER_DIR": f"{running.folder}/python-worker",
               "WORKER_NAME": "python", "WORKER_HTTP_BIND": "127.0.0.1:0", "WORKER_LOG_LEVEL": "warn"}
        worker = subprocess.Popen([BIN / "modelbus-worker"], env=env)
        try:
            yield running
        finally:
            worker.terminate()
            worker.wait(30)


@pytest.fixture
def client(platform, tmp_path):
    with Client(platform.gateway, platform.env.get("MODELBUS_TOKEN")) as client:
        (tmp_path / "lengths.py").write_text(SOURCE)
        client.pipeline = compile.choose(str(tmp_path / "lengths.py"))
        client.apply(client.pipeline)
        yield client


def test_a_function_runs_on_a_worker(client, capsys):
    assert client.apply(client.pipeline)["outcome"] == "unchanged"
    run = client.start("lengths", text="hello big world").watch(timeout=120).wait()
    statuses = {task["task"]: task["status"] for task in run.tasks}
    assert statuses == {"split": "succeeded", "measure": "succeeded", "add": "succeeded", "celebrate": "skipped"}
    assert run.outputs("add") == {"sum": "13"} and run.outputs("measure", index=1) == {"size": "3"}
    assert run.outputs("split")["table"].startswith("sha256:")
    assert list(run.logs("measure", index=2, follow=True)) == ["world: 5, 5000"]
    assert "lengths " in capsys.readouterr().out


def test_a_task_that_raises_fails_the_run_and_says_why(client):
    run = client.start("lengths", fail=True)
    with pytest.raises(RunFailed, match=r"add \(exit code 1\)"):
        run.wait(timeout=120)
    assert list(run.logs("add", follow=True))[-1] == "ValueError: as asked"


def test_what_the_service_refuses_is_an_error(client):
    with pytest.raises(Error, match="there is no .*'txt'; did you mean text"):
        client.start("lengths", txt="x")
    with pytest.raises(Error, match="line 4, column 10: .*did you mean run"):
        client.apply("name: p\ntasks:\n  - name: a\n    rnu: [x]\n", dry_run=True)
