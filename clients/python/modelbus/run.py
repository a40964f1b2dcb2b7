# SPDX-License-Identifier: Apache-2.0
"""Run one task: what a worker executes.

    python3 -m modelbus.run MODULE:FUNCTION [PARAMETER=VALUE]...
    python3 -m modelbus.run FILE.py:FUNCTION [PARAMETER=VALUE]...

Input files are found in MODELBUS_INPUTS, outputs go to MODELBUS_OUTPUTS. Exits with 0 when all outputs are there, 1 when
the function raised, 2 when it could not be called.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import signal
import sys
import traceback
from typing import Any, Dict, List, Mapping, NoReturn, Optional

from modelbus import _values
from modelbus._place import CompileError, nearest
from modelbus._task_context import TaskError, current
from modelbus._tasks import Task


def find(target: str) -> Task:
    """TaskError: there is no such task."""
    module, colon, name = target.rpartition(":")
    if not colon:
        raise TaskError(f"{target!r}: MODULE:FUNCTION is expected")
    sys.path.insert(0, os.getcwd())
    if module.endswith(".py"):
        path = pathlib.Path(module).resolve()
        if not path.is_file():
            raise TaskError(f"there is no file {module} in {os.getcwd()}")
        sys.path.insert(0, str(path.parent))
        loader = importlib.util.spec_from_file_location(path.stem, path)
        if loader is None or loader.loader is None:
            raise TaskError(f"{module} is no Python file")
        loaded = importlib.util.module_from_spec(loader)
        sys.modules[path.stem] = loaded
        loader.loader.exec_module(loaded)
    else:
        try:
            loaded = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(error.name + ".")):
                raise TaskError(f"there is no module {module} in {os.getcwd()}: is the pipeline's source the task's archive?") from error
            raise
    found = getattr(loaded, name, None)
    if not isinstance(found, Task):
        tasks = [key for key, value in vars(loaded).items() if isinstance(value, Task)]
        raise TaskError(f"{module} has no task {name!r}{nearest(name, tasks)}")
    return found


def arguments(task: Task, words: List[str]) -> Dict[str, Any]:
    """Values of the task's parameters. TaskError."""
    found: Dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in task.arguments:
            raise TaskError(f"{word!r}: PARAMETER=VALUE is expected{nearest(name, task.arguments)}")
        kind = task.arguments[name].kind
        try:
            found[name] = pathlib.Path(text) if kind.name == "file" else _values.from_text(text, kind)
        except ValueError as error:
            raise TaskError(f"parameter {name}: {text!r} is no {kind} ({error})") from error
    for name, argument in task.arguments.items():
        if name in found:
            continue
        if argument.kind.name == "file" and (argument.default is _values.REQUIRED or (current.inputs / name).exists()):
            found[name] = current.input(name)
        elif argument.default is _values.REQUIRED:
            raise TaskError(f"parameter {name} is not given")
    return found


def put_out(task: Task, returned: Any) -> None:
    """What a task returned becomes outputs; all that it names must be there then. TaskError."""
    if returned is not None and not isinstance(returned, Mapping):
        raise TaskError(f"the task returned a {type(returned).__name__}: a dict with its outputs, or nothing, is expected")
    for name, value in (returned or {}).items():
        if name not in task.outputs:
            raise TaskError(f"the task returned {name!r}, which is none of its outputs{nearest(str(name), task.outputs)}")
        current.output(name, value)
    missing = [name for name in task.outputs if not (current.outputs / name).exists()]
    if missing:
        raise TaskError(f"the task did not put out {', '.join(missing)}")


def main(words: Optional[List[str]] = None) -> int:
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if words else 2
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # logs are read live
    signal.signal(signal.SIGTERM, _terminated)
    try:
        task = find(words[0])
        current.params = arguments(task, words[1:])
    except (TaskError, CompileError) as error:
        print(f"modelbus.run: {error}", file=sys.stderr)
        return 2
    done = False
    try:
        put_out(task, task.function(**current.params))
        done = True
    except TaskError as error:
        traceback.print_exc()
        print(f"modelbus.run: {error}", file=sys.stderr)
        return 1
    finally:
        current.finish_experiment_run(failed=not done)
    return 0


def _terminated(number: int, _: Any) -> NoReturn:
    """A cancelled task still says that its experiment run has failed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
