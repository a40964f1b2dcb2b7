# SPDX-License-Identifier: Apache-2.0
"""Values travel as text: what annotations mean, and both ways between text and Python."""

from __future__ import annotations

import inspect
import json
import math
import pathlib
import re
import typing
from typing import Any, Callable, Dict, NamedTuple, NoReturn

from modelbus._place import CompileError, of_function

NAMES = {str: "string", int: "int", float: "float", bool: "bool"}
TYPES = {name: type for type, name in NAMES.items()}
REQUIRED = inspect.Parameter.empty


class Kind(NamedTuple):
    """Of a parameter. name: string, int, float, bool, list or (of tasks only) file and dict; element: of a list."""

    name: str
    element: str = "string"
    description: str = ""

    def __str__(self) -> str:
        return f"list of {self.element}" if self.name == "list" else self.name


class Argument(NamedTuple):
    kind: Kind
    default: Any  # REQUIRED: none


def signature(function: Callable[..., Any], default_kind: str = "string") -> Dict[str, Argument]:
    """The parameters of a function, typed by their annotations, else by their defaults."""
    place = of_function(function)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise CompileError(f"{function.__name__}: an annotation is not understood: {error}", place) from error
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise CompileError(f"{function.__name__}: parameter {name}: every parameter needs a name of its own", place)
        default = parameter.default
        hint = hints.get(name)
        if hint is None and default is not REQUIRED and default is not None:
            hint = type(default)
        found[name] = Argument(_kind(hint, f"{function.__name__}: parameter {name}", place, default_kind), default)
    return found


def _kind(hint: Any, what: str, place: Any, default_kind: str) -> Kind:
    description = ""
    if typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
        description = next((note for note in notes if isinstance(note, str)), "")
    if hint is None:
        return Kind(default_kind, description=description)
    if hint in NAMES:
        return Kind(NAMES[hint], description=description)
    if isinstance(hint, type) and issubclass(hint, pathlib.PurePath):
        return Kind("file", description=description)
    if hint is dict or typing.get_origin(hint) is dict:
        return Kind("dict", description=description)
    if hint is list or typing.get_origin(hint) is list:
        element = (typing.get_args(hint) or (str,))[0]
        if element in NAMES:
            return Kind("list", NAMES[element], description)
    name = getattr(hint, "__name__", None) or str(hint)
    raise CompileError(f"{what} is a {name}; str, int, float, bool, list of these or (of a task) dict, and Path for an input file, is expected", place)


def to_text(value: Any, kind: Kind) -> str:
    """ValueError: it is not of that kind; the message says what is expected."""
    if kind.name == "list":
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{value!r} is no list")
        return json.dumps([to_text(item, Kind(kind.element)) for item in value], ensure_ascii=False, separators=(",", ":"))
    if kind.name == "dict":
        return item_text(value) if isinstance(value, dict) else _refuse(value, "dict")
    expected = TYPES[kind.name]
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not expected:
        _refuse(value, kind.name)
    return plain_text(value)


def _refuse(value: Any, expected: str) -> NoReturn:
    raise ValueError(f"{value!r} is no {expected}")


def item_text(value: Any) -> str:
    """Of an item of a map: as plain_text(), and dicts of such values as JSON."""
    if not isinstance(value, dict):
        return plain_text(value)
    for name, part in value.items():
        plain_text(name)
        plain_text(part)
    return json.dumps(value, ensure_ascii=False)


def plain_text(value: Any) -> str:
    """Of a text, number or truth value. ValueError: it is something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not a finite number")
        return repr(value)
    if isinstance(value, str):
        if "\0" in value or not value.isascii() and re.search("[\ud800-\udfff]", value):
            raise ValueError(f"{value!r} is not UTF-8 text")
        return value
    raise ValueError(f"{value!r} is a {type(value).__name__}; a literal text, number, truth value or list of these is expected")


def from_text(text: str, kind: Kind) -> Any:
    """ValueError: the text does not say a value of that kind."""
    if kind.name == "list":
        items = json.loads(text)
        if not isinstance(items, list):
            raise ValueError("a JSON list is expected")
        return [from_text(item if isinstance(item, str) else json.dumps(item), Kind(kind.element)) for item in items]
    if kind.name == "dict":
        found = json.loads(text)
        return found if isinstance(found, dict) else _refuse(text, "JSON object")
    if kind.name == "bool":
        if text not in ("true", "false"):
            raise ValueError("true or false is expected")
        return text == "true"
    return TYPES[kind.name](text)
