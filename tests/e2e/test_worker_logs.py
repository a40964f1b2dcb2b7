# SPDX-License-Identifier: Apache-2.0
"""modelbus-worker: what its tasks write is streamed, bounded and kept, and secrets are in none of it."""

import json
import time

from worker_program import python, sanitized, sh


# ---- logs ----


def test_a_log_of_a_gigabyte(gateway, workers):
    worker = workers(LOG_MAX_BYTES=1 << 20)
    gateway.finish_of(gateway.give("echo", "warm"))
    before = worker.rss_kb()
    size = 1 << 30
    id = gateway.give(*sh(f"echo first; yes 0123456789abcdef | head -c {size}; echo last"))
    most = before
    end = time.monotonic() + 120
    while id not in gateway.finished:
        assert time.monotonic() < end
        most = max(most, worker.rss_kb())
        gateway.wait(lambda: id in gateway.finished or True)
    finish = gateway.finished[id]
    log = gateway.log_of(finish)
    total = size + len("first\nlast\n")
    note = f"\n[modelbus: {total - (1 << 20)} bytes were left out here]\n".encode()
    assert finish["status"] == "succeeded" and finish["log_bytes"] == total - (1 << 20)
    assert len(log) == (1 << 20) + len(note) and log[1 << 19:].startswith(note)
    assert log.startswith(b"first\n0123") and log.endswith(b"last\n")
    # Its buffers for a chunk on its way: 64 KiB read, 256 KiB sent, as base64 in JSON.
    assert most - before < 4096 or sanitized(), (before, most)


def test_a_log_is_bytes_and_live(gateway, worker):
    script = "printf 'a\\377\\200b'; while [ ! -e ../../go ]; do sleep 0.02; done; printf '\\000no end'"
    id = gateway.give(*sh(script))
    gateway.wait(lambda: gateway.live(id) == b"a\xff\x80b", what="the live log")
    assert id not in gateway.finished
    (worker.dir / "go").touch()
    finish = gateway.finish_of(id)
    assert gateway.log_of(finish) == b"a\xff\x80b\0no end" and not finish.get("log_bytes")


def test_live_chunks_are_paced(gateway, worker):
    id = gateway.give(*python("import time\nfor i in range(200):\n print(i, flush=True); time.sleep(0.01)"))
    finish = gateway.finish_of(id, 60)
    log = gateway.log_of(finish)
    assert log == b"".join(b"%d\n" % i for i in range(200)) and log.startswith(gateway.live(id)) and gateway.live(id)
    gaps = [b - a for a, b in zip(gateway.log_times, gateway.log_times[1:])]
    assert gaps and min(gaps) > 0.15

    # Nothing is sent while nothing is said.
    count = len(gateway.log_times)
    gateway.finish_of(gateway.give("sleep", "1"))
    assert len(gateway.log_times) == count


# ---- secrets ----


def test_secrets_reach_the_environment_only(gateway, workers):
    worker = workers(TASK_TOKEN="token-of-tasks")
    for name, value in (("db", "hunter2-hunter2\n"), ("long", "hunter2-hunter2-longer")):
        (worker.secrets / name).write_text(value)
        (worker.secrets / name).chmod(0o600)
    script = """
import os, sys, time
secret = os.environ["PASSWORD"]
assert secret == "hunter2-hunter2", secret
out = sys.stdout
print("plain", secret, os.environ["LONG"], os.environ["MODELBUS_TOKEN"]); out.flush()
for c in "slow " + secret + "!": out.write(c); out.flush(); time.sleep(0.03)
print("\\nx" + secret * 3 + "y hunter2-", end="")
out.flush(); time.sleep(0.3)
print("other"); out.flush()
open(os.environ["MODELBUS_OUTPUTS"] + "/leak", "w").write("it is " + secret)
open(os.environ["MODELBUS_OUTPUTS"] + "/fine", "w").write("it is not")
print("ends with", secret[:-1], secret, end="")
"""
    id = gateway.give(*python(script), secrets={"PASSWORD": "db", "LONG": "long"}, outputs=["leak", "fine"])
    finish = gateway.finish_of(id)
    log = gateway.log_of(finish)
    assert log == (b"plain *** *** ***\nslow ***!\nx*********y hunter2-other\nends with hunter2-hunter ***"), log
    assert log.startswith(gateway.live(id)) and gateway.live(id)
    small = {o["name"]: o.get("small", False) for o in finish["outputs"]}
    assert small == {"leak": False, "fine": True}
    assert "hunter2-hunter2" not in worker.log.read_text() + json.dumps(finish) and "token-of-tasks" not in json.dumps(finish)


def test_a_secret_that_others_can_read_is_refused(gateway, worker):
    (worker.secrets / "open").write_text("hunter2-hunter2")
    (worker.secrets / "open").chmod(0o644)
    finish = gateway.finish_of(gateway.give("true", secrets={"KEY": "open"}))
    assert finish["status"] == "failed" and "mode 0644" in finish["reason"]
