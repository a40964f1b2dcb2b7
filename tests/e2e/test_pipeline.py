# SPDX-License-Identifier: Apache-2.0
"""Pipelines on a running platform, by the command line: the real service, gateway and worker."""

import json
import signal
import threading
import time

import pytest
from stack import wait_for

CHAIN = """
name: {name}
parameters:
  - {{name: words, type: list, default_list: [one, two, three]}}
  - {{name: mode, default: full}}
tasks:
  - name: make
    run: [sh, -c, "echo making; printf 42 > $MODELBUS_OUTPUTS/number; printf 'a file' > $MODELBUS_OUTPUTS/file"]
    outputs: [number, file]
  - name: each
    run: [sh, -c, "echo ${{item}} ${{tasks.make.outputs.number}} $(cat $MODELBUS_INPUTS/file)"]
    needs: [make]
    inputs: {{file: "${{tasks.make.outputs.file}}"}}
    map: {{over: "${{params.words}}", parallelism: 2}}
  - name: never
    run: ["false"]
    needs: [make]
    when: [params.mode = partial]
  - name: last
    run: [sh, -c, "echo ended by ${{tasks.each.status}}"]
    needs: [each, never]
    run_on: always
"""

FLAKY = """
name: flaky
tasks:
  - name: try
    run: [sh, -c, "echo attempt $MODELBUS_ATTEMPT; test $MODELBUS_ATTEMPT = 2"]
    retries: {count: 1, base_s: 0.1}
  - name: hopeless
    run: [sh, -c, "test -e %(flag)s"]
    needs: [try]
  - name: after
    run: ["true"]
    needs: [hopeless]
"""

LONG = """
name: long
tasks:
  - name: sleep
    run: [sh, -c, "echo begun; sleep 60"]
"""

# Their texts have more bytes as JSON than the gateway takes.
MUCH = """
name: much
tasks:
  - name: put-out
    run: [sh, -c, "echo >> %(file)s; cd $MODELBUS_OUTPUTS; for name in %(words)s; do head -c 4096 /dev/zero | tr '\\\\0' '\\\\1' > $name; done"]
    outputs: [%(names)s]
"""

TURNS = """
name: turns
concurrency: replace
tasks:
  - name: hold
    run: [sh, -c, "trap 'sleep 1; echo end $MODELBUS_RUN >> %(file)s; exit' TERM; test -e %(file)s; known=$?;
                   echo begin $MODELBUS_RUN >> %(file)s; test $known = 0 || { sleep 60 & wait; }"]
"""

COUNTS = """
name: counts
tasks:
  - name: count
    run: [sh, -c, "echo ${item} >> %(file)s; sleep 0.2"]
    map: {items: [%(items)s], parallelism: 4}
    resources: {cpu: 0.1, memory_mb: 16}
  - name: end
    run: ["true"]
    needs: [count]
"""


def apply(stack, tmp_path, text, code=0):
    file = tmp_path / "pipeline.yaml"
    file.write_text(text)
    done = stack.cli("pipeline", "apply", str(file), check=False)
    assert done.returncode == code, done.stderr
    return done


def start(stack, name, *words):
    return json.loads(stack.cli("pipeline", "run", name, "--json", *words).stdout)["run"]


def status(stack, run):
    return json.loads(stack.cli("pipeline", "status", run, "--json").stdout)


def ended(stack, run):
    done = stack.cli("pipeline", "status", run, "--json", check=False)  # a service may be away
    return done.returncode == 0 and json.loads(done.stdout)["status"] not in ("waiting", "running", "cancelling")


def states(run):
    return {task["task"]: task["status"] for task in run["tasks"]}


def test_a_pipeline_from_its_file_to_its_logs(stack, tmp_path):
    assert "version 1: created" in apply(stack, tmp_path, CHAIN.format(name="chain")).stdout
    assert "version 1: unchanged" in apply(stack, tmp_path, CHAIN.format(name="chain")).stdout
    watched = stack.cli("pipeline", "run", "chain", "--param", 'words=["x", "y"]', "--watch")
    lines = watched.stdout.splitlines()
    assert lines[-1] == "chain succeeded" and any(line.startswith("each succeeded  2/2") for line in lines), watched.stdout

    run = json.loads(stack.cli("pipeline", "runs", "chain", "--json").stdout)[0]["run"]
    shown = status(stack, run)
    assert states(shown) == {"make": "succeeded", "each": "succeeded", "never": "skipped", "last": "succeeded"}
    assert {(o["name"], o["value"]) for t in shown["tasks"] if t["task"] == "make" for o in t["outputs"]} == {
        ("number", "42"), ("file", "a file")}
    assert stack.cli("pipeline", "logs", run, "make").stdout == "making\n"
    assert stack.cli("pipeline", "logs", run, "each", "--index", "1", "--follow").stdout == "y 42 a file\n"
    # In the history nothing began before what it needs had ended.
    times = {(a["task"], a["index"]): (a["started_at_ms"], a["finished_at_ms"]) for a in shown["attempts"]}
    assert all(times["make", -1][1] <= times["each", i][0] <= times["each", i][1] <= times["last", -1][0] for i in range(2))


@pytest.mark.parametrize("fault, place", [
    ("name: p\ntasks:\n  - name: a\n    run: [x]\n    needs: [b]\n", "line 5, column 13: tasks[0].needs[0]"),
    ("name: p\ntasks:\n  - {name: a, run: [x], needs: [b]}\n  - {name: b, run: [x], needs: [a]}\n", "a -> b -> a"),
    ("name: p\ntasks:\n  - name: a\n    run: ['${params.x}']\n", "line 4, column 11: tasks[0]: run[0]: ${params.x}: there is no parameter"),
])
def test_a_wrong_file_says_where(stack, tmp_path, fault, place):
    assert place in apply(stack, tmp_path, fault, code=2).stderr


def test_retries_failure_and_resume(stack, tmp_path):
    flag = tmp_path / "flag"
    apply(stack, tmp_path, FLAKY % {"flag": flag})
    run = start(stack, "flaky")
    assert stack.cli("pipeline", "watch", run, check=False).returncode == 9
    shown = status(stack, run)
    assert states(shown) == {"try": "succeeded", "hopeless": "failed", "after": "skipped"}
    assert [(a["attempt"], a["status"]) for a in shown["attempts"] if a["task"] == "try"] == [(1, "failed"), (2, "succeeded")]
    assert "hopeless failed" in shown["reason"]

    flag.touch()
    stack.cli("pipeline", "resume", run)
    assert stack.cli("pipeline", "watch", run).returncode == 0
    shown = status(stack, run)
    assert set(states(shown).values()) == {"succeeded"}
    assert len([a for a in shown["attempts"] if a["task"] == "try"]) == 2, "what succeeded stays"


def test_cancel_ends_the_process(stack, tmp_path):
    apply(stack, tmp_path, LONG)
    run = start(stack, "long")
    wait_for(lambda: states(status(stack, run))["sleep"] == "running", what="the task to run", interval=0.1)
    began = time.monotonic()
    stack.cli("pipeline", "cancel", run, "--reason", "enough")
    assert stack.cli("pipeline", "watch", run, check=False).returncode == 9
    assert time.monotonic() - began < 10
    assert status(stack, run)["status"] == "cancelled"
    assert [w["running"] for w in json.loads(stack.cli("worker", "list", "--json").stdout)] == [0]


def test_an_end_that_the_platform_does_not_take_is_one(stack, tmp_path):
    """It is not run again and again by a worker that nobody believes that it has ended."""
    file, names = tmp_path / "begun", [f"o{n}" for n in range(50)]
    apply(stack, tmp_path, MUCH % {"file": file, "words": " ".join(names), "names": ", ".join(names)})
    run = start(stack, "much")
    assert stack.cli("pipeline", "watch", run, check=False).returncode == 9
    shown = status(stack, run)
    assert "413" in shown["reason"], shown["reason"]
    assert len(file.read_text()) == len(shown["attempts"]) == 1


def test_a_replaced_run_is_gone_before_the_next_one_begins(stack, tmp_path):
    file = tmp_path / "turns"
    apply(stack, tmp_path, TURNS % {"file": file})
    first = start(stack, "turns")
    wait_for(lambda: file.exists() and file.read_text(), what="the first run's task", interval=0.1)
    second = start(stack, "turns")
    assert (status(stack, first)["status"], status(stack, second)["status"]) == ("cancelling", "waiting")
    stack.kill("pipeline", signal.SIGKILL)  # what waits is in the database
    wait_for(lambda: ended(stack, second), timeout=60, what="the second run's end", interval=0.2)
    assert file.read_text().splitlines() == [f"begin {first}", f"end {first}", f"begin {second}"]
    assert status(stack, first)["status"] == "cancelled"


def test_kill_9_of_service_and_worker_loses_and_doubles_nothing(stack, tmp_path):
    """An item that succeeded is never run again; one whose worker was killed is, so the file may have it twice."""
    file, items = tmp_path / "counted", [f"i{n}" for n in range(100)]
    apply(stack, tmp_path, COUNTS % {"file": file, "items": ", ".join(items)})
    run = start(stack, "counts")
    stop, killed = threading.Event(), []

    def killer():
        for victim in ("pipeline", "worker", "gateway", "pipeline", "worker"):
            if stop.wait(0.8):
                return
            killed.append(victim)
            stack.kill(victim, signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        wait_for(lambda: ended(stack, run), timeout=180, what="the run's end", interval=0.5)
    finally:
        stop.set()
        thread.join()
    shown = status(stack, run)
    assert shown["status"] == "succeeded", shown["reason"]
    assert {"pipeline", "worker"} <= set(killed)
    succeeded = [a["index"] for a in shown["attempts"] if a["task"] == "count" and a["status"] == "succeeded"]
    assert sorted(succeeded) == list(range(len(items))), "each item succeeded once"
    assert set(file.read_text().split()) == set(items)
    lost = [a for a in shown["attempts"] if a["status"] == "lost"]
    again = {(a["task"], a["index"]) for a in shown["attempts"] if a["attempt"] > 1}
    assert {(a["task"], a["index"]) for a in lost} <= again, "what was lost ran elsewhere, and both are to be seen"
