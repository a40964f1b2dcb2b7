#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of an endpoint: rows of scikit-learn's breast-cancer data, drawn at random, as they are or as if the
instrument had been recalibrated.

    . ~/.local/share/modelbus/env        # addresses, written by `modelbus local up`
    /usr/bin/python3 send_rows.py --rows 5000
    /usr/bin/python3 send_rows.py --rows 5000 --scale 1.3

Needs python3-sklearn.
"""

import argparse
import json
import os
import random
import urllib.request

from sklearn.datasets import load_breast_cancer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", default="breast-cancer")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--scale", type=float, default=1, help="of radius, texture, perimeter and area")
    parser.add_argument("--batch", type=int, default=50, help="rows of a request")
    parser.add_argument("--inference", default=os.environ.get("MODELBUS_INFERENCE_URL", "http://127.0.0.1:8090"))
    args = parser.parse_args()
    data = load_breast_cancer().data.tolist()
    versions = set()
    for first in range(0, args.rows, args.batch):
        rows = [[value * args.scale if i % 10 < 4 else value for i, value in enumerate(row)]
                for row in random.choices(data, k=min(args.batch, args.rows - first))]
        body = {"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": sum(rows, [])}]}
        request = urllib.request.Request(f"{args.inference}/v2/models/{args.endpoint}/infer", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            versions.add(json.load(response)["model_version"])
    print(f"{args.rows} rows predicted by version {', '.join(sorted(versions))}")


if __name__ == "__main__":
    main()
