# SPDX-License-Identifier: Apache-2.0
"""A small client of modelbus' REST, standard library only.

    from modelbus import Client

    client = Client()                                   # MODELBUS_GATEWAY_URL, MODELBUS_TOKEN
    uri = client.upload_artifact("model.json")          # "sha256:..."
    version = client.create_version("churn", uri, metrics={"auc": 0.99})
    client.set_alias("churn", "champion", version["version"])
    client.get_endpoint("churn")["status"]
    client.rollback("churn", reason="wrong prices")

A refused request raises Error with the code, the sentence and the HTTP status of the gateway's problem
document. Changes carry an Idempotency-Key, so that the one repetition after a lost connection changes
nothing twice. A Client belongs to one thread.
"""

from modelbus._client import Client, Error

__all__ = ["Client", "Error"]
__version__ = "0.1.0"
