# SPDX-License-Identifier: Apache-2.0
"""A run of a modelbus pipeline as a task of a Prefect 3 flow. MODELBUS_GATEWAY_URL and MODELBUS_TOKEN come from the
environment; needs the package modelbus.

    python3 prefect_flow.py
"""

from modelbus import Client
from prefect import flow, get_run_logger, task


@task
def run_pipeline(pipeline: str, parameters: dict | None = None) -> str:
    """Start a run and wait until it has succeeded; a flow that is cancelled cancels it. Returns its id."""
    logger = get_run_logger()
    with Client() as client:
        run = client.start(pipeline, **(parameters or {}))
        logger.info("%r", run)
        try:
            run.wait()
        except BaseException:
            if not run.ended:
                run.cancel("cancelled in Prefect")
            raise
        logger.info("%r", run)
        return run.id


@flow
def weekly_sweep(trees: int = 100) -> str:
    return run_pipeline("sweep", {"method": "random", "trees": trees})


if __name__ == "__main__":
    weekly_sweep()
