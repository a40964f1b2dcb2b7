# SPDX-License-Identifier: Apache-2.0
"""A search for hyper-parameters: one task for each point, several at once; the best child is promoted."""

import itertools
import json
import random
from pathlib import Path
from typing import Annotated

import breast_cancer
from modelbus import Resources, Retries, current, item, pipeline, task

GRID = {"max_depth": [2, 3, 4], "eta": [0.05, 0.1, 0.3]}


@task(outputs=["points"])
def choose(method: str, count: int, seed: int):
    """Points of the whole grid, or count points drawn at random. An output that is mapped over is a list of texts."""
    if method == "grid":
        points = [dict(zip(GRID, values)) for values in itertools.product(*GRID.values())]
    elif method == "random":
        draw = random.Random(seed)
        points = [{"max_depth": draw.randint(2, 6), "eta": round(10 ** draw.uniform(-2, -0.3), 4)} for _ in range(count)]
    else:
        raise ValueError(f"method {method!r}: grid or random is expected")
    return {"points": [json.dumps(point) for point in points]}


@task(outputs=["train", "test"])
def prepare():
    """Rows to train with and rows to judge by."""
    train, test = breast_cancer.rows()
    breast_cancer.write_csv(current.outputs / "train", train)
    breast_cancer.write_csv(current.outputs / "test", test)


@task(outputs=["auc", "model"], retries=Retries(2, base_s=2), resources=Resources(cpu=1, memory_mb=512))
def fit(point: dict, rows: Path, test: Path, trees: int):
    """One child: a model, and how good it is; a run of the experiment keeps both."""
    model = breast_cancer.fit(*breast_cancer.read_csv(rows), trees, **point)
    scores = breast_cancer.scores(model, *breast_cancer.read_csv(test))
    current.log_params({**point, "trees": trees})
    current.log_metrics(scores)
    return {"auc": scores["auc"], "model": current.store(model)}


@task(outputs=["version", "auc"], retries=Retries(2, base_s=2))
def promote(model_name: str, aucs: list[float], models: list[str], rows: Path):
    """The best child becomes a version, and the champion."""
    best = max(range(len(aucs)), key=aucs.__getitem__)
    sample, _ = breast_cancer.read_csv(rows)
    version = current.publish_model(model_name, current.client.read_artifact(models[best]), file_name="model.json",
                                    metrics={"auc": aucs[best]}, feature_names=breast_cancer.NAMES, reference=sample,
                                    description=f"child {best} of {len(aucs)}")
    current.client.set_alias(model_name, "champion", version["version"], reason=f"best of {len(aucs)} in run {current.run}")
    return {"version": version["version"], "auc": aucs[best]}


@pipeline(tags={"template": "sweep"})
def sweep(
    model_name: str = "breast-cancer",
    method: Annotated[str, "grid or random"] = "grid",
    count: Annotated[int, "Points, when they are drawn at random"] = 8,
    seed: int = 1,
    trees: int = 50,
):
    """Search for the best hyper-parameters and promote the model that they make."""
    chosen = choose(method, count, seed)
    rows = prepare()
    children = fit.map(chosen.points, parallelism=4)(item, rows.train, rows.test, trees)
    promote(model_name, children.auc, children.model, rows.train)


if __name__ == "__main__":
    print(sweep.to_yaml(), end="")
