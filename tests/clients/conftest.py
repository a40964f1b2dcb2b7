# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
BIN = pathlib.Path(os.environ.get("MODELBUS_TEST_BIN", HERE.parents[1] / "build/release/bin")).resolve()
PARTS = ["bus", "postgres", "experiment", "registry", "deployment", "monitoring", "alert", "pipeline", "gateway", "inference", "worker"]


def clean_env(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MODELBUS_", "FAKE_", "XDG_"))}
    return {**kept, **more}


class Cli:
    """A modelbus program with an environment of its own, without a platform unless env says so."""

    def __init__(self, program, home, **env):
        self.program, self.env = program, clean_env(HOME=str(home), **env)

    def __call__(self, *words, code=0, stdin=None, **env):
        done = subprocess.run([str(self.program), *map(str, words)], env={**self.env, **env}, input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert done.returncode == code, f"{words} exited {done.returncode}\n{done.stdout}{done.stderr}"
        return done


@pytest.fixture
def cli(tmp_path):
    return Cli(BIN / "modelbus", tmp_path)


@pytest.fixture(scope="session")
def fake_bin(tmp_path_factory):
    """The real command and supervisor beside stand-ins for the services."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ["modelbus", "modelbus-supervisor"]:
        shutil.copy(BIN / name, folder / name)
    for name in ["devbus", *PARTS[2:]]:
        shutil.copy(HERE / "fake_part.py", folder / f"modelbus-{name}")
    return folder
