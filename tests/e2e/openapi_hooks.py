# SPDX-License-Identifier: Apache-2.0
"""What Schemathesis (test_openapi.py) has to know that a JSON schema cannot say."""

import re
import uuid

import schemathesis
from hypothesis import strategies

# Opaque: only what a page gave is a token. The first page's is empty.
schemathesis.openapi.format("page-token", strategies.just(""))


def distinct_keys(value):
    """Keys of tags and params are there once: a list of pairs cannot say so."""
    if isinstance(value, list):
        seen = set()
        for item in value:
            if isinstance(item, dict) and set(item) <= {"key", "value"} and isinstance(item.get("key"), str):
                if item["key"] in seen:
                    item["key"] = f"{item['key'][:200]}{len(seen)}"
                seen.add(item["key"])
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        distinct_keys(part)


@schemathesis.hook
def before_call(context, case, kwargs):
    distinct_keys(case.body)
    # A key belongs to one command; Schemathesis would send it with others, too, which is refused.
    headers = case.headers if case.headers is not None else {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]([ -~]{0,126}[!-~])?", key):
        headers["Idempotency-Key"] = str(uuid.uuid4()) + key[36:]
    # One of the two, or neither: openapi.json says so in words.
    if case.operation.label.endswith((" /api/v1/endpoints", " /api/v1/endpoints/{name}")) and isinstance(case.body, dict):
        if case.body.get("version") not in (None, 0, "0") and case.body.get("alias"):
            del case.body["version"]
