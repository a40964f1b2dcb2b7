# SPDX-License-Identifier: Apache-2.0
"""The systemd units: systemd takes them, they are hardened, and they agree with the programs' settings."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ROOT / "scripts/systemd"
COMMON = UNITS / "modelbus-.service.d/10-common.conf"
SERVICES = sorted(p.stem.removeprefix("modelbus-") for p in UNITS.glob("modelbus-*.service"))
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(not SYSTEMD_ANALYZE, reason="systemd-analyze is not installed")


def setting(text, name):
    return re.findall(rf"^{name}=(.*)$", text, re.M)


@pytest.fixture
def folder(tmp_path):
    """The units with programs that exist on this machine."""
    shutil.copytree(UNITS, tmp_path / "units")
    for unit in (tmp_path / "units").glob("*.service"):
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M))
    return tmp_path / "units"


def analyze(folder, *words):
    return subprocess.run([SYSTEMD_ANALYZE, *words], capture_output=True, text=True,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_UNIT_PATH": f"{folder}:"})


@needs_systemd
def test_systemd_finds_no_fault(folder):
    done = analyze(folder, "verify", "--man=no", *folder.glob("modelbus*.service"), folder / "modelbus.target")
    complaints = [line for line in done.stderr.splitlines() if "modelbus" in line]
    assert (done.returncode, complaints) == (0, [])


@needs_systemd
def test_a_fault_would_be_found(folder):
    (folder / "modelbus-registry.service").write_text("[Service]\nExecStart=/no/such/program\n")
    assert analyze(folder, "verify", folder / "modelbus-registry.service").returncode != 0


@needs_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_exposure_is_low(folder, service):
    """systemd's own score, 0 (safe) to 10; the threshold is in tenths."""
    done = analyze(folder, "security", "--offline=yes", "--threshold=20", folder / f"modelbus-{service}.service")
    assert done.returncode == 0, done.stdout[-400:]


def test_each_service_has_a_unit_and_settings():
    programs = {p.parent.name for p in ROOT.glob("services/*/main.c")}
    assert sorted(programs) == SERVICES, "a unit modelbus-NAME.service, env/NAME.env and a Wants= of the target for each"
    assert sorted(p.stem for p in (UNITS / "env").glob("*.env")) == SERVICES
    wanted = setting((UNITS / "modelbus.target").read_text(), "Wants")
    # Workers are enabled where tasks are to run.
    assert sorted([*wanted, "modelbus-worker.service"]) == [f"modelbus-{s}.service" for s in SERVICES]


@pytest.mark.parametrize("service", SERVICES)
def test_settings_exist(service):
    documented = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text(), re.M))
    text = (UNITS / f"env/{service}.env").read_text()
    names = re.findall(r"^#?([A-Z][A-Z_]+)=", text, re.M)
    assert names and set(names) <= documented
    assert all(name.startswith(service.upper() + "_") for name in names)


@pytest.mark.parametrize("service", SERVICES)
def test_stop_waits_longer_than_the_drain(service):
    (drain_ms,) = setting((UNITS / f"env/{service}.env").read_text(), f"#{service.upper()}_DRAIN_MS")
    (stop_s,) = setting(COMMON.read_text(), "TimeoutStopSec")
    assert int(stop_s) * 1000 > int(drain_ms)


@pytest.mark.parametrize("service", SERVICES)
def test_the_shared_settings_override_none_of_a_unit(service):
    """A drop-in comes after the unit, and its value wins."""
    unit = (UNITS / f"modelbus-{service}.service").read_text()
    own = re.findall(r"^(\w+)=", unit.split("[Service]")[1].split("[Install]")[0], re.M)
    assert "MemoryMax" in own
    shared = {name for name in own if setting(COMMON.read_text(), name)}
    assert shared <= {"StateDirectory"}  # a list, which grows


@pytest.mark.parametrize("wanted", [
    "User=modelbus", "ProtectSystem=strict", "ProtectHome=yes", "NoNewPrivileges=yes", "PrivateTmp=yes",
    "PrivateDevices=yes", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "SystemCallFilter=@system-service",
    "CapabilityBoundingSet=", "Restart=on-failure"])
def test_all_are_hardened(wanted):
    assert wanted in COMMON.read_text().splitlines()
