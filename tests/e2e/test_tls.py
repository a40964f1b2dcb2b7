# SPDX-License-Identifier: Apache-2.0
"""A second gateway beside the platform's, over HTTPS, with tokens."""

import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

import stack as platform

ADMIN = "mb_" + "a" * 40


@pytest.fixture
def gateway(stack, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env = {**os.environ, "GATEWAY_BIND": "127.0.0.1:0", "GATEWAY_HTTP_BIND": "127.0.0.1:0", "GATEWAY_RPC_URL": f"ipc://{tmp_path}/gw.sock",
           "GATEWAY_TLS_CERT": str(tmp_path / "cert.pem"), "GATEWAY_TLS_KEY": str(tmp_path / "key.pem"),
           "GATEWAY_ADMIN_TOKEN": ADMIN, "GATEWAY_DB_URL": stack.env["MODELBUS_POSTGRES_URL"],
           "GATEWAY_RPC_KEY": "@" + stack.env["MODELBUS_RPC_KEY_FILE"], "GATEWAY_BROKERS": stack.brokers, "GATEWAY_BUS_FETCH_WAIT_MS": "10",
           **{f"GATEWAY_{peer}_URL": stack.env[f"MODELBUS_{peer}_RPC_URL"] for peer in ("EXPERIMENT", "REGISTRY", "DEPLOYMENT")}}
    process = subprocess.Popen([platform.BIN / "modelbus-gateway"], env=env, stdout=open(tmp_path / "log", "wb"), stderr=subprocess.STDOUT)

    def port():
        for line in (tmp_path / "log").read_text().splitlines():
            if line.startswith("{") and json.loads(line).get("what") == "REST":
                return json.loads(line)["port"]
        assert process.poll() is None, (tmp_path / "log").read_text()
        return None

    yield platform.wait_for(port, 10, "the HTTPS listener"), tmp_path / "cert.pem"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def get(port, cert, path, token=None):
    request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=cert), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_https_with_a_token(gateway):
    port, cert = gateway
    assert get(port, cert, "/api/v1/models", ADMIN) == 200
    assert get(port, cert, "/api/v1/models") == 401
    assert get(port, cert, "/api/v1/models", "mb_wrong") == 401
    with pytest.raises(urllib.error.URLError):
        get(port, None, "/api/v1/models", ADMIN)  # nobody vouches for this certificate
