# SPDX-License-Identifier: Apache-2.0
"""The tasks of a run as a table that is drawn again, or as lines."""

from __future__ import annotations

import html
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, TextIO

if TYPE_CHECKING:
    from modelbus._pipeline_run import Run

_HEADS = ["TASK", "STATUS", "ITEMS", "TIME", ""]
_COLOURS = {"succeeded": "32", "running": "36", "failed": "31", "cancelled": "33", "skipped": "2", "waiting": "2"}
_SHADES = {"succeeded": "#1a7f37", "running": "#0969da", "failed": "#cf222e", "cancelled": "#9a6700"}


def screen(out: Optional[TextIO] = None) -> "Screen":
    """What fits where this program runs."""
    out = out or sys.stdout
    if in_notebook():
        return Notebook()
    return Terminal(out) if out.isatty() else Lines(out)


def in_notebook() -> bool:
    """Within a kernel that draws HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


class Screen:
    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def show(self, run: "Run") -> None:
        raise NotImplementedError


class Lines(Screen):
    """A line for each task whose status has changed, and for the run."""

    def __init__(self, out: TextIO):
        self._out, self._seen = out, {}  # type: ignore[var-annotated]

    def show(self, run: "Run") -> None:
        for row in rows(run):
            state = (row[1], row[2])
            if self._seen.get(row[0], ("waiting", "")) != state:
                self._seen[row[0]] = state
                self._out.write(" ".join(filter(None, [time.strftime("%H:%M:%S"), *row])) + "\n")
        if run.ended:
            self._out.write(f"{time.strftime('%H:%M:%S')} {headline(run)}\n")
        self._out.flush()


class Terminal(Screen):
    """The table, over itself."""

    def __init__(self, out: TextIO):
        self._out, self._drawn = out, 0

    def show(self, run: "Run") -> None:
        width, height = shutil.get_terminal_size()
        table = [_HEADS, *rows(run)]
        widths = [max(len(row[i]) for row in table) for i in range(4)]
        lines = [headline(run)[:width]]
        for row in table:
            text = "  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]).rstrip()[:width]
            colour = _COLOURS.get(row[1])
            lines.append(f"\x1b[{colour}m{text}\x1b[0m" if colour else text)
        if len(lines) >= height:
            lines = lines[: height - 2] + [f"... {len(lines) - height + 2} more"]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._out.write(up + "".join(f"\r\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self._out.flush()
        self._drawn = len(lines)


class Notebook(Screen):
    """The table as HTML, in one output cell that is updated."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, run: "Run") -> None:
        from IPython import display  # type: ignore[import-not-found,unused-ignore]

        table = display.HTML(to_html(run))
        if self._handle is None:
            self._handle = display.display(table, display_id=True)
        else:
            self._handle.update(table)


def to_html(run: "Run") -> str:
    cells = "".join(
        "<tr>" + "".join(f'<td style="text-align:left;color:{_SHADES.get(row[1], "inherit") if i == 1 else "inherit"}">'
                         f"{html.escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows(run))
    heads = "".join(f'<th style="text-align:left">{head.lower()}</th>' for head in _HEADS)
    return f"<p>{html.escape(headline(run))}</p><table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"


def headline(run: "Run") -> str:
    reason = run.state.get("reason")
    return f"{run.pipeline} {run.id}: {run.status}" + (f" ({reason})" if reason else "")


def rows(run: "Run") -> List[List[str]]:
    return [_row(task) for task in run.tasks]


def _row(task: Dict[str, Any]) -> List[str]:
    items = int(task.get("items", 1))
    done = int(task.get("succeeded", 0)) + int(task.get("failed", 0))
    status = task.get("status", "waiting")
    note = task.get("reason", "") or ("cached" if task.get("cached") else "")
    return [_clean(task["task"]), status, f"{done}/{items}" if items > 1 else "", _duration(task), _clean(note)]


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _duration(task: Dict[str, Any]) -> str:
    started, finished = int(task.get("started_at_ms", 0)), int(task.get("finished_at_ms", 0))
    if not started or not finished:
        return ""
    seconds = (finished - started) / 1000
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
