# SPDX-License-Identifier: Apache-2.0
"""Metrics of labelled predictions beside those of the real scikit-learn, to 1e-12.

    compare.py PATH/label_metrics

Random outputs with and without ties, constants, one class alone, extreme probabilities, the real
outputs of models on real data."""

import math
import os
import pathlib
import subprocess
import sys
import warnings

VENV = os.environ.get("MODELBUS_TEST_VENV")
if VENV and pathlib.Path(sys.prefix).resolve() != pathlib.Path(VENV).resolve():
    python = f"{VENV}/bin/python"
    os.execv(python, [python, *sys.argv])

import numpy as np  # noqa: E402
from sklearn import datasets, linear_model, metrics  # noqa: E402

warnings.filterwarnings("ignore")


def of_classes(outputs, labels, threshold):
    predicted = (outputs > threshold).astype(int)
    found = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "precision": metrics.precision_score(labels, predicted, zero_division=0),
        "recall": metrics.recall_score(labels, predicted, zero_division=0),
        "f1": metrics.f1_score(labels, predicted, zero_division=0),
        "auc": metrics.roc_auc_score(labels, outputs) if len(set(labels)) == 2 else math.nan,
    }
    probabilities = outputs.min() >= 0 and outputs.max() <= 1
    found["log_loss"] = metrics.log_loss(labels, outputs, labels=[0, 1]) if probabilities else math.nan
    return found


def of_numbers(outputs, labels):
    return {"rmse": math.sqrt(metrics.mean_squared_error(labels, outputs)), "mae": metrics.mean_absolute_error(labels, outputs)}


def classifications():
    random = np.random.default_rng(5)
    for count in (1, 2, 3, 10, 500, 20000):
        for ties in (None, 2, 10, 1):  # different outputs; None: all of them
            outputs = random.random(count) if ties is None else random.integers(0, ties + 1, count) / ties
            for share in (0.0, 0.03, 0.5, 1.0):
                labels = (random.random(count) < share).astype(int)
                for threshold in (0.5, 0.1, 1.0):
                    yield f"{count} rows, {ties} ties, {share} positive", outputs, labels, threshold
    labels = random.integers(0, 2, 400)
    for constant in (0.0, 0.5, 1.0, 1e-300, 1 - 2**-53):
        yield f"constant {constant}", np.full(400, constant), labels, 0.5
    yield "as labelled", labels.astype(float), labels, 0.5
    yield "the opposite", 1.0 - labels, labels, 0.5
    yield "margins", random.normal(0, 3, 400), labels, 1e-300
    yield "zeros of both signs", np.where(random.random(400) < 0.5, -0.0, 0.0), labels, 0.5
    x, y = datasets.load_breast_cancer(return_X_y=True)
    model = linear_model.LogisticRegression(max_iter=50).fit(x[::2], y[::2])
    yield "breast cancer", model.predict_proba(x)[:, 1], y, 0.5
    yield "breast cancer, floats", model.predict_proba(x)[:, 1].astype(np.float32).astype(float), y, 0.5
    x, y = datasets.load_iris(return_X_y=True)
    model = linear_model.LogisticRegression(max_iter=50).fit(x, y)
    for one in range(3):
        yield f"iris, {one} against the rest", model.predict_proba(x)[:, one], (y == one).astype(int), 0.5


def regressions():
    random = np.random.default_rng(6)
    for count in (1, 2, 500, 20000):
        for scale, offset in ((1, 0), (1e-9, 1e6), (1e150, 0), (1e6, -1e12)):
            labels = random.normal(0, 1, count) * scale + offset
            yield f"{count} rows times {scale} plus {offset}", labels + random.normal(0, 0.1, count) * scale, labels
    yield "equal", np.arange(10.0), np.arange(10.0)
    x, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes", linear_model.LinearRegression().fit(x, y).predict(x), y


def main():
    cases = [(name, f"classes {threshold!r}", o, y, of_classes(o, y, threshold)) for name, o, y, threshold in classifications()]
    cases += [(name, "numbers 0", o, y, of_numbers(o, y)) for name, o, y in regressions()]
    text = "".join(f"{head} {len(o)}\n" + "".join(f"{float(a)!r} {float(b)!r}\n" for a, b in zip(o, y)) for _, head, o, y, _ in cases)
    lines = subprocess.run([sys.argv[1]], input=text, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(cases) > 200, (len(lines), len(cases))
    failures = compared = 0
    for (name, _, _, _, expected), line in zip(cases, lines):
        words = line.split()
        found = dict(zip(words[::2], map(float, words[1::2])))
        for metric, value in found.items():
            wanted = expected.get(metric, math.nan)
            same = math.isnan(value) if math.isnan(wanted) else math.isclose(value, wanted, rel_tol=1e-12, abs_tol=1e-12)
            compared += not math.isnan(wanted)
            if not same:
                failures += 1
                print(f"{name}: {metric} is {value!r}, scikit-learn says {wanted!r}")
    print(f"{len(cases)} cases, {compared} values, {failures} differ")
    sys.exit(failures != 0)


main()
