# SPDX-License-Identifier: Apache-2.0
"""docker-compose.yml really run: a private Docker engine, images made from packages, the README's story
against it, containers that are killed, `down` and `up`, backup and restore as docs/operations.md says.

Needs root. Images are kept in MODELBUS_COMPOSE_CACHE (default build/compose). A copy of the tree is used, so that
an .env of yours is left alone. The tests build on one another, in order."""

import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import time

import pytest

from stack import BIN, ROOT, SUPPORT, Rest, run, wait_for

CACHE = pathlib.Path(os.environ.get("MODELBUS_COMPOSE_CACHE", ROOT / "build/compose")).resolve()
V1, V2 = "docker-compose", "docker compose"
PROGRAMS = sorted(p.parent.name for p in (ROOT / "services").glob("*/main.c"))
OURS = sorted([*(name for name in PROGRAMS if name != "worker"), "worker-1", "worker-2"])
ENDPOINT = "breast-cancer"
CLONE_NEWNET = 0x40000000


class Engine:
    """A private Docker engine; this process moves to its network, where the published ports are."""

    def __init__(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.lock = open(CACHE / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.running = CACHE / "running"  # of a test that was killed
        if self.running.exists():
            run(SUPPORT / "dockerd.sh", "stop", self.running.read_text(), check=False)
        self.folder = tempfile.mkdtemp(prefix="mb-docker-", dir="/tmp")
        self.running.write_text(self.folder)
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def start(self):
        run(SUPPORT / "dockerd.sh", "start", self.folder, CACHE / "engine")
        os.environ["DOCKER_HOST"] = f"unix://{self.folder}/sock"
        if run("docker", "compose", "version", check=False).returncode != 0:
            run(SUPPORT / "compose-plugin.sh", CACHE / "plugin")
            os.environ["DOCKER_CONFIG"] = str(CACHE / "plugin")
        init = pathlib.Path(self.folder, "init").read_text().strip()
        self.enter(os.open(f"/proc/{init}/ns/net", os.O_RDONLY))
        for kind, words in (("container", ["ls", "-aq"]), ("volume", ["ls", "-q"])):
            left = run("docker", kind, *words).stdout.split()
            if left:
                run("docker", kind, "rm", "-f", *left)

    @staticmethod
    def enter(network):
        if ctypes.CDLL(None, use_errno=True).setns(network, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def kill(self, pid):
        run(SUPPORT / "dockerd.sh", "kill", self.folder, pid)

    def stop(self):
        self.enter(self.home)
        run(SUPPORT / "dockerd.sh", "stop", self.folder)
        shutil.rmtree(self.folder)
        self.running.unlink()
        self.lock.close()


def has_image(name):
    return run("docker", "image", "inspect", name, check=False).returncode == 0


def make_images():
    """What a registry would give: the base images, and Kafka and PostgreSQL that take the official images'
    variables. Layers that are there already are used again."""
    for suite in ("bookworm", "trixie"):
        if not has_image(f"debian:{suite}-slim"):
            run(SUPPORT / "base-image.sh", suite)
    run(SUPPORT / "kafka.sh", "fetch")
    with tempfile.TemporaryDirectory(prefix="mb-kafka-") as folder:
        context = shutil.copytree(SUPPORT / "images/kafka", f"{folder}/kafka")
        jars = os.environ.get("KAFKA_JARS", pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"), "kafka-4.3.1"))
        shutil.copytree(jars, f"{context}/libs")
        run("docker", "build", "-q", "-t", "apache/kafka:4.3.1", context, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    run("docker", "build", "-q", "-t", "postgres:17", SUPPORT / "images/postgres", env={**os.environ, "DOCKER_BUILDKIT": "0"})


class Stack:
    """The compose project in a copy of the tree."""

    def __init__(self, engine, folder):
        self.engine = engine
        self.tree = shutil.copytree(ROOT, f"{folder}/modelbus", symlinks=True, ignore=self.not_sources)

    @staticmethod
    def not_sources(folder, names):
        own = [n for n in names if n == ".git" or n == ".env" or n.startswith("build")] if pathlib.Path(folder) == ROOT else []
        return [*own, "__pycache__"]

    def compose(self, *words, command=V1, check=True, **options):
        return run(*command.split(), *words, cwd=self.tree, check=check, **options)

    def sh(self, script, check=True):
        return run("bash", "-euo", "pipefail", "-c", script, cwd=self.tree, check=check)

    def quickstart(self, command, *words):
        done = run("scripts/quickstart", "--compose", "--no-install", "--bin", BIN, *words, cwd=self.tree, check=False,
                   env={**os.environ, "COMPOSE_COMMAND": command}, timeout=600)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.compose('logs', '--tail', '40', check=False).stdout}"
        return done.stdout

    def env(self):
        text = pathlib.Path(self.tree, ".env").read_text()
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))

    def rest(self, verb, path, body=None, base="GATEWAY"):
        env = self.env()
        status, answer, _ = Rest(env[f"MODELBUS_{base}_URL"], token=env["MODELBUS_TOKEN"] if base == "GATEWAY" else None)(verb, path, body)
        assert status == 200, (status, answer)
        return answer

    def containers(self):
        ids = self.compose("ps", "-q").stdout.split()
        found = json.loads(run("docker", "inspect", *ids).stdout)
        return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in found}

    def restarts(self):
        return {name: container["RestartCount"] for name, container in self.containers().items()}

    def state(self):
        """All that is kept: models with versions and aliases, the endpoint, tokens."""
        return {path: self.rest("GET", f"/api/v1/{path}")
                for path in ("models", f"models/{ENDPOINT}", f"models/{ENDPOINT}/versions", "tokens")}

    def predict(self):
        from sklearn.datasets import load_breast_cancer
        answer = self.rest("POST", f"/predict/{ENDPOINT}", {"rows": load_breast_cancer().data[:3].tolist()}, "INFERENCE")
        return answer["version"], answer["predictions"]


@pytest.fixture(scope="module")
def stack():
    if os.getuid() != 0:
        pytest.fail("needs root, for a Docker engine of its own")
    missing = [p for p in ("docker", "docker-compose", "debootstrap", "slirp4netns") if not shutil.which(p)]
    if missing:
        pytest.fail(f"{', '.join(missing)} missing: install what scripts/packages.sh names in the set compose")
    engine = Engine()
    try:
        engine.start()
        make_images()
        with tempfile.TemporaryDirectory(prefix="mb-compose-", dir="/tmp") as folder:
            made = Stack(engine, folder)
            try:
                yield made
            finally:
                made.compose("down", "-v", "--remove-orphans", check=False)
                run("docker", "image", "prune", "-f", check=False)
    finally:
        engine.stop()


@pytest.mark.parametrize("command", [V1, V2])
def test_without_secrets_compose_names_the_script(stack, command):
    done = stack.compose("config", command=command, check=False)
    assert done.returncode != 0 and "scripts/compose-env" in done.stderr + done.stdout


def test_secrets_are_random_private_and_kept(stack):
    path = pathlib.Path(stack.tree, ".env")
    stack.sh("scripts/compose-env")
    first = stack.env()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = [v for k, v in first.items() if re.search("PASSWORD|KEY|TOKEN", k)]
    assert len(secrets) == 7 == len(set(secrets)) and all(re.fullmatch("[0-9a-f]{64}", v) for v in secrets)
    again = stack.sh("scripts/compose-env", check=False)
    assert again.returncode != 0 and "--force" in again.stderr and stack.env() == first
    # One of an earlier release gets what it lacks and keeps what it has.
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "_TASK_TOKEN=" not in line))
    assert "added to .env: MODELBUS_TASK_TOKEN" in stack.sh("scripts/compose-env").stdout
    completed = stack.env()
    assert re.fullmatch("[0-9a-f]{64}", completed.pop("MODELBUS_TASK_TOKEN")) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert completed == {name: value for name, value in first.items() if name != "MODELBUS_TASK_TOKEN"}
    stack.sh("scripts/compose-env --force --gateway-port 18080")
    assert stack.env()["MODELBUS_GATEWAY_URL"] == "http://127.0.0.1:18080" and not set(secrets) & set(stack.env().values())
    stack.sh("git check-ignore -q .env || grep -qx /.env .gitignore")


@pytest.mark.parametrize("command", [V1, V2])
def test_both_commands_accept_all_profiles(stack, command):
    stack.compose("--profile", "observability", "--profile", "cli", "config", "-q", command=command)


def test_without_an_engine_quickstart_says_so(stack):
    done = run("scripts/quickstart", "--compose", cwd=stack.tree, check=False, env={**os.environ, "DOCKER_HOST": "unix:///nowhere"})
    assert done.returncode != 0 and "No Docker engine answers at unix:///nowhere" in done.stderr


def test_the_image_builds_and_its_programs_run(stack, capsys):
    began = time.monotonic()
    stack.compose("build")
    image = json.loads(run("docker", "image", "inspect", "modelbus:local").stdout)[0]
    assert image["Config"]["User"] == "modelbus"
    programs = ["modelbus", "modelbus-devbus", *(f"modelbus-{name}" for name in PROGRAMS)]
    for program in programs:
        run("docker", "run", "--rm", "--network", "none", "modelbus:local", program, "--help")
    with capsys.disabled():
        print(f"\nimage: {image['Size'] / 2**20:.0f} MB, built in {time.monotonic() - began:.0f} s")


def test_the_story(stack, capsys):
    said = stack.quickstart(V1)
    for word in ["ModelTrained", "ModelRegistered", "AliasMoved", "ModelDeployed", "ModelLoaded", "ModelLoadFailed", "RolledBack",
                 "DriftDetected", "DriftCleared", "RetrainRequested", "PromotionDecided", "PipelineFinished"]:
        assert re.search(rf"ms  {word}", said), f"{word} is missing:\n{said}"
    served = re.search(r"requests  (\d+) served .*, (\d+) failed", said)
    assert served and int(served[1]) > 100 and int(served[2]) == 0, said
    ready = int(re.search(r"Ready (\d+) ms after", said)[1]) / 1000
    with capsys.disabled():
        print(f"\nup (images present, volumes new) -> ready: {ready:.1f} s; {served[0]}")
    assert ready < 60
    assert not any(stack.restarts().values()), stack.restarts()


def test_containers_are_restricted(stack):
    containers = stack.containers()
    assert set(containers) == {"kafka", "postgres", *OURS}
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"], name
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), name
        assert host["Memory"] > 0, name
        assert container["Config"]["User"] not in ("", "root", "0"), name
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values():
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings or []), name
    # The services' role is not a superuser.
    asked = stack.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-tAc",
                          "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'modelbus'")
    assert asked.stdout.strip() == "f|f|f"


def test_tokens_are_asked_for(stack):
    status, _, _ = Rest(stack.env()["MODELBUS_GATEWAY_URL"])("GET", "/api/v1/models")
    assert status == 401


def test_the_command_line_is_in_the_image(stack):
    listed = stack.compose("--profile", "cli", "run", "--rm", "-T", "cli", "model", "list", "--json").stdout
    assert ENDPOINT in listed
    stack.compose("--profile", "cli", "run", "--rm", "-T", "cli", "dlq", "list")


@pytest.mark.parametrize("name", [*OURS, "kafka", "postgres"])
def test_a_container_that_is_killed_returns(stack, name):
    before = stack.containers()[name]
    stack.engine.kill(before["State"]["Pid"])

    def back():
        now = stack.containers().get(name)
        return now and now["RestartCount"] > before["RestartCount"] and now["State"]["Health"]["Status"] == "healthy"

    wait_for(back, timeout=90, what=f"{name} to be back", interval=0.3)


def test_the_story_completes_after_the_kills(stack):
    stack.quickstart(V1)
    assert set(stack.restarts().values()) == {1}, "what is away ends nobody else"


def test_down_and_up_keep_everything(stack, capsys):
    state, predicted = stack.state(), stack.predict()
    stack.compose("down")
    assert run("docker", "ps", "-aq").stdout == ""
    said = stack.sh(". scripts/lib/compose.sh; compose=(docker compose); began=${EPOCHREALTIME/./}; docker compose up -d; "
                    "wait_ready 120; echo Ready $(((${EPOCHREALTIME/./} - began) / 1000)) ms").stdout
    ready = int(re.search(r"Ready (\d+) ms", said)[1]) / 1000
    with capsys.disabled():
        print(f"\nup (images and volumes present, docker compose) -> ready: {ready:.1f} s")
    assert stack.state() == state
    wait_for(lambda: stack.predict() == predicted, what="the same predictions")


def test_backup_and_restore_as_documented(stack):
    page = pathlib.Path(stack.tree, "docs/operations.md").read_text()
    blocks = {title: re.search(rf"^### {title}.*?^```sh\n(.*?)^```", page, re.M | re.S)[1]
              for title in ("Back up, compose", "Restore, compose")}
    state, predicted = stack.state(), stack.predict()
    stack.sh(blocks["Back up, compose"])
    stack.compose("down", "-v")
    pathlib.Path(stack.tree, ".env").unlink()
    stack.sh(blocks["Restore, compose"])
    stack.sh(". scripts/lib/compose.sh; find_compose; wait_ready 120")
    assert stack.state() == state
    wait_for(lambda: stack.predict() == predicted, what="the same predictions")
