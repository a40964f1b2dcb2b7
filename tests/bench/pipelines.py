# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/run measures of pipelines and workers. Tasks write when they begin and end into files, by the clock
that this program reads as well."""

import json
import pathlib
import statistics
import time

import chaos
import confluent_kafka
import others
import stack as platform
from measure import cpu_seconds, family, pss_megabytes, quantile

LINKS = 101    # of a chain
NO_OPS = 5000
WORKERS = 4
RUNS, ITEMS = 1000, 10
EPISODES = 50

# In one process, the shell's own: seconds with six digits.
STAMP = 'begin=$EPOCHREALTIME; echo "$begin $EPOCHREALTIME" >> "$1"'


def apply(stack, name, tasks, **more):
    path = pathlib.Path(stack.folder) / f"{name}.json"
    path.write_text(json.dumps({"name": name, "tasks": tasks, **more}))
    stack.cli("pipeline", "apply", path)


def start(stack, name):
    return json.loads(stack.cli("pipeline", "run", name, "--json").stdout)["run"]


def ended(stack, run, seconds):
    """Watched by the command, which is told of the end and does not ask again and again."""
    began = time.monotonic()
    platform.run(platform.BIN / "modelbus", "pipeline", "watch", run, env=stack.env, timeout=seconds)
    return time.monotonic() - began


def chain(stack, name):
    """Each task needs the one before. The ms from the end of each one's process to the start of the next one's, and the seconds
    that all took."""
    stamps = pathlib.Path(stack.folder) / name
    apply(stack, name, [{"name": f"link{n}", "run": ["bash", "-c", STAMP, "link", str(stamps)], "needs": [f"link{n - 1}"] if n else []}
                        for n in range(LINKS)])
    took = ended(stack, start(stack, name), 300)
    times = [[float(t) for t in line.split()] for line in stamps.read_text().splitlines()]
    gaps = [(after[0] - before[1]) * 1000 for before, after in zip(times, times[1:])]
    assert len(gaps) == LINKS - 1 and min(gaps) > 0, gaps
    return gaps, took


def bench_chain(stack, row):
    gaps, _ = chain(stack, "chain")
    row("task finished → next task's process started, idle platform, real Kafka", "p50 ≤ 20 ms, p99 ≤ 60 ms",
        f"p50 {statistics.median(gaps):.1f} ms, p99 {quantile(gaps, .99):.1f} ms", f"{len(gaps)} tasks")


def bench_no_ops(stack, row):
    share = {"cpu": 0.1, "memory_mb": 1}
    apply(stack, "no-ops", [{"name": "each", "run": ["true"], "map": {"items": [str(n) for n in range(NO_OPS)]}, "resources": share}])
    more = [chaos.Peer(stack, "worker", f"bench-{n}", NAME=f"bench-{n}", DIR=f"{stack.folder}/bench-{n}", HTTP_BIND="127.0.0.1:0")
            for n in range(1, WORKERS)]
    with chaos.killed_at_end(more):
        platform.wait_for(lambda: len(json.loads(stack.cli("worker", "list", "--json").stdout)) >= WORKERS, what="the workers")
        took = ended(stack, start(stack, "no-ops"), 300)
    rate = NO_OPS / took
    beside = [f"{name} {theirs:.1f}/s: {rate / theirs:,.0f} ×" for name, theirs in (
        ("Prefect, four threads", others.prefect(300)), ("Airflow, local executor of four", others.airflow(50))) if theirs]
    row(f"no-op tasks through {WORKERS} workers, real Kafka", "≥ 500/s", f"{rate:,.0f}/s", "; ".join([f"{NO_OPS} processes", *beside]))


def bench_backlog(stack, row):
    """Runs that wait for a worker which is not there, and one that works through no-ops beside them."""
    apply(stack, "waits", [{"name": "each", "run": ["true"], "map": {"items": [str(n) for n in range(ITEMS)]}, "labels": {"none": "here"}}])
    for _ in range(RUNS):
        start(stack, "waits")
    pids = [stack.parts()["pipeline"]["pid"]]
    before, began = cpu_seconds(pids), time.monotonic()
    time.sleep(10)
    idle = (cpu_seconds(pids) - before) / (time.monotonic() - began)
    before = cpu_seconds(pids)
    gaps, took = chain(stack, "beside")
    busy = (cpu_seconds(pids) - before) / took
    megabytes = stack.parts()["pipeline"]["pss_bytes"] / 2**20
    row(f"{RUNS * ITEMS:,} tasks wait in {RUNS:,} active runs: the service pipeline", "≤ 50 % of a core, ≤ 40 MB PSS",
        f"{idle:.1%} ({busy:.0%} while a chain of {LINKS} tasks runs beside, its gaps p50 {statistics.median(gaps):.1f} ms), {megabytes:.1f} MB")


def bench_retrain(stack, row, drift, clear):
    """drift(), clear(): the last row of a window that does or does not drift was answered, and monitoring has said so."""
    stamps = pathlib.Path(stack.folder) / "retrained"
    stamps.touch()
    apply(stack, "bench-retrain", [{"name": "train", "run": ["bash", "-c", STAMP, "train", str(stamps)]}])
    stack.cli("endpoint", "policy", "alarm", "--on-drift", "retrain", "--pipeline", "bench-retrain", "--retrain-cool-down", "1",
              "--retrains-per-day", "1000")
    reader = confluent_kafka.Consumer({"bootstrap.servers": stack.brokers, "group.id": "bench", "auto.offset.reset": "latest"})
    reader.subscribe(["modelbus.monitoring"])
    while not reader.assignment():
        reader.poll(0.1)
    times = []
    for turn in range(EPISODES):
        drift(turn)
        said = None
        while said is None:
            message = reader.poll(30)
            assert message is not None and not message.error(), message
            if dict(message.headers())["ce_type"].endswith(b"DriftDetected"):
                said = message.timestamp()[1] / 1000
        platform.wait_for(lambda turn=turn: len(stamps.read_text().splitlines()) > turn, 30, "the task", interval=0.05)
        times.append((float(stamps.read_text().splitlines()[turn].split()[0]) - said) * 1000)
        clear(turn)
        time.sleep(1)  # the cool-down
    reader.close()
    row("DriftDetected → retraining process started, real Kafka", "p99 ≤ 200 ms",
        f"p50 {statistics.median(times):.0f} ms, p99 {quantile(times, .99):.0f} ms", f"{len(times)} episodes")


def bench_idle(stack, row):
    """With the small processes that a worker's tasks come from."""
    time.sleep(3)
    families = {name: family(part["pid"]) for name, part in stack.parts().items() if name in ("pipeline", "worker")}
    used = {name: cpu_seconds(pids) for name, pids in families.items()}
    began = time.monotonic()
    time.sleep(20)
    took = time.monotonic() - began
    megabytes = {name: pss_megabytes(pids) for name, pids in families.items()}
    row("pipeline and worker, idle, real Kafka", "≤ 15 MB PSS", f"{sum(megabytes.values()):.1f} MB",
        ", ".join(f"{n} {megabytes[n]:.1f} MB, CPU {(cpu_seconds(pids) - used[n]) / took:.2%}" for n, pids in families.items()))
