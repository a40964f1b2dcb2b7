# SPDX-License-Identifier: Apache-2.0
"""`modelbus drift check` beside the real scipy and the real Evidently, on every pair of pairs.py.

    MODELBUS_TEST_BIN=build/release/bin MODELBUS_TEST_VENV=... python3 tests/integration/drift/compare.py [NAME ...]

Both sides read the same CSV files. Statistics and p-values agree to 1e-9 (of the value, or absolute below
1), except the Jensen-Shannon distance, whose root magnifies rounding near 0: 1e-7. Verdicts agree always."""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

HERE = pathlib.Path(__file__).resolve().parent
VENV = os.environ.get("MODELBUS_TEST_VENV")
if not VENV:
    sys.exit("MODELBUS_TEST_VENV is not set: a virtual environment with tests/support/requirements.txt (scripts/test makes one)")
if pathlib.Path(sys.prefix).resolve() != pathlib.Path(VENV).resolve():
    python = f"{VENV}/bin/python"
    os.execv(python, [python, *sys.argv])

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402
from scipy.spatial import distance  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.legacy.calculations.stattests import get_stattest  # noqa: E402
from evidently.legacy.core import ColumnType  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

from pairs import all_pairs  # noqa: E402

warnings.filterwarnings("ignore")
MODELBUS = pathlib.Path(os.environ.get("MODELBUS_TEST_BIN", HERE.parents[2] / "build/release/bin")) / "modelbus"
OUTCOMES = {0: "no drift", 7: "drift", 8: "undecided"}
failures = []
compared = 0


def check(folder, *words):
    done = subprocess.run([MODELBUS, "drift", "check", folder / "ref.csv", folder / "cur.csv", "--json", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode not in OUTCOMES:
        raise RuntimeError(f"{words} exited {done.returncode}: {done.stderr}")
    column, = json.loads(done.stdout)["columns"]
    assert OUTCOMES[done.returncode] == column["outcome"], column
    verdict = column.get("verdict") or {"method": None, "score": None, "statistic": None, "p": None}
    numbers = {k: math.nan if verdict[k] is None else float(verdict[k]) for k in ("score", "statistic", "p")}
    return column["outcome"], verdict["method"], numbers


def near(ours, real, method):
    global compared
    compared += 1
    real = float(real)
    if math.isnan(real):
        # The root of a sum that rounding took below 0 is NaN there; here it is 0.
        return math.isnan(ours) or (method == "jensenshannon" and ours == 0)
    if math.isinf(real) or math.isinf(ours) or math.isnan(ours):
        return ours == real
    return abs(ours - real) <= (1e-7 if method == "jensenshannon" else 1e-9) * max(1, abs(real))


def expect(what, ours, real, method):
    if not near(ours, real, method):
        failures.append(f"{what}: {ours!r}, real {real!r}")


def clean(series):
    return series.replace([-np.inf, np.inf], np.nan).dropna()


METHODS = {"num": ["ks", "wasserstein", "psi", "jensenshannon", "hellinger"],
           "cat": ["chisquare", "z", "psi", "jensenshannon", "hellinger"]}
NAMES = {"K-S p_value": "ks", "chi-square p_value": "chisquare", "Z-test p_value": "z", "PSI": "psi",
         "Wasserstein distance (normed)": "wasserstein", "Jensen-Shannon distance": "jensenshannon",
         "Hellinger distance": "hellinger"}


def with_evidently(name, folder, ref, cur):
    """The whole Report without any definition: its types, its choice of method, its verdict."""
    outcome, method, ours = check(folder, "--profile", "evidently")
    try:
        report = Report([ValueDrift(column="x")], include_tests=True)
        real = report.run(Dataset.from_pandas(cur.to_frame()), Dataset.from_pandas(ref.to_frame())).dict()
        metric, test = real["metrics"][0], real["tests"][0]
    except ValueError as error:
        # Its report draws as well, and may fail only there: then the method by itself decides.
        r, c = clean(ref), clean(cur)
        if r.empty or c.empty or "Too many bins" not in str(error):
            if outcome != "undecided":
                failures.append(f"{name}, evidently: {outcome}, real: {error}")
            return
        with_stattest(name, folder, r, c, "num", None)
        return
    if outcome == "undecided":
        if "Text" not in metric["config"]["method"] and "text" not in metric["config"]["method"]:
            failures.append(f"{name}, evidently: undecided, real {metric['value']} by {metric['config']['method']}")
        return
    if NAMES.get(metric["config"]["method"]) != method:
        failures.append(f"{name}, evidently: by {method}, real by {metric['config']['method']}")
        return
    expect(f"{name}, evidently {method}", ours["score"], metric["value"], method)
    drifted = getattr(test["status"], "name", test["status"]) == "FAIL"
    if drifted != (outcome == "drift"):
        failures.append(f"{name}, evidently {method}: {outcome}, real {test['status']} of {metric['value']}")


def with_stattest(name, folder, ref, cur, kind, method):
    """One method by its name (None: Evidently's choice), on the values that Evidently would hand it."""
    words = ["--profile", "evidently", "--method", method or "auto", "--numeric" if kind == "num" else "--categorical", "x"]
    outcome, ours_method, ours = check(folder, *words)
    try:
        column = ColumnType(kind)
        result = get_stattest(ref, cur, column, method)(ref.copy(), cur.copy(), column, None)
    except (ValueError, OverflowError) as error:
        if outcome != "undecided":
            failures.append(f"{name}, {method} {kind}: {outcome}, real: {error}")
        return
    expect(f"{name}, {ours_method} {kind}", ours["score"], result.drift_score, ours_method)
    if bool(result.drifted) != (outcome == "drift"):
        failures.append(f"{name}, {ours_method} {kind}: {outcome}, real {result}")


def with_stattests(name, folder, ref, cur, kind):
    r, c = clean(ref), clean(cur)
    for method in METHODS[kind]:
        if not r.empty and not c.empty:
            with_stattest(name, folder, r, c, kind, method)
            continue
        outcome, _, _ = check(folder, "--profile", "evidently", "--method", method)
        if outcome != "undecided":
            failures.append(f"{name}, {method}: {outcome} of an empty column")


def counts(ref, cur):
    both = sorted(set(ref) | set(cur))
    return np.array([[np.sum(s.to_numpy() == v) for v in both] for s in (ref, cur)])


def with_scipy(name, folder, ref, cur, kind):
    r, c = ref.dropna(), cur.dropna()
    if r.empty or c.empty:
        return
    if kind == "num":
        _, _, ours = check(folder, "--profile", "scipy", "--method", "ks", "--numeric", "x")
        real = stats.ks_2samp(r.astype(float), c.astype(float))
        expect(f"{name}, scipy ks", ours["statistic"], real.statistic, "ks")
        expect(f"{name}, scipy ks p", ours["p"], real.pvalue, "ks")
        _, _, ours = check(folder, "--profile", "scipy", "--method", "wasserstein", "--numeric", "x")
        real = stats.wasserstein_distance(r.astype(float), c.astype(float))
        expect(f"{name}, scipy wasserstein", ours["statistic"], real, "wasserstein")
        if not np.isfinite([*r, *c]).all():
            return
    if r.nunique() > 20 and kind == "num":
        outcome, _, ours = check(folder, "--profile", "scipy", "--method", "jensenshannon", "--numeric", "x")
        try:
            edges = np.histogram_bin_edges(np.asarray(pd.concat([r, c])), bins="sturges")
            table = np.array([np.histogram(s, edges)[0] for s in (r, c)])
        except (ValueError, OverflowError) as error:
            if outcome != "undecided":
                failures.append(f"{name}, scipy jensenshannon: {outcome}, real: {error}")
            return
        expect(f"{name}, scipy jensenshannon", ours["statistic"], distance.jensenshannon(*table), "jensenshannon")
        return
    table = counts(r, c)
    for method in "chi2_contingency", "chisquare", "jensenshannon":
        _, _, ours = check(folder, "--profile", "scipy", "--method", method, "--categorical", "x")
        if method == "jensenshannon":
            real = distance.jensenshannon(*table), math.nan
        elif method == "chisquare":
            real = stats.chisquare(table[1], table[0] * (len(c) / len(r)))
        else:
            real = stats.chi2_contingency(table)[:2]
        expect(f"{name}, scipy {method}", ours["statistic"], real[0], method)
        expect(f"{name}, scipy {method} p", ours["p"], real[1], method)


def main():
    wanted = sys.argv[1:]
    pairs = 0
    with tempfile.TemporaryDirectory(prefix="mb-drift-") as work:
        folder = pathlib.Path(work)
        for name, *sides in all_pairs():
            if wanted and not any(w in name for w in wanted):
                continue
            pairs += 1
            for file, cells in zip(("ref", "cur"), sides):
                pd.DataFrame({"x": pd.Series(list(cells), dtype=object)}).to_csv(folder / f"{file}.csv", index=False)
            ref, cur = (pd.read_csv(folder / f"{file}.csv", float_precision="round_trip")["x"] for file in ("ref", "cur"))
            numeric = all(pd.api.types.is_numeric_dtype(s) and not pd.api.types.is_bool_dtype(s) for s in (ref, cur))
            with_evidently(name, folder, ref, cur)
            if numeric:
                with_stattests(name, folder, ref, cur, "num")
                with_scipy(name, folder, ref, cur, "num")
            if not numeric or pd.concat([ref, cur]).nunique() <= 400:
                with_stattests(name, folder, ref, cur, "cat")
            if not numeric:
                with_scipy(name, folder, ref, cur, "cat")
    for line in failures:
        print(line)
    print(f"{pairs} pairs, {compared} numbers compared, {len(failures)} differ")
    if failures or (pairs < 200 and not wanted):
        sys.exit(1)


main()
