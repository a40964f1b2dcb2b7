# SPDX-License-Identifier: Apache-2.0
"""Train, judge, register and deploy: the model takes the alias that its endpoint follows when it is good enough."""

from pathlib import Path
from typing import Annotated

import breast_cancer
from modelbus import Error, Retries, current, pipeline, task


@task(outputs=["train", "test"])
def prepare():
    """Rows to train with and rows to judge by."""
    train, test = breast_cancer.rows()
    breast_cancer.write_csv(current.outputs / "train", train)
    breast_cancer.write_csv(current.outputs / "test", test)


@task(outputs=["model"], timeout="10m")
def train(rows: Path, trees: int, depth: int):
    """Fit the model."""
    return {"model": breast_cancer.fit(*breast_cancer.read_csv(rows), trees, max_depth=depth)}


@task(outputs=["auc", "log_loss", "accuracy"])
def evaluate(model: Path, rows: Path):
    """How good it is on rows that it has not seen."""
    return breast_cancer.scores(model, *breast_cancer.read_csv(rows))


@task(outputs=["version"], retries=Retries(3, base_s=2))
def register(model_name: str, model: Path, rows: Path, trees: int, depth: int, auc: float, log_loss: float):
    """Publish the model with its metrics and the sample that drift is measured against."""
    current.log_params({"trees": trees, "depth": depth})
    sample, _ = breast_cancer.read_csv(rows)
    version = current.publish_model(model_name, model, file_name="model.json", metrics={"auc": auc, "log_loss": log_loss},
                                    feature_names=breast_cancer.NAMES, reference=sample)
    return {"version": version["version"]}


@task(retries=Retries(3, base_s=2))
def deploy(model_name: str, version: int, endpoint: str):
    """Make it the champion, which the endpoint serves."""
    current.client.set_alias(model_name, "champion", version, reason=f"pipeline run {current.run}")
    try:
        current.client.create_endpoint(endpoint, model_name)
    except Error as error:
        if error.status != 409:  # it is there
            raise


@pipeline(tags={"template": "train-register-deploy"})
def train_register_deploy(
    model_name: str = "breast-cancer",
    endpoint: str = "breast-cancer",
    trees: Annotated[int, "Rounds of boosting"] = 50,
    depth: int = 3,
):
    """Train a model, register it, and deploy it when it is good enough."""
    rows = prepare()
    trained = train(rows.train, trees, depth)
    judged = evaluate(trained.model, rows.test)
    made = register.options(when=[judged.auc >= 0.95])(model_name, trained.model, rows.train, trees, depth, judged.auc, judged.log_loss)
    deploy(model_name, made.version, endpoint)


if __name__ == "__main__":
    print(train_register_deploy.to_yaml(), end="")
