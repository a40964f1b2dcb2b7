# SPDX-License-Identifier: Apache-2.0
"""The Debian package: built, installed by apt on a fresh system of this release, run as its units say,
upgraded, removed and purged.

The fresh system is a folder made by debootstrap. What runs there has its own processes and a network of
loopback only; it ends, whatever happens, with the process that holds its namespaces. systemd does not run
there: the test does what the units ask for (user, settings, folders, program). Needs root, or sudo without
a password. The tests build on one another, in order."""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

import pytest

from stack import BIN, ROOT, SUPPORT, children, run, wait_for

SUDO = [] if os.getuid() == 0 else ["sudo", "-n"]
ENV = ["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8",
       "DEBIAN_FRONTEND=noninteractive"]
# Name and address of /readyz, in the order in which they are started.
# The units of modelbus.target, and where they answer.
SERVICES = {"experiment": 7201, "registry": 7202, "deployment": 7203, "monitoring": 7205, "alert": 7206, "pipeline": 7207, "gateway": 7204, "inference": 8090}
WORKER_PORT = 8095
WORKER_UID = "61200"  # one that systemd could give to a unit with DynamicUser
# What installing and removing any package changes, and what PostgreSQL writes while it runs.
CHANGING = ("/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/var/log/", "/var/lib/postgresql/", "/run/", "/tmp/",
            "/srv/", "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/ld.so.cache")


class Machine:
    """A fresh system of the release that the tests run on."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="mb-package-", dir="/tmp")
        self.holder = None

    def make(self, release):
        archive = run(SUPPORT / "base-root.sh", release["VERSION_CODENAME"]).stdout.strip()
        run(*SUDO, "tar", "-C", self.root, "--numeric-owner", "-xf", archive)
        # Packages must not start their daemons here.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        self.sh("chmod 755 /usr/sbin/policy-rc.d && apt-get update -qq && "
                "apt-get install -y -qq --no-install-recommends postgresql")

    def sh(self, script, check=True):
        """Runs with this machine's network: apt."""
        return run(*SUDO, "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={self.root}", "--mount-proc",
                   *ENV, "sh", "-c", script, check=check)

    def write(self, path, text):
        run(*SUDO, "tee", self.root + path, input=text)

    def read(self, path):
        return run(*SUDO, "cat", self.root + path).stdout

    def boot(self):
        """Namespaces that last until halt(), or until this program is gone; loopback is all of the network."""
        self.holder = subprocess.Popen(
            [*SUDO, "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", f"--root={self.root}", "--mount-proc",
             *ENV, "sh", "-c", "echo ready; exec cat >/dev/null"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"
        self.init = self.holder.pid
        while inner := children(self.init):  # sudo, unshare, then the first process inside
            self.init = inner[0]
        self.on_net("ip", "link", "set", "lo", "up")

    def on_net(self, *words, check=True):
        """A program of this machine on the other's network."""
        return run(*SUDO, "nsenter", "-t", self.init, "-n", *words, check=check)

    def inside(self, *words):
        return [*SUDO, "nsenter", "-t", str(self.init), "-m", "-p", "-n", "-r", "-w", *ENV, *words]

    def start(self, *words):
        return subprocess.Popen(self.inside(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def files(self):
        return set(run(*SUDO, "find", self.root, "-xdev", "-printf", "/%P\n").stdout.splitlines())

    def halt(self):
        if self.holder:
            run(*SUDO, "kill", "-KILL", self.init, check=False)  # all processes of a namespace end with its first
            self.holder.wait(30)
            self.holder.stdout.close()
            self.holder.stdin.close()
            self.holder = None

    def remove(self):
        self.halt()
        run(*SUDO, "rm", "-rf", "--one-file-system", self.root)


class Unit:
    """What systemd would do for a service, as far as it can be done without it."""

    def __init__(self, machine, name):
        self.machine, self.name, self.values = machine, name, {}
        folder = "/usr/lib/systemd/system"
        paths = [f"{folder}/modelbus-{name}.service", f"{folder}/modelbus-.service.d/10-common.conf"]
        if name == "worker":
            paths.append(f"{folder}/modelbus-worker.service.d/20-tasks.conf")
        for path in paths:
            for line in machine.read(path).splitlines():
                key, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    self.values[key] = [*self.values.get(key, []), value] if value else []
        self.dynamic = "yes" in self.values.get("DynamicUser", [])
        self.user, self.group = (WORKER_UID, WORKER_UID) if self.dynamic else (self["User"], self["Group"])

    def __getitem__(self, key):
        return self.values[key][-1]

    def start(self):
        settings = [line for path in self.values["EnvironmentFile"] for line in self.machine.read(path.lstrip("-")).splitlines()
                    if line and not line.startswith("#")]
        for folder in self.values["StateDirectory"]:
            run(*self.machine.inside("install", "-d", "-o", self.user, "-g", self.group, "-m",
                                     self["StateDirectoryMode"], f"/var/lib/{folder}"))
        privileges = ["--no-new-privs"] if self["NoNewPrivileges"] == "yes" else []
        self.process = self.machine.start(
            "setpriv", f"--reuid={self.user}", f"--regid={self.group}",
            "--clear-groups" if self.dynamic else "--init-groups", "--bounding-set=-all",
            "--inh-caps=-all", *privileges, "env", "-i", f"--chdir={self['WorkingDirectory']}", *settings,
            "sh", "-c", f'umask {self["UMask"]}; exec "$@"', "sh", *self["ExecStart"].split())

    def ready(self):
        assert self.process.poll() is None, self.process.stderr.read()
        url = f"http://127.0.0.1:{WORKER_PORT if self.name == 'worker' else SERVICES[self.name]}/readyz"
        return self.machine.on_net("curl", "-fsS", "-m", "5", url, check=False).returncode == 0

    def stop(self):
        """SIGTERM to the program; its exit status. nsenter waits for its child, the program (which may have children)."""
        pid = self.process.pid
        while not pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("modelbus-"):
            pid, = children(pid)
        run(*SUDO, "kill", f"-{self['KillSignal']}", pid)
        _, self.log = self.process.communicate(timeout=int(self["TimeoutStopSec"]))
        return self.process.returncode


def pack(folder, **environment):
    command = [ROOT / "scripts/package", "--no-install", "--build-dir", BIN.parent, "--out", folder]
    return pathlib.Path(run(*command, env={**os.environ, **environment}).stdout.strip())


@pytest.fixture(scope="module")
def package():
    with tempfile.TemporaryDirectory(prefix="mb-deb-") as folder:
        yield pack(folder)


@pytest.fixture(scope="module")
def machine(package):
    if SUDO and run(*SUDO, "true", check=False).returncode != 0:
        pytest.fail("needs root, or sudo without a password, for a system of its own")
    made = Machine()
    try:
        made.make(platform.freedesktop_os_release())
        made.before = made.files()
        run(*SUDO, "cp", package, f"{made.root}/srv/modelbus.deb")
        yield made
    finally:
        made.remove()


def test_lintian_finds_nothing(package):
    assert shutil.which("lintian"), "install lintian (scripts/packages.sh, set package)"
    words = ["lintian", "--no-cfg", "--allow-root", "--fail-on", "error,warning", package]
    done = run(*words, check=False)
    assert done.returncode == 0, done.stdout


def test_packing_twice_gives_the_same_file(package, tmp_path):
    assert pack(tmp_path).read_bytes() == package.read_bytes()


def test_packing_twice_without_git_gives_the_same_file(tmp_path):
    first, second = (pack(tmp_path / name, GIT_DIR=str(tmp_path / "none")) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_apt_installs_it_with_all_that_it_needs(machine):
    machine.sh("apt-get install -y -qq --no-install-recommends /srv/modelbus.deb")
    for program in ("modelbus", "modelbus-devbus", *(f"modelbus-{name}" for name in SERVICES), "modelbus-worker"):
        assert machine.sh(f"{program} --help").stdout
    assert machine.sh("stat -c '%U:%G %a' /var/lib/modelbus").stdout == "modelbus:modelbus 750\n"
    assert machine.sh("getent passwd modelbus").stdout.strip().endswith(":/usr/sbin/nologin")
    assert machine.sh("bash -n /usr/share/bash-completion/completions/modelbus").returncode == 0
    version = machine.sh("dpkg-query -W -f '${Version}' modelbus").stdout
    changes = machine.sh("zcat /usr/share/doc/modelbus/changelog.Debian.gz").stdout
    assert changes.startswith(f"modelbus ({version}) ")
    assert "share/modelbus/proto/modelbus/registry/v1/events.proto" in machine.sh("dpkg -L modelbus").stdout


def test_secrets_are_random_and_not_for_everyone(machine):
    for name in ("rpc-key", "admin-token", "database-url"):
        assert machine.sh(f"stat -c '%U:%G %a' /etc/modelbus/{name}").stdout == "root:modelbus 640\n", name
    keys = [machine.read(f"/etc/modelbus/{name}").strip() for name in ("rpc-key", "admin-token")]
    assert len(set(keys)) == 2 and all(len(set(key)) > 8 and len(key) == 64 for key in keys)


def test_nothing_is_started_before_it_is_configured(machine):
    assert not [f for f in machine.files() if f.startswith("/etc/systemd/") and "modelbus" in f]


def test_the_units_run(machine):
    """As docs/packages.md says: a role and a database, reached through the socket without a password."""
    assert {p.stem for p in (ROOT / "scripts/systemd/env").glob("*.env")} == {*SERVICES, "worker"}
    machine.boot()
    version = machine.sh("ls /etc/postgresql").stdout.strip()
    run(*machine.inside("pg_ctlcluster", version, "main", "start"))
    run(*machine.inside("runuser", "-u", "postgres", "--", "createuser", "modelbus"))
    run(*machine.inside("runuser", "-u", "postgres", "--", "createdb", "--owner=modelbus", "modelbus"))
    bus = machine.start("runuser", "-u", "modelbus", "--", "modelbus-devbus", "--port", "9092",
                        "--bootstrap-file", "/tmp/bus")
    wait_for(lambda: "/tmp/bus" in machine.files() or bus.poll() is not None, what="the bus", interval=0.2)
    assert bus.poll() is None, bus.stderr.read()

    units = [Unit(machine, name) for name in SERVICES]
    for unit in units:
        unit.start()
    for unit in units:
        wait_for(unit.ready, what=f"/readyz of {unit.name}", interval=0.1)
    caller = ["--gateway", "http://127.0.0.1:8080", "--token", "@/etc/modelbus/admin-token", "--json"]
    assert run(*machine.inside("modelbus", "model", "list", *caller)).stdout

    # docs/workers.md: a token of its own, a user of its own.
    made = json.loads(run(*machine.inside("modelbus", "token", "create", "worker-1", "--role", "editor", "--scopes",
                                          "worker:run,artifact:read,artifact:write", *caller)).stdout)
    machine.sh(f"umask 077; echo WORKER_TOKEN={made['secret']} >/etc/modelbus/worker-token.env")
    units.append(Unit(machine, "worker"))
    units[-1].start()
    wait_for(units[-1].ready, what="/readyz of the worker", interval=0.1)
    wait_for(lambda: json.loads(run(*machine.inside("modelbus", "worker", "list", *caller)).stdout), what="the worker's poll",
             interval=0.2)
    for unit in reversed(units):
        assert unit.stop() == 0, f"{unit.name}: {unit.log}"
    # Of all folders the units may write to StateDirectory only (and to their own /tmp).
    for uid, folder in (machine.sh("id -u modelbus").stdout.strip(), "/var/lib/modelbus"), (WORKER_UID, "/var/lib/modelbus-worker"):
        written = run(*SUDO, "find", machine.root, "-xdev", "-user", uid, "-printf", "/%P\n").stdout.split()
        assert written and [f for f in written if not f.startswith((folder, "/tmp/"))] == []
    machine.halt()


def test_an_upgrade_keeps_settings_and_secrets(machine):
    key = machine.read("/etc/modelbus/rpc-key")
    machine.sh("echo REGISTRY_LOG_LEVEL=debug >>/etc/modelbus/registry.env")
    machine.sh("dpkg -i /srv/modelbus.deb")
    assert machine.read("/etc/modelbus/rpc-key") == key
    assert "REGISTRY_LOG_LEVEL=debug" in machine.read("/etc/modelbus/registry.env")


def test_a_removal_keeps_settings_and_state(machine):
    machine.sh("touch /var/lib/modelbus/artifacts/kept")
    machine.sh("dpkg -r modelbus")
    left = machine.files()
    assert not [f for f in left if f.startswith(("/usr/bin/modelbus", "/usr/lib/systemd/system/modelbus"))]
    assert {"/etc/modelbus/rpc-key", "/etc/modelbus/registry.env", "/var/lib/modelbus/artifacts/kept"} <= left


def test_a_purge_leaves_nothing(machine):
    # As if an administrator had enabled the platform (systemctl makes such a link) and adjusted a service.
    link = "/etc/systemd/system/multi-user.target.wants/modelbus.target"
    machine.sh("apt-get install -y -qq --no-install-recommends /srv/modelbus.deb && "
               f"mkdir -p {pathlib.Path(link).parent} /etc/systemd/system/modelbus-gateway.service.d && "
               f"ln -s /lib/systemd/system/modelbus.target {link} && "
               "touch /etc/systemd/system/modelbus-gateway.service.d/override.conf")
    assert link in machine.files()
    machine.sh("dpkg -P modelbus")
    owned = set(machine.sh("cat /var/lib/dpkg/info/*.list").stdout.split())
    owned |= {f"/usr{f}" for f in owned}  # /lib is a link to /usr/lib
    new = machine.files() - machine.before - owned
    assert {f for f in new if "modelbus" in f and not f.startswith("/srv/")} == set()
    assert {f for f in new if not f.startswith(CHANGING)} == set()
    for name in ("passwd", "group", "shadow", "gshadow"):
        assert "modelbus" not in machine.read(f"/etc/{name}")
    assert run(*SUDO, "find", machine.root, "-xdev", "(", "-nouser", "-o", "-nogroup", ")").stdout == ""
    assert machine.sh("dpkg-query -W modelbus", check=False).returncode != 0
