# SPDX-License-Identifier: Apache-2.0
"""Alerts, from an event on the bus to those who are told: a webhook, Slack, a real mail server, a real Alertmanager."""

import contextlib
import email
import email.policy
import http.server
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
import uuid

import pytest
from aiosmtpd.controller import Controller
from confluent_kafka import Producer

import stack as platform
from stack import free_port, headers, proto, wait_for

DRIFT = "modelbus.monitoring.v1.Drift"


class Receiver:
    """An HTTP server that remembers what it was told; it can be deaf."""

    def __init__(self):
        self.told, self.status, self.lock = [], 200, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    if outer.status == 200:
                        outer.told.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def once(self, path):
        """Each notification once, as a receiver does that looks at the id."""
        with self.lock:
            return {h["X-Modelbus-Notification"]: body for at, h, body in self.told if at == path}

    def states(self, path, endpoint):
        """What was said of an endpoint's alert, in order: ["firing", "resolved"]."""
        found = []
        for body in self.once(path).values():
            found += [a["status"] for a in body["alerts"] if a["labels"].get("endpoint") == endpoint]
        return found


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="module")
def mails():
    class Handler:
        got = []

        async def handle_DATA(self, server, session, envelope):
            self.got.append(envelope)
            return "250 taken"

    controller = Controller(Handler(), hostname="127.0.0.1", port=0)
    # Its controller connects to the port that it was told, so that cannot be 0.
    controller.port = free_port()
    controller.start()
    controller.got = Handler.got
    yield controller
    controller.stop()


@pytest.fixture(scope="module")
def stack(mails):
    env = {"ALERT_SMTP_URL": f"smtp://127.0.0.1:{mails.port}", "ALERT_SMTP_FROM": "modelbus@example.com",
           "ALERT_EXTERNAL_URL": "https://modelbus.example"}
    with platform.Stack(env=env) as running:
        yield running


@pytest.fixture(scope="module")
def rest(stack):
    call = stack.rest()

    def ask(verb, path, body=None, status=200):
        got, content, _ = call(verb, "/api/v1/" + path, body)
        assert got == status, f"{verb} {path}: {got} {content}"
        return content

    return ask


@pytest.fixture(scope="module")
def say(stack):
    producer = Producer({"bootstrap.servers": stack.brokers, "linger.ms": 0})
    events = proto("monitoring.v1.events")

    def send(what, endpoint, event_id=None):
        event = getattr(events, f"Drift{what}")(endpoint=endpoint, model_name="m", episode="e")
        producer.produce(f"{stack.env['MODELBUS_BUS_PREFIX']}.monitoring", event.SerializeToString(), endpoint,
                         headers=headers(DRIFT + what, event_id))
        assert producer.flush(10) == 0

    return send


def receive(rest, receiver, name, match, **more):
    rest("PUT", f"alert-receivers/{name}", {"type": "webhook", "url": f"{receiver.url}/{name}"})
    rest("PUT", f"alert-routes/{name}", {"match": match, "receivers": [name], "group_by": ["endpoint"], **more})


def test_drift_reaches_a_webhook_at_once(stack, rest, say, receiver):
    receive(rest, receiver, "hook", ["endpoint = churn"])
    say("Detected", "churn")
    began = time.monotonic()
    wait_for(lambda: receiver.states("/hook", "churn") == ["firing"], 10, "the webhook")
    assert time.monotonic() - began < 2
    _, head, body = receiver.told[0]
    assert head["Idempotency-Key"] == head["X-Modelbus-Notification"]
    assert body["version"] == "4" and body["receiver"] == "hook" and body["groupLabels"] == {"endpoint": "churn"}
    assert body["alerts"][0]["generatorURL"].startswith("https://modelbus.example/api/v1/alerts/")
    say("Cleared", "churn")
    wait_for(lambda: receiver.states("/hook", "churn") == ["firing", "resolved"], 10, "the end")


def test_the_command_line(stack, rest, say, receiver):
    receive(rest, receiver, "line", ["endpoint = shown"])
    say("Detected", "shown")
    wait_for(lambda: receiver.states("/line", "shown"), 10, "the webhook")
    alerts = json.loads(stack.cli("alert", "list", "--json").stdout)
    ident = next(a["id"] for a in alerts if {"key": "endpoint", "value": "shown"} in a["labels"])
    assert "shown" in stack.cli("alert", "list").stdout
    shown = wait_for(lambda: (lambda out: out if "delivered" in out else None)(stack.cli("alert", "show", ident).stdout), 5, "mark")
    assert "DriftDetected" in shown and "line" in shown
    assert "ann" in stack.cli("alert", "ack", ident, "--comment", "ann looks").stdout
    made = json.loads(stack.cli("alert", "silence", "endpoint = shown", "--for", "1h", "--json").stdout)
    assert made["id"] in stack.cli("alert", "silences").stdout
    stack.cli("alert", "unsilence", made["id"])
    assert stack.cli("alert", "silences").stdout.strip() == "nothing is silenced"
    assert "RolledBack" in stack.cli("alert", "rules").stdout
    assert "line" in stack.cli("alert", "receivers").stdout and "line" in stack.cli("alert", "routes").stdout
    assert "took the test" in stack.cli("alert", "test", "line").stdout
    stack.cli("alert", "put", "inhibition", "calm", '{"source": ["severity = critical"], "target": ["severity = warning"]}')
    assert "calm" in stack.cli("alert", "inhibitions").stdout
    stack.cli("alert", "delete", "inhibition", "calm")
    assert stack.cli("alert", "delete", "rule", "RolledBack", check=False).returncode == 4
    assert stack.cli("alert", "put", "rule", "R", '{"event": "PredictionsLogged"}', check=False).returncode == 2
    stack.cli("alert", "resolve", ident)
    wait_for(lambda: receiver.states("/line", "shown") == ["firing", "resolved"], 10, "the end")


def test_slack_and_mail(rest, say, receiver, mails):
    rest("PUT", "alert-receivers/slack", {"type": "slack", "url": f"{receiver.url}/slack"})
    rest("PUT", "alert-receivers/mail", {"type": "email", "to": ["ann@example.com", "bob@example.com"]})
    rest("PUT", "alert-routes/people", {"match": ["endpoint = told"], "receivers": ["slack", "mail"]})
    say("Detected", "told")
    body = wait_for(lambda: list(receiver.once("/slack").values()), 10, "Slack")[0]
    assert body["text"].startswith("[FIRING:1] DriftDetected") and body["blocks"][0]["type"] == "section"
    mail = wait_for(lambda: mails.got, 10, "the mail")[0]
    assert mail.mail_from == "modelbus@example.com" and mail.rcpt_tos == ["ann@example.com", "bob@example.com"]
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert message["Subject"].startswith("[FIRING:1] DriftDetected") and message["X-Modelbus-Notification"]
    assert "endpoint: told" in message.get_content() and "https://modelbus.example/api/v1/alerts/" in message.get_content()


@pytest.fixture
def alertmanager(receiver, tmp_path):
    """The real one; what it hears it tells our webhook."""
    (tmp_path / "am.yaml").write_text(f"""
route: {{receiver: back, group_by: [endpoint], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: back, webhook_configs: [{{url: "{receiver.url}/back"}}]}}]
""")
    port = free_port()
    log = open(tmp_path / "log", "w")
    process = subprocess.Popen(
        ["prometheus-alertmanager", f"--config.file={tmp_path}/am.yaml", f"--storage.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def ready():
        assert process.poll() is None, (tmp_path / "log").read_text()
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(url + "/-/ready", timeout=5).status == 200

    try:
        wait_for(ready, 30, "Alertmanager")
        yield url
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def test_a_real_alertmanager_hears_and_speaks_as_we_do(rest, say, receiver, alertmanager):
    rest("PUT", "alert-receivers/am", {"type": "alertmanager", "url": alertmanager})
    rest("PUT", "alert-receivers/both", {"type": "webhook", "url": f"{receiver.url}/both"})
    rest("PUT", "alert-routes/am", {"match": ["endpoint = managed"], "receivers": ["am", "both"], "group_by": ["endpoint"]})
    say("Detected", "managed")

    def active():
        with urllib.request.urlopen(alertmanager + "/api/v2/alerts", timeout=5) as answer:
            return json.load(answer)

    alert = wait_for(active, 10, "Alertmanager's alert")[0]
    assert alert["labels"]["alertname"] == "DriftDetected" and alert["labels"]["endpoint"] == "managed"
    assert alert["status"]["state"] == "active" and "summary" in alert["annotations"]
    theirs = wait_for(lambda: [b for p, _, b in receiver.told if p == "/back"], 20, "its webhook")[0]
    ours = wait_for(lambda: list(receiver.once("/both").values()), 20, "ours: neither waits for the other")[0]
    # The same form: fields and types, of the message and of its alerts.
    shape = lambda value: {k: shape(v) if k == "alerts" else type(v) for k, v in value.items()} if isinstance(value, dict) \
        else shape(value[0])  # noqa: E731
    assert shape(ours) == shape(theirs)
    assert ours["groupLabels"] == theirs["groupLabels"] and ours["commonLabels"] == theirs["commonLabels"]
    say("Cleared", "managed")
    wait_for(lambda: not active(), 10, "the end")


def test_a_deaf_receiver_is_told_later(stack, rest, say, receiver):
    receive(rest, receiver, "deaf", ["endpoint = deaf"])
    receiver.status = 503
    try:
        say("Detected", "deaf")
        ident = wait_for(lambda: [a["id"] for a in rest("GET", "alerts")["alerts"]
                                  if {"key": "endpoint", "value": "deaf"} in a["labels"]], 10, "the alert")[0]
        wait_for(lambda: any(n["state"] == "retrying" and "503" in n["error"]
                             for n in rest("GET", f"alerts/{ident}")["notifications"]), 10, "an attempt")
        say("Cleared", "deaf")
    finally:
        receiver.status = 200
    wait_for(lambda: receiver.states("/deaf", "deaf") == ["firing", "resolved"], 30, "both, in order")


def test_kill_minus_9_loses_nothing_and_makes_no_storm(stack, rest, say, receiver):
    receive(rest, receiver, "kill", ["endpoint ~ k*"])
    episodes = [f"k{i}" for i in range(12)]
    for i, endpoint in enumerate(episodes):
        say("Detected", endpoint)
        if i % 3 == 0:
            stack.kill("alert", signal.SIGKILL)
        say("Cleared", endpoint)
        if i % 3 == 1:
            stack.kill("alert", signal.SIGKILL)
    # What was being sent when it died is due again after the lease.
    for endpoint in episodes:
        wait_for(lambda: "resolved" in receiver.states("/kill", endpoint), 90, f"the end of {endpoint}")
    for endpoint in episodes:
        assert receiver.states("/kill", endpoint) == ["firing", "resolved"], endpoint
    sent = [p for p, _, _ in receiver.told].count("/kill")
    assert 24 <= sent <= 24 + 8, "at most what was on its way when it died is sent twice"


def test_the_rules_file_is_read_again_on_a_signal(stack, rest, tmp_path):
    path = tmp_path / "alerts.yaml"
    path.write_text("rules:\n  - {name: OfFile, event: ModelRegistered}\n")
    free = "127.0.0.1:0"
    env = {**os.environ, "ALERT_RULES_FILE": str(path), "ALERT_BROKERS": stack.brokers,
           "ALERT_BUS_PREFIX": "other" + uuid.uuid4().hex[:8], "ALERT_DB_URL": stack.env["MODELBUS_POSTGRES_URL"],
           "ALERT_HTTP_BIND": free, "ALERT_RPC_KEY": "@" + stack.env["MODELBUS_RPC_KEY_FILE"],
           "ALERT_RPC_URL": f"ipc://{tmp_path}/alert.sock"}
    ask_env = {**stack.env, "MODELBUS_ALERT_RPC_URL": env["ALERT_RPC_URL"]}
    program = platform.BIN / "modelbus-alert"

    def rules():
        done = platform.run(platform.BIN / "modelbus", "query", "alert", "ListAlertRules", "{}", check=False, env=ask_env)
        return {r["name"]: r["origin"] for r in json.loads(done.stdout)["rules"]} if done.returncode == 0 else {}

    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen([program], env=env, stdout=log, stderr=log)
        try:
            wait_for(lambda: rules().get("OfFile") == "file", 20, "the rule")
            path.write_text("rules:\n  - {name: Broken, event: 3}\n")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: "line 2, column" in (tmp_path / "log").read_text(), 10, "the fault in the log")
            assert "OfFile" in rules()
            path.write_text("rules:\n  - {name: Newer, event: ModelRegistered}\n")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: "Newer" in rules() and "OfFile" not in rules(), 10, "the new rule")
        finally:
            process.terminate()
            assert process.wait(30) == 0
    path.write_text("rules: 7\n")
    done = subprocess.run([program], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert done.returncode == 1 and "line 1, column 8" in done.stdout


def test_metrics_count_notifications(stack):
    port = stack.parts()["alert"].get("port")
    with open(f"{stack.folder}/state.json") as state:
        port = port or json.load(state)["alert_admin_port"]
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    assert 'modelbus_alert_notifications_total{receiver="' in text and 'result="delivered"' in text
    assert "modelbus_alert_active " in text and "modelbus_alert_notifications_pending " in text
