# SPDX-License-Identifier: Apache-2.0
"""What is said of tasks and pipelines beside their code. The names are those of the file (docs/pipelines.md)."""

from __future__ import annotations

import dataclasses
import datetime
import re
from typing import Any, Dict, Mapping, Optional, Sequence, Union

Duration = Union[int, str, datetime.timedelta]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclasses.dataclass(frozen=True)
class Retries:
    """After a failed attempt the next begins base_s * factor^(attempts - 1) later, at most cap_s, less up to the
    share jitter (0 to 1) by chance. Left out: 1, 2, 300, 0."""

    count: int
    base_s: Optional[float] = None
    factor: Optional[float] = None
    cap_s: Optional[float] = None
    jitter: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a worker must have free. Left out: one core, 256 MB, no GPU."""

    cpu: Optional[float] = None
    memory_mb: Optional[int] = None
    gpu: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Cache:
    """A task that ran before with the same command, archive, inputs and key, not longer than max_age ago (a day),
    succeeds at once with what it put out then."""

    key: Sequence[Any] = ()
    max_age: Duration = 0


@dataclasses.dataclass(frozen=True)
class Cron:
    """Runs by the clock: "0 3 * * 1-5", or six fields when the first is seconds, or "@daily".

    catch_up, of times that were missed: "skip", "last" or "all" (at most catch_up_max)."""

    cron: str
    time_zone: str = ""
    catch_up: str = ""
    catch_up_max: int = 0
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""
    disabled: bool = False


@dataclasses.dataclass(frozen=True)
class OnEvent:
    """Runs by an event: OnEvent("DriftDetected", where=["endpoint = churn"]). Values of parameters may name the
    event's fields in braces: {"endpoint": "{endpoint}"}."""

    event: str
    where: Sequence[str] = ()
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""
    disabled: bool = False


@dataclasses.dataclass(frozen=True)
class AfterPipeline:
    """Runs by the end of another pipeline's run. on: "success", "failure" or "always"."""

    pipeline: str
    on: str = ""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""
    disabled: bool = False


Trigger = Union[Cron, OnEvent, AfterPipeline]


def seconds(value: Duration) -> int:
    """600, "10m", "1h30m" or a timedelta. ValueError."""
    if isinstance(value, datetime.timedelta):
        value = int(value.total_seconds())
    if isinstance(value, str):
        parts = re.fullmatch(r"(?:\d+[smhd])+", value) and re.findall(r"(\d+)([smhd])", value)
        if not parts:
            raise ValueError(f"{value!r} is no duration such as 90s, 10m, 1h30m, 7d")
        value = sum(int(count) * _UNITS[unit] for count, unit in parts)
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is no duration in seconds")
    return value


def fields(spec: Any) -> Dict[str, Any]:
    """Those that were set, by the file's names."""
    values = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
    return {name: value for name, value in values.items() if value not in (None, "", 0, False) and value != () and value != {}}
