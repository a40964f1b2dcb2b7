#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands for a part of the platform under a supervisor that is being tested: linked as modelbus-<name>,
it answers /readyz where the supervisor told it to listen. FAKE_<NAME>=exit2 makes it refuse its
configuration, =stubborn makes it ignore SIGTERM, =crash makes it exit at once."""

import http.server
import os
import pathlib
import signal
import sys

name = pathlib.Path(sys.argv[0]).name.removeprefix("modelbus-")
behaviour = os.environ.get(f"FAKE_{name.upper()}", "")


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


if behaviour == "exit2":
    print("FAKE wrong configuration", file=sys.stderr)
    sys.exit(2)
if behaviour == "crash":
    sys.exit(7)
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else lambda *_: os._exit(0))
if name == "devbus":
    port = int(sys.argv[sys.argv.index("--port") + 1])
    address = f"127.0.0.1:{port}"
else:
    prefix = name.upper()
    address = os.environ.get(f"{prefix}_BIND") or os.environ[f"{prefix}_HTTP_BIND"]
host, port = address.rsplit(":", 1)
server = http.server.HTTPServer((host, int(port)), Answer)
if name == "devbus":
    pathlib.Path(sys.argv[sys.argv.index("--bootstrap-file") + 1]).write_text(address)
server.serve_forever()
