# SPDX-License-Identifier: Apache-2.0
"""modelbus from Python: a client of its REST, pipelines as Python functions, and what tasks need while they run.
Standard library only.

    from modelbus import Client

    client = Client()                                   # MODELBUS_GATEWAY_URL, MODELBUS_TOKEN
    uri = client.upload_artifact("model.json")          # "sha256:..."
    version = client.create_version("churn", uri, metrics={"auc": 0.99})
    client.set_alias("churn", "champion", version["version"])

    from modelbus import pipeline, task

    @task(outputs=["auc"])
    def train(depth: int): ...

    @pipeline
    def nightly(depth: int = 3):
        train(depth)

    print(nightly.to_yaml())                            # no server needed
    client.apply(nightly)
    client.start("nightly", depth=4).wait()

The manual is docs/python.md. A refused request raises Error with the code, the sentence and the HTTP status of the
gateway's problem document; a pipeline that cannot run raises CompileError with the file and line.
"""

from modelbus._client import Client, Error
from modelbus._handles import Condition, TaskCall, Value, index, item
from modelbus._pipeline import Pipeline, pipeline
from modelbus._place import CompileError
from modelbus._pipeline_run import Run, RunFailed
from modelbus._spec import AfterPipeline, Cache, Cron, OnEvent, Resources, Retries
from modelbus._task_context import TaskError, current
from modelbus._tasks import Task, task

__all__ = [
    "AfterPipeline", "Cache", "Client", "CompileError", "Condition", "Cron", "Error", "OnEvent", "Pipeline", "Resources",
    "Retries", "Run", "RunFailed", "Task", "TaskCall", "TaskError", "Value", "current", "index", "item", "pipeline", "task",
]
__version__ = "0.1.0"
