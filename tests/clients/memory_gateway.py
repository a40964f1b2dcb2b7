# SPDX-License-Identifier: Apache-2.0
"""A gateway in memory, for the tests of the Python package: artifacts, training runs, models, endpoints."""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse


class Refused(Exception):
    def __init__(self, status, code, detail):
        super().__init__(detail)
        self.status, self.code = status, code


class Gateway:
    """Its state is public; token: what callers must have, when it is set."""

    def __init__(self):
        self.artifacts, self.runs, self.models, self.endpoints, self.pipeline_runs = {}, {}, {}, {}, {}
        self.outcome = "succeeded"  # of pipelines' runs, by the second look
        self.seen, self.token, self.lock = [], None, threading.Lock()
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content = 200, b""
                try:
                    with gateway.lock:
                        content = gateway.handle(self.command, urllib.parse.unquote(self.path), body, self.headers)
                    content = content if isinstance(content, bytes) else json.dumps(content).encode()
                except Refused as refused:
                    status, content = refused.status, json.dumps({"code": refused.code, "detail": str(refused)}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def handle(self, verb, path, body, headers):
        self.seen.append((verb, path))
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, "UNAUTHENTICATED", "no token")
        if (verb, path) == ("POST", "/api/v1/artifacts"):
            return {"uri": self.store(body), "size_bytes": str(len(body))}
        request = json.loads(body) if body else {}
        for row_verb, pattern, handler in ROUTES:
            match = re.fullmatch("/api/v1/" + pattern, path)
            if verb == row_verb and match:
                return handler(self, request, *match.groups())
        raise Refused(404, "NOT_FOUND", f"{verb} {path}")

    # ---- artifacts and training runs ----

    def store(self, content):
        uri = "sha256:" + hashlib.sha256(content).hexdigest()
        self.artifacts[uri] = content
        return uri

    def artifact(self, _, uri):
        return found(self.artifacts, uri)

    def create_run(self, request):
        run = {**request, "run_id": f"r{len(self.runs) + 1}", "metrics": [], "params": [], "models": [], "status": "RUN_STATUS_RUNNING"}
        self.runs[run["run_id"]] = run
        return {"run": run}

    def open_run(self, run_id):
        run = found(self.runs, run_id)
        if run["status"] != "RUN_STATUS_RUNNING":
            raise Refused(412, "FAILED_PRECONDITION", "the run has ended")
        return run

    def log_batch(self, request, run_id):
        run = self.open_run(run_id)
        run["metrics"] += request["metrics"]
        run["params"] += request["params"]
        return {}

    def attach(self, request, run_id):
        model = request["model"]
        found(self.artifacts, model["artifact"]["uri"])
        self.open_run(run_id)["models"].append(model)
        return {"run": self.runs[run_id]}

    def finish(self, request, run_id):
        run = self.open_run(run_id)
        run["status"] = request["status"]
        for model in run["models"]:
            versions = self.models.setdefault(model["model_name"], {"versions": [], "aliases": {}, "evaluations": {}})["versions"]
            versions.append({**model, "version": str(len(versions) + 1), "run_id": run_id, "metrics": run["metrics"]})
        return {"run": run}

    # ---- models and endpoints ----

    def versions(self, _, name):
        return {"versions": found(self.models, name)["versions"][::-1]}

    def version(self, _, name, number):
        return {"version": found(dict(enumerate(found(self.models, name)["versions"], 1)), int(number))}

    def alias(self, _, name, alias):
        return self.version(_, name, found(found(self.models, name)["aliases"], alias))

    def set_alias(self, request, name, alias):
        found(self.models, name)["aliases"][alias] = request["version"]
        return {"alias": {"alias": alias, "version": request["version"]}}

    def evaluate(self, request, name, number):
        self.version(None, name, number)
        found(self.models, name)["evaluations"][int(number), request["window"]] = {m["key"]: m["value"] for m in request["metrics"]}
        return {"evaluation": request}

    def challenge(self, request, name, number):
        """The rule: a larger AUC."""
        model = found(self.models, name)
        holder = model["aliases"].get(request["alias"])
        mine = found(model["evaluations"], (int(number), request["window"]))["auc"]
        theirs = found(model["evaluations"], (holder, request["window"]))["auc"] if holder else -1
        if mine > theirs:
            model["aliases"][request["alias"]] = int(number)
        return {"decision": {"promoted": mine > theirs, "reason": f"auc {mine} against {theirs}"}}

    def create_endpoint(self, request):
        if request["name"] in self.endpoints:
            raise Refused(409, "CONFLICT", "it is there")
        self.endpoints[request["name"]] = request
        return {"endpoint": request}


    # ---- runs of pipelines ----

    def start(self, request, name):
        run = {"run": f"p{len(self.pipeline_runs) + 1}", "pipeline": name, "status": "running", "revision": "1", "tasks": [],
               "parameters": request["parameters"]}
        self.pipeline_runs[run["run"]] = run
        return {"run": run}

    def look(self, _, name, __, wait):
        run = found(self.pipeline_runs, name)
        if wait:
            run.update(status=self.outcome, revision="2")
        return {"run": run}

    def cancel(self, _, name):
        found(self.pipeline_runs, name).update(status="cancelled")
        return self.look(None, name, None, None)


def found(where, name):
    if name not in where:
        raise Refused(404, "NOT_FOUND", f"there is no {name!r}")
    return where[name]


ROUTES = [
    ("GET", "artifacts/(.*)", Gateway.artifact),
    ("POST", "runs", Gateway.create_run),
    ("POST", "runs/(.*)/batch", Gateway.log_batch),
    ("POST", "runs/(.*)/models", Gateway.attach),
    ("POST", "runs/(.*)/finish", Gateway.finish),
    ("GET", "models/([^/]*)/versions", Gateway.versions),
    ("GET", r"models/([^/]*)/versions/(\d+)", Gateway.version),
    ("GET", "models/([^/]*)/aliases/(.*)", Gateway.alias),
    ("PUT", "models/([^/]*)/aliases/(.*)", Gateway.set_alias),
    ("POST", r"models/([^/]*)/versions/(\d+)/evaluations", Gateway.evaluate),
    ("POST", r"models/([^/]*)/versions/(\d+)/challenge", Gateway.challenge),
    ("POST", "endpoints", Gateway.create_endpoint),
    ("POST", "pipelines/(.*)/runs", Gateway.start),
    ("GET", r"pipeline-runs/(\w+)(\?wait_ms=(\d+).*)?", Gateway.look),
    ("POST", r"pipeline-runs/(\w+)/cancel", Gateway.cancel),
]
