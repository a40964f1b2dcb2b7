# SPDX-License-Identifier: Apache-2.0
"""modelbus-worker, the program, as tests run it, and what its tasks do."""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request

import stack as platform

WORKER = platform.BIN / "modelbus-worker"


def sanitized():
    """Sanitizers have memory of their own."""
    return any(name in WORKER.read_bytes() for name in (b"__asan_init", b"__tsan_init"))


class Worker:
    """One life of a worker in a folder."""

    def __init__(self, gateway, folder, **settings):
        self.folder, self.dir = folder, folder / "worker"
        self.secrets = folder / "secrets"
        self.secrets.mkdir(exist_ok=True)
        self.log = folder / f"worker-{time.monotonic_ns()}.log"
        values = {"GATEWAY_URL": gateway.url, "TOKEN": "worker-token", "NAME": "w1", "DIR": self.dir, "GRACE_S": 1,
                  "HTTP_BIND": "127.0.0.1:0", "SECRETS_DIR": self.secrets, **settings}
        env = {**os.environ, **{f"WORKER_{name}": str(value) for name, value in values.items()}}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(WORKER)], env=env, stdout=log, stderr=log)

    def lines(self):
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, message):
        return [line for line in self.lines() if message in line["msg"]]

    def port(self):
        def listening():
            return [line["port"] for line in self.said("listening")]

        return platform.wait_for(listening, 10, "the worker's port")[0]

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def rss_kb(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def files(self):
        """How many it has open; nobody but root can ask."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd")) if os.geteuid() == 0 else 0

    def stop(self, timeout=20):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def leases(self):
        """Folders of tasks that are there now."""
        return [p.name for p in self.dir.iterdir() if len(p.name) == 36] if self.dir.exists() else []


def archive(*members):
    """A tar file of TarInfo or (name, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gone(*pids, timeout=10):
    platform.wait_for(lambda: not any(platform.alive(pid) for pid in pids), timeout, f"the end of {pids}")


def sh(script):
    return ["sh", "-c", script]


def python(script):
    return [sys.executable, "-c", script]


# Three processes, one of which has left the group, that do not end when they are asked.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", '''
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("pid", os.getpid(), flush=True)
        time.sleep(1000)
    os._exit(0)
print("pid", os.getpid(), flush=True)
time.sleep(1000)
'''])
print("pid", os.getpid(), flush=True)
time.sleep(1000)
"""


def pids_of(gateway, lease, count):
    def seen():
        lines = gateway.live(lease).decode().splitlines()
        return len(lines) == count and [int(line.split()[1]) for line in lines]

    return gateway.wait(seen, what="the processes")
