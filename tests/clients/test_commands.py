# SPDX-License-Identifier: Apache-2.0
"""Commands against a gateway of a few lines that remembers what it is asked."""

import http.server
import json
import threading

import pytest


class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        server.seen.append((self.command, self.path.split("?")[0], body, dict(self.headers)))
        status, document = server.routes.get((self.command, self.path), server.routes.get((self.command, self.path.split("?")[0]), (404, {
            "code": "NOT_FOUND", "detail": f"nothing at {self.path}"})))
        if callable(document):
            document = document()
            if isinstance(document, tuple):
                status, document = document
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.seen, server.routes = [], {}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(cli, gateway):
    cli.env["MODELBUS_GATEWAY_URL"] = cli.env["MODELBUS_INFERENCE_URL"] = f"http://127.0.0.1:{gateway.server_port}"
    return cli


MODEL = {"name": "churn", "latest_version": 2, "aliases": [{"alias": "champion", "version": 2}]}


def test_a_list_has_all_pages_as_a_table_or_as_json(ask, gateway):
    gateway.routes["GET", "/api/v1/models"] = (200, {"models": [MODEL], "next_page_token": "p/2"})
    gateway.routes["GET", "/api/v1/models?name_prefix=&page_size=500&page_token=p%2F2"] = (200, {"models": [{"name": "zeta"}]})
    lines = ask("model", "list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "LATEST", "ALIASES", "CREATED", "DESCRIPTION"]
    assert lines[1].split() == ["churn", "2", "champion=2"] and lines[2].split() == ["zeta"]
    assert [m["name"] for m in json.loads(ask("model", "list", "--json").stdout)] == ["churn", "zeta"]


@pytest.mark.parametrize("status, code, exit_code", [
    (404, "NOT_FOUND", 3), (409, "CONFLICT", 4), (409, "EXISTS", 4), (412, "PRECONDITION", 4), (503, "UNAVAILABLE", 5),
    (504, "DEADLINE", 5), (429, "RATE_LIMITED", 5), (401, "UNAUTHENTICATED", 6), (403, "FORBIDDEN", 6), (400, "INVALID", 2),
    (500, "INTERNAL", 1),
])
def test_a_problem_becomes_its_sentence_and_exit_code(ask, gateway, status, code, exit_code):
    gateway.routes["GET", "/api/v1/endpoints/x"] = (status, {"code": code, "detail": "the sentence"})
    assert "the sentence" in ask("endpoint", "show", "x", code=exit_code).stderr
    assert json.loads(ask("endpoint", "show", "x", "--json", code=exit_code).stderr)["error"]["code"] == code


def test_an_answer_that_is_not_json_is_an_error(ask, gateway):
    gateway.routes["GET", "/api/v1/endpoints/x"] = (200, b"<html>")
    assert "not JSON" in ask("endpoint", "show", "x", code=1).stderr


def test_an_alias_moves_with_compare_and_set_and_an_idempotency_key(ask, gateway):
    gateway.routes["PUT", "/api/v1/models/a%2Fb/aliases/champion"] = (200, {"alias": {"version": 2}, "previous_version": 1})
    said = ask("model", "alias", "a/b", "champion", "2", "--expect", "1", "--reason", "better", "--token", "mb_t").stdout
    assert said == "a/b@champion is version 2 (was 1)\n"
    _, _, body, headers = gateway.seen[0]
    assert json.loads(body) == {"version": 2, "expected_version": 1, "reason": "better"}
    assert headers["Idempotency-Key"] and headers["Authorization"] == "Bearer mb_t"


def test_a_token_may_come_from_a_file(ask, gateway, tmp_path):
    (tmp_path / "token").write_text("mb_file\n")
    gateway.routes["GET", "/api/v1/tokens"] = (200, {})
    assert ask("token", "list", "--token", f"@{tmp_path}/token").stdout == "no tokens\n"
    assert gateway.seen[0][3]["Authorization"] == "Bearer mb_file"


def deployable(gateway, *states):
    """Routes of a deploy whose endpoint shows these states, one a look."""
    queue = list(states)
    gateway.routes["POST", "/api/v1/artifacts"] = (201, {"uri": "sha256:" + "0" * 64, "size_bytes": 2})
    gateway.routes["POST", "/api/v1/models/Churn_EU/versions"] = (201, {"version": {"name": "Churn_EU", "version": 3}})
    gateway.routes["PUT", "/api/v1/models/Churn_EU/aliases/champion"] = (200, {"alias": {"version": 3}})
    gateway.routes["GET", "/api/v1/endpoints/churn-eu"] = (200, lambda: {"endpoint": {
        "name": "churn-eu", "model_name": "Churn_EU", "alias": "champion", "generation": 5,
        **(queue.pop(0) if len(queue) > 1 else queue[0])}})


def test_deploy_waits_until_every_pod_serves(ask, gateway, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    pods = [{"pod": "p", "generation": 5, "version": 3, "loaded": True}]
    deployable(gateway, {}, {"target": {"version": 2}, "status": "ENDPOINT_STATUS_SERVING"},
               {"target": {"version": 3}, "status": "ENDPOINT_STATUS_DEPLOYING"},
               {"target": {"version": 3}, "status": "ENDPOINT_STATUS_SERVING", "pods": pods})
    done = ask("deploy", "Churn_EU", tmp_path, "--wait", "--metric", "auc=0.9", "--tag", "team=eu")
    assert done.stdout == "Churn_EU version 3 on endpoint churn-eu, serving\n"
    version = json.loads(next(body for verb, path, body, _ in gateway.seen if path.endswith("/versions")))
    assert version["artifact"]["file_name"] == "model.json"
    assert version["metrics"] == [{"key": "auc", "value": 0.9}] and version["tags"] == [{"key": "team", "value": "eu"}]


AWAY = (503, {"code": "UNAVAILABLE", "detail": "no connection"})


def test_who_waits_asks_again_while_the_platform_is_away(ask, gateway, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    pods = [{"pod": "p", "generation": 5, "version": 3, "loaded": True}]
    deployable(gateway, {}, {"target": {"version": 3}, "status": "ENDPOINT_STATUS_SERVING", "pods": pods})
    found = gateway.routes["GET", "/api/v1/endpoints/churn-eu"][1]
    looks = iter([found, lambda: AWAY, lambda: AWAY, found])
    gateway.routes["GET", "/api/v1/endpoints/churn-eu"] = (200, lambda: next(looks)())
    assert "serving" in ask("deploy", "Churn_EU", tmp_path, "--wait").stdout
    assert next(looks, None) is None

    states = iter([(200, {"run": {"pipeline": "p", "status": "running", "revision": 1}}), AWAY,
                   (200, {"run": {"pipeline": "p", "status": "succeeded", "revision": 2}})])
    gateway.routes["GET", "/api/v1/pipeline-runs/r"] = (200, lambda: next(states))
    assert "p succeeded" in ask("pipeline", "watch", "r").stdout


def test_who_waits_waits_no_longer_than_told(ask, gateway, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    deployable(gateway, {})
    found = gateway.routes["GET", "/api/v1/endpoints/churn-eu"][1]
    looks = iter([found])
    gateway.routes["GET", "/api/v1/endpoints/churn-eu"] = (200, lambda: next(looks, lambda: AWAY)())
    assert "no connection" in ask("deploy", "Churn_EU", tmp_path, "--wait", "--timeout", "1", code=5).stderr


def test_deploy_says_why_a_pod_could_not_load(ask, gateway, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    deployable(gateway, {"target": {"version": 3}, "status": "ENDPOINT_STATUS_FAILED",
                         "pods": [{"pod": "p", "generation": 5, "version": 2, "error": "no trees"}]})
    assert "no trees" in ask("deploy", "Churn_EU", tmp_path / "model.json", "--wait", code=1).stderr


def test_deploy_refuses_an_endpoint_of_another_model_before_it_moves_the_alias(ask, gateway, tmp_path):
    (tmp_path / "model.json").write_text("{}")
    deployable(gateway, {"model_name": "other"})
    assert "--endpoint" in ask("deploy", "Churn_EU", tmp_path / "model.json", code=4).stderr
    assert not [path for verb, path, *_ in gateway.seen if verb == "PUT"]


def test_the_file_that_mlmodel_names_is_taken(ask, gateway, tmp_path):
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    data: wrong.json\n  xgboost:\n    data: right.ubj\n    model_class: x\n")
    (tmp_path / "wrong.json").write_text("{}")
    (tmp_path / "right.ubj").write_text("{}")
    deployable(gateway, {})
    assert ask("model", "push", "Churn_EU", tmp_path).stdout == "Churn_EU version 3\n"
    version = json.loads(next(body for verb, path, body, _ in gateway.seen if path.endswith("/versions")))
    assert version["artifact"]["file_name"] == "right.ubj"


def test_artifacts_go_up_and_down_whole(ask, gateway, tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "up").write_bytes(content)
    gateway.routes["POST", "/api/v1/artifacts"] = (201, {"uri": "sha256:ab", "size_bytes": len(content)})
    gateway.routes["GET", "/api/v1/artifacts/sha256%3Aab"] = (200, content)
    assert ask("artifact", "push", tmp_path / "up").stdout == "sha256:ab\n"
    assert gateway.seen[0][2] == content
    ask("artifact", "pull", "sha256:ab", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == content
    ask("artifact", "pull", "sha256:cd", tmp_path / "none", code=3)
    assert not (tmp_path / "none").exists()


def test_predict_reads_text_file_or_standard_input(ask, gateway, tmp_path):
    gateway.routes["POST", "/predict/churn"] = (200, {"predictions": [1]})
    (tmp_path / "rows").write_text("[1]")
    for words, stdin in ([["[1]"], None], [[f"@{tmp_path}/rows"], None], [[], "[1]"], [["-"], "[1]"]):
        assert json.loads(ask("predict", "churn", *words, stdin=stdin).stdout) == {"predictions": [1]}
    assert {body for _, _, body, _ in gateway.seen} == {b"[1]"}


def test_dead_letters_are_addressed_by_their_id(ask, gateway):
    ident = "registry/c1/modelbus.experiment/0/7"
    letter = {"letter": {"letter": {"id": ident, "topic": "modelbus.experiment", "error_message": "why", "value": "AAEC"}}}
    path = "/api/v1/dead-letters/registry/" + ident.replace("/", "%2F")
    gateway.routes["GET", path] = gateway.routes["POST", path + "/replay"] = (200, letter)
    gateway.routes["GET", "/api/v1/dead-letters"] = (200, {"letters": [letter["letter"]]})
    assert ident in ask("dlq", "list").stdout
    assert "3 bytes" in ask("dlq", "show", ident).stdout
    assert "modelbus.experiment" in ask("dlq", "replay", ident).stdout
    ask("dlq", "show", "nonsense", code=2)


def test_a_tokens_secret_alone_is_on_standard_output(ask, gateway):
    gateway.routes["POST", "/api/v1/tokens"] = (201, {"token": {"id": "t1"}, "secret": "mb_secret"})
    done = ask("token", "create", "ci", "--role", "editor,approver", "--expires", "90d")
    assert done.stdout == "mb_secret\n" and "t1" in done.stderr
    assert json.loads(gateway.seen[0][2]) == {"subject": "ci", "roles": ["editor", "approver"], "scopes": [], "lifetime_s": 7776000}


def test_labels_are_pushed_in_batches_from_csv_and_ndjson(ask, gateway, tmp_path):
    def answer():
        return {"taken": len(json.loads(gateway.seen[-1][2])["labels"])}
    gateway.routes["POST", "/api/v1/endpoints/churn/labels"] = (200, answer)
    csv = tmp_path / "labels.csv"
    csv.write_text("\ufeffwhen,prediction_id,label\r\n" + "".join(f"now,r-{i},{i % 2}\r\n" for i in range(12000)))
    assert ask("label", "push", "churn", csv).stdout.startswith("12000 labels pushed")
    batches = [json.loads(body)["labels"] for _, _, body, _ in gateway.seen]
    assert [len(b) for b in batches] == [5000, 5000, 2000]
    assert batches[2][-1] == {"prediction_id": "r-11999", "value": "1"}
    lines = '{"id": "a", "y": true}\n\n{"id": 7, "y": 0.5}\n{"id": "c", "y": "no"}'
    assert json.loads(ask("label", "push", "churn", "--id", "id", "--label", "y", "--json", stdin=lines).stdout) == {"taken": 3}
    assert json.loads(gateway.seen[-1][2])["labels"] == [
        {"prediction_id": "a", "value": "true"}, {"prediction_id": "7", "value": "0.5"}, {"prediction_id": "c", "value": "no"}]


@pytest.mark.parametrize("text, says", [
    ("", "is empty"), ("id,label\n", "no column 'prediction_id'"), ("prediction_id,label\na\n", "line 2: fewer fields"),
    ('prediction_id,label\n"a""b",1\n"x,1\n', "line 3: a quote has no end"), ('prediction_id,label\n"a"b,1\n', "line 2: text after"),
    ("prediction_id,label\n,1\n", "line 2: no prediction id"), ("prediction_id,label\na,\n", "line 2: no label"),
    ('{"prediction_id": "a"}', "line 1: no 'label'"), ('{"prediction_id": "a", "label": 1}\n[]', "line 2: not a JSON object"),
    ('{"prediction_id', "line 1:"), ("prediction_id,label\n" + "x" * 70000, "line 2: longer than")])
def test_a_file_of_labels_that_is_none_is_refused_with_its_place(ask, gateway, tmp_path, text, says):
    path = tmp_path / "labels"
    path.write_text(text)
    assert says in ask("label", "push", "churn", path, code=2).stderr
    assert not gateway.seen


def test_labels_that_were_pushed_before_an_error_are_counted(ask, gateway, tmp_path):
    gateway.routes["POST", "/api/v1/endpoints/churn/labels"] = (200, {"taken": 5000})
    path = tmp_path / "labels"
    path.write_text("prediction_id,label\n" + "a,1\n" * 5000 + "b\n")
    stderr = ask("label", "push", "churn", path, code=2).stderr
    assert "after 5000 labels" in stderr and "line 5002" in stderr


def test_label_rules_keep_what_drift_watches(ask, gateway):
    rules = {"window_rows": 300, "segments": ["country"], "performance": {"task": "classification", "limit": 0.7}}
    gateway.routes["GET", "/api/v1/monitors/churn"] = (200, {"monitor": {"endpoint": "churn", "rules": rules}})
    gateway.routes["PUT", "/api/v1/monitors/churn"] = (200, {"monitor": {"endpoint": "churn", "rules": rules}})
    gateway.routes["GET", "/api/v1/endpoints/churn/performance"] = (200, {"performance": {
        "endpoint": "churn", "state": "ok", "rules": rules["performance"], "versions": [
            {"version": "3", "windows": "2", "rows": "7", "last": [{"name": "auc", "value": 0.91234}, {"name": "f1", "value": "NaN"}]}],
        "counts": [{"reason": "joined", "count": "12", "meaning": "met"}, {"reason": "late", "count": "0", "meaning": "old"}]}})
    shown = ask("label", "rules", "churn", "--max-drop", "0.05", "--horizon", "2d", "--window", "1000").stdout
    sent = next(json.loads(body) for verb, _, body, _ in gateway.seen if verb == "PUT")
    assert sent == {"rules": {**rules, "performance": {"task": "classification", "limit": 0.7, "max_drop": 0.05, "horizon_s": 172800,
                                                       "window_rows": 1000}}}
    assert "auc 0.9123" in shown and "f1" not in shown and "joined" in shown and "late" not in shown
    gateway.seen.clear()
    ask("drift", "rules", "churn", "--reset")
    assert next(json.loads(body) for verb, _, body, _ in gateway.seen if verb == "PUT") == {"rules": {"performance": rules["performance"]}}
