#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Golden predictions from XGBoost itself, for the runtimes' test.

usage: golden.py DIR

Writes for each case DIR/<case>.json, .ubj, .rows (float32, row by row), .margins and
.predictions (float32, as Booster.predict gives them), and DIR/cases, one line a case:
name rows features margin-columns prediction-columns exact
"""
import sys
import warnings

import numpy as np
import xgboost as xgb
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris

warnings.simplefilter("ignore")
out = sys.argv[1]
cases = []


def add(name, params, X, y, rounds=20, exact=True, binary=True, **more):
    X = np.asarray(X, dtype=np.float32)
    train = xgb.DMatrix(X, y, **more)
    booster = xgb.train({"nthread": 1, "seed": 1, **params}, train, rounds)
    booster.save_model(f"{out}/{name}.json")
    booster.save_model(f"{out}/{name}.ubj")
    test = xgb.DMatrix(X[:200], **more)
    margins = booster.predict(test, output_margin=True).astype(np.float32)
    predictions = booster.predict(test).astype(np.float32)
    n = len(X[:200])
    X[:200].tofile(f"{out}/{name}.rows")
    margins.tofile(f"{out}/{name}.margins")
    predictions.tofile(f"{out}/{name}.predictions")
    cases.append(f"{name} {n} {X.shape[1]} {margins.size // n} {predictions.size // n} {int(exact)}")


rng = np.random.default_rng(7)
X, y = load_breast_cancer(return_X_y=True)
add("binary", {"objective": "binary:logistic", "max_depth": 6}, X, y, rounds=100)
add("base_score", {"objective": "binary:logistic", "base_score": 0.2}, X, y)
add("logitraw", {"objective": "binary:logitraw", "base_score": 0.3}, X, y)
add("hinge", {"objective": "binary:hinge"}, X, y)
add("deep", {"objective": "binary:logistic", "max_depth": 14, "min_child_weight": 0}, X, rng.integers(0, 2, len(y)))
add("forest", {"objective": "binary:logistic", "num_parallel_tree": 4, "subsample": 0.6}, X, y)
add("dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3}, X, y)
add("linear_binary", {"objective": "binary:logistic", "booster": "gblinear"}, X, y)
holes = X.copy()
holes[rng.random(X.shape) < 0.2] = np.nan
add("missing", {"objective": "binary:logistic"}, holes, y)
add("missing_linear", {"objective": "binary:logistic", "booster": "gblinear"}, holes, y)
categories = np.column_stack([rng.integers(0, 12, len(y)), rng.integers(0, 3, len(y)), X[:, 0]]).astype(np.float32)
categories[rng.random(categories.shape) < 0.1] = np.nan
target = (np.nan_to_num(categories[:, 0]) % 3 == 1).astype(float) + 0.01 * X[:, 1]
add("categories", {"objective": "reg:squarederror", "tree_method": "approx", "max_cat_to_onehot": 4},
    categories, target, feature_types=["c", "c", "q"], enable_categorical=True)
add("onehot", {"objective": "reg:squarederror", "tree_method": "approx", "max_cat_to_onehot": 40},
    categories, target, feature_types=["c", "c", "q"], enable_categorical=True,
    feature_names=["colour \"x\"", "grösse", "radius"])

X, y = load_iris(return_X_y=True)
add("softprob", {"objective": "multi:softprob", "num_class": 3}, X, y)
add("softmax", {"objective": "multi:softmax", "num_class": 3}, X, y)
add("linear_softprob", {"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, X, y)
X, y = load_digits(return_X_y=True)
add("digits", {"objective": "multi:softprob", "num_class": 10, "max_depth": 4}, X, y, rounds=5)

X, y = load_diabetes(return_X_y=True)
add("regression", {"objective": "reg:squarederror", "base_score": 152.25}, X, y)
add("absolute", {"objective": "reg:absoluteerror"}, X, y)
add("poisson", {"objective": "count:poisson"}, X, y)
add("gamma", {"objective": "reg:gamma"}, X, y)
add("tweedie", {"objective": "reg:tweedie", "base_score": 2.5}, X, y)
add("stump", {"objective": "reg:squarederror", "max_depth": 1}, X, y, rounds=3)
add("empty_trees", {"objective": "reg:squarederror", "gamma": 1e12}, X, y, rounds=3)

with open(f"{out}/cases", "w", encoding="ascii") as f:
    f.write("\n".join(cases) + "\n")
