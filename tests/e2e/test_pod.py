# SPDX-License-Identifier: Apache-2.0
"""A second pod, as on a machine of its own: artifacts from the gateway over HTTP, a disk that is full, more work
than it can do."""

import concurrent.futures
import json
import os
import signal
import subprocess

import pytest

import stack as platform
import train


class Pod:
    """modelbus-inference beside the local platform; prefix: words before the program."""

    def __init__(self, stack, folder, prefix=(), **settings):
        self.port = platform.free_port()
        self.log = folder / "pod.log"
        env = {**os.environ, "INFERENCE_BIND": f"127.0.0.1:{self.port}", "INFERENCE_BROKERS": stack.brokers,
               "INFERENCE_BUS_FETCH_WAIT_MS": "10", "INFERENCE_ARTIFACT_URL": stack.gateway, "INFERENCE_POD": "second",
               "INFERENCE_CACHE_DIR": str(folder / "cache"),
               **{f"INFERENCE_{name}": str(value) for name, value in settings.items()}}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*prefix, str(platform.BIN / "modelbus-inference")], env=env, stdout=log, stderr=log)

    def rest(self):
        return platform.Rest(f"http://127.0.0.1:{self.port}")

    def serves(self, version):
        """Waits until the endpoint answers with this version."""

        def asked():
            try:
                status, answer, _ = self.rest()("GET", "/v2/models/second")
            except OSError:
                return False
            return status == 200 and answer.get("versions") == [str(version)]

        try:
            platform.wait_for(asked, 20, f"version {version}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()}") from error

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def pods(stack, tmp_path):
    started = []

    def start(prefix=(), **settings):
        started.append(Pod(stack, tmp_path, prefix, **settings))
        return started[-1]

    yield start
    for pod in started:
        if pod.process.poll() is None:
            pod.process.kill()
            pod.process.wait()


def body(rows):
    return json.dumps({"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32",
                                   "data": [float(x) for row in rows for x in row]}]})


def deploy(stack, folder, seed):
    """A model trained with this seed becomes the champion: (version, rows, its library's own answers)."""
    model, rows, expected = train.breast_cancer(seed=seed)
    (folder / "model.json").write_bytes(model)
    stack.cli("deploy", "second", folder / "model.json", "--wait")
    status, answer, _ = stack.rest()("GET", "/api/v1/models/second/versions")
    assert status == 200, answer
    champion = next(v for v in answer["versions"] if "champion" in v.get("aliases", []))
    return champion["version"], rows, expected


def check(pod, rows, expected):
    status, answer, _ = pod.rest()("POST", "/v2/models/second/infer", body(rows[:20]))
    assert status == 200, answer
    assert answer["outputs"][0]["data"] == pytest.approx([float(x) for x in expected[:20]], abs=1e-6)


def test_artifacts_come_over_http_and_stay(stack, pods, tmp_path):
    version, rows, expected = deploy(stack, tmp_path, 1)
    pod = pods()
    pod.serves(version)
    check(pod, rows, expected)
    assert list((tmp_path / "cache/artifacts").iterdir()), "the artifact is kept"
    assert pod.stop() == 0

    # Neither bus nor gateway: what it has kept is enough.
    alone = pods(BROKERS="127.0.0.1:1", ARTIFACT_URL="http://127.0.0.1:1")
    alone.serves(version)
    check(alone, rows, expected)
    assert alone.stop() == 0


def test_a_full_disk_costs_no_prediction(stack, pods, tmp_path):
    version, rows, expected = deploy(stack, tmp_path, 2)
    cache = tmp_path / "cache"
    cache.mkdir()
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    full = f'mount -t tmpfs -o size=4k none "{cache}" && exec "$0"'
    pod = pods(prefix=[*own, "sh", "-c", full])
    pod.serves(version)
    check(pod, rows, expected)
    version, rows, expected = deploy(stack, tmp_path, 3)
    pod.serves(version)
    check(pod, rows, expected)
    assert pod.stop() == 0
    assert "No space left on device" in pod.log.read_text()


def test_too_much_work_is_refused_at_once(stack, pods, tmp_path):
    version, rows, expected = deploy(stack, tmp_path, 4)
    pod = pods(QUEUE=4, THREADS=1)
    pod.serves(version)
    many = body([rows[i % len(rows)] for i in range(500)])

    def ask(deadline_ms):
        status, answer, headers = pod.rest()("POST", "/v2/models/second/infer", many, {"X-Deadline-Ms": str(deadline_ms)})
        if status == 200:
            assert answer["outputs"][0]["data"][:20] == pytest.approx([float(x) for x in expected[:20]], abs=1e-6)
        else:
            assert answer["error"], answer
        return status, headers

    def flood(deadline_ms):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            return list(pool.map(ask, [deadline_ms] * 100))

    answers = flood(60000)
    assert {status for status, _ in answers} == {200, 503}
    assert all("retry-after" in headers for status, headers in answers if status == 503)
    assert 504 in {status for status, _ in flood(1)}
    check(pod, rows, expected)
