#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An alert handler that joins modelbus with a plain Kafka client and the .proto files.

It waits for DriftDetected, prints what drifted and runs a command for each episode.

    . ~/.local/share/modelbus/env        # addresses, written by `modelbus local up`
    python3 on_drift.py --command 'echo "$ENDPOINT drifted"'

Needs python3-protobuf, python3-confluent-kafka and protoc. Kafka keeps the place of --group: what comes
while the handler is away is handled when it is back. Delivery is at least once, so act by the episode's id.
"""

import argparse
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile

import confluent_kafka

EVENT_TYPE = "modelbus.monitoring.v1.DriftDetected"


def messages(proto_folder):
    """The Python classes of the .proto files, generated into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="modelbus-proto-") as out:
        files = ["modelbus/monitoring/v1/events.proto"]
        subprocess.run(["protoc", f"-I{proto_folder}", f"--python_out={out}", *files], check=True)
        sys.path.insert(0, out)
        return importlib.import_module("modelbus.monitoring.v1.events_pb2")


def handle(event, command):
    columns = ", ".join(f"{c.column} ({c.method} {c.statistic:.3f})" for c in event.columns)
    print(f"{event.endpoint}: {event.drifted} of {event.checked} columns of {event.model_name} version {event.version} drifted: {columns}",
          flush=True)
    if command:
        subprocess.run(command, shell=True, check=True, env={
            **os.environ, "ENDPOINT": event.endpoint, "MODEL": event.model_name, "EPISODE": event.episode})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", default=os.environ.get("MODELBUS_BROKERS", "127.0.0.1:9092"))
    parser.add_argument("--group", default="on-drift")
    parser.add_argument("--count", type=int, default=0, help="stop after so many episodes (0: never)")
    parser.add_argument("--command", help="run by the shell with ENDPOINT, MODEL and EPISODE set")
    parser.add_argument("--proto", default=str(pathlib.Path(__file__).resolve().parents[2] / "proto"))
    args = parser.parse_args()
    events = messages(args.proto)

    consumer = confluent_kafka.Consumer({"bootstrap.servers": args.brokers, "group.id": args.group,
                                         "enable.auto.commit": False, "auto.offset.reset": "earliest",
                                         "session.timeout.ms": 6000})  # another one takes over after so long
    consumer.subscribe([f"{os.environ.get('MODELBUS_BUS_PREFIX', 'modelbus')}.monitoring"])
    seen = set()
    while not args.count or len(seen) < args.count:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            print(message.error(), file=sys.stderr)
            continue
        if dict(message.headers() or []).get("ce_type") == EVENT_TYPE.encode():
            event = events.DriftDetected.FromString(message.value())
            if event.episode not in seen:
                handle(event, args.command)
                seen.add(event.episode)
        consumer.commit(message)  # only what was handled
    consumer.close()


if __name__ == "__main__":
    main()
