# SPDX-License-Identifier: Apache-2.0
"""modelbus-worker, the program, with real processes, before a gateway that is strict about the contract: tasks, archives, its size."""

import io
import os
import pathlib
import socket
import tarfile
import threading
import time

import pytest

import stack as platform
from worker_program import archive, python, sanitized, sh

UNKNOWN = "sha256:" + "0" * 64


# ---- a task that does what it should ----


def test_a_task_with_archive_inputs_and_outputs(gateway, worker):
    script = """#!/bin/sh
set -e
test "$HOME" = "$PWD"; test -d "$TMPDIR"; test -z "$WORKER_TOKEN$MODELBUS_TOKEN"
cat "$MODELBUS_INPUTS/data" > "$MODELBUS_OUTPUTS/copy"
echo changed > "$MODELBUS_INPUTS/data"
head -c 5000 /dev/zero | tr '\\0' x > "$MODELBUS_OUTPUTS/large"
printf '0.91\\r\\n' > "$MODELBUS_OUTPUTS/auc"
printf '\\377\\376' > "$MODELBUS_OUTPUTS/binary"
mkdir "$MODELBUS_OUTPUTS/model"; echo weights > "$MODELBUS_OUTPUTS/model/w"; ln -s w "$MODELBUS_OUTPUTS/model/link"
env | sort > "$MODELBUS_OUTPUTS/env"
echo to stdout; echo to stderr >&2
"""
    data = gateway.put(b"some data\n")
    lease = dict(archive=gateway.put(archive(("bin/train.sh", script.encode()))), inputs={"data": data},
                 outputs=["copy", "large", "auc", "binary", "model", "env"], env={"LEARNING_RATE": "0.1", "LANG": "de_DE"},
                 index=3, attempt=2, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    id = gateway.give("./bin/train.sh", **lease)
    finish = gateway.finish_of(id)
    log = gateway.log_of(finish)
    assert (finish["status"], finish.get("exit_code", 0), finish.get("reason", "")) == ("succeeded", 0, ""), log
    assert log == b"to stdout\nto stderr\n"
    assert abs(finish["started_at_ms"] / 1000 - time.time()) < 60
    outputs = {o["name"]: o for o in finish["outputs"]}
    assert list(outputs) == lease["outputs"]
    assert gateway.artifacts[outputs["copy"]["uri"]] == b"some data\n"
    assert outputs["copy"]["value"] == "some data" and outputs["copy"]["size_bytes"] == 10
    assert outputs["auc"]["value"] == "0.91" and outputs["auc"]["small"]
    assert not outputs["large"].get("small") and outputs["large"]["size_bytes"] == 5000
    assert not outputs["binary"].get("small") and not outputs["model"].get("small")
    with tarfile.open(fileobj=io.BytesIO(gateway.artifacts[outputs["model"]["uri"]])) as tar:
        assert sorted(tar.getnames()) == [".", "./link", "./w"]
        assert tar.extractfile("./w").read() == b"weights\n"
    env = dict(line.split("=", 1) for line in gateway.artifacts[outputs["env"]["uri"]].decode().splitlines())
    lease_of = gateway.finished[id]
    assert env["LEARNING_RATE"] == "0.1" and env["LANG"] == "de_DE" and env["MODELBUS_TASK"] == "t"
    assert (env["MODELBUS_INDEX"], env["MODELBUS_ATTEMPT"]) == ("3", "2")
    assert env["TRACEPARENT"] == lease["traceparent"] and env["MODELBUS_GATEWAY_URL"] == gateway.url
    assert len(env["MODELBUS_RUN"]) == 36 and lease_of["lease"] == id
    assert not [name for name in env if name.startswith("WORKER_")]
    platform.wait_for(lambda: not worker.leases(), 10, "the folder's end")

    # The input that this task has changed is unchanged for the next one, and came once.
    del gateway.artifacts[data]
    id = gateway.give("cat", "../inputs/data", inputs={"data": data})
    finish = gateway.finish_of(id)
    assert finish["status"] == "succeeded" and gateway.log_of(finish) == b"some data\n"


def test_what_a_worker_says_of_itself(gateway, workers):
    worker = workers(LABELS="zone=gpu,team=a", CPU=1.5, MEMORY_MB=1000, GPU=2)
    (_, first), (_, poll) = gateway.wait(lambda: len(gateway.polls) > 1 and gateway.polls[:2])
    assert "wait_ms" not in first, "whether the gateway is there is known without waiting for work"
    assert poll["labels"] == {"zone": "gpu", "team": "a"}
    assert poll["capacity"] == {"cpu": 1.5, "memory_mb": 1000, "gpu": 2}
    assert poll["instance"] and poll["host"] == socket.gethostname() and poll["version"] and poll["wait_ms"] == 25000
    gateway.finish_of(gateway.give("true"))
    assert worker.get("/healthz")[0] == 200 and worker.get("/readyz")[0] == 200
    platform.wait_for(lambda: 'modelbus_worker_tasks_total{status="succeeded"} 1' in worker.get("/metrics")[1], 10, "the count")


def test_tasks_at_once(gateway, worker):
    ids = [gateway.give(*sh("while [ ! -e ../../go ]; do sleep 0.02; done")) for _ in range(4)]
    gateway.wait(lambda: any(set(poll["leases"]) == set(ids) for _, poll in gateway.polls if "leases" in poll),
                 what="a heartbeat of all four")
    (worker.dir / "go").touch()
    assert [gateway.finish_of(id)["status"] for id in ids] == ["succeeded"] * 4


def test_the_next_task_starts_with_the_answer_to_an_end(gateway, worker):
    leases = [gateway.lease("date", "+%s.%N") for _ in range(60)]
    ids = [lease["lease"] for lease in leases]
    gateway.give_chain(*leases)
    ends = [gateway.finish_of(id) for id in ids]
    starts = [float(gateway.log_of(end)) for end in ends]
    gaps = sorted(start - gateway.finish_times[before] for start, before in zip(starts[1:], ids))
    print("ms from an answer to the next process, p50 and most:", 1000 * gaps[len(gaps) // 2], 1000 * gaps[-1])
    assert gaps[len(gaps) // 2] < 0.03, gaps
    # A thread that waits for more keeps its connection; nothing else stays open.
    files = worker.files()
    more = [gateway.lease("true") for _ in range(60)]
    gateway.give_chain(*more)
    gateway.finish_of(more[-1]["lease"])
    platform.wait_for(lambda: not worker.leases() and worker.files() <= files + 9, 10, "that files are closed")


@pytest.fixture
def ended(gateway, workers):
    """Tasks whose ends wait until the request with another one's is answered."""
    worker = workers(LOG_LEVEL="debug")
    gateway.finish_gate = threading.Event()
    first = gateway.give("true")
    gateway.wait(lambda: gateway.finishes == [[first]])
    ids = [gateway.give("true") for _ in range(4)]
    platform.wait_for(lambda: len(worker.said("end waits for the report under way")) == len(ids), 20, "their ends")
    return ids


def test_ends_that_come_together_are_said_together(gateway, ended):
    lost = ended[1]
    with gateway.lock:
        del gateway.held[lost]  # another worker has it
    gateway.finish_gate.set()
    assert [gateway.finish_of(id)["status"] for id in ended if id != lost] == ["succeeded"] * 3
    assert [ending["lease"] for ending in gateway.refused] == [lost]
    assert sorted(gateway.finishes[1]) == sorted(ended) and len(gateway.finishes) == 2


def test_an_end_that_spoils_a_request_is_refused_alone(gateway, ended):
    large = ended[1]
    gateway.too_large = {large}
    gateway.finish_gate.set()
    assert [gateway.finish_of(id)["status"] for id in ended if id != large] == ["succeeded"] * 3
    finish = gateway.finish_of(large)
    assert finish["status"] == "failed" and "its end was refused: the gateway answered 413" in finish["reason"]


@pytest.mark.parametrize("script, code, reason", [
    ("exit 3", 3, "exit code 3"),
    ("kill -SEGV $$", -11, "killed by signal 11 (SIGSEGV)"),
    ("kill -KILL $$", -9, "killed by signal 9 (SIGKILL)"),
])
def test_a_task_that_fails(gateway, worker, script, code, reason):
    finish = gateway.finish_of(gateway.give(*sh(f"echo out; {script}"), outputs=["never"]))
    assert (finish["status"], finish["exit_code"], finish["reason"]) == ("failed", code, reason)
    assert gateway.log_of(finish) == b"out\n" and not finish.get("outputs")


@pytest.mark.parametrize("argv, fields, reason", [
    (["no-such-program"], {}, "cannot run 'no-such-program': it is not in PATH"),
    (["./missing"], {}, "cannot run './missing': No such file or directory"),
    ([], {}, "there is no command"),
    (["true"], {"inputs": {"x": UNKNOWN}}, "input 'x': the gateway answered 404: there is no such artifact"),
    (["true"], {"inputs": {"../x": UNKNOWN}}, "'../x' is not an input's name"),
    (["true"], {"inputs": {"x": "sha256:12"}}, "input 'x': 'sha256:12' is not an artifact's URI"),
    (["true"], {"outputs": ["model"]}, "output 'model' is not there"),
    (["true"], {"outputs": ["../log"]}, "'../log' is not an output's name"),
    (sh("ln -s /etc/passwd ../outputs/p"), {"outputs": ["p"]}, "output 'p' is a symbolic link"),
    (sh("rm -r ../outputs; ln -s /etc ../outputs"), {"outputs": ["passwd"]}, "output 'passwd': Not a directory"),
    (sh("mkfifo ../outputs/p"), {"outputs": ["p"]}, "output 'p' is neither a file nor a folder"),
    (["true"], {"env": {"a=b": "c"}}, "env: 'a=b' is not a variable's name"),
    (["true"], {"secrets": {"KEY": "none"}}, "this worker has no secret 'none'"),
    (["true"], {"secrets": {"KEY": "../token"}}, "'../token' is not a secret's name"),
])
def test_a_task_that_cannot_be_done(gateway, worker, argv, fields, reason):
    finish = gateway.finish_of(gateway.give(*argv, **fields))
    assert finish["status"] == "failed" and finish["reason"] == reason


def test_a_damaged_artifact_is_refused(gateway, worker):
    uri = gateway.put(b"right")
    gateway.artifacts[uri] = b"wrong"
    finish = gateway.finish_of(gateway.give("true", inputs={"x": uri}))
    assert finish["status"] == "failed" and "another digest" in finish["reason"]


# ---- archives ----


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize("content, reason", [
    (archive(("/tmp/evil", b"x")), "member '/tmp/evil' leads out"),
    (archive(("a/../../evil", b"x")), "member 'a/../../evil' leads out"),
    (archive(("good", b"x"), ("../evil", b"x")), "member '../evil' leads out"),
    (archive(member("hard", tarfile.LNKTYPE, "/etc/passwd")), "member 'hard' links out"),
    (archive(member("pipe", tarfile.FIFOTYPE)), "member 'pipe' is neither"),
    (archive(member("null", tarfile.CHRTYPE)), "member 'null' is neither"),
    (archive(member("out", tarfile.SYMTYPE, "../../.."), ("out/evil", b"x")), "the archive: "),
    (b"this is no archive, whatever one calls it" * 100, "does not look like a tar archive"),
], ids=["absolute", "dots", "dots-second", "hard-link", "pipe", "device", "through-a-link", "no-archive"])
def test_a_hostile_archive(gateway, worker, content, reason):
    finish = gateway.finish_of(gateway.give("true", archive=gateway.put(content)))
    assert finish["status"] == "failed" and reason in finish["reason"], finish
    # Not by rglob(), which fails when a folder goes while it looks: the task's does.
    assert not [f for _, folders, files in os.walk(worker.folder) for f in folders + files if f == "evil"]
    assert not os.path.exists("/tmp/evil")


def test_an_archive_with_links_and_modes(gateway, worker):
    content = archive(("a/run", b"#!/bin/sh\ncat link\n"), ("a/text", b"hello\n"), member("link", tarfile.SYMTYPE, "a/text"))
    finish = gateway.finish_of(gateway.give("a/run", archive=gateway.put(content)))
    assert finish["status"] == "succeeded" and gateway.log_of(finish) == b"hello\n"


# ---- its folder, its size ----


def test_folders_that_are_hard_to_remove(gateway, worker):
    script = """
import os
for i in range(400):
    os.mkdir("d"); os.chdir("d")
    open("f", "w").close(); os.symlink("/etc", "l")
os.makedirs("x/y"); os.chmod("x/y", 0); os.chmod("x", 0o500)
"""
    assert gateway.finish_of(gateway.give(*python(script)))["status"] == "succeeded"
    platform.wait_for(lambda: not worker.leases(), 10, "the folder's end")
    assert os.path.isdir("/etc") and not worker.said("not removed")


def test_the_cache_is_bounded(gateway, workers):
    worker = workers(CACHE_BYTES=3000)
    uris = [gateway.put(bytes([i]) * 1000) for i in range(6)]
    for uri in uris:
        finish = gateway.finish_of(gateway.give("wc", "-c", "../inputs/x", inputs={"x": uri}))
        assert finish["status"] == "succeeded" and gateway.log_of(finish).startswith(b"1000 ")
    kept = sorted(p.name for p in (worker.dir / "cache").iterdir())
    assert kept == sorted(uri.removeprefix("sha256:") for uri in uris[3:])


def test_memory_is_limited(gateway, worker):
    finish = gateway.finish_of(gateway.give(*python("x = bytearray(3 << 30); print(len(x))"),
                                            resources={"cpu": 1, "memory_mb": 256}))
    assert finish["status"] == "failed" and b"MemoryError" in gateway.log_of(finish)
    assert gateway.finish_of(gateway.give(*python("x = bytearray(500 << 20)")))["status"] == "succeeded"


def test_an_idle_worker_is_small_and_asks_rarely(gateway, worker):
    gateway.wait(lambda: gateway.polls)
    rollup = pathlib.Path(f"/proc/{worker.process.pid}/smaps_rollup")
    if os.geteuid() == 0:
        memory = {line.split()[0]: int(line.split()[1]) for line in rollup.read_text().splitlines()[1:]}
        print("PSS", memory["Pss:"], "kB, of its own", memory["Pss_Anon:"], "kB")
        # Of its own: how much of the libraries is counted depends on who else uses them. Sanitizers have memory of their own.
        assert sanitized() or memory["Pss_Anon:"] <= 3 * 1024
    else:  # it holds a token: nobody else reads its memory
        with pytest.raises(PermissionError):
            rollup.read_text()
    count = len(gateway.polls)
    gateway.finish_of(gateway.give("sleep", "2"))
    assert len(gateway.polls) - count <= 2
