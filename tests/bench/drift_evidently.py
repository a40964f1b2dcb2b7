# SPDX-License-Identifier: Apache-2.0
"""Seconds that the real Evidently needs for FOLDER/ref.csv and cur.csv in memory, a line of JSON a method.
Run by tests/bench/run in the environment of tests/support/requirements.txt."""

import json
import sys
import time
import warnings

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

warnings.filterwarnings("ignore")
ref, cur = (pd.read_csv(f"{sys.argv[1]}/{name}.csv") for name in ("ref", "cur"))
definition = DataDefinition(numerical_columns=list(ref.columns))
for method in "psi", None:
    began = time.process_time()
    report = Report([ValueDrift(column=c, method=method) for c in ref.columns])
    values = [m["value"] for m in report.run(Dataset.from_pandas(cur, definition), Dataset.from_pandas(ref, definition)).dict()["metrics"]]
    print(json.dumps({"method": method or "auto", "seconds": time.process_time() - began, "mean_statistic": float(sum(values)) / len(values)}), flush=True)
