# SPDX-License-Identifier: Apache-2.0
"""`modelbus local` with stand-ins for the services: what the supervisor itself promises."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from conftest import PARTS, Cli
from stack import alive, wait_for


class Local:
    def __init__(self, fake_bin, folder=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="mbl-", dir="/tmp"))
        self.dir = self.root / folder if folder else self.root
        self.cli = Cli(fake_bin / "modelbus", self.dir.parent)

    def up(self, *words, code=0, **env):
        return self.cli("local", "up", "--dir", self.dir, "--detach", *words, code=code, **env)

    def up_anywhere(self, *words, **more):
        return self.up("--gateway-port", "0", "--inference-port", "0", *words, **more)

    def status(self, code=0):
        return json.loads(self.cli("local", "status", "--dir", self.dir, "--json", code=code).stdout)

    def parts(self):
        return {p["name"]: p for p in json.loads((self.dir / "run/status.json").read_text())["parts"]}

    def supervisor(self):
        return json.loads((self.dir / "run/status.json").read_text())["pid"]

    def env(self):
        text = subprocess.run(["bash", "-c", f". {self.dir}/env; env"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in text.splitlines() if line.startswith("MODELBUS_"))


@pytest.fixture
def local(fake_bin):
    made = []

    def make(folder=None):
        made.append(Local(fake_bin, folder))
        return made[-1]

    yield make
    for one in made:
        one.cli("local", "down", "--dir", one.dir)
        if (one.dir / "state.json").exists():
            one.cli("local", "down", "--dir", one.dir, "--purge", "--yes")
        shutil.rmtree(one.root, ignore_errors=True)


def test_up_is_ready_when_it_returns_and_down_leaves_nothing(local):
    one = local()
    assert "is ready" in one.up_anywhere().stdout
    status = one.status()
    assert [p["name"] for p in status["parts"]] == ["supervisor", *PARTS]
    assert all(p["ready"] and p["pid"] and p["pss_bytes"] > 0 for p in status["parts"])
    pids = [p["pid"] for p in status["parts"]]
    one.cli("local", "down", "--dir", one.dir)
    assert not [p for p in pids if alive(p)]
    assert one.status(code=5)["running"] is False
    one.cli("local", "down", "--dir", one.dir)  # again: nothing to do


def test_the_env_file_has_every_address_and_the_database_answers(local):
    one = local()
    one.up_anywhere()
    env = one.env()
    for name in ["GATEWAY_URL", "INFERENCE_URL", "BROKERS", "POSTGRES_URL", "BUS_PREFIX", "RPC_KEY_FILE", "REGISTRY_RPC_URL"]:
        assert env[f"MODELBUS_{name}"], name
    assert (one.dir / "env").stat().st_mode & 0o777 == 0o600
    assert len(pathlib.Path(env["MODELBUS_RPC_KEY_FILE"]).read_text().strip()) == 64
    answer = subprocess.run(["psql", "-Atc", "select current_database()", env["MODELBUS_POSTGRES_URL"]],
                            stdout=subprocess.PIPE, text=True, check=True)
    assert answer.stdout == "modelbus\n"


def test_a_killed_part_is_started_again_and_counted(local):
    one = local()
    one.up_anywhere()
    for name in "registry", "bus", "postgres":
        before = one.parts()[name]
        os.kill(before["pid"], signal.SIGKILL)
        after = wait_for(lambda: (lambda p: p if p["state"] == "ready" and p["pid"] != before["pid"] else None)(one.parts()[name]),
                         30, f"{name} to be ready again")
        assert after["restarts"] >= 1
    assert "registry" in (one.dir / "logs/supervisor.log").read_text()


def test_a_killed_supervisor_leaves_no_orphan_and_up_resumes(local):
    one = local()
    one.up_anywhere()
    env, pids = one.env(), [p["pid"] for p in one.parts().values()]
    subprocess.run(["psql", "-qc", "create table kept (x int); insert into kept values (42)", env["MODELBUS_POSTGRES_URL"]], check=True)
    os.kill(one.supervisor(), signal.SIGKILL)
    wait_for(lambda: not [p for p in pids if alive(p)], 20, "all parts to end with their supervisor")
    one.up()
    assert one.env() == env  # the same ports
    answer = subprocess.run(["psql", "-Atc", "select x from kept", env["MODELBUS_POSTGRES_URL"]], stdout=subprocess.PIPE, text=True, check=True)
    assert answer.stdout == "42\n"


def test_two_platforms_run_side_by_side(local):
    one, two = local(), local()
    one.up_anywhere()
    two.up_anywhere()
    ports = [{p["address"] for p in x.parts().values()} for x in (one, two)]
    assert not ports[0] & ports[1]
    one.cli("local", "down", "--dir", one.dir)
    assert all(p["ready"] for p in two.status()["parts"])


def test_one_folder_has_one_supervisor(local):
    one = local()
    one.up_anywhere()
    done = one.up(code=4)
    assert str(one.supervisor()) in done.stderr


def test_a_taken_port_is_named_and_nothing_is_started(local):
    one = local()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = one.up("--gateway-port", port, "--inference-port", "0", code=4)
    assert str(port) in done.stderr and "--gateway-port 0" in done.stderr
    assert one.status(code=5)["running"] is False


@pytest.mark.parametrize("behaviour", ["exit2", "crash"])
def test_a_part_that_cannot_start_ends_the_attempt_with_its_reason(local, behaviour):
    one = local()
    done = one.up_anywhere(code=4, FAKE_REGISTRY=behaviour)
    assert "registry does not start" in done.stderr
    if behaviour == "exit2":
        assert "FAKE wrong configuration" in done.stderr
    assert one.status(code=5)["running"] is False


def test_a_part_that_ignores_the_stop_is_killed_within_the_bound(local):
    one = local()
    one.up_anywhere(FAKE_GATEWAY="stubborn")
    pid = one.parts()["gateway"]["pid"]
    one.cli("local", "down", "--dir", one.dir)
    assert not alive(pid)


def test_in_the_foreground_it_stays_until_it_is_told_to_stop(local):
    one = local()
    process = subprocess.Popen([one.cli.program, "local", "up", "--dir", str(one.dir), "--gateway-port", "0", "--inference-port", "0"],
                               env=one.cli.env, stdout=subprocess.PIPE, text=True)
    try:
        assert "is ready" in process.stdout.readline()
        pids = [p["pid"] for p in one.parts().values()]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not [p for p in pids if alive(p)]
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_a_long_path_works(local):
    one = local("long-" * 20 + "/folder")
    one.root.chmod(0o755)
    one.up_anywhere()
    env = one.env()
    assert env["MODELBUS_REGISTRY_RPC_URL"].startswith("tcp://127.0.0.1:")
    subprocess.run(["psql", "-qc", "select 1", env["MODELBUS_POSTGRES_URL"]], check=True, stdout=subprocess.DEVNULL)


def test_purge_deletes_the_folder_but_only_one_of_ours(local, tmp_path):
    one = local()
    one.up_anywhere()
    one.cli("local", "down", "--dir", one.dir, "--purge", code=4)  # without --yes and without a terminal
    home = json.loads((one.dir / "state.json").read_text())["postgres_home"]
    one.cli("local", "down", "--dir", one.dir, "--purge", "--yes")
    assert not one.dir.exists() and not pathlib.Path(home).exists()
    (tmp_path / "precious").mkdir()
    one.cli("local", "down", "--dir", tmp_path / "precious", "--purge", "--yes", code=3)
    assert (tmp_path / "precious").exists()


def test_logs_show_one_part_or_all(local):
    one = local()
    one.up_anywhere()
    assert "database system is ready" in one.cli("local", "logs", "postgres", "--dir", one.dir, "-n", "50").stdout
    assert "==> supervisor.log" in one.cli("local", "logs", "--dir", one.dir).stdout
    one.cli("local", "logs", "nothing", "--dir", one.dir, code=3)
