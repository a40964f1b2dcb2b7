# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import http.client
import itertools
import json
import math
import os
import pathlib
import urllib.parse
import uuid
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from modelbus import _values

if TYPE_CHECKING:
    from modelbus._pipeline import Pipeline
    from modelbus._pipeline_run import Run

Content = Union[bytes, str, "os.PathLike[str]"]
Json = Dict[str, Any]


class Error(Exception):
    """The gateway refused or failed. code: "NOT_FOUND", "CONFLICT", ...; status: of HTTP, 0 when no answer came."""

    def __init__(self, code: str, message: str, status: int = 0):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"

    @property
    def passing(self) -> bool:
        """The same again later may be answered."""
        return self.code == "UNAVAILABLE" or self.status in (429, 502, 503, 504)


class Client:
    """One kept-alive connection to a gateway.

    gateway_url and token default to the environment (MODELBUS_GATEWAY_URL, MODELBUS_TOKEN), as
    `modelbus local up` writes it into its env file. timeout: seconds, of each answer.
    """

    def __init__(self, gateway_url: Optional[str] = None, token: Optional[str] = None, timeout: float = 60.0):
        url = urllib.parse.urlparse(gateway_url or os.environ.get("MODELBUS_GATEWAY_URL", "http://127.0.0.1:8080"))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"gateway_url: {url.geturl()!r} is not an http(s) URL")
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(url.hostname, url.port, timeout=timeout)
        self._base = url.path.rstrip("/") + "/api/v1/"
        self._token = token if token is not None else os.environ.get("MODELBUS_TOKEN")

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def upload_artifact(self, content: Content) -> str:
        """Store bytes, or the file at a path, and return the URI ("sha256:...")."""
        return self.store_artifact(content)["uri"]

    def store_artifact(self, content: Content) -> Json:
        """As upload_artifact(), but returns {"uri", "size_bytes"}."""
        if isinstance(content, (str, os.PathLike)):
            content = pathlib.Path(content).read_bytes()
        return self._call("POST", "artifacts", content, "application/octet-stream")

    def create_version(self, model: str, artifact: str, *, file_name: str = "", format: str = "",
                       metrics: Optional[Mapping[str, float]] = None, tags: Optional[Mapping[str, Any]] = None,
                       feature_names: Sequence[str] = (), description: str = "", run_id: str = "",
                       reference_sample: Optional[str] = None) -> Json:
        """Make the next version of a model (which is created when it is new) and return it.

        artifact, reference_sample: a URI from upload_artifact(). metrics: name to number. tags: name to text.
        """
        body = {
            "artifact": {"uri": artifact, "file_name": file_name, "format": format},
            "metrics": metric_list(metrics or {}),
            "tags": [{"key": k, "value": str(v)} for k, v in (tags or {}).items()],
            "feature_names": list(feature_names),
            "description": description,
            "run_id": run_id,
        }
        if reference_sample:
            body["reference_sample"] = {"uri": reference_sample}
        return self._json("POST", f"models/{_quote(model)}/versions", body)["version"]

    def get_version(self, model: str, version: int) -> Json:
        return self._json("GET", f"models/{_quote(model)}/versions/{int(version)}")["version"]

    def get_alias(self, model: str, alias: str) -> Optional[Json]:
        """The version that an alias points to; None: there is no such alias or model."""
        try:
            return self._json("GET", f"models/{_quote(model)}/aliases/{_quote(alias)}")["version"]
        except Error as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def list_versions(self, model: str) -> List[Json]:
        """The newest 100 versions of a model, newest first."""
        return self._json("GET", f"models/{_quote(model)}/versions").get("versions", [])

    def set_promotion_policy(self, model: str, metric: str, *, higher_is_better: bool, min_margin: float = 0.0,
                             any_window: bool = False, alias: str = "champion") -> Json:
        """A challenger takes the alias when it beats the version that holds it by min_margin of the metric, on the same
        evaluation window (any_window: the champion's value may be of another one)."""
        body = {"alias": alias, "metric": metric, "direction": "maximize" if higher_is_better else "minimize",
                "min_margin": float(min_margin), "any_window": bool(any_window)}
        return self._json("PUT", f"models/{_quote(model)}/promotion-policy", body)["policy"]

    def get_promotion_policy(self, model: str, *, alias: str = "champion") -> Json:
        return self._json("GET", f"models/{_quote(model)}/promotion-policy?alias={_quote(alias)}")["policy"]

    def delete_promotion_policy(self, model: str, *, alias: str = "champion") -> None:
        self._json("DELETE", f"models/{_quote(model)}/promotion-policy?alias={_quote(alias)}")

    def evaluate_version(self, model: str, version: int, window: str, metrics: Mapping[str, float], *, rows: int = 0) -> Json:
        """Keep what a version reached on an evaluation window (a digest or name of the data): what challenge() compares."""
        body = {"window": window, "rows": int(rows), "metrics": metric_list(metrics)}
        return self._json("POST", f"models/{_quote(model)}/versions/{int(version)}/evaluations", body)["evaluation"]

    def challenge(self, model: str, version: int, window: str, *, alias: str = "champion") -> Json:
        """Judge a version against the one that holds the alias, on a window where both were evaluated; the better one by
        the promotion policy gets the alias. Returns the decision: "promoted", "reason", both values. The same version on
        the same window is judged once."""
        body = {"alias": alias, "window": window}
        return self._json("POST", f"models/{_quote(model)}/versions/{int(version)}/challenge", body)["decision"]

    def set_alias(self, model: str, alias: str, version: int, *, expected_version: int = 0, reason: str = "") -> Json:
        """Point an alias at a version. expected_version: only if it points there now (-1: if it does not exist);
        otherwise Error with code CONFLICT."""
        body = {"version": int(version), "expected_version": int(expected_version), "reason": reason}
        return self._json("PUT", f"models/{_quote(model)}/aliases/{_quote(alias)}", body)["alias"]

    def create_endpoint(self, name: str, model: str, *, alias: str = "champion") -> Json:
        return self._json("POST", "endpoints", {"name": name, "model_name": model, "alias": alias})["endpoint"]

    def get_endpoint(self, name: str) -> Json:
        return self._json("GET", f"endpoints/{_quote(name)}")["endpoint"]

    def rollback(self, name: str, *, to_version: int = 0, reason: str = "") -> Json:
        """Go back to the last version that served well, or to to_version."""
        body = {"to_version": int(to_version), "reason": reason}
        return self._json("POST", f"endpoints/{_quote(name)}/rollback", body)["endpoint"]

    # ---- labels ----

    def push_labels(self, endpoint: str, labels: Any, *, batch: int = 5000) -> int:
        """Say what turned out to be true of predictions, and return how many labels were taken.

        labels: a dict, or an iterable of pairs, of prediction id (the request's; of later rows of a request "<id>#<row>")
        and label. Pushing a label again is harmless. What became of them: get_performance().
        """
        taken = 0
        pairs = iter(labels.items() if hasattr(labels, "items") else labels)
        while some := [{"prediction_id": str(k), "value": _label(v)} for k, v in itertools.islice(pairs, batch)]:
            taken += self._json("POST", f"endpoints/{_quote(endpoint)}/labels", {"labels": some})["taken"]
        return taken

    def get_performance(self, endpoint: str) -> Json:
        """How well an endpoint predicts, as labels show, and what became of the labels."""
        return self._json("GET", f"endpoints/{_quote(endpoint)}/performance")["performance"]

    # ---- experiment runs ----

    def create_run(self, experiment: str, *, run_name: str = "", tags: Optional[Mapping[str, Any]] = None) -> Json:
        body = {"experiment": experiment, "run_name": run_name, "tags": tag_list(tags or {})}
        return self._json("POST", "runs", body)["run"]

    def log_batch(self, run_id: str, *, metrics: Sequence[Json] = (), params: Optional[Mapping[str, Any]] = None) -> None:
        """metrics: {"key", "value", "step", "timestamp_ms"}, at most 1000."""
        self._json("POST", f"runs/{_quote(run_id)}/batch", {"metrics": list(metrics), "params": tag_list(params or {})})

    def attach_model(self, run_id: str, model: Json) -> Json:
        """model: by the names of modelbus.experiment.v1.AttachedModel. It becomes a version when the run finishes."""
        return self._json("POST", f"runs/{_quote(run_id)}/models", {"model": model})["run"]

    def finish_run(self, run_id: str, *, failed: bool = False) -> Json:
        status = "RUN_STATUS_FAILED" if failed else "RUN_STATUS_FINISHED"
        return self._json("POST", f"runs/{_quote(run_id)}/finish", {"status": status})["run"]

    # ---- pipelines ----

    def apply(self, pipeline: "Union[Pipeline, str, os.PathLike[str]]", *, dry_run: bool = False) -> Json:
        """Make or change a pipeline: a @pipeline (its source is stored first), or the text or path of its YAML.
        Returns {"pipeline", "outcome": "created", "changed" or "unchanged"}. dry_run: only check it."""
        if isinstance(pipeline, os.PathLike):
            text = pathlib.Path(pipeline).read_text(encoding="utf-8")
        elif isinstance(pipeline, str):
            text = pipeline
        else:
            archive = pipeline.package(None if dry_run else self)
            text = pipeline.to_yaml(archive.uri)
        return self._json("PUT", "pipelines", {"text": text, "dry_run": dry_run})

    def start(self, pipeline: str, /, **parameters: Any) -> "Run":
        """Start a run of the newest version of a pipeline."""
        texts = {name: value_text(name, value) for name, value in parameters.items()}
        return self._run(self._json("POST", f"pipelines/{_quote(pipeline)}/runs", {"parameters": texts})["run"])

    def get_pipeline(self, name: str) -> Json:
        return self._json("GET", f"pipelines/{_quote(name)}")["pipeline"]

    def get_pipeline_run(self, run: str) -> "Run":
        return self._run(self._json("GET", f"pipeline-runs/{_quote(run)}")["run"])

    def _run(self, state: Json) -> "Run":
        from modelbus._pipeline_run import Run

        return Run(self, state)

    def _json(self, verb: str, path: str, body: Optional[Json] = None) -> Json:
        return self._call(verb, path, None if body is None else json.dumps(body).encode(), "application/json")

    def _call(self, verb: str, path: str, body: Optional[bytes], content_type: str) -> Json:
        status, content = self._send(verb, path, body, content_type)
        try:
            answer = json.loads(content) if content else {}
        except ValueError:
            answer = {"detail": f"the answer of {path} is not JSON"}
            status = status if status >= 300 else 502
        if status >= 300:
            raise _refusal(answer, status)
        return answer

    def read_artifact(self, uri: str) -> bytes:
        """An artifact's bytes."""
        status, content = self._send("GET", f"artifacts/{_quote(uri)}", None, "")
        if status >= 300:
            try:
                answer = json.loads(content)
            except ValueError:
                answer = {}
            raise _refusal(answer, status)
        return content

    def _send(self, verb: str, path: str, body: Optional[bytes], content_type: str) -> "tuple[int, bytes]":
        headers = {"Accept": "application/json" if content_type else "*/*"}
        if body is not None:
            headers["Content-Type"] = content_type
        if verb != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if os.environ.get("TRACEPARENT"):  # of the pipeline's run, so that what comes of the call is part of its trace
            headers["traceparent"] = os.environ["TRACEPARENT"]
        return self._exchange(verb, self._base + path, body, headers)

    def _exchange(self, verb: str, path: str, body: Optional[bytes], headers: Mapping[str, str]) -> "tuple[int, bytes]":
        """A kept-alive connection may have been closed meanwhile: then once more, on a new one."""
        for last in (False, True):
            try:
                self._connection.request(verb, path, body, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if last or isinstance(error, TimeoutError):
                    raise Error("UNAVAILABLE", f"{self._connection.host}:{self._connection.port}: {error}") from error
        raise AssertionError("not reached")


def _label(value: Any) -> str:
    """True as "true", numpy's numbers as plain ones."""
    value = value.item() if hasattr(value, "item") else value
    return str(value).lower() if isinstance(value, bool) else str(value)


def metric_list(metrics: Mapping[str, float]) -> List[Json]:
    return [{"key": key, "value": number(value)} for key, value in metrics.items()]


def number(value: Any) -> Union[float, str]:
    """As protobuf's JSON wants it: what is not finite is a text."""
    value = float(value)
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def tag_list(tags: Mapping[str, Any]) -> List[Json]:
    return [{"key": key, "value": str(value)} for key, value in tags.items()]


def value_text(name: str, value: Any) -> str:
    """A parameter's value as it travels. ValueError."""
    try:
        if isinstance(value, (list, tuple)):
            return json.dumps([_values.plain_text(item) for item in value], ensure_ascii=False)
        return _values.plain_text(value)
    except ValueError as error:
        raise ValueError(f"parameter {name}: {error}") from error


def _refusal(answer: Any, status: int) -> Error:
    answer = answer if isinstance(answer, dict) else {}
    return Error(answer.get("code", "INTERNAL"), answer.get("detail") or answer.get("title") or f"HTTP {status}", status)


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")
