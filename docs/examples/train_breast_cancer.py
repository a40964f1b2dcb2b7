#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A training pipeline that joins modelbus with a plain Kafka client and the .proto files.

It trains an XGBoost model on scikit-learn's breast-cancer data, stores the model and a reference
sample in the artifact store, and publishes ModelTrained. Everything that follows (the version, the
rollout, the swap) is modelbus' reaction to that one event.

    . ~/.local/share/modelbus/env        # addresses, written by `modelbus local up`
    python3 train_breast_cancer.py --model breast-cancer --trees 50 --depth 3

Needs python3-xgboost, python3-sklearn, python3-protobuf, python3-confluent-kafka and protoc.
"""

import argparse
import datetime
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

import confluent_kafka
import numpy
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

EVENT_TYPE = "modelbus.experiment.v1.ModelTrained"


def messages(proto_folder):
    """The Python classes of the .proto files, generated into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="modelbus-proto-") as out:
        files = ["modelbus/common/v1/common.proto", "modelbus/experiment/v1/events.proto"]
        subprocess.run(["protoc", f"-I{proto_folder}", f"--python_out={out}", *files], check=True)
        sys.path.insert(0, out)
        return importlib.import_module("modelbus.experiment.v1.events_pb2")


def upload(gateway, content, token):
    """Store bytes; the answer has their uri ("sha256:…") and size."""
    request = urllib.request.Request(f"{gateway}/api/v1/artifacts", data=content, method="POST")
    request.add_header("Content-Type", "application/octet-stream")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def train(trees, depth, seed):
    data = load_breast_cancer()
    train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, test_size=0.25, random_state=7)
    names = [name.replace(" ", "_") for name in data.feature_names]
    model = xgboost.XGBClassifier(
        n_estimators=trees, max_depth=depth, learning_rate=0.1, subsample=0.9, random_state=seed, n_jobs=1
    )
    model.fit(train_x, train_y)
    score = model.predict_proba(test_x)[:, 1]
    metrics = {"auc": roc_auc_score(test_y, score), "log_loss": log_loss(test_y, score)}
    sample = io.StringIO()
    numpy.savetxt(sample, train_x, delimiter=",", header=",".join(names), comments="", fmt="%.9g")
    return model, names, metrics, sample.getvalue().encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="breast-cancer")
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=["json", "ubj"], default="json")
    parser.add_argument("--truncate", action="store_true", help="store half a model file, to see it refused")
    parser.add_argument("--gateway", default=os.environ.get("MODELBUS_GATEWAY_URL", "http://127.0.0.1:8080"))
    parser.add_argument("--brokers", default=os.environ.get("MODELBUS_BROKERS", "127.0.0.1:9092"))
    parser.add_argument("--proto", default=str(pathlib.Path(__file__).resolve().parents[2] / "proto"))
    args = parser.parse_args()
    events = messages(args.proto)
    token = os.environ.get("MODELBUS_TOKEN")

    model, names, metrics, sample = train(args.trees, args.depth, args.seed)
    content = bytes(model.get_booster().save_raw(raw_format=args.format))
    if args.truncate:
        content = content[: len(content) // 2]
    stored = upload(args.gateway, content, token)
    stored_sample = upload(args.gateway, sample, token)

    event = events.ModelTrained(
        model_name=args.model,
        run_id=str(uuid.uuid4()),
        feature_names=names,
        trained_at_ms=int(time.time() * 1000),
        trained_by="train_breast_cancer.py",
        experiment="breast-cancer",
    )
    event.artifact.uri, event.artifact.size_bytes = stored["uri"], int(stored["size_bytes"])
    event.artifact.format = {"json": "xgboost-json", "ubj": "xgboost-ubjson"}[args.format]
    event.artifact.file_name = f"model.{args.format}"
    event.reference_sample.uri = stored_sample["uri"]
    event.reference_sample.size_bytes = int(stored_sample["size_bytes"])
    event.reference_sample.file_name = "reference.csv"
    for key, value in metrics.items():
        event.metrics.add(key=key, value=value, timestamp_ms=event.trained_at_ms)
    for key, value in {"trees": args.trees, "depth": args.depth, "seed": args.seed}.items():
        event.params.add(key=key, value=str(value))

    failure = []
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": args.brokers, "enable.idempotence": True, "linger.ms": 0}
    )
    producer.produce(
        f"{os.environ.get('MODELBUS_BUS_PREFIX', 'modelbus')}.experiment",
        key=args.model,
        value=event.SerializeToString(),
        headers={
            "ce_specversion": "1.0",
            "ce_id": str(uuid.uuid4()),
            "ce_source": "/pipelines/train_breast_cancer",
            "ce_type": EVENT_TYPE,
            "ce_time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
            "content-type": "application/protobuf",
        },
        on_delivery=lambda error, _: failure.append(error) if error else None,
    )
    if producer.flush(30) or failure:
        sys.exit(f"ModelTrained was not delivered: {failure or 'no broker answered'}")
    print(json.dumps({"model": args.model, "run_id": event.run_id, "artifact": stored["uri"],
                      **{k: round(v, 4) for k, v in metrics.items()}}))


if __name__ == "__main__":
    main()
