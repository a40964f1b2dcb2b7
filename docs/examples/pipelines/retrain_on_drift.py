# SPDX-License-Identifier: Apache-2.0
"""What an endpoint's policy starts when drift is detected:

    modelbus endpoint policy breast-cancer --on-drift retrain --pipeline retrain-on-drift

The policy passes the endpoint, its model and the window that drifted. The new model takes the alias only when it beats
the champion on the newest labelled window, by the rule of the model's promotion policy.
"""

from pathlib import Path
from typing import Annotated

import breast_cancer
from modelbus import Retries, current, pipeline, task


@task(outputs=["train", "newest"])
def collect(endpoint: str, window_start_ms: int, window_end_ms: int, scale: float):
    """Fresh labelled rows. Yours come from where labels are kept; these are measured by the changed instrument."""
    print(f"{endpoint} drifted between {window_start_ms} and {window_end_ms}")
    train, newest = breast_cancer.rows(scale)
    breast_cancer.write_csv(current.outputs / "train", train)
    breast_cancer.write_csv(current.outputs / "newest", newest)


@task(outputs=["version"], timeout="10m", retries=Retries(2, base_s=2))
def train(model_name: str, rows: Path, trees: int):
    """Fit and publish the challenger."""
    x, y = breast_cancer.read_csv(rows)
    current.log_params({"trees": trees, "rows": len(y)})
    version = current.publish_model(model_name, breast_cancer.fit(x, y, trees, max_depth=3), file_name="model.json",
                                    feature_names=breast_cancer.NAMES, reference=x)
    return {"version": version["version"]}


@task(outputs=["auc"], retries=Retries(2, base_s=2))
def evaluate(model_name: str, version: int, newest: Path, window: str):
    """Record how a version does on the newest window; version 0: the champion."""
    client = current.client
    found = client.get_version(model_name, version) if version else client.get_alias(model_name, "champion")
    if found is None:
        print(f"{model_name} has no champion yet")
        return {"auc": 0}
    x, y = breast_cancer.read_csv(newest)
    scores = breast_cancer.scores(client.read_artifact(found["artifact"]["uri"]), x, y)
    client.evaluate_version(model_name, found["version"], window, scores, rows=len(y))
    return {"auc": scores["auc"]}


@task(outputs=["promoted"], retries=Retries(2, base_s=2))
def challenge(model_name: str, version: int, window: str, auc: float, champion_auc: float):
    """Let the challenger take the alias, if the registry finds that it has won."""
    decision = current.client.challenge(model_name, version, window=window)
    print(f"challenger {auc:.4f}, champion {champion_auc:.4f}: {decision.get('reason', '')}")
    return {"promoted": decision.get("promoted", False)}


@pipeline(concurrency="forbid", timeout="1h", tags={"template": "retrain-on-drift"})
def retrain_on_drift(
    endpoint: str = "breast-cancer",
    model_name: str = "breast-cancer",
    version: Annotated[int, "The one that drifted"] = 0,
    window_start_ms: Annotated[int, "Of the window that drifted, Unix epoch"] = 0,
    window_end_ms: int = 0,
    trees: int = 50,
    scale: Annotated[float, "Of the changed measures in the fresh rows"] = 1.3,
):
    """Train on fresh rows when an endpoint drifts; the better of old and new model stays."""
    window = f"{endpoint}-{window_end_ms}"
    fresh = collect(endpoint, window_start_ms, window_end_ms, scale)
    challenger = train(model_name, fresh.train, trees)
    old = evaluate.options(name="evaluate_champion")(model_name, 0, fresh.newest, window)
    new = evaluate.options(name="evaluate_challenger")(model_name, challenger.version, fresh.newest, window)
    challenge(model_name, challenger.version, window, new.auc, old.auc)


if __name__ == "__main__":
    print(retrain_on_drift.to_yaml(), end="")
