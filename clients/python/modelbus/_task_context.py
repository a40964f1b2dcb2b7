# SPDX-License-Identifier: Apache-2.0
"""What a task has while it runs: `current`."""

from __future__ import annotations

import csv
import io
import json
import os
import pathlib
import shutil
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

from modelbus import _values
from modelbus._client import Client, Content, Error, number

BATCH_METRICS = 500
BATCH_PARAMS = 100
BATCH_SECONDS = 1.0
VERSION_SECONDS = 60.0


class TaskError(Exception):
    """A task asked for what it does not have here."""


class Current:
    """The task that this process runs. Its places and names come from the environment that the worker gives it."""

    def __init__(self) -> None:
        self.params: Dict[str, Any] = {}
        self._client: Optional[Client] = None
        self._experiment_run = ""
        self._metrics: List[Dict[str, Any]] = []
        self._sent = 0.0

    # ---- who and where ----

    @property
    def run(self) -> str:
        """Id of the pipeline's run."""
        return _environment("MODELBUS_RUN")

    @property
    def pipeline(self) -> str:
        return _environment("MODELBUS_PIPELINE")

    @property
    def experiment(self) -> str:
        """That training runs belong to unless they say otherwise; empty: the platform's default."""
        return os.environ.get("MODELBUS_EXPERIMENT") or os.environ.get("MODELBUS_PIPELINE", "")

    @property
    def task(self) -> str:
        return _environment("MODELBUS_TASK")

    @property
    def index(self) -> int:
        """Place in a map, from 0; -1: no map."""
        return int(os.environ.get("MODELBUS_INDEX") or -1)

    @property
    def attempt(self) -> int:
        """From 1."""
        return int(os.environ.get("MODELBUS_ATTEMPT") or 1)

    @property
    def inputs(self) -> pathlib.Path:
        """The folder of the input files."""
        return pathlib.Path(_environment("MODELBUS_INPUTS"))

    @property
    def outputs(self) -> pathlib.Path:
        """The folder in which the task leaves its outputs."""
        return pathlib.Path(_environment("MODELBUS_OUTPUTS"))

    def input(self, name: str) -> pathlib.Path:
        path = self.inputs / name
        if not path.exists():
            raise TaskError(f"there is no input {name!r}: {', '.join(sorted(p.name for p in self.inputs.iterdir())) or 'there are none'}")
        return path

    def output(self, name: str, value: Any) -> None:
        """Put something out: a file by its Path, bytes, a text, a number or truth value, a list or dict as JSON."""
        path = self.outputs / name
        if isinstance(value, os.PathLike):
            if pathlib.Path(value).resolve() != path.resolve():
                shutil.copyfile(value, path)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            path.write_bytes(value)
        else:
            path.write_bytes(_output_text(name, value).encode())

    # ---- what it says to the platform ----

    @property
    def client(self) -> Client:
        """Of the gateway, with the task's token."""
        if self._client is None:
            self._client = Client(_environment("MODELBUS_GATEWAY_URL"))
        return self._client

    def store(self, content: Content) -> str:
        """Store bytes, or the file at a path, and return the URI: a small output that may stand for a large one."""
        return self._ask(lambda client: client.upload_artifact(content))

    def start_experiment_run(self, experiment: str = "", run_name: str = "") -> str:
        """Begin the training run that what is logged belongs to, and return its id. Without this call the first thing
        that is logged begins one. experiment: the pipeline's name, or what the task's env says as MODELBUS_EXPERIMENT."""
        if self._experiment_run:
            raise TaskError(f"the experiment run {self._experiment_run} is not finished")
        place = f"[{self.index}]" if self.index >= 0 else ""
        tags = {"modelbus.run": self.run, "modelbus.task": self.task, "modelbus.index": self.index, "modelbus.attempt": self.attempt}
        name = run_name or f"{self.task}{place} of {self.run}"
        made = self._ask(lambda client: client.create_run(experiment or self.experiment, run_name=name, tags=tags))
        self._experiment_run, self._sent = made["run_id"], time.monotonic()
        return self._experiment_run

    def log_metric(self, key: str, value: float, step: int = 0) -> None:
        self.log_metrics({key: value}, step)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Kept for up to a second, or 500 of them, and sent together."""
        self._begun()
        now = int(time.time() * 1000)
        self._metrics += [{"key": k, "value": number(v), "step": step, "timestamp_ms": now} for k, v in metrics.items()]
        if len(self._metrics) >= BATCH_METRICS or time.monotonic() - self._sent > BATCH_SECONDS:
            self.flush()

    def log_params(self, params: Mapping[str, Any]) -> None:
        run, items = self._begun(), list(params.items())
        for i in range(0, len(items), BATCH_PARAMS):
            self._ask(lambda client, part=dict(items[i : i + BATCH_PARAMS]): client.log_batch(run, params=part))

    def flush(self) -> None:
        """Send the metrics that are kept."""
        while self._metrics:
            batch = self._metrics[:BATCH_METRICS]
            self._ask(lambda client: client.log_batch(self._experiment_run, metrics=batch))
            del self._metrics[: len(batch)]
        self._sent = time.monotonic()

    def finish_experiment_run(self, failed: bool = False) -> None:
        """The end of a task does it."""
        if self._experiment_run:
            self.flush()
            self._ask(lambda client: client.finish_run(self._experiment_run, failed=failed))
            self._experiment_run = ""

    def publish_model(self, name: str, model: Content, *, file_name: str = "", format: str = "",
                      metrics: Optional[Mapping[str, float]] = None, feature_names: Sequence[str] = (),
                      reference: Any = None, description: str = "") -> Dict[str, Any]:
        """Store a model and say ModelTrained: the experiment run finishes with it. Returns the version that the registry
        makes of it.

        model: bytes or a path. reference: a sample of the training data, which drift is measured against: a path or
        bytes of a CSV file with a header line, a DataFrame, or rows of numbers in the order of feature_names.
        """
        self._begun()
        if metrics:
            self.log_metrics(metrics)
        if isinstance(model, (str, os.PathLike)):
            file_name = file_name or pathlib.Path(model).name
        attached: Dict[str, Any] = {
            "model_name": name, "feature_names": list(feature_names), "description": description,
            "artifact": {**self._stored(model), "file_name": file_name, "format": format},
        }
        if reference is not None:
            attached["reference_sample"] = {**self._stored(reference_csv(reference, feature_names)), "file_name": "reference.csv"}
        run = self._experiment_run
        self.flush()
        self._ask(lambda client: client.attach_model(run, attached))
        self.finish_experiment_run()
        return self._version(name, run)

    def _version(self, name: str, run: str) -> Dict[str, Any]:
        """The registry hears of the model by an event."""
        end, pause = time.monotonic() + VERSION_SECONDS, 0.01
        while time.monotonic() < end:
            try:
                for version in self._ask(lambda client: client.list_versions(name)):
                    if version.get("run_id") == run:
                        return version
            except Error as error:
                if error.code != "NOT_FOUND":
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
        raise TaskError(f"the registry has made no version of {name} from run {run} within {VERSION_SECONDS:.0f} s")

    def _begun(self) -> str:
        return self._experiment_run or self.start_experiment_run()

    def _stored(self, content: Content) -> Dict[str, Any]:
        return self._ask(lambda client: client.store_artifact(content))

    def _ask(self, ask: Any) -> Any:
        try:
            return ask(self.client)
        except Error as error:
            if error.status in (401, 403) and not os.environ.get("MODELBUS_TOKEN"):
                raise TaskError(f"{error}; MODELBUS_TOKEN is not set: give the worker a token for its tasks") from error
            raise


def reference_csv(rows: Any, names: Sequence[str]) -> Content:
    """Rows as CSV with a header line; what is CSV already stays."""
    if isinstance(rows, (bytes, str, os.PathLike)):
        return rows
    if hasattr(rows, "to_csv"):
        return rows.to_csv(index=False).encode()
    rows = rows.tolist() if hasattr(rows, "tolist") else rows
    if not names:
        raise TaskError("reference: rows need feature_names for the header line")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        if len(row) != len(names):
            raise TaskError(f"reference: a row has {len(row)} values, there are {len(names)} feature_names")
        writer.writerow(row)
    return out.getvalue().encode()


def _output_text(name: str, value: Any) -> str:
    try:
        if isinstance(value, (list, tuple, dict)):
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
        return _values.plain_text(value.item() if hasattr(value, "item") else value)  # numpy's numbers
    except (TypeError, ValueError) as error:
        raise TaskError(f"output {name!r}: {error}; a Path, bytes, text, number, truth value, list or dict is expected") from error


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise TaskError(f"{name} is not set: is this a task that a worker of modelbus runs?")
    return value


current = Current()
