# SPDX-License-Identifier: Apache-2.0
"""Every field of a definition at least once; compiled to every_feature.yaml."""

from pathlib import Path
from typing import Annotated, List

from modelbus import AfterPipeline, Cache, Cron, OnEvent, Resources, Retries, index, item, pipeline, task


@task(outputs=["table", "columns"], env={"LANG": "C.UTF-8", "EMPTY": ""}, secrets={"DB_PASSWORD": "warehouse"})
def extract(day: str, limit: int = 10):
    """Read the warehouse.

    This part is for readers of the source.
    """


@task(outputs=["score", "model-file"], timeout="1h30m", resources=Resources(cpu=0.5, memory_mb=2048, gpu=1),
      retries=Retries(count=3, base_s=0.5, factor=1.5, cap_s=60, jitter=0.1), labels={"zone": "a", "gpu": "yes"})
def fit(table: Path, point: dict, rate: float, verbose: bool, names: List[str], place: int): ...


@task
def pick(scores: list[float], baseline: Path): ...


@task
def tell(outcome: str): ...


@pipeline(
    name="every-feature",
    owner="team: data",
    tags={"cost-centre": "007", "on": "off"},
    triggers=[
        Cron("*/10 3 * * 1-5", time_zone="Europe/Berlin", catch_up="all", catch_up_max=5, name="nightly", parameters={"table": "t", "rate": 0.2}),
        OnEvent("DriftDetected", where=["endpoint = churn", "drifted >= 3"], parameters={"table": "{endpoint}"}),
        AfterPipeline("ingest", on="always", disabled=True, parameters={"table": "t"}),
    ],
    concurrency="replace",
    timeout=7200,
)
def every(
    table: Annotated[str, "Where from"],
    mode: str = "full",
    rate: float = 0.1,
    depth: int = 3,
    verbose: bool = False,
    names: List[str] = ["a", "no", "1"],
    points: List[str] = ["{}"],
):
    """All that a pipeline can say."""
    day = "${run.logical_date}"
    rows = extract.options(name="extract_rows", cache=Cache(key=[table, f"limit of {day}"], max_age="7d"))(day, limit=100)
    fixed = fit.map([{"depth": 1}, {"depth": 2}], parallelism=2)(rows.table, item, depth, verbose, names, index)
    given = fit.options(name="fit_given", when=[mode == "full", mode.like("f*|g"), rows.columns > 3]).map(points)(
        rows.table, item, 1, True, ["x, y", "[z]"], index)
    best = pick.options(after=[given])(fixed.score, "sha256:" + 64 * "0")
    tell.options(run_on="always", env={"RUN": "${run.id}"})(f"it {best.status}: $${{no}} \"quoted\"\n{fixed['model-file']}")
