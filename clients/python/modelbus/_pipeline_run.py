# SPDX-License-Identifier: Apache-2.0
"""A run of a pipeline: wait for it, watch it, read its logs."""

from __future__ import annotations

import base64
import codecs
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from modelbus import _watch
from modelbus._client import Error, _quote

if TYPE_CHECKING:
    from modelbus._client import Client

WAIT_MS = 25000
PATIENCE_S = 120.0  # with a gateway that does not answer, while a run is followed
ENDED = ("succeeded", "failed", "cancelled")


class RunFailed(Exception):
    """A run that was waited for did not succeed. run: the Run."""

    def __init__(self, run: "Run"):
        bad = [f"{task['task']} ({task.get('reason') or 'failed'})" for task in run.tasks if task.get("status") == "failed"]
        super().__init__(f"run {run.id} of {run.pipeline} {run.status}: {', '.join(bad) or run.state.get('reason') or 'no reason given'}")
        self.run = run


class Run:
    """state: the run as it was seen last, by the names of modelbus.pipeline.v1.PipelineRun."""

    def __init__(self, client: "Client", state: Dict[str, Any]):
        self._client, self.state = client, state

    @property
    def id(self) -> str:
        return self.state["run"]

    @property
    def pipeline(self) -> str:
        return self.state.get("pipeline", "")

    @property
    def status(self) -> str:
        """"waiting", "running", "cancelling", "succeeded", "failed", "cancelled"."""
        return self.state.get("status", "")

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def tasks(self) -> List[Dict[str, Any]]:
        return self.state.get("tasks", [])

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.pipeline}: {self.status}>"

    def refresh(self) -> "Run":
        """Look at it again."""
        self.state = self._call("GET", "")["run"]
        return self

    def changes(self, timeout: Optional[float] = None) -> Iterator["Run"]:
        """The run as it is, and again after each change, until it has ended. timeout: seconds; TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        self._followed(end, 0)
        yield self
        while not self.ended:
            before = self.state.get("revision")
            self._followed(end, WAIT_MS)
            if self.state.get("revision") != before or self.ended:
                yield self

    def wait(self, timeout: Optional[float] = None, check: bool = True) -> "Run":
        """Until it has ended. check: RunFailed unless it succeeded. timeout: seconds; TimeoutError."""
        for _ in self.changes(timeout):
            pass
        if check and self.status != "succeeded":
            raise RunFailed(self)
        return self

    def watch(self, timeout: Optional[float] = None) -> "Run":
        """Show its tasks until it has ended: a live table in a notebook and on a terminal, lines elsewhere."""
        with _watch.screen() as screen:
            for state in self.changes(timeout):
                screen.show(state)
        return self

    def logs(self, task: str, *, index: int = 0, attempt: int = 0, follow: bool = False) -> Iterator[str]:
        """Lines of a task's log, without their ends. index: place in a map. attempt: 0 is the latest. follow: wait
        for what is still to come."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        offset, rest, ended = 0, "", False
        while not ended:
            query = f"?index={index}&attempt={attempt}&offset={offset}&wait_ms={WAIT_MS if follow else 0}"
            answer = self._patient(lambda: self._call("GET", f"/tasks/{_quote(task)}/log{query}"), None)
            data = base64.b64decode(answer.get("data", ""))
            offset, attempt = int(answer.get("next_offset", offset + len(data))), int(answer.get("attempt", attempt))
            ended = answer.get("ended", False) or not follow and not data
            if answer.get("ended") and answer.get("uri"):  # what was not streamed before the task's end
                data += self._patient(lambda: self._client.read_artifact(answer["uri"]), None)[offset:]
            *lines, rest = (rest + decode(data, ended)).split("\n")
            yield from lines
        if rest:
            yield rest

    def outputs(self, task: str, *, index: int = -1) -> Dict[str, str]:
        """What a task has put out: the text where it is small, else the URI in the artifact store. index: place in a
        map, whose items' outputs are the attempts'."""
        self.refresh()
        for state in self.state.get("attempts", []) if index >= 0 else self.tasks:
            if state["task"] == task and (index < 0 or int(state.get("index", 0)) == index and state.get("status") in ("succeeded", "cached")):
                return {o["name"]: o.get("value", "") if o.get("small") else o.get("uri", "") for o in state.get("outputs", [])}
        raise KeyError(f"run {self.id} has no outputs of task {task}" + (f"[{index}]" if index >= 0 else ""))

    def cancel(self, reason: str = "") -> "Run":
        self.state = self._call("POST", "/cancel", {"reason": reason})["run"]
        return self

    def resume(self, task: str = "") -> "Run":
        """Go on with what did not succeed, or only with a task and what needs it."""
        self.state = self._call("POST", "/resume", {"task": task})["run"]
        return self

    def _call(self, verb: str, rest: str, body: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        return self._client._json(verb, f"pipeline-runs/{_quote(self.id)}{rest}", body)

    def _followed(self, end: Optional[float], wait_ms: int) -> None:
        left = wait_ms if end is None else max(0, min(wait_ms, int((end - time.monotonic()) * 1000)))
        query = f"?wait_ms={left}&revision={self.state.get('revision', 0)}" if wait_ms else ""
        self.state = self._patient(lambda: self._call("GET", query), end)["run"]
        if end is not None and not self.ended and time.monotonic() >= end:
            raise TimeoutError(f"run {self.id} of {self.pipeline} is still {self.status}")

    def _patient(self, ask: Any, end: Optional[float]) -> Any:
        """A gateway that is being restarted does not end what follows a run."""
        give_up = min(time.monotonic() + PATIENCE_S, end or float("inf"))
        pause = 0.1
        while True:
            try:
                return ask()
            except Error as error:
                if not error.passing or time.monotonic() + pause > give_up:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
