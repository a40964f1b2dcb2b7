# SPDX-License-Identifier: Apache-2.0
"""A pipeline while it is compiled: the calls of its tasks become the tasks of the definition."""

from __future__ import annotations

import inspect
import os
import re
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from modelbus import _spec, _values
from modelbus._handles import Condition, TaskCall, Value, references
from modelbus._place import CompileError, Place, nearest, of_function

if TYPE_CHECKING:
    from modelbus._tasks import Options

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_CONDITION = re.compile(r" *([A-Za-z_][A-Za-z0-9_.]*) *(!=|!~|<=|>=|=|~|<|>)")
_OF_RUN = ["run.id", "run.pipeline", "run.version", "run.logical_ms", "run.logical_date", "task.name", "task.index", "task.attempt"]
_OF_MAP = ["item", "index"]
_STATUSES = ["succeeded", "failed", "skipped", "cancelled"]
_local = threading.local()


def active() -> "Optional[Build]":
    """Of the @pipeline function that this thread is in."""
    return getattr(_local, "build", None)


def check_name(what: str, name: Any, place: Place) -> None:
    """Of tasks, parameters and triggers."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CompileError(f"{what} {name!r}: 1 to 64 letters, digits, _ and -, not beginning with -, are expected", place)


def check_file_name(what: str, name: Any, place: Place) -> None:
    """Of pipelines and outputs."""
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        raise CompileError(f"{what} {name!r}: 1 to 100 letters, digits, _, - and ., beginning with a letter, digit or _, are expected", place)


class Build:
    """One compilation. parameters: of the pipeline; entry: of a function its name for modelbus.run."""

    def __init__(self, parameters: Dict[str, _values.Argument], entry: Callable[[Callable[..., Any], Place], str], python: str):
        self._parameters, self._entry, self._python = parameters, entry, python
        self._calls: Dict[str, TaskCall] = {}
        self._tasks: Dict[str, Dict[str, Any]] = {}

    def __enter__(self) -> "Build":
        if active():
            raise CompileError("a pipeline is compiled within another one")
        _local.build = self
        return self

    def __exit__(self, *_: Any) -> None:
        _local.build = None

    def tasks(self) -> List[Dict[str, Any]]:
        return list(self._tasks.values())

    def add(self, function: Callable[..., Any], arguments: Dict[str, _values.Argument], options: "Options",
            args: Tuple[Any, ...], kwargs: Dict[str, Any], place: Place) -> TaskCall:
        name = options.name or function.__name__
        check_name("task", name, place)
        if name in self._calls:
            raise CompileError(f"there is a task {name} already ({self._calls[name]._place}); give this one a name: "
                               f"{function.__name__}.options(name=...)", place)
        try:
            given = inspect.signature(function).bind(*args, **kwargs).arguments
        except TypeError as error:
            raise CompileError(f"task {name}: {error}", place) from error
        call = TaskCall(self, name, options, place)
        writer = _TaskWriter(self, name, options.map_over is not None, place)
        task = writer.write(function, arguments, options, given, [self._python, "-m", "modelbus.run", self._entry(function, place)])
        self._calls[name], self._tasks[name] = call, task
        self.add_needs(call, options.after, place)
        return call

    def add_needs(self, call: TaskCall, others: Iterable[TaskCall], place: Place) -> None:
        task = self._tasks[call.name]
        for other in others:
            if not isinstance(other, TaskCall) or other._build is not self:
                raise CompileError(f"task {call.name}: after {other!r}, which is no task of this pipeline", place)
            path = self._path(other.name, call.name)
            if path:
                raise CompileError("a cycle: " + " needs ".join([call.name, *path]), place)
            if other.name not in task["needs"]:
                task["needs"].append(other.name)

    def _path(self, start: str, goal: str) -> List[str]:
        """Tasks from one to another along needs, both included; empty: there is no way."""
        came: Dict[str, str] = {start: ""}
        todo = [start]
        while todo:
            name = todo.pop()
            if name == goal:
                path = [name]
                while came[path[0]]:
                    path.insert(0, came[path[0]])
                return path
            for need in self._tasks[name]["needs"]:
                if need not in came:
                    came[need] = name
                    todo.append(need)
        return []

    def resolve(self, name: str, mapped: bool, place: Place) -> Optional[str]:
        """The task that a ${name} is of, None when it is of none."""
        head, _, rest = name.partition(".")
        if head == "params":
            if rest not in self._parameters:
                raise CompileError(f"there is no parameter {rest!r}{nearest(rest, self._parameters)}", place)
        elif head == "tasks":
            return self._resolve_task(rest, place)
        elif name in _OF_MAP:
            if not mapped:
                raise CompileError(f"{name} is known only in a task with map()", place)
        elif name not in _OF_RUN:
            raise CompileError(f"there is no {name!r}{nearest(name, _OF_RUN + ['item', 'index'])}", place)
        return None

    def _resolve_task(self, rest: str, place: Place) -> str:
        task, _, part = rest.partition(".")
        if task not in self._calls:
            raise CompileError(f"there is no task {task!r} yet{nearest(task, self._calls)}", place)
        if part != "status":
            kind, _, output = part.partition(".")
            if kind != "outputs":
                raise CompileError(f"a task has outputs and a status, no {part!r}", place)
            self._calls[task][output]
        return task

    def kind(self, parameter: str) -> str:
        return self._parameters[parameter].kind.name if parameter in self._parameters else ""

    def is_mapped(self, task: str) -> bool:
        return "map" in self._tasks[task]


class _TaskWriter:
    """Turns one call into a task of the definition, and notes what it refers to."""

    def __init__(self, build: Build, name: str, mapped: bool, place: Place):
        self._build, self._name, self._mapped, self._place = build, name, mapped, place
        self._needs: List[str] = []
        self._per_item = False

    def write(self, function: Callable[..., Any], arguments: Dict[str, _values.Argument], options: "Options",
              given: Dict[str, Any], run: List[str]) -> Dict[str, Any]:
        inputs = {}
        for name, value in given.items():
            if arguments[name].kind.name == "file":
                inputs[name] = self._input(name, value)
            else:
                run.append(f"{name}={self._argument(name, value, arguments[name].kind)}")
        task: Dict[str, Any] = {
            "name": self._name,
            "description": first_paragraph(function),
            "run": run,
            "env": {name: self._text(f"env {name}", value) for name, value in options.env.items()},
            "secrets": dict(options.secrets),
            "inputs": inputs,
            "outputs": list(options.outputs),
            "needs": self._needs,
            "when": [self._condition(condition) for condition in self._list("when", options.when)],
        }
        if self._mapped:
            task["map"] = self._map(options)
        retries = options.retries if isinstance(options.retries, _spec.Retries) else _spec.Retries(options.retries)
        if retries.count:
            task["retries"] = _spec.fields(retries)
        task["timeout_s"] = self._seconds("timeout", options.timeout)
        if options.resources:
            task["resources"] = _spec.fields(options.resources)
        if options.cache:
            task["cache"] = self._cache(_spec.Cache() if options.cache is True else options.cache)
        if options.run_on not in ("", "success", "failure", "always"):
            raise self._error(f"run_on={options.run_on!r}: success, failure or always is expected")
        task["run_on"] = options.run_on
        task["labels"] = dict(options.labels)
        if self._mapped and not self._per_item:
            raise self._error("has a map(), but nothing of it uses item or index")
        return task

    def _error(self, message: str) -> CompileError:
        return CompileError(f"task {self._name}: {message}", self._place)

    def _list(self, what: str, value: Any) -> Sequence[Any]:
        if isinstance(value, (list, tuple)):
            return value
        raise self._error(f"{what}={value!r}: a list is expected")

    def _seconds(self, what: str, value: Any) -> int:
        try:
            return _spec.seconds(value)
        except ValueError as error:
            raise self._error(f"{what}: {error}") from error

    def _refer(self, name: str) -> Optional[str]:
        """Note what a text refers to."""
        try:
            task = self._build.resolve(name, self._mapped, self._place)
        except CompileError as error:
            raise self._error(error.message) from error
        if task and task not in self._needs:
            self._needs.append(task)
        self._per_item = self._per_item or name in _OF_MAP
        return task

    def _text(self, what: str, value: Any) -> str:
        """Of anything that is or prints as a text with ${...}."""
        if isinstance(value, (Value, TaskCall)):
            value = str(value)
        try:
            text = _values.plain_text(value)
        except ValueError as error:
            raise self._error(f"{what}: {error}") from error
        for name in references(text, self._place):
            self._refer(name)
        return text

    def _argument(self, name: str, value: Any, kind: _values.Kind) -> str:
        what = f"parameter {name}"
        if isinstance(value, Value):
            if value.kind and not _fits(value.kind, kind):
                raise self._error(f"{what} is a {kind}, {value.name} a {value.kind}")
            return self._text(what, value)
        if isinstance(value, TaskCall) or isinstance(value, str) and (kind.name == "string" or "${" in value):
            return self._text(what, value)
        try:
            text = _values.to_text(value, kind)
        except ValueError as error:
            raise self._error(f"{what}: {error}") from error
        if references(text, self._place):
            raise self._error(f"{what}: values of the run cannot stand within a {kind.name}; give each a parameter")
        return text

    def _input(self, name: str, value: Any) -> str:
        text = self._text(f"input {name}", value)
        found = references(text, self._place)
        if not (found and text == "${" + found[0] + "}" or re.fullmatch("sha256:[0-9a-f]{64}", text)):
            raise self._error(f"input {name} is a file: an output of a task or an artifact (\"sha256:...\") is expected, not {value!r}")
        if found and self._is_list(found[0]):
            raise self._error(f"input {name}: {found[0]} is a list; take it as a list[str] of texts or URIs")
        return text

    def _is_list(self, name: str) -> bool:
        head, _, rest = name.partition(".")
        if head == "params":
            return self._build.kind(rest) == "list"
        return head == "tasks" and not name.endswith(".status") and self._build.is_mapped(rest.split(".")[0])

    def _condition(self, condition: Any) -> str:
        if not isinstance(condition, (str, Condition)):
            raise self._error(f"when: {condition!r} is no condition, such as {self._name}.auc >= 0.9")
        match = _CONDITION.match(str(condition))
        if not match:
            raise self._error(f"when: {str(condition)!r}: NAME OPERATOR VALUE is expected, the name of letters, digits, _ and points (no -)")
        name, op = match.groups()
        value = str(condition)[match.end():].strip()
        if name in _OF_MAP or name.startswith("task."):
            raise self._error(f"when: {name} is known only when the task is run")
        self._refer(name)
        if self._is_list(name):
            raise self._error(f"when: {name} is a list; a condition is on one value")
        number = name.startswith("tasks.") and not name.endswith(".status") or self._build.kind(name.partition(".")[2]) in ("int", "float")
        if op in ("<", "<=", ">", ">=") and not number:
            raise self._error(f"when: {name} is no number")
        if name.endswith(".status") and op in ("=", "!=") and value not in _STATUSES:
            raise self._error(f"when: a task ends as {', '.join(_STATUSES)}, not {value!r}")
        return str(condition)

    def _map(self, options: "Options") -> Dict[str, Any]:
        over = options.map_over
        if isinstance(over, (Value, str)):
            if isinstance(over, Value) and over.kind and over.kind.name != "list":
                raise self._error(f"map over {over.name}, which is a {over.kind}")
            found: Dict[str, Any] = {"over": self._text("map", over)}
        else:
            try:
                found = {"items": [_values.item_text(item) for item in self._list("map", over)]}
            except ValueError as error:
                raise self._error(f"map: {error}") from error
            if any("${" in text for text in found["items"]):
                raise self._error("map: the items of a list are taken as they are, without values of the run")
            if not found["items"]:
                raise self._error("map over nothing")
        if options.parallelism:
            found["parallelism"] = options.parallelism
        return found

    def _cache(self, cache: _spec.Cache) -> Dict[str, Any]:
        found: Dict[str, Any] = {}
        if cache.key:
            found["key"] = [self._text("cache", part) for part in self._list("cache.key", cache.key)]
        found["max_age_s"] = self._seconds("cache.max_age", cache.max_age) or 86400
        return found


def _fits(given: _values.Kind, wanted: _values.Kind) -> bool:
    return wanted.name == "string" or given.name == wanted.name or (given.name, wanted.name) == ("int", "float")


def first_paragraph(function: Callable[..., Any]) -> str:
    """Of its documentation, as one line."""
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())


def entry_point(function: Callable[..., Any], root: str, place: Place) -> str:
    """What modelbus.run runs in the folder root: "package.module:function", or "file.py:function"."""
    file = os.path.abspath(of_function(function).file)
    if not os.path.isfile(file):
        raise CompileError(f"task {function.__name__} is in no file that a worker could run; in a notebook write it with %%writefile", place)
    path = os.path.relpath(file, root).replace(os.sep, "/")
    if path.startswith("../"):
        raise CompileError(f"task {function.__name__} is in {file}, outside of the pipeline's folder {root}", place)
    if function.__qualname__ != function.__name__:
        raise CompileError(f"task {function.__qualname__} is not at the top of its module, so a worker does not find it", place)
    module = path[:-3].replace("/", ".")
    importable = path.endswith(".py") and all(part.isidentifier() for part in module.split("."))
    return f"{module if importable else path}:{function.__name__}"
