# SPDX-License-Identifier: Apache-2.0
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import stack as platform  # noqa: E402
from fake_gateway import Gateway  # noqa: E402
from worker_program import Worker  # noqa: E402


@pytest.fixture(scope="module")
def stack():
    """The platform on its embedded defaults, one for a module."""
    with platform.Stack() as running:
        yield running


# ---- a worker before a gateway that the test plays ----


@pytest.fixture
def gateway():
    """A stand-in that is strict about what workers say."""
    g = Gateway()
    yield g
    g.close()
    assert g.violations == []


@pytest.fixture
def workers(gateway, tmp_path):
    """Starts one, with settings; each is stopped and must have stayed sound."""
    started = []

    def start(**settings):
        started.append(Worker(gateway, tmp_path, **settings))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGTERM)
            with gateway.lock:
                gateway.hurry = True
                gateway.lock.notify_all()
            assert worker.process.wait(20) in (0, 3), worker.log.read_text()
        text = worker.log.read_text()
        assert "ERROR: " not in text and "WARNING: ThreadSanitizer" not in text, text


@pytest.fixture
def worker(workers):
    return workers()
