# SPDX-License-Identifier: Apache-2.0
"""Real XGBoost models for tests, small and quick to train; run as /usr/bin/python3."""

import numpy
import xgboost
from sklearn.datasets import load_breast_cancer


def breast_cancer(trees=20, depth=3, seed=1, raw_format="json"):
    """(model bytes, rows, the library's own probabilities for these rows)."""
    data = load_breast_cancer()
    model = xgboost.XGBClassifier(n_estimators=trees, max_depth=depth, learning_rate=0.1, subsample=0.8,
                                  random_state=seed, n_jobs=1)
    model.fit(data.data, data.target)
    booster = model.get_booster()
    rows = data.data.astype(numpy.float32)
    return bytes(booster.save_raw(raw_format=raw_format)), rows, booster.predict(xgboost.DMatrix(rows))
