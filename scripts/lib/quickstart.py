"""The main job of scripts/quickstart: models trained, promoted, swapped and rolled back while clients
predict without pause, then drift that is found and answered, first by going back, then by a pipeline that trains
the next champion; prints a timeline and a summary. Exits 1 when anything that should
happen did not, or when one prediction failed."""

import argparse
import collections
import http.client
import http.server
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import urllib.parse

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--bin", required=True)
parser.add_argument("--env", required=True, help="shell code with the platform's addresses")
parser.add_argument("--dir", help="folder of the local platform")
parser.add_argument("--compose", help="or the compose command that started it")
parser.add_argument("--clients", type=int, default=4)
args = parser.parse_args()

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI = str(pathlib.Path(args.bin).resolve() / "modelbus")
MODEL = ENDPOINT = "breast-cancer"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def environment():
    """The addresses that `modelbus local up` or scripts/compose-env wrote."""
    script = 'set -a; . "$(realpath "$0")"; env -0'
    out = subprocess.run(["bash", "-c", script, args.env], check=True, stdout=subprocess.PIPE).stdout
    return dict(pair.split("=", 1) for pair in out.decode().split("\0") if "=" in pair)


ENV = environment()
LOGS = f"{args.compose} logs" if args.compose else "modelbus local logs"


def modelbus(*words):
    done = subprocess.run([CLI, *words], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"modelbus {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wait_for_status(status, timeout=60):
    end = time.monotonic() + timeout
    while status not in (shown := modelbus("endpoint", "show", ENDPOINT, "--json")):
        if time.monotonic() > end:
            sys.exit(f"waited {timeout} s for the endpoint's status {status}; it is {shown}")
        time.sleep(0.02)


class Timeline:
    """Prints lines in the order of their own time, with the time since the start and since the line before.

    Topics are read independently, so a line is held back a moment for one that happened earlier."""

    HOLD_S = 0.2

    def __init__(self):
        self.start = self.last = time.time()
        self.held = []
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def line(self, kind, text, colour="0", at=None):
        with self.lock:
            self.held.append((at or time.time(), len(self.held), kind, text, colour))

    def run(self):
        while not self.ended.wait(0.05):
            self.flush(time.time() - self.HOLD_S)

    def flush(self, until):
        with self.lock:
            ready = sorted(line for line in self.held if line[0] <= until)
            self.held = [line for line in self.held if line[0] > until]
        for at, _, kind, text, colour in ready:
            stamp = f"{at - self.start:8.3f} s {(at - self.last) * 1000:+9.1f} ms"
            self.last = at
            kind = f"{kind:<16}"
            if COLOUR:
                kind = f"\033[{colour}m{kind}\033[0m"
            print(f"{stamp}  {kind} {text}", flush=True)

    def end(self):
        self.ended.set()
        self.thread.join()
        self.flush(float("inf"))


TIMELINE = Timeline()
sys.path[:0] = [str(ROOT / "clients/python"), str(ROOT / "docs/examples/pipelines")]
COLOURS = {"ModelLoadFailed": "31", "RolledBack": "33", "ModelLoaded": "32", "ModelDeployed": "36",
           "DriftDetected": "31", "DriftCleared": "32", "AlertFired": "31", "AlertResolved": "32",
           "RetrainRequested": "33", "PromotionDecided": "36", "PipelineFinished": "32"}


def describe(kind, data):
    artifact = (data.get("artifact") or {}).get("uri", "")[:15]
    if kind == "ModelTrained":
        metrics = ", ".join(f"{m['key']} {m['value']:.4f}" for m in data.get("metrics", []))
        return f"{data['model_name']} by {data.get('trained_by', '?')}: {metrics}; {artifact}…"
    if kind == "ModelRegistered":
        return f"{data['model_name']} version {data['version']}"
    if kind == "AliasMoved":
        return f"{data['model_name']}@{data['alias']} → version {data.get('version', 0)} (was {data.get('previous_version', 0) or 'none'})"
    if kind == "StageChanged":
        return f"{data['model_name']} version {data['version']}: {data.get('from_stage')} → {data['to_stage']}"
    if kind == "ModelDeployed":
        return f"endpoint {data['endpoint']} generation {data['generation']}: version {data['target']['version']} ({data['reason']})"
    if kind == "RolledBack":
        return f"endpoint {data['endpoint']}: version {data['from']['version']} → {data['to']['version']} ({data.get('reason', '')})"
    if kind == "ModelLoaded":
        swap = data.get("swap_us", 0)
        return (f"pod {data['pod']} serves version {data['version']}: loaded in {data.get('load_ms', 0):.1f} ms"
                + (f", swapped in {swap:.0f} µs" if swap else ""))
    if kind == "DriftDetected":
        worst = ", ".join(f"{c['column']} {c['method']} {c['statistic']:.2f}" for c in data["columns"][:3])
        return (f"endpoint {data['endpoint']} version {data['version']}: {data['drifted']} of {data['checked']} columns in "
                f"window {data['window']['number']} ({data['window']['rows']} rows): {worst}, …")
    if kind == "DriftCleared":
        return (f"endpoint {data['endpoint']}: window {data['window']['number']} is like the reference again, "
                f"after {(int(data['cleared_at_ms']) - int(data['detected_at_ms'])) / 1000:.1f} s")
    if kind in ("AlertFired", "AlertResolved"):
        labels = ", ".join(f"{label['key']} {label['value']}" for label in data["labels"]
                           if label["key"] not in ("alertname", "severity", "workspace"))
        return f"{data['name']} ({data['severity']}): {labels}"
    if kind == "RetrainRequested":
        return f"endpoint {data['endpoint']} asks for a run of {data['pipeline']}: {data['reason']}"
    if kind == "PipelineStarted":
        return f"{data['pipeline']} version {data['version']}, run {data['run'][:13]}…"
    if kind == "TaskFinished":
        took = (int(data["finished_at_ms"]) - int(data.get("started_at_ms", 0))) / 1000
        return f"{data['task']} {data['status']} after {took:.2f} s{' on ' + data['worker'] if data.get('worker') else ''}"
    if kind == "PipelineFinished":
        return f"{data['pipeline']} {data['status']}"
    if kind == "PromotionDecided":
        return f"{data['model_name']}: {data['reason']}"
    if kind == "ModelLoadFailed":
        return f"pod {data['pod']} keeps version {data.get('serving_version', 0)}: {data.get('error_message', '')[:110]}"
    return ""


def happened(event):
    """An event's own time, seconds since the epoch."""
    return event["time_ms"] / 1000


class Events:
    """Follows the bus through `modelbus event tail`; remembers all, prints what the story needs."""

    TOLD = {"ModelTrained", "ModelRegistered", "AliasMoved", "ModelDeployed", "ModelLoaded", "ModelLoadFailed",
            "RolledBack", "DriftDetected", "DriftCleared", "AlertFired", "AlertResolved", "RetrainRequested",
            "PipelineStarted", "TaskFinished", "PipelineFinished", "PromotionDecided"}

    def __init__(self):
        self.seen = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [CLI, "event", "tail", "experiment", "registry", "deployment", "serving", "monitoring", "alert", "pipeline",
             "--json"],
            env=ENV, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        for line in self.process.stdout:
            event = json.loads(line)
            kind = event["type"].rsplit(".", 1)[-1]
            with self.changed:
                self.seen.append((kind, dict(event.get("data") or {}, event_id=event["id"])))
                self.changed.notify_all()
            if kind in self.TOLD:
                TIMELINE.line(kind, describe(kind, event.get("data") or {}), COLOURS.get(kind, "0"), happened(event))

    def wait(self, kind, since=0, timeout=60, **fields):
        """The first event of this kind from position `since` whose data has these fields."""
        end = time.monotonic() + timeout
        position = since
        with self.changed:
            while True:
                while position < len(self.seen):
                    name, data = self.seen[position]
                    position += 1
                    if name == kind and all(data.get(k) == v for k, v in fields.items()):
                        return data
                left = end - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    sys.exit(f"waited {timeout} s for {kind} {fields}; it did not come. "
                             f"See `{LOGS}` and `modelbus dlq list`.")

    def position(self):
        with self.changed:
            return len(self.seen)

    def ready(self):
        """Wait until the follower hears what is said now."""
        for attempt in range(100):
            run = f"quickstart-{os.getpid()}-{attempt}"
            modelbus("event", "publish", "RunStarted", json.dumps({"run_id": run, "experiment": "quickstart"}))
            end = time.monotonic() + 0.5
            with self.changed:
                while time.monotonic() < end:
                    if any(k == "RunStarted" and d.get("run_id", "").startswith(f"quickstart-{os.getpid()}-")
                           for k, d in self.seen):
                        return
                    self.changed.wait(0.05)
        sys.exit("the bus does not answer: no event came back within 50 s")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Clients:
    """Threads that predict without pause over kept-alive connections."""

    def __init__(self, rows):
        self.rows = rows
        self.stopping = threading.Event()
        self.latency = []
        self.failures = []
        self.versions = collections.Counter()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(args.clients)]
        for thread in self.threads:
            thread.start()

    def run(self, offset):
        url = urllib.parse.urlparse(ENV["MODELBUS_INFERENCE_URL"])
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        latency, versions = [], collections.Counter()
        draw = random.Random(offset)
        while not self.stopping.is_set():
            row = draw.choice(self.rows)
            body = json.dumps({"inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}]})
            began = time.perf_counter()
            try:
                connection.request("POST", f"/v2/models/{ENDPOINT}/infer", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
                if response.status != 200:
                    raise RuntimeError(f"{response.status} {answer[:200]!r}")
                versions[json.loads(answer)["model_version"]] += 1
                latency.append(time.perf_counter() - began)
            except Exception as error:  # every failure is counted and shown; none is expected
                with self.lock:
                    self.failures.append(repr(error))
                connection.close()
        with self.lock:
            self.latency += latency
            self.versions += versions

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Webhook:
    """A receiver of alerts, as a team would run one: it is told what fires and what is over."""

    def __init__(self):
        self.told = []
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in payload["alerts"]:
                    told.append((alert["labels"]["alertname"], alert["status"]))
                    TIMELINE.line("webhook", f"is told: {alert['labels']['alertname']} {alert['status']}: "
                                             f"{alert['annotations'].get('summary', '')}")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_address[1]}/alerts"
        modelbus("alert", "put", "receiver", "quickstart", json.dumps({"type": "webhook", "url": url}))
        modelbus("alert", "put", "route", "quickstart", json.dumps(
            {"match": ["alertname = DriftDetected"], "receivers": ["quickstart"], "group_by": ["endpoint"]}))

    def wait(self, status, timeout=60):
        end = time.monotonic() + timeout
        while ("DriftDetected", status) not in self.told:
            if time.monotonic() > end:
                sys.exit(f"waited {timeout} s for the webhook to be told that the alert is {status}; it was told {self.told}")
            time.sleep(0.01)

    def stop(self):
        modelbus("alert", "delete", "route", "quickstart")
        modelbus("alert", "delete", "receiver", "quickstart")
        self.server.shutdown()


def train(*options):
    script = ROOT / "docs/examples/train_breast_cancer.py"
    subprocess.run(["/usr/bin/python3", str(script), "--model", MODEL, *options],
                   env=ENV, check=True, stdout=subprocess.DEVNULL)


def new_version(events, *options):
    since = events.position()
    train(*options)
    return events.wait("ModelRegistered", since, model_name=MODEL)["version"]


def promote(events, version):
    since = events.position()
    began = time.monotonic()
    modelbus("model", "alias", MODEL, "champion", str(version))
    return since, began


def drift(events, clients, rows):
    """The instrument is recalibrated: some features come out larger. Back to normal once it was answered.

    Returns the seconds from the first changed row to the verdict, to the rollback's model, and to the all-clear."""
    modelbus("endpoint", "policy", ENDPOINT, "--on-drift", "rollback", "--cool-down", "1")
    TIMELINE.line("pipeline", "trains a fourth model")
    fourth = new_version(events, "--trees", "200", "--depth", "4", "--seed", "4", "--format", "ubj")
    since, _ = promote(events, fourth)
    events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=fourth)
    wait_for_state("ok")
    # Containers do not reach this script; there the alert's events show that it fired and was resolved.
    webhook = None if args.compose else Webhook()

    TIMELINE.line("instrument", "recalibrated: 4 of 30 features come out 30 % larger from here on")
    since, began = events.position(), time.monotonic()
    clients.rows = [[value * 1.3 if i < 4 else value for i, value in enumerate(row)] for row in rows]
    events.wait("DriftDetected", since, endpoint=ENDPOINT)
    detected = time.monotonic() - began
    to = events.wait("RolledBack", since, endpoint=ENDPOINT)["to"]["version"]
    events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=to)
    rolled_back = time.monotonic() - began
    events.wait("AlertFired", since, name="DriftDetected")
    if webhook:
        webhook.wait("firing")

    TIMELINE.line("instrument", "as before")
    began = time.monotonic()
    clients.rows = rows
    events.wait("DriftCleared", since, endpoint=ENDPOINT)
    cleared = time.monotonic() - began
    events.wait("AlertResolved", since, name="DriftDetected")
    if webhook:
        webhook.wait("resolved")
        webhook.stop()
    return fourth, (detected, rolled_back, cleared)


def wait_for_state(state, timeout=60):
    """Of the endpoint's monitor, after a window of the version that is served now."""
    end = time.monotonic() + timeout
    while True:
        served = json.loads(modelbus("endpoint", "show", ENDPOINT, "--json"))["target"]["version"]
        reports = json.loads(modelbus("drift", "reports", ENDPOINT, "--limit", "1", "--json"))
        shown = json.loads(modelbus("drift", "status", ENDPOINT, "--json"))["state"]
        if shown == state and reports and reports[0]["version"] == served:
            return
        if time.monotonic() > end:
            sys.exit(f"waited {timeout} s for the monitor's state {state}; it is {shown}")
        time.sleep(0.05)


def close_the_loop(events, clients):
    """The instrument is changed for good. The endpoint's policy starts a pipeline: it trains on fresh labelled rows,
    and what it trained becomes the champion because it is better on rows that neither has seen.

    Returns the new version, the id of the event that began it, and the seconds from the first changed row to the
    verdict, to the first task, to the new model's answers, and to the all-clear."""
    import breast_cancer
    import retrain_on_drift
    from modelbus import Client as Modelbus

    pipeline = retrain_on_drift.retrain_on_drift
    pipeline.python = "/usr/bin/python3"  # another one may stand first in PATH, without the libraries
    with Modelbus(ENV["MODELBUS_GATEWAY_URL"], token=ENV.get("MODELBUS_TOKEN")) as client:
        client.apply(pipeline)
    modelbus("model", "promotion-policy", MODEL, "--metric", "auc", "--higher-is-better")
    modelbus("endpoint", "policy", ENDPOINT, "--on-drift", "retrain", "--pipeline", "retrain-on-drift",
             "--retrain-cool-down", "1")
    TIMELINE.line("instrument", "exchanged for another kind, for good; labelled rows of it are there")
    since, began = events.position(), time.monotonic()
    clients.rows = [row[:-1] for part in breast_cancer.rows(scale=1.3) for row in part.tolist()]
    cause = events.wait("DriftDetected", since, endpoint=ENDPOINT)
    times = [time.monotonic() - began]
    run = events.wait("PipelineStarted", since, pipeline="retrain-on-drift")["run"]
    events.wait("TaskStarted", since, run=run)
    times.append(time.monotonic() - began)
    finished = events.wait("PipelineFinished", since, timeout=180, run=run)
    if finished["status"] != "succeeded":
        sys.exit(f"the retraining {finished['status']}: {finished.get('reason', '')}; see modelbus pipeline status {run}")
    decided = events.wait("PromotionDecided", since, model_name=MODEL)
    if not decided.get("promoted"):
        sys.exit(f"the new model was not promoted: {decided['reason']}")
    version = decided["challenger"]
    events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=version)
    times.append(time.monotonic() - began)
    events.wait("DriftCleared", since, endpoint=ENDPOINT)
    times.append(time.monotonic() - began)
    events.wait("AlertResolved", since, name="DriftDetected")
    modelbus("endpoint", "policy", ENDPOINT, "--on-drift", "none")
    return version, cause["event_id"], times


def percentile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def local_memory():
    status = json.loads(modelbus("local", "status", "--json", "--dir", args.dir))
    parts = [f"{part['name']} {part['pss_bytes'] / 2**20:.1f}" for part in status["parts"] if part.get("pss_bytes")]
    return f"{', '.join(parts)} (MB, proportional set size)"


def compose_memory():
    def lines(*words):
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()

    containers = lines(*args.compose.split(), "ps", "-q")
    used = lines("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *containers)
    return ", ".join(line.split(" / ")[0] for line in sorted(used))


def summary(events, clients, swaps, times, loop):
    print()
    counts = collections.Counter(kind for kind, _ in events.seen)
    print("events    " + ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if kind != "ServingStats"))
    for what, seconds, load in swaps:
        print(f"swap      {what}: {seconds * 1000:.1f} ms from command to the new model answering "
              f"(load {load.get('load_ms', 0):.1f} ms, swap {load.get('swap_us', 0):.0f} µs)")
    print(f"drift     detected {times[0]:.2f} s after the first changed row, the earlier model served {times[1]:.2f} s after it; "
          f"cleared {times[2]:.2f} s after the rows were as before")
    print(f"retrain   drift found {loop[0]:.2f} s after the first changed row, its first task began {loop[1] - loop[0]:.2f} s later; "
          f"the new champion served {loop[2]:.2f} s after it, all clear {loop[3]:.2f} s after it")
    by_version = ", ".join(f"version {v}: {n}" for v, n in sorted(clients.versions.items(), key=lambda p: int(p[0])))
    print(f"requests  {len(clients.latency)} served ({by_version}), {len(clients.failures)} failed")
    print(f"latency   p50 {percentile(clients.latency, .5) * 1000:.2f} ms, p99 {percentile(clients.latency, .99) * 1000:.2f} ms "
          f"(measured by {args.clients} Python clients)")
    print(f"memory    {compose_memory() if args.compose else local_memory()}")
    print(f"look at   REST {ENV['MODELBUS_GATEWAY_URL']}/api/v1/models, predictions {ENV['MODELBUS_INFERENCE_URL']}/info")
    print(f"          brokers {ENV['MODELBUS_BROKERS']}"
          + (f", database {ENV['MODELBUS_POSTGRES_URL']}" if "MODELBUS_POSTGRES_URL" in ENV else ""))
    shell = f"set -a; . {os.path.relpath(args.env)}" if args.compose else f". {args.env}"
    print(f"          {shell}    {CLI} event tail    {CLI} endpoint show {ENDPOINT}")
    print(f"stop      {args.compose} down" if args.compose else f"stop      {CLI} local down --dir {args.dir}")


def main():
    from sklearn.datasets import load_breast_cancer

    rows = load_breast_cancer().data.tolist()
    events = Events()
    clients = None
    swaps = []
    try:
        events.ready()
        TIMELINE.line("pipeline", "trains the first model")
        first = new_version(events, "--trees", "50", "--depth", "3")
        existing = subprocess.run([CLI, "endpoint", "show", ENDPOINT], env=ENV, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        if existing.returncode != 0:
            modelbus("endpoint", "create", ENDPOINT, "--model", MODEL)
        since, _ = promote(events, first)
        events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=first)

        clients = Clients(rows)
        TIMELINE.line("clients", f"{args.clients} clients predict without pause from here on")
        TIMELINE.line("pipeline", "trains a larger model")
        second = new_version(events, "--trees", "200", "--depth", "4", "--format", "ubj")
        since, began = promote(events, second)
        load = events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=second)
        swaps.append((f"version {first} → {second}", time.monotonic() - began, load))

        TIMELINE.line("pipeline", "stores a broken model")
        third = new_version(events, "--trees", "50", "--truncate")
        since, _ = promote(events, third)
        events.wait("ModelLoadFailed", since, endpoint=ENDPOINT, version=third)
        # deployment hears it as we do; before it has, a rollback would only take the promotion back.
        wait_for_status("FAILED")

        TIMELINE.line("operator", f"modelbus endpoint rollback {ENDPOINT}")
        since, began = events.position(), time.monotonic()
        modelbus("endpoint", "rollback", ENDPOINT, "--reason", "version does not load")
        events.wait("RolledBack", since, endpoint=ENDPOINT)
        load = events.wait("ModelLoaded", since, endpoint=ENDPOINT, version=first)
        swaps.append((f"rollback to {first}", time.monotonic() - began, load))
        end = time.monotonic() + 0.5
        while time.monotonic() < end:  # let the clients see the first model again
            time.sleep(0.05)

        fourth, times = drift(events, clients, rows)
        fifth, cause, loop = close_the_loop(events, clients)
    finally:
        if clients:
            clients.stop()
        events.stop()
        TIMELINE.end()
    print(f"\nmodelbus event trace {cause}: what the drift has led to\n")
    print(modelbus("event", "trace", cause), end="")
    summary(events, clients, swaps, times, loop)
    if clients.failures:
        sys.exit(f"{len(clients.failures)} predictions failed, first: {clients.failures[0]}")
    missing = {str(v) for v in (first, second, fourth, fifth)} - set(clients.versions)
    if missing or str(third) in clients.versions:
        sys.exit(f"answers came from versions {dict(clients.versions)}; expected {first}, {second}, {fourth} and {fifth} only")


main()
