# SPDX-License-Identifier: Apache-2.0
"""64 clients race alias moves with compare-and-set; the recorded history must be linearizable.

Each successful move returns the alias' revision, so the order of all moves is known and the
check is exact: expected values match the predecessor's, real time is respected, every read
shows a state that was current within its interval, and every refusal is explained by one."""

import random
import threading
import time

from stack import Rest, artifact_uri

CLIENTS, MOVES = 64, 25
MODEL, VERSIONS = "raced", 8


def client(url, number, history, errors, start):
    rest = Rest(url)
    path = f"/api/v1/models/{MODEL}/aliases/champion"
    dice = random.Random(number)
    start.wait()
    try:
        for _ in range(MOVES):
            began = time.monotonic()
            status, model, _ = rest("GET", f"/api/v1/models/{MODEL}")
            assert status == 200, model
            alias = model["model"]["aliases"][0]
            history.append(("read", began, time.monotonic(), alias["version"], alias["revision"]))
            to = dice.choice([v for v in range(1, VERSIONS + 1) if v != alias["version"]])  # a move to itself is none
            began = time.monotonic()
            status, answer, _ = rest("PUT", path, {"version": to, "expected_version": alias["version"],
                                                   "expected_revision": alias["revision"]})
            ended = time.monotonic()
            if status == 200:
                history.append(("move", began, ended, alias["version"], alias["revision"], to, answer["alias"]["revision"]))
            else:
                assert status in (409, 412), answer
                history.append(("refused", began, ended, alias["version"], alias["revision"]))
    except Exception as error:
        errors.append(error)


def check(history, first_version, first_revision):
    """An error message, or None when the history is linearizable."""
    moves = sorted((h for h in history if h[0] == "move"), key=lambda h: h[6])
    value = {first_revision: first_version}
    began_of, ended_of = {first_revision: float("-inf")}, {first_revision: float("-inf")}
    revision, latest_begin = first_revision, float("-inf")
    for _, began, ended, expected, expected_revision, to, new in moves:
        if new != revision + 1 or expected_revision != revision:
            return f"move to revision {new} expected {expected_revision}, but {revision} was current"
        if expected != value[revision]:
            return f"move to revision {new} expected version {expected}, but {value[revision]} was current"
        if ended < latest_begin:
            return f"revision {new} returned before an earlier one was asked for"
        latest_begin = max(latest_begin, began)
        revision = new
        value[revision], began_of[revision], ended_of[revision] = to, began, ended
    for kind, began, ended, version, seen, *_ in history:
        if kind == "read":
            if value.get(seen) != version:
                return f"a read saw version {version} at revision {seen}; it was {value.get(seen)}"
            if began_of[seen] > ended:
                return f"a read saw revision {seen} before it was asked for"
            if seen + 1 in ended_of and ended_of[seen + 1] < began:
                return f"a read saw revision {seen} after {seen + 1} had been acknowledged"
        if kind == "refused":
            overtaken = began_of.get(seen + 1)
            if overtaken is None or overtaken > ended:
                return f"a move that expected revision {seen} was refused while it was current"
    return None


def test_checker_finds_violations():
    good = [("read", 0, 1, 1, 1), ("move", 1, 2, 1, 1, 5, 2), ("read", 3, 4, 5, 2), ("refused", 3, 4, 1, 1)]
    assert check(good, 1, 1) is None
    assert "was current" in check(good + [("move", 2, 3, 1, 1, 6, 2)], 1, 1)
    assert "after 2 had been acknowledged" in check(good + [("read", 5, 6, 1, 1)], 1, 1)
    assert "refused while it was current" in check(good + [("refused", 5, 6, 5, 2)], 1, 1)
    assert "it was 5" in check(good + [("read", 5, 6, 4, 2)], 1, 1)


def test_compare_and_set_is_linearizable(stack):
    rest = stack.rest()
    for number in range(VERSIONS):
        status, answer, _ = rest("POST", f"/api/v1/models/{MODEL}/versions",
                                 {"artifact": {"uri": artifact_uri(str(number)), "size_bytes": 1}})
        assert status == 201, answer
    status, answer, _ = rest("PUT", f"/api/v1/models/{MODEL}/aliases/champion", {"version": 1, "expected_version": -1})
    assert status == 200, answer
    first = answer["alias"]

    history, errors, start = [], [], threading.Event()
    threads = [threading.Thread(target=client, args=(stack.gateway, n, history, errors, start)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    kinds = [h[0] for h in history]
    assert kinds.count("read") == CLIENTS * MOVES
    assert kinds.count("move") >= MOVES and kinds.count("refused") > 0
    assert check(history, first["version"], first["revision"]) is None
