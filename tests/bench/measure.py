# SPDX-License-Identifier: Apache-2.0
"""What tests/bench/run and its parts measure with."""

import os
import pathlib

import psutil


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def family(pid):
    """The process and all that come of it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def pss_megabytes(pids):
    def of(pid):
        line, = (line for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        return int(line.split()[1])

    return sum(of(pid) for pid in pids) / 1024
