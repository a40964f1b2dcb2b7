# SPDX-License-Identifier: Apache-2.0
"""@pipeline: a function whose calls of tasks are the pipeline."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from modelbus import _spec, _values, _yaml
from modelbus._build import Build, check_file_name, check_name, entry_point, first_paragraph
from modelbus._handles import Value
from modelbus._package import Archive, source_root
from modelbus._place import CompileError, caller, nearest, of_exception, of_function

if TYPE_CHECKING:
    from modelbus._client import Client


class Pipeline:
    """What @pipeline makes. Nothing here needs a server but package(client)."""

    def __init__(self, function: Callable[..., Any], name: str, owner: str, tags: Mapping[str, str],
                 triggers: Sequence[_spec.Trigger], concurrency: str, timeout: _spec.Duration, python: str):
        functools.update_wrapper(self, function)  # type: ignore[arg-type]
        self.function, self.name = function, name or function.__name__.replace("_", "-")
        self.root = source_root(of_function(function).file)
        self.archive = ""
        self._owner, self._tags, self._triggers = owner, dict(tags), list(triggers)
        self._concurrency, self._timeout = concurrency, timeout
        self.python = python  # may be set before it is compiled or applied
        self._place = of_function(function)

    def definition(self, archive: Optional[str] = None) -> Dict[str, Any]:
        """The pipeline by the names of modelbus.pipeline.v1.Definition. archive: URI of the source, else that of the
        last package(), else none: then the workers must have the source themselves. CompileError."""
        check_file_name("pipeline", self.name, self._place)
        if self._concurrency not in ("", "allow", "forbid", "replace"):
            raise CompileError(f"concurrency={self._concurrency!r}: allow, forbid or replace is expected", self._place)
        parameters = _values.signature(self.function)
        declared = [self._parameter(name, argument) for name, argument in parameters.items()]
        tasks = self._trace(parameters)
        archive = self.archive if archive is None else archive
        for task in tasks if archive else ():
            task["archive"] = archive
        return _compact({
            "name": self.name,
            "description": first_paragraph(self.function),
            "owner": self._owner,
            "tags": self._tags,
            "parameters": declared,
            "tasks": [_in_order(task) for task in tasks],
            "triggers": self._all_triggers(parameters),
            "concurrency": self._concurrency,
            "timeout_s": self._seconds(),
        })

    def to_yaml(self, archive: Optional[str] = None) -> str:
        """definition() as the file of docs/pipelines.md; the same source gives the same text."""
        heading = f"Compiled from {os.path.basename(self._place.file)} by modelbus.compile: change it there."
        return _yaml.dump(self.definition(archive), heading)

    def package(self, client: "Optional[Client]" = None, *, root: Optional[str] = None, bundle: bool = True) -> Archive:
        """The source as the archive of its tasks, which to_yaml() names from now on; stored when there is a client.

        root: the folder (that of the pipeline's file). bundle: put the package modelbus into it, so that workers need
        none of their own."""
        self.root = os.path.abspath(root) if root else self.root
        archive = Archive.of_folder(self.root, bundle)
        if client is not None:
            uri = client.upload_artifact(archive.content)
            if uri != archive.uri:
                raise CompileError(f"the store named the archive {uri}, it is {archive.uri}", self._place)
        self.archive = archive.uri
        return archive

    def _trace(self, parameters: Dict[str, _values.Argument]) -> List[Dict[str, Any]]:
        handles = {name: Value(f"params.{name}", argument.kind) for name, argument in parameters.items()}
        with Build(parameters, lambda function, place: entry_point(function, self.root, place), self.python) as build:
            try:
                self.function(**handles)
            except CompileError:
                raise
            except Exception as error:
                hint = "; a task's result exists from the line on that calls it" if isinstance(error, NameError) else ""
                place = of_exception(error, self._place)
                raise CompileError(f"pipeline {self.name}: {type(error).__name__}: {error}{hint}", place) from error
            tasks = build.tasks()
        if not tasks:
            raise CompileError(f"pipeline {self.name} calls no task", self._place)
        return tasks

    def _parameter(self, name: str, argument: _values.Argument) -> Dict[str, Any]:
        kind, default = argument
        check_name("parameter", name, self._place)
        if kind.name in ("file", "dict"):
            raise CompileError(f"parameter {name}: pipelines take texts, numbers, truth values and lists, no {kind.name}", self._place)
        found: Dict[str, Any] = {"name": name, "type": kind.name}
        if default is _values.REQUIRED:
            found["required"] = True
        else:
            try:
                text = _values.to_text(default, kind)
            except ValueError as error:
                raise CompileError(f"parameter {name}: the default must be a literal {kind}: {error}", self._place) from error
            if kind.name == "list":
                element = _values.Kind(kind.element)
                found["default_list"] = [_values.to_text(item, element) for item in default]
            else:
                found["default"] = text
        found["description"] = kind.description
        return found

    def _all_triggers(self, parameters: Dict[str, _values.Argument]) -> List[Dict[str, Any]]:
        found: Dict[str, Dict[str, Any]] = {}
        for trigger in self._triggers:
            made = self._trigger(trigger, parameters)
            if made["name"] in found:
                raise CompileError(f"there is a trigger {made['name']} already; give this one a name", self._place)
            found[made["name"]] = made
        return list(found.values())

    def _trigger(self, trigger: _spec.Trigger, parameters: Dict[str, _values.Argument]) -> Dict[str, Any]:
        if not isinstance(trigger, (_spec.Cron, _spec.OnEvent, _spec.AfterPipeline)):
            raise CompileError(f"triggers: {trigger!r} is no Cron, OnEvent or AfterPipeline", self._place)
        found = {"name": "", **_spec.fields(trigger)}
        name = trigger.name or _trigger_name(trigger)
        check_name("trigger", name, self._place)
        what = f"trigger {name}"
        given = found.pop("parameters", {})
        disabled = found.pop("disabled", False)
        if "where" in found:
            found["where"] = list(found["where"])
        for parameter in given:
            if parameter not in parameters:
                raise CompileError(f"{what}: there is no parameter {parameter!r}{nearest(parameter, parameters)}", self._place)
        for parameter, argument in parameters.items():
            if argument.default is _values.REQUIRED and parameter not in given:
                raise CompileError(f"{what}: parameter {parameter} is required and not given", self._place)
        try:
            texts = {parameter: value if isinstance(value, str) else _values.to_text(value, parameters[parameter].kind)
                     for parameter, value in given.items()}
        except ValueError as error:
            raise CompileError(f"{what}: {error}", self._place) from error
        return {**found, "name": name, "parameters": texts, "disabled": disabled}

    def _seconds(self) -> int:
        try:
            return _spec.seconds(self._timeout)
        except ValueError as error:
            raise CompileError(f"timeout: {error}", self._place) from error


def _trigger_name(trigger: _spec.Trigger) -> str:
    if isinstance(trigger, _spec.Cron):
        return "cron"
    return trigger.event if isinstance(trigger, _spec.OnEvent) else "after-" + trigger.pipeline.replace(".", "-")


def pipeline(function: Optional[Callable[..., Any]] = None, *, name: str = "", owner: str = "",
             tags: Optional[Mapping[str, str]] = None, triggers: Sequence[_spec.Trigger] = (), concurrency: str = "",
             timeout: _spec.Duration = 0, python: str = "python3") -> Any:
    """Make a function a pipeline.

    Its parameters are those of the runs, typed by their annotations (str, int, float, bool, list[...];
    Annotated[int, "what it is"] describes one); those without a default must be given. The function is run once,
    when the pipeline is compiled, with stand-ins for the values.

    name: that of the function, with - for _. concurrency: "allow", "forbid", "replace". timeout: of a whole run.
    python: the interpreter on the workers.
    """

    def decorate(function: Callable[..., Any]) -> Pipeline:
        return Pipeline(function, name, owner, tags or {}, triggers, concurrency, timeout, python)

    return decorate(function) if function is not None else decorate


_ORDER = ["name", "description", "run", "archive"]


def _in_order(task: Dict[str, Any]) -> Dict[str, Any]:
    return {**{name: task[name] for name in _ORDER if name in task}, **task}


def _compact(value: Any) -> Any:
    """Without what is not set. Mappings of texts stay as they are, and so does a default that is empty."""
    if isinstance(value, Mapping):
        return {name: dict(item) if name in _TEXTS and isinstance(item, Mapping) else _compact(item)
                for name, item in value.items() if name == "default" or item not in ("", 0, False, [], {})}
    return [_compact(item) for item in value] if isinstance(value, list) else value


_TEXTS = {"tags", "env", "secrets", "inputs", "labels", "parameters"}
