# SPDX-License-Identifier: Apache-2.0
"""Definitions as YAML: a writer for this one form.

Mappings and lists in block style, short lists of texts on one line. A text is bare only when no YAML reader,
1.1 or 1.2, could take it for something else; otherwise it stands in quotes.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

_BARE = re.compile(r"(-{0,2}[A-Za-z]|_)[A-Za-z0-9_./+@-]*( [A-Za-z0-9_./+@()-]+)*\Z")
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none"}
_LINE = 100


def dump(value: Mapping[str, Any], heading: str = "") -> str:
    """The document. heading: a comment, one line for each of its lines."""
    lines = ["# " + line for line in heading.splitlines()]
    _mapping(value, 0, lines)
    return "\n".join(lines) + "\n"


def scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text  # YAML 1.1 wants the point
    if _BARE.match(value) and value.lower() not in _WORDS:
        return value
    if '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return '"' + "".join(map(_character, value)) + '"'


def _character(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    if c == "\n":
        return "\\n"
    if c.isprintable():
        return c
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _mapping(value: Mapping[str, Any], indent: int, lines: "list[str]", first: str = "") -> None:
    """first: what stands before the first name instead of blanks ("  - ")."""
    for name, item in value.items():
        head = (first or " " * indent) + scalar(name) + ":"
        first = ""
        if isinstance(item, Mapping):
            lines.append(head)
            _mapping(item, indent + 2, lines)
        elif isinstance(item, (list, tuple)):
            _list(head, item, indent, lines)
        else:
            lines.append(f"{head} {scalar(item)}")


def _list(head: str, items: Any, indent: int, lines: "list[str]") -> None:
    if not any(isinstance(item, Mapping) for item in items):
        line = f"{head} [{', '.join(map(scalar, items))}]"
        if len(line) <= _LINE:
            lines.append(line)
            return
    lines.append(head)
    for item in items:
        if isinstance(item, Mapping):
            _mapping(item, indent + 4, lines, " " * (indent + 2) + "- ")
        else:
            lines.append(" " * (indent + 2) + "- " + scalar(item))
