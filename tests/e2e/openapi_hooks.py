# SPDX-License-Identifier: Apache-2.0
"""What Schemathesis (test_openapi.py) has to know that a JSON schema cannot say."""

import re
import uuid

import schemathesis
from hypothesis import strategies

# Opaque: only what a page gave is a token. The first page's is empty.
schemathesis.openapi.format("page-token", strategies.just(""))


def distinct_keys(value):
    """Keys of tags and params are there once: a list of pairs cannot say so."""
    if isinstance(value, list):
        seen = set()
        for item in value:
            if isinstance(item, dict) and set(item) <= {"key", "value"} and isinstance(item.get("key"), str):
                if item["key"] in seen:
                    item["key"] = f"{item['key'][:200]}{len(seen)}"
                seen.add(item["key"])
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        distinct_keys(part)


CONDITION = r" *[a-z_][a-z0-9_.]* *(=|!=|!?~|[<>]=?).*"


def alert_rule(body):
    """Fields are those of the event, which a pattern cannot say."""
    for name, known in ("event", "DriftDetected"), ("resolve_on", "DriftCleared"):
        if isinstance(body.get(name), str) and re.fullmatch("(modelbus\\.[a-z]+\\.v1\\.)?[A-Z][A-Za-z]{0,60}", body[name]):
            body[name] = known
    for name in "when", "resolve_when":
        texts = body.get(name)
        if isinstance(texts, list) and all(isinstance(t, str) and re.fullmatch(CONDITION, t) for t in texts):
            body[name] = []
    for name in "labels", "annotations":
        for label in body[name] if isinstance(body.get(name), list) else ():
            if isinstance(label, dict) and isinstance(label.get("value"), str):
                label["value"] = re.sub("\\{[a-z_][a-z0-9_.]*\\}", "", label["value"])


def alert_receiver(body):
    """Each type has its own fields."""
    kind = body.get("type")
    if kind not in ("webhook", "alertmanager", "slack", "email", "log"):
        return
    unused = ["url", "authorization"] if kind == "email" else ["to", "url", "authorization"] if kind == "log" else ["to"]
    needed = {"email": ("to", ["a@example.com"]), "log": ("type", "log")}.get(kind, ("url", "http://example.com/"))
    for name in unused:
        if isinstance(body.get(name), str) or isinstance(body.get(name), list) and all(isinstance(t, str) for t in body[name]):
            del body[name]
    if not body.get(needed[0]) and body.get(needed[0]) in (None, "", []):
        body[needed[0]] = needed[1]


def alert_route(body):
    """escalate_after_s and escalate_to go together."""
    if isinstance(body.get("escalate_to"), str) or body.get("escalate_to") is None:
        if isinstance(body.get("escalate_after_s"), (int, float)) and 0 < body["escalate_after_s"] <= 31536000 or not body.get("escalate_after_s"):
            body.pop("escalate_to", None)
            body.pop("escalate_after_s", None)
        elif isinstance(body.get("escalate_after_s"), str) and re.fullmatch("0|[1-9][0-9]{0,6}", body["escalate_after_s"]):
            body.pop("escalate_to", None)
            body.pop("escalate_after_s", None)


def small(value):
    """A count as the schema has it."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**7 or isinstance(value, str) and re.fullmatch(
        "0|[1-9][0-9]{0,6}", value) is not None


def monitor(body):
    """Rows of a window, of its parts and of its minimum belong together; a profile has some of the methods; a column once."""
    rules = body.get("rules")
    if not isinstance(rules, dict):
        return
    for name in "slide_rows", "min_rows":
        if small(rules.get(name)):
            del rules[name]
    if small(rules.get("window_rows")) and 0 < int(rules["window_rows"]) < 10:
        del rules["window_rows"]
    performance = rules.get("performance")
    if isinstance(performance, dict):
        metrics = ("", "accuracy", "precision", "recall", "f1", "auc", "log_loss", "rmse", "mae")
        for name, known in ("metric", metrics), ("positive", (performance.get("positive"),) if performance.get("task") == "regression" else ()):
            if isinstance(performance.get(name), str) and performance[name] in known:
                del performance[name]
        if small(performance.get("window_rows")) and 0 < int(performance["window_rows"]) < 10:
            del performance["window_rows"]
        if isinstance(performance.get("decision_threshold"), (float, str)) and re.fullmatch(
                r"NaN|-?Infinity|-?\d+(\.\d+)?([eE][+-]?\d+)?", str(performance["decision_threshold"])):
            del performance["decision_threshold"]
    columns = rules.get("columns") if isinstance(rules.get("columns"), list) else []
    for part in [rules, *(c for c in columns if isinstance(c, dict))]:
        if part.get("method") in ("chisquare", "z", "psi", "hellinger", "chi2_contingency", "chi2", "ks", "wasserstein", "jensenshannon"):
            del part["method"]
    for i, column in enumerate(columns):
        if isinstance(column, dict) and isinstance(column.get("column"), str) and column["column"] and "\n" not in column["column"]:
            if any(isinstance(c, dict) and c.get("column") == column["column"] for c in columns[:i]):
                column["column"] = f"{column['column'][:50]}{i}"


def drift_policy(body):
    """Who retrains names a pipeline."""
    policy = body.get("policy")
    if isinstance(policy, dict) and policy.get("on_drift") in ("retrain", "rollback_and_retrain") and policy.get("pipeline") in (None, ""):
        policy["pipeline"] = "p"


def pipeline(body):
    """The text is a file with a form of its own: docs/pipeline.schema.json."""
    if isinstance(body.get("text"), str) and len(body["text"].encode(errors="replace")) <= 1 << 20:
        body["text"] = "name: p\ntasks:\n  - {name: a, run: [a]}\n"


def texts(value):
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def quick(values):
    """A long poll that the schema allows need not be waited for."""
    wait = values.get("wait_ms")
    if isinstance(wait, (int, str)) and not isinstance(wait, bool) and re.fullmatch("[0-9]{1,5}", str(wait)) and int(wait) <= 30000:
        values["wait_ms"] = 0


SHAPED = {"alert-rules": alert_rule, "alert-receivers": alert_receiver, "alert-routes": alert_route, "monitors": monitor, "pipelines": pipeline}


@schemathesis.hook
def before_call(context, case, kwargs):
    distinct_keys(case.body)
    # A key belongs to one command; Schemathesis would send it with others, too, which is refused.
    headers = case.headers if case.headers is not None else {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]([ -~]{0,126}[!-~])?", key):
        headers["Idempotency-Key"] = str(uuid.uuid4()) + key[36:]
    # One of the two, or neither: openapi.json says so in words.
    if case.operation.label.endswith((" /api/v1/endpoints", " /api/v1/endpoints/{name}")) and isinstance(case.body, dict):
        if case.body.get("version") not in (None, 0, "0") and case.body.get("alias"):
            del case.body["version"]
    if case.operation.label.endswith("/drift-policy") and isinstance(case.body, dict):
        drift_policy(case.body)
    # Parameters are those of the pipeline; labels have bounds that a map cannot say.
    if case.operation.label.startswith(("POST /api/v1/pipelines/", "POST /api/v1/workers/")) and isinstance(case.body, dict):
        for name in "parameters", "labels":
            if texts(case.body.get(name)):
                case.body[name] = {}
    for values in case.body, case.query:
        if isinstance(values, dict):
            quick(values)
    part = case.operation.label.removeprefix("PUT /api/v1/").split("/")[0]
    if part in SHAPED and isinstance(case.body, dict):
        SHAPED[part](case.body)
