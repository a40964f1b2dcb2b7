# SPDX-License-Identifier: Apache-2.0
"""A run of a modelbus pipeline as a task of Airflow 3. Put this file into the DAGs' folder and the package modelbus
beside it; MODELBUS_GATEWAY_URL and MODELBUS_TOKEN come from the environment of the Airflow worker.
"""

from airflow.sdk import DAG, BaseOperator
from modelbus import Client, Run


class ModelbusRunOperator(BaseOperator):
    """Starts a run, writes its progress into the task's log, and fails when it fails. Cancelled here, it is cancelled
    there. Returns the run's id. Retries belong to the pipeline's own tasks: one here would start another run."""

    template_fields = ("pipeline", "parameters")

    def __init__(self, *, pipeline: str, parameters: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.pipeline, self.parameters = pipeline, parameters or {}
        self._run: Run | None = None

    def execute(self, context):
        with Client() as client:
            self._run = client.start(self.pipeline, **self.parameters)
            self._run.watch().wait()
            return self._run.id

    def on_kill(self):
        if self._run is not None:
            with Client() as client:  # the other one waits for an answer
                client.get_pipeline_run(self._run.id).cancel("cancelled in Airflow")


with DAG("modelbus_sweep", schedule="@weekly", catchup=False) as dag:
    ModelbusRunOperator(task_id="sweep", pipeline="sweep", parameters={"method": "random", "trees": 100})
