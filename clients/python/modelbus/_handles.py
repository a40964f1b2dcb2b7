# SPDX-License-Identifier: Apache-2.0
"""What stands for a value while a pipeline is compiled: it prints as the ${...} that the run replaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from modelbus import _values
from modelbus._place import CompileError, Place, caller, nearest

if TYPE_CHECKING:
    from modelbus._build import Build
    from modelbus._tasks import Options

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")


class Condition:
    """What a comparison of a Value makes: one text of when=[...]."""

    def __init__(self, text: str):
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> NoReturn:
        raise CompileError(f"whether {self.text} is known only in a run: say it with when=[...], where all must hold")


class Value:
    """A parameter, an output of a task, the item of a map. Into texts it goes by f"...{value}..."; compared with a
    literal (== != < <= > >=, like(), unlike()) it makes a condition."""

    def __init__(self, name: str, kind: Optional[_values.Kind] = None):
        self.name, self.kind = name, kind

    def __str__(self) -> str:
        return "${" + self.name + "}"

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __format__(self, form: str) -> str:
        if form:
            raise CompileError(f"{self.name} has no value yet that could be formatted by {form!r}")
        return str(self)

    def __bool__(self) -> NoReturn:
        self._unknown("use when=[...] for what depends on it")

    def __iter__(self) -> NoReturn:
        self._unknown("use a task's map() for what is done for each item")

    __len__ = __int__ = __float__ = __index__ = lambda self: self._unknown("let a task work with it")
    __hash__ = object.__hash__

    def _unknown(self, hint: str) -> NoReturn:
        raise CompileError(f"{self.name} has a value only in a run: {hint}")

    def _compare(self, op: str, other: Any, numbers: bool = False) -> Condition:
        if isinstance(other, Value):
            raise CompileError(f"{self.name} {op} {other.name}: conditions compare with literals; compare two values in a task")
        try:
            text = _values.plain_text(other)
        except ValueError as error:
            raise CompileError(f"{self.name} {op} ...: {error}") from error
        if numbers and (isinstance(other, bool) or not isinstance(other, (int, float))):
            raise CompileError(f"{self.name} {op} {other!r}: a number is expected")
        if text != text.strip() or "\n" in text:
            raise CompileError(f"{self.name} {op} {other!r}: conditions are one line, and blanks at the ends do not count")
        return Condition(f"{self.name} {op} {text}".rstrip())

    def __eq__(self, other: Any) -> Condition:  # type: ignore[override]
        return self._compare("=", other)

    def __ne__(self, other: Any) -> Condition:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("<", other, True)

    def __le__(self, other: Any) -> Condition:
        return self._compare("<=", other, True)

    def __gt__(self, other: Any) -> Condition:
        return self._compare(">", other, True)

    def __ge__(self, other: Any) -> Condition:
        return self._compare(">=", other, True)

    def like(self, pattern: str) -> Condition:
        """One of alternatives separated by |, in which * stands for any text."""
        return self._compare("~", pattern)

    def unlike(self, pattern: str) -> Condition:
        return self._compare("!~", pattern)


class TaskCall:
    """A task of a pipeline: its outputs are attributes, or items where a name is none: fit.auc, fit["auc"]."""

    def __init__(self, build: "Build", name: str, options: "Options", place: Place):
        self._build, self._options, self._place = build, options, place
        self.name = name

    @property
    def status(self) -> Value:
        """"succeeded", "failed", "skipped": for tasks with run_on="always"."""
        return Value(f"tasks.{self.name}.status")

    def after(self, *others: "TaskCall") -> "TaskCall":
        """Begin only when these have ended, too."""
        self._build.add_needs(self, others, caller())
        return self

    def __getitem__(self, output: str) -> Value:
        if output not in self._options.outputs:
            raise CompileError(f"task {self.name} has no output {output!r}{nearest(output, self._options.outputs)}")
        return Value(f"tasks.{self.name}.outputs.{output}")

    def __getattr__(self, output: str) -> Value:
        if output.startswith("_"):
            raise AttributeError(output)
        return self[output]

    def __bool__(self) -> NoReturn:
        raise CompileError(f"how task {self.name} ended is known only in a run: compare its .status in when=[...]")

    def __iter__(self) -> NoReturn:
        raise CompileError(f"task {self.name} is no list: its outputs are its attributes")

    def __str__(self) -> NoReturn:
        raise CompileError(f"task {self.name} is no value: name one of its outputs{nearest('', self._options.outputs)}")

    def __format__(self, _: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def references(text: str, place: Place) -> "list[str]":
    """Names of the ${...} of a text."""
    found = []
    for match in _REFERENCE.finditer(text):
        if match.group() == "$${":
            continue
        if not match.group().endswith("}") or not match.group(1):
            raise CompileError(f"{text!r}: after ${{ a name and }} are expected ($${{ for the characters themselves)", place)
        found.append(match.group(1))
    return found


item = Value("item")
index = Value("index")
