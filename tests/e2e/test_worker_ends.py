# SPDX-License-Identifier: Apache-2.0
"""modelbus-worker: tasks that are ended, the gateway that is away, the worker that stops or is killed."""

import os
import pathlib
import signal
import time

import stack as platform
from fake_gateway import Gateway
from worker_program import STUBBORN, Worker, gone, pids_of, python, sh


# ---- ends ----


def test_cancel_of_what_ignores_it(gateway, worker):
    id = gateway.give(*python(STUBBORN))
    pids = pids_of(gateway, id, 3)
    begin = time.monotonic()
    gateway.cancel(id)
    finish = gateway.finish_of(id)
    assert (finish["status"], finish["exit_code"], finish["reason"]) == ("cancelled", -9, "cancelled")
    assert 0.9 < time.monotonic() - begin < 5
    gone(*pids)
    # The gateway said it in every answer meanwhile: no poll was made faster than one a second.
    times = [t for t, poll in gateway.polls if id in poll.get("leases", []) and t > begin]
    assert all(b - a > 0.9 for a, b in zip(times, times[1:]))


def test_cancel_of_what_obeys(gateway, worker):
    id = gateway.give(*sh("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"))
    gateway.wait(lambda: gateway.live(id), what="its start")
    gateway.cancel(id)
    finish = gateway.finish_of(id)
    assert finish["status"] == "cancelled" and gateway.log_of(finish).endswith(b"bye\n")


def test_a_background_process_ends_with_its_task(gateway, worker):
    id = gateway.give(*sh("setsid sleep 1000 & echo pid $!; echo done"))
    finish = gateway.finish_of(id)
    assert finish["status"] == "succeeded"
    gone(int(gateway.log_of(finish).split()[1]))


def test_time_is_over(gateway, worker):
    finish = gateway.finish_of(gateway.give("sleep", "1000", timeout_s=1))
    assert (finish["status"], finish["exit_code"], finish["reason"]) == ("failed", -15, "timed out after 1 s")


def test_a_lost_lease(gateway, workers):
    worker = workers(GRACE_S=100)
    id = gateway.give(*python(STUBBORN), lease_ms=3000)
    pids = pids_of(gateway, id, 3)
    gateway.lose(id)
    gone(*pids)
    platform.wait_for(lambda: not worker.leases(), 10, "the folder's end")
    platform.wait_for(lambda: worker.said("result is thrown away"), 10, "the log line")
    assert worker.said("lease lost: its task is killed")
    assert id not in gateway.finished and not gateway.refused


def test_a_lease_that_is_lost_when_its_task_ends(gateway, worker):
    id = gateway.give(*sh("echo x; while [ ! -e ../../go ]; do sleep 0.02; done"))
    gateway.wait(lambda: id in gateway.held)
    with gateway.lock:
        del gateway.held[id]  # another worker has it; this one has not heard yet
    (worker.dir / "go").touch()
    gateway.wait(lambda: gateway.refused, what="the refusal")
    platform.wait_for(lambda: worker.said("result is thrown away"), 10, "the log line")
    assert gateway.finish_of(gateway.give("true"))["status"] == "succeeded"
    assert len(gateway.refused) == 1


def test_another_instance_takes_over(gateway, worker):
    id = gateway.give(*python(STUBBORN), lease_ms=3000)
    pids = pids_of(gateway, id, 3)
    gateway.taken_over = True
    with gateway.lock:
        gateway.hurry = True
        gateway.lock.notify_all()
    gone(*pids)
    assert "taken over" in worker.said("the gateway refuses")[0]["detail"]
    assert id not in gateway.finished


# ---- the gateway is away ----


def test_the_gateway_is_away_while_a_task_runs(workers, tmp_path):
    gateway = Gateway()
    worker = Worker(gateway, tmp_path)
    try:
        id = gateway.give(*sh("echo a; while [ ! -e ../../go ]; do sleep 0.02; done; echo b > ../outputs/o"), outputs=["o"])
        gateway.wait(lambda: gateway.live(id) == b"a\n")
        # Its process has gone; what it knew is in its database.
        back = Gateway.__new__(Gateway)
        gateway.away = True
        with gateway.lock:
            gateway.lock.notify_all()
        gateway.close()
        (worker.dir / "go").touch()
        platform.wait_for(lambda: worker.said("the gateway is away"), 20, "that it is noticed")
        platform.wait_for(lambda: (worker.dir / id / "outputs/o").exists(), 20, "the task's end")
        platform.wait_for(lambda: worker.get("/readyz")[0] == 503, 20, "that it is not ready")
        assert worker.get("/healthz")[0] == 200
        back.__init__(port=gateway.port)
        back.held = gateway.held
        finish = back.finish_of(id)
        assert finish["status"] == "succeeded" and finish["outputs"][0]["value"] == "b" and back.log_of(finish) == b"a\n"
        assert back.finish_of(back.give("true"))["status"] == "succeeded"
        back.wait(lambda: back.polls)
        platform.wait_for(lambda: worker.get("/readyz")[0] == 200, 10, "readiness")
        assert worker.stop() == 0
        back.close()
        assert gateway.violations == back.violations == []
    finally:
        if worker.process.poll() is None:
            worker.kill()


def test_answers_that_are_errors_are_tried_again(gateway, worker):
    gateway.wait(lambda: gateway.polls)
    id = gateway.give(*sh("while [ ! -e ../../go ]; do sleep 0.02; done; echo said"), inputs={"x": gateway.put(b"x")})
    gateway.wait(lambda: id in gateway.held)
    platform.wait_for(lambda: (worker.dir / id / "log").exists(), 10, "its start")
    gateway.away = True
    (worker.dir / "go").touch()
    platform.wait_for(lambda: [w for w in worker.said("the gateway is away") if w.get("lease") == id], 10, "the first failure")
    gateway.away = False
    finish = gateway.finish_of(id)
    assert finish["status"] == "succeeded" and gateway.log_of(finish) == b"said\n"


def test_a_wrong_token_is_said(gateway, workers):
    worker = workers(TOKEN="wrong")
    platform.wait_for(lambda: worker.said("the gateway refuses"), 10, "the refusal")
    assert "401" in worker.said("the gateway refuses")[0]["detail"]
    assert worker.get("/readyz")[0] == 503


# ---- the worker stops, or is killed ----


def test_a_killed_worker_takes_its_tasks_along(gateway, workers):
    worker = workers()
    id = gateway.give(*python(STUBBORN))
    pids = pids_of(gateway, id, 3)
    (worker.dir / id / "work/deep").mkdir()
    (worker.dir / id / "work/deep").chmod(0)
    worker.kill()
    gone(*pids)
    assert worker.leases() == [id]
    again = workers()
    platform.wait_for(lambda: again.said("started"), 10, "the next worker")
    assert again.leases() == []
    # The killed one's poll is still open, and would get the lease: nobody has told the gateway.
    gateway.wait(lambda: len({poll["instance"] for _, poll in gateway.polls}) == 2, what="the next worker's poll")
    assert gateway.finish_of(gateway.give("true"))["status"] == "succeeded"


def spawner_of(worker):
    found, = (pid for pid in platform.children(worker.process.pid) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "task-spawner\n")
    return found


def test_processes_between_worker_and_task_that_are_killed_come_again(gateway, worker):
    for _ in range(6):
        assert gateway.finish_of(gateway.give("true"))["status"] == "succeeded"
    spawner = spawner_of(worker)
    keepers = platform.children(spawner)
    assert 1 <= len(keepers) < 6, "a thread keeps its keeper"
    for keeper in keepers:
        os.kill(keeper, signal.SIGKILL)  # while they have nothing to do
    gone(*keepers)
    assert gateway.finish_of(gateway.give("true"))["status"] == "succeeded"

    assert spawner_of(worker) == spawner
    for process in [*platform.children(spawner), spawner]:
        os.kill(process, signal.SIGKILL)
        gone(process)
    id = gateway.give(*sh("echo pid $$; exec sleep 1000"))
    task, = pids_of(gateway, id, 1)
    keeper = int(pathlib.Path(f"/proc/{task}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert keeper in platform.children(spawner_of(worker))
    os.kill(keeper, signal.SIGKILL)  # while it has something
    assert "killed with its keeper" in gateway.finish_of(id)["reason"]
    gone(task)
    assert gateway.finish_of(gateway.give("true"))["status"] == "succeeded"
    assert spawner_of(worker) != spawner, "the killed one was waited for"


def test_one_worker_a_folder(gateway, workers):
    first = workers()
    platform.wait_for(lambda: first.said("started"), 10, "the first")
    second = Worker(gateway, first.folder)
    assert second.process.wait(20) == 1
    assert "another worker has the folder" in second.said("start failed")[0]["detail"]


def test_a_stop_lets_tasks_end(gateway, workers):
    worker = workers()
    id = gateway.give(*sh("while [ ! -e ../../go ]; do sleep 0.02; done"))
    platform.wait_for(lambda: (worker.dir / id / "work").exists(), 10, "its start")
    worker.process.send_signal(signal.SIGTERM)
    gateway.wait(lambda: any(poll.get("draining") and poll.get("leases") == [id] for _, poll in gateway.polls),
                 what="a poll that says so")
    (worker.dir / "go").touch()
    assert gateway.finish_of(id)["status"] == "succeeded"
    assert worker.process.wait(20) == 0
    assert worker.leases() == []
    assert gateway.polls[-1][1]["draining"] and not gateway.polls[-1][1].get("leases")


def test_a_stop_ends_tasks_that_last(gateway, workers):
    worker = workers(DRAIN_MS=3000)
    id = gateway.give(*python(STUBBORN))
    pids = pids_of(gateway, id, 3)
    begin = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - begin < 6
    finish = gateway.finished[id]
    assert (finish["status"], finish["reason"]) == ("failed", "the worker was stopped")
    gone(*pids)
    assert worker.leases() == []


def test_a_stop_while_the_gateway_is_away(gateway, workers):
    worker = workers(DRAIN_MS=2000)
    id = gateway.give("sleep", "1000")
    platform.wait_for(lambda: (worker.dir / id / "log").exists(), 10, "its start")
    gateway.away = True
    assert worker.stop() == 3
    assert worker.said("given up without a report") and worker.leases() == []
