# SPDX-License-Identifier: Apache-2.0
"""Score a day's rows with the champion, every night: in parts, several at once, and again into one file."""

import json
from pathlib import Path

import breast_cancer
import numpy
from modelbus import Cron, Retries, current, item, pipeline, task


@task(outputs=["parts"])
def extract(day: str, rows_per_part: int):
    """The day's rows in parts of the artifact store. Yours come from a warehouse."""
    print(f"rows of {day}")
    x = breast_cancer.read_rows(sum(map(ord, day)))
    parts = []
    for first in range(0, len(x), rows_per_part):
        path = Path(f"part-{first}.csv")
        breast_cancer.write_csv(path, x[first : first + rows_per_part], breast_cancer.NAMES)
        parts.append(current.store(path))
    return {"parts": parts}


@task(outputs=["model", "version"])
def champion(model_name: str):
    """The model that all parts are scored with, whatever is promoted meanwhile."""
    version = current.client.get_alias(model_name, "champion")
    if version is None:
        raise SystemExit(f"{model_name} has no champion")
    return {"model": current.client.read_artifact(version["artifact"]["uri"]), "version": version["version"]}


@task(outputs=["scored"], retries=Retries(3, base_s=5), timeout="15m")
def score(part: Path, model: Path):
    """Probabilities of one part."""
    x, _ = breast_cancer.read_csv(part)
    breast_cancer.write_csv("scored.csv", breast_cancer.predict(model, x).reshape(-1, 1), ["benign"])
    return {"scored": current.store("scored.csv")}


@task(outputs=["predictions", "summary"])
def merge(day: str, version: int, parts: list[str]):
    """All of the day in one file, and what is worth a look in the morning."""
    tables = []
    for uri in parts:
        Path("scored.csv").write_bytes(current.client.read_artifact(uri))
        tables.append(numpy.loadtxt("scored.csv", skiprows=1, ndmin=1))
    p = numpy.concatenate(tables)
    numpy.savetxt(current.outputs / "predictions", p, header="benign", comments="", fmt="%.6g")
    return {"summary": json.dumps({"day": day, "version": version, "rows": len(p), "mean": round(float(p.mean()), 4)})}


@pipeline(triggers=[Cron("0 2 * * *", time_zone="Europe/Berlin", catch_up="all", catch_up_max=7)], concurrency="forbid",
          tags={"template": "nightly-batch-scoring"})
def nightly_batch_scoring(model_name: str = "breast-cancer", rows_per_part: int = 100):
    """Score each day's rows with the champion; days that were missed, up to a week, are caught up."""
    day = "${run.logical_date}"
    rows = extract.options(cache=True)(day, rows_per_part)
    model = champion(model_name)
    scored = score.map(rows.parts, parallelism=4)(item, model.model)
    merge(day, model.version, scored.scored)


if __name__ == "__main__":
    print(nightly_batch_scoring.to_yaml(), end="")
