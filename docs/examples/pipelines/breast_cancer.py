# SPDX-License-Identifier: Apache-2.0
"""Data and model of the templates, scikit-learn's breast-cancer set and XGBoost: replace them by yours."""

import csv
import pathlib

import numpy
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

NAMES = [name.replace(" ", "_") for name in load_breast_cancer().feature_names]
OBJECTIVE = {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}


def rows(scale=1.0):
    """Rows to train with and rows to judge by, each with the label last; the latter never train any model. scale: of
    radius, texture, perimeter and area (their means, errors and extremes), as when the instrument was changed."""
    data = load_breast_cancer()
    x = data.data.copy()
    x[:, [i for i in range(x.shape[1]) if i % 10 < 4]] *= scale
    return train_test_split(numpy.column_stack([x, data.target]), test_size=0.25, random_state=7)


def read_rows(seed):
    """Rows without labels, a day's worth."""
    return numpy.random.default_rng(seed).permutation(load_breast_cancer().data)[:250]


def write_csv(path, table, names=tuple(NAMES) + ("benign",)):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(table.tolist())


def read_csv(path):
    """Features and labels."""
    table = numpy.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    return table[:, : len(NAMES)], table[:, len(NAMES) :].ravel()


def fit(x, y, trees, **settings):
    """An XGBoost model as JSON."""
    booster = xgboost.train({**OBJECTIVE, "seed": 1, **settings}, xgboost.DMatrix(x, y), num_boost_round=trees)
    return bytes(booster.save_raw(raw_format="json"))


def predict(model, x):
    """Probabilities, by a model's bytes or the path of its file."""
    content = pathlib.Path(model).read_bytes() if isinstance(model, pathlib.Path) else model
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(content)).predict(xgboost.DMatrix(x))


def scores(model, x, y):
    p = predict(model, x)
    return {"auc": float(roc_auc_score(y, p)), "log_loss": float(log_loss(y, p.astype(float))), "accuracy": float(accuracy_score(y, p > 0.5))}
