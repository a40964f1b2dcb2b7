# SPDX-License-Identifier: Apache-2.0
"""A whole platform for one test: `modelbus local up` in a folder of its own, REST, CLI, events.

The programs come from MODELBUS_TEST_BIN (scripts/test sets it)."""

import contextlib
import hashlib
import http.client
import importlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MODELBUS_TEST_BIN", ROOT / "build/release/bin"))
SUPPORT = ROOT / "tests/support"


def wait_for(condition, timeout=30.0, what="condition", interval=0.02):
    """The first true value of condition(); polls, and fails loudly when time is up."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        threading.Event().wait(interval)


def alive(pid):
    """It has not ended, waited for or not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(pid):
    """Processes that a program has started and that are not waited for."""
    return [child.pid for child in psutil.Process(pid).children()]


def free_port():
    """A loopback port below those that the kernel gives to connections, so that none takes it meanwhile."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def run(*words, check=True, **options):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} exited {done.returncode}: {done.stderr}{done.stdout}")
    return done


class Postgres:
    """A private cluster that may be killed and started again."""

    def __init__(self, folder, *settings):
        self.folder = folder
        self.url = run(SUPPORT / "postgres.sh", "up", folder, *settings).stdout.strip()

    def kill(self):
        run(SUPPORT / "postgres.sh", "kill", self.folder)

    def start(self):
        run(SUPPORT / "postgres.sh", "start", self.folder)

    def stop(self):
        run(SUPPORT / "postgres.sh", "down", self.folder, check=False)


class Kafka:
    """A private broker that may be killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.brokers = run(SUPPORT / "kafka.sh", "up", folder).stdout.strip().splitlines()[-1]

    def kill(self):
        run(SUPPORT / "kafka.sh", "kill", self.folder, "1")

    def start(self):
        run(SUPPORT / "kafka.sh", "restart", self.folder, "1")

    def signal(self, name):
        """STOP: it takes connections and answers nothing; CONT."""
        run(SUPPORT / "kafka.sh", "kill", self.folder, "1", name)

    def stop(self):
        run(SUPPORT / "kafka.sh", "down", self.folder, check=False)


class Rest:
    """One kept-alive connection to a base URL; one thread."""

    def __init__(self, url, token=None, timeout=30):
        parsed = urllib.parse.urlparse(url)
        self.host, self.port, self.timeout = parsed.hostname, parsed.port, timeout
        self.token = token
        self.connection = None

    def __call__(self, verb, path, body=None, headers=None, raw=False):
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            self.connection.request(verb, path, body, headers)
            response = self.connection.getresponse()
            content = response.read()
        except Exception:
            self.connection.close()
            self.connection = None
            raise
        if not raw:
            content = json.loads(content) if content else None
        return response.status, content, {k.lower(): v for k, v in response.getheaders()}


class Stack:
    def __init__(self, kafka=None, postgres=None, env=None):
        self.folder = tempfile.mkdtemp(prefix="mb-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.options = []
        if kafka:
            self.options += ["--kafka", kafka]
        if postgres:
            self.options += ["--postgres", postgres]
        self.extra = dict(env or {})
        self.env = {}

    def up(self):
        done = run(BIN / "modelbus", "local", "up", "--dir", self.folder, "--gateway-port", "0", "--inference-port", "0",
                   *self.options, "--detach", check=False, env={**os.environ, **self.extra}, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"local up: {done.stderr}{done.stdout}\n{self.logs()}")
        text = subprocess.run(["bash", "-c", f'set -a; . "{self.folder}/env"; env -0'], check=True, stdout=subprocess.PIPE).stdout
        self.env = dict(pair.split("=", 1) for pair in text.decode().split("\0") if "=" in pair)
        self.gateway = self.env["MODELBUS_GATEWAY_URL"]
        self.inference = self.env["MODELBUS_INFERENCE_URL"]
        self.brokers = self.env["MODELBUS_BROKERS"]
        return self

    def down(self, remove=True):
        """A part that has crashed, and was started again unseen, is a failure."""
        run(BIN / "modelbus", "local", "down", "--dir", self.folder, check=False, timeout=60)
        crashes = self.crashes()
        if crashes:
            crashes.append(self.logs())
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        if crashes:
            raise AssertionError("\n".join(crashes))

    def crashes(self):
        """What the supervisor says of parts that ended with a signal that no test sends to them, with another exit code
        than 0, or only when they were killed after they had been asked to stop."""
        sent = tuple(f"signal {number} " for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
        lines = [line for path in pathlib.Path(self.folder).glob("logs/supervisor.log*")
                 for line in path.read_text(errors="replace").splitlines() if '"with":"' in line]
        ended = [(line, json.loads(line)) for line in lines]
        return [line for line, said in ended if said["with"] != "exit code 0"
                and not (said["msg"] == "part exited" and said["with"].startswith(sent))]

    def logs(self, lines=30):
        text = []
        for path in sorted(pathlib.Path(self.folder).glob("logs/*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            text.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(text)

    def __enter__(self):
        try:
            return self.up()
        except BaseException:
            self.down()
            raise

    def __exit__(self, kind, error, trace):
        if error is not None:
            print(self.logs(), file=sys.stderr)
        self.down()

    def rest(self, **options):
        return Rest(self.gateway, **options)

    def pod(self, **options):
        return Rest(self.inference, **options)

    def cli(self, *words, check=True, env_more=None, **options):
        return run(BIN / "modelbus", *words, check=check, env={**self.env, **(env_more or {})}, timeout=120, **options)

    def find_event(self, topic, matches, seconds=60):
        """The first event of a topic, as `event tail --json` prints it, for which matches(type, data) holds."""
        tail = subprocess.Popen([BIN / "modelbus", "event", "tail", topic, "--from-start", "--json"], env=self.env, text=True,
                                stdout=subprocess.PIPE)
        patience = threading.Timer(seconds, tail.terminate)
        patience.start()
        try:
            for event in map(json.loads, tail.stdout):
                if matches(event["type"].rsplit(".", 1)[1], event.get("data", {})):
                    return event
        finally:
            patience.cancel()
            tail.terminate()
            tail.wait(10)
        raise AssertionError(f"{topic} has no such event")

    def parts(self):
        status = json.loads(self.cli("local", "status", "--json", "--dir", self.folder, check=False).stdout)
        return {part["name"]: part for part in status["parts"]}

    def kill(self, name, sig=signal.SIGKILL):
        pid = self.parts()[name]["pid"]
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)


_events = None


def proto(module):
    """A generated Python module of the wire contract, e.g. proto("experiment.v1.events")."""
    global _events
    if _events is None:
        _events = tempfile.TemporaryDirectory(prefix="modelbus-proto-")
        files = [str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").rglob("*.proto")]
        subprocess.run(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={_events.name}", *files], check=True)
        sys.path.insert(0, _events.name)
    return importlib.import_module(f"modelbus.{module}_pb2")


def headers(kind, event_id=None, source="/tests", **more):
    return {"ce_specversion": "1.0", "ce_id": event_id or str(uuid.uuid4()), "ce_source": source, "ce_type": kind,
            "content-type": "application/protobuf", **more}


def artifact_uri(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def model_trained(name, seq, **fields):
    event = proto("experiment.v1.events").ModelTrained(model_name=name, run_id=f"{name}-{seq}", experiment="tests", **fields)
    event.artifact.uri = artifact_uri(f"{name}/{seq}")
    event.artifact.size_bytes = 1
    event.artifact.format = "xgboost-json"
    return event
