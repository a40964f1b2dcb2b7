# SPDX-License-Identifier: Apache-2.0
"""scripts/proto-compat finds what breaks a reader, and nothing else."""

import pathlib
import subprocess

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "proto-compat"
BASE = """syntax = "proto3";
package t.v1;
enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
message M { string a = 1; int64 b = 2; repeated string c = 3; oneof x { string d = 4; string e = 5; } E f = 6; }
service S { rpc Get(M) returns (M); }
"""


def run(tmp_path, changed):
    for name, text in (("old", BASE), ("new", changed)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.proto").write_text(text)
    return subprocess.run([TOOL, "--against", tmp_path / "old", "--proto", tmp_path / "new"],
                          capture_output=True, text=True)


@pytest.mark.parametrize("old, new", [
    ("E f = 6;", "E f = 6; string g = 7;"),
    ("E_ONE = 1;", "E_ONE = 1; E_TWO = 2;"),
    ("int64 b = 2;", 'reserved 2; reserved "b";'),
    ("rpc Get(M) returns (M);", "rpc Get(M) returns (M); rpc Put(M) returns (M);"),
])
def test_additions_pass(tmp_path, old, new):
    done = run(tmp_path, BASE.replace(old, new))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("old, new, complaint", [
    ("int64 b = 2;", "", "is gone; reserve"),
    ("int64 b = 2;", "reserved 2;", "is gone; reserve"),
    ("int64 b = 2;", "int32 b = 2;", "its type was"),
    ("int64 b = 2;", "int64 bb = 2;", "its name was"),
    ("int64 b = 2;", "int64 b = 9;", "is gone"),
    ("repeated string c = 3;", "string c = 3;", "its label was"),
    ("oneof x { string d = 4; string e = 5; }", "string d = 4; oneof x { string e = 5; }", "its oneof was"),
    ("E_ONE = 1;", "E_ONE = 2;", "was 1, is 2"),
    ("E_ONE = 1;", "", "is gone; reserve it"),
    ("rpc Get(M) returns (M);", "", "method t.v1.S.Get is gone"),
])
def test_breaks_are_named(tmp_path, old, new, complaint):
    done = run(tmp_path, BASE.replace(old, new))
    assert done.returncode == 1
    assert complaint in done.stderr
