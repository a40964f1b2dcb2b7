# SPDX-License-Identifier: Apache-2.0
"""Each new version of a model challenges the champion: both are judged on the same labelled window, and the registry
decides by the model's promotion policy."""

from pathlib import Path
from typing import Annotated

import breast_cancer
from modelbus import OnEvent, Retries, current, item, pipeline, task


@task(outputs=["rows", "window"])
def newest_window(scale: float):
    """The newest labelled rows, and a name for them. Yours come from where labels are kept."""
    _, newest = breast_cancer.rows(scale)
    breast_cancer.write_csv(current.outputs / "rows", newest)
    return {"window": f"labelled-{scale}"}


@task(outputs=["versions"])
def contenders(model_name: str, challenger: int):
    """The champion, when there is one, and the challenger."""
    champion = current.client.get_alias(model_name, "champion")
    versions = [] if champion is None else [int(champion["version"])]
    return {"versions": [str(v) for v in dict.fromkeys([*versions, challenger])]}


@task(retries=Retries(2, base_s=2))
def evaluate(model_name: str, version: int, rows: Path, window: str):
    """Record how a version does on the window."""
    found = current.client.get_version(model_name, version)
    x, y = breast_cancer.read_csv(rows)
    scores = breast_cancer.scores(current.client.read_artifact(found["artifact"]["uri"]), x, y)
    print(f"version {version}: {scores}")
    current.client.evaluate_version(model_name, version, window, scores, rows=len(y))


@task(outputs=["promoted", "reason"], retries=Retries(2, base_s=2))
def challenge(model_name: str, challenger: int, window: str):
    """Let the challenger take the alias, if it has won."""
    decision = current.client.challenge(model_name, challenger, window=window)
    return {"promoted": decision.get("promoted", False), "reason": decision.get("reason", "")}


@pipeline(triggers=[OnEvent("ModelRegistered", where=["model_name = breast-cancer"], parameters={"challenger": "{version}"})],
          concurrency="allow", tags={"template": "champion-challenger"})
def champion_challenger(
    challenger: Annotated[int, "Version that challenges"],
    model_name: str = "breast-cancer",
    scale: Annotated[float, "Of the changed measures in the newest rows"] = 1.0,
):
    """Judge champion and challenger on the same window; the better one serves."""
    newest = newest_window(scale)
    both = contenders(model_name, challenger)
    judged = evaluate.map(both.versions)(model_name, item, newest.rows, newest.window)
    challenge.options(after=[judged])(model_name, challenger, newest.window)


if __name__ == "__main__":
    print(champion_challenger.to_yaml(), end="")
