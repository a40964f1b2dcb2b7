# SPDX-License-Identifier: Apache-2.0
"""@task: a function that a worker runs."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Union

from modelbus import _build, _values
from modelbus._handles import Condition, TaskCall, Value
from modelbus._place import CompileError, caller, nearest, of_function
from modelbus._spec import Cache, Duration, Resources, Retries


@dataclasses.dataclass(frozen=True)
class Options:
    """All that is said of a task beside its arguments."""

    name: str = ""
    outputs: Tuple[str, ...] = ()
    retries: Union[int, Retries] = 0
    timeout: Duration = 0
    resources: Optional[Resources] = None
    cache: Union[bool, Cache] = False
    when: Sequence[Union[str, Condition]] = ()
    run_on: str = ""
    env: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    after: Sequence[TaskCall] = ()
    map_over: Any = None
    parallelism: int = 0


_CHANGEABLE = [f.name for f in dataclasses.fields(Options) if f.name not in ("outputs", "map_over", "parallelism")]


class Task:
    """Within a @pipeline function a call adds a task to it; elsewhere it is the plain function."""

    def __init__(self, function: Callable[..., Any], options: Options, arguments: Optional[Dict[str, _values.Argument]] = None):
        functools.update_wrapper(self, function)
        self.function, self._options = function, options
        self.arguments = _values.signature(function) if arguments is None else arguments

    @property
    def outputs(self) -> Tuple[str, ...]:
        return self._options.outputs

    def options(self, **changes: Any) -> "Task":
        """The same task with other settings: those of @task, and name, after=[calls], when=[conditions], run_on
        ("success", "failure", "always")."""
        for name in changes:
            if name not in _CHANGEABLE:
                raise CompileError(f"task {self.function.__name__}: there is no option {name!r}{nearest(name, _CHANGEABLE)}")
        return Task(self.function, dataclasses.replace(self._options, **changes), self.arguments)

    def map(self, over: Union[Sequence[Any], Value], parallelism: int = 0) -> "Task":
        """The same task once for each item of a list, a parameter or an output that is one; `item` and `index`
        stand for the item and its place. At most parallelism at once (0: all)."""
        return Task(self.function, dataclasses.replace(self._options, map_over=over, parallelism=parallelism), self.arguments)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        build = _build.active()
        if build is None:
            return self.function(*args, **kwargs)
        return build.add(self.function, self.arguments, self._options, args, kwargs, caller())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise CompileError(f"task {self.__name__}.{name}: a task has outputs only once it was called: {self.__name__}(...).{name}")


def task(function: Optional[Callable[..., Any]] = None, *, name: str = "", outputs: Sequence[str] = (),
         retries: Union[int, Retries] = 0, timeout: Duration = 0, resources: Optional[Resources] = None,
         cache: Union[bool, Cache] = False, env: Optional[Mapping[str, Any]] = None,
         secrets: Optional[Mapping[str, str]] = None, labels: Optional[Mapping[str, str]] = None) -> Any:
    """Make a function a task.

    Its parameters are typed by their annotations: str, int, float, bool, list[...] and dict come as arguments, a
    pathlib.Path is an input file. It returns a dict with its outputs, or puts them there by current.output().

    outputs: their names. timeout: of an attempt; seconds or "10m". env: variables. secrets: variable to the name of
    the secret that the worker knows. labels: that a worker must have.
    """
    if isinstance(outputs, str):
        raise CompileError(f"outputs={outputs!r}: a list of names is expected")

    def decorate(function: Callable[..., Any]) -> Task:
        place = of_function(function)
        names = tuple(outputs)
        for output in names:
            _build.check_file_name("output", output, place)
        if len(set(names)) != len(names):
            raise CompileError(f"task {function.__name__}: an output is named twice", place)
        return Task(function, Options(name, names, retries, timeout, resources, cache, env=env or {},
                                      secrets=secrets or {}, labels=labels or {}))

    return decorate(function) if function is not None else decorate
