# SPDX-License-Identifier: Apache-2.0
import http.client
import json
import os
import pathlib
import urllib.parse
import uuid


class Error(Exception):
    """The gateway refused or failed. code: "NOT_FOUND", "CONFLICT", ...; status: of HTTP, 0 when no answer came."""

    def __init__(self, code, message, status=0):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def __str__(self):
        return f"{self.message} ({self.code})"


class Client:
    """One kept-alive connection to a gateway.

    gateway_url and token default to the environment (MODELBUS_GATEWAY_URL, MODELBUS_TOKEN), as
    `modelbus local up` writes it into its env file. timeout: seconds, of each answer.
    """

    def __init__(self, gateway_url=None, token=None, timeout=60.0):
        url = urllib.parse.urlparse(gateway_url or os.environ.get("MODELBUS_GATEWAY_URL", "http://127.0.0.1:8080"))
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"gateway_url: {url.geturl()!r} is not an http(s) URL")
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(url.hostname, url.port, timeout=timeout)
        self._base = url.path.rstrip("/") + "/api/v1/"
        self._token = token if token is not None else os.environ.get("MODELBUS_TOKEN")

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def upload_artifact(self, content):
        """Store bytes, or the file at a path, and return the URI ("sha256:...")."""
        return self.store_artifact(content)["uri"]

    def store_artifact(self, content):
        """As upload_artifact(), but returns {"uri", "size_bytes"}."""
        if isinstance(content, (str, os.PathLike)):
            content = pathlib.Path(content).read_bytes()
        return self._call("POST", "artifacts", content, "application/octet-stream")

    def create_version(self, model, artifact, *, file_name="", format="", metrics=None, tags=None, feature_names=(),
                       description="", run_id="", reference_sample=None):
        """Make the next version of a model (which is created when it is new) and return it.

        artifact, reference_sample: a URI from upload_artifact(). metrics: name to number. tags: name to text.
        """
        body = {
            "artifact": {"uri": artifact, "file_name": file_name, "format": format},
            "metrics": [{"key": k, "value": float(v)} for k, v in (metrics or {}).items()],
            "tags": [{"key": k, "value": str(v)} for k, v in (tags or {}).items()],
            "feature_names": list(feature_names),
            "description": description,
            "run_id": run_id,
        }
        if reference_sample:
            body["reference_sample"] = {"uri": reference_sample}
        return self._json("POST", f"models/{_quote(model)}/versions", body)["version"]

    def get_version(self, model, version):
        return self._json("GET", f"models/{_quote(model)}/versions/{int(version)}")["version"]

    def set_alias(self, model, alias, version, *, expected_version=0, reason=""):
        """Point an alias at a version. expected_version: only if it points there now (-1: if it does not exist);
        otherwise Error with code CONFLICT."""
        body = {"version": int(version), "expected_version": int(expected_version), "reason": reason}
        return self._json("PUT", f"models/{_quote(model)}/aliases/{_quote(alias)}", body)["alias"]

    def create_endpoint(self, name, model, *, alias="champion"):
        return self._json("POST", "endpoints", {"name": name, "model_name": model, "alias": alias})["endpoint"]

    def get_endpoint(self, name):
        return self._json("GET", f"endpoints/{_quote(name)}")["endpoint"]

    def rollback(self, name, *, to_version=0, reason=""):
        """Go back to the last version that served well, or to to_version."""
        body = {"to_version": int(to_version), "reason": reason}
        return self._json("POST", f"endpoints/{_quote(name)}/rollback", body)["endpoint"]

    def _json(self, verb, path, body=None):
        return self._call(verb, path, None if body is None else json.dumps(body).encode(), "application/json")

    def _call(self, verb, path, body, content_type):
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        if verb != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        status, content = self._exchange(verb, self._base + path, body, headers)
        try:
            answer = json.loads(content) if content else {}
        except ValueError:
            answer = {"detail": f"the answer of {path} is not JSON"}
            status = status if status >= 300 else 502
        if status >= 300:
            raise Error(answer.get("code", "INTERNAL"), answer.get("detail") or answer.get("title") or f"HTTP {status}", status)
        return answer

    def _exchange(self, verb, path, body, headers):
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


def _quote(text):
    return urllib.parse.quote(text, safe="")
