# SPDX-License-Identifier: Apache-2.0
"""Where in the author's source something was said, and mistakes that name it."""

from __future__ import annotations

import difflib
import os
import sys
import types
from typing import Any, Callable, Iterable, NamedTuple, Optional

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        name = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        return f"{self.file if name.startswith('..') else name}:{self.line}"


class CompileError(Exception):
    """A pipeline says something that cannot run. str() is "FILE:LINE: what is wrong"."""

    def __init__(self, message: str, place: Optional[Place] = None):
        super().__init__(message)
        self.message, self.place = message, place or caller()

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def caller() -> Place:
    """The line outside of this package that is being run."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno) if frame else Place("<unknown>", 0)


def of_function(function: Callable[..., Any]) -> Place:
    return Place(function.__code__.co_filename, function.__code__.co_firstlineno)


def of_exception(error: BaseException, fallback: Place) -> Place:
    """The innermost line outside of this package that the exception came through."""
    place, step = fallback, error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<")) and f"{os.sep}lib{os.sep}python" not in file:
            place = Place(file, step.tb_lineno)
        step = step.tb_next
    return place


def nearest(name: str, known: Iterable[str]) -> str:
    """"; did you mean X?", what there is, or nothing."""
    known = list(known)
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there is {', '.join(known[:10])}" if known else ""
