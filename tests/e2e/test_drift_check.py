# SPDX-License-Identifier: Apache-2.0
"""`modelbus drift check` as a person or a pipeline calls it; the figures are checked in tests/integration/drift."""

import json
import os
import pathlib
import pty
import random
import resource
import subprocess

import pytest

BIN = pathlib.Path(os.environ.get("MODELBUS_TEST_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"))
NO_DRIFT, USAGE, NOT_FOUND, DRIFT, UNDECIDED = 0, 2, 3, 7, 8


def call(*words, code=NO_DRIFT, stdin=None, limit_mb=None, data_mb=None, **env):
    """limit_mb bounds the address space, data_mb what of it the program asked for itself."""
    def bound():
        for kind, limit in (resource.RLIMIT_AS, limit_mb), (resource.RLIMIT_DATA, data_mb):
            if limit and "san" not in os.environ.get("MODELBUS_TEST_BIN", ""):
                resource.setrlimit(kind, (limit << 20, limit << 20))
    done = subprocess.run([BIN / "modelbus", "drift", "check", *map(str, words)], input=stdin, text=True, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}, preexec_fn=bound)
    assert done.returncode == code, f"{words} exited {done.returncode}\n{done.stdout[-3000:]}{done.stderr}"
    return done


def report(*words, code=NO_DRIFT, **more):
    document = json.loads(call(*words, "--json", code=code, **more).stdout)
    return document, {c["column"]: c for c in document["columns"]}


@pytest.fixture
def write(tmp_path):
    def make(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return make


@pytest.fixture
def shifted(write):
    """Two files of 400 rows: `age` moved by a sigma, `income` and `city` did not."""
    rng = random.Random(7)

    def rows(shift):
        return "".join(f"{rng.gauss(40 + shift, 10)!r},{rng.gauss(3000, 500):.2f},{rng.choice(['Rome', 'Oslo'])}\n" for _ in range(400))
    return write("ref.csv", "age,income,city\n" + rows(0)), write("cur.csv", "age,income,city\n" + rows(10))


def test_drift_has_an_exit_code_a_table_and_a_summary(shifted):
    out = call(*shifted, code=DRIFT).stdout
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["COLUMN", "METHOD"]
    assert lines[1].startswith("age") and " drift" in lines[1]
    assert "1 of 3 columns drifted" in out and "no drift" in out
    assert "\033" not in out and "▁" not in out


def test_no_drift_is_exit_code_0(shifted):
    assert "0 of 3 columns drifted" in call(shifted[0], shifted[0]).stdout


def test_json_has_what_recomputing_a_verdict_needs(shifted):
    document, columns = report(*shifted, "--method", "psi", "--columns", "age", code=DRIFT)
    assert document["profile"] == "native" and document["drift"] and document["drifted"] == 1
    assert document["reference"]["rows"] == 400 and list(columns) == ["age"]
    verdict = columns["age"]["verdict"]
    assert verdict["method"] == "psi" and verdict["p"] is None and verdict["comparator"] == ">="
    assert verdict["n_ref"] == verdict["n_cur"] == 400 and verdict["zero_rule"] and verdict["log_base"] == pytest.approx(2.718281828)
    assert len(verdict["bins"]["edges"]) == 9 and verdict["bins"]["count"] == 10
    assert len(columns["age"]["reference_digest"]) == 16 and sum(columns["age"]["histogram"]["current"]) == 400


def test_a_terminal_shows_bars_and_colours(shifted):
    reader, writer = pty.openpty()
    done = subprocess.Popen([BIN / "modelbus", "drift", "check", *shifted], stdout=writer, stderr=writer,
                            env={k: v for k, v in os.environ.items() if k != "NO_COLOR"})
    os.close(writer)
    text = b""
    while True:
        try:
            chunk = os.read(reader, 65536)
        except OSError:
            break
        if not chunk:
            break
        text += chunk
    os.close(reader)
    assert done.wait() == DRIFT
    assert "█" in text.decode() and "REFERENCE" in text.decode() and "\033[" in text.decode()


def test_csv_and_ndjson_of_the_same_rows_agree(write):
    rng = random.Random(1)
    rows = [{"x": rng.random(), "n": rng.randrange(9), "w": rng.choice(["a", "ü,\"b\"", "c\nd"]), "hole": None} for _ in range(200)]
    quote = lambda v: "" if v is None else '"' + str(v).replace('"', '""') + '"'
    csv = write("a.csv", "x,n,w,hole\n" + "".join(",".join(quote(v) for v in r.values()) + "\r\n" for r in rows))
    ndjson = write("a.ndjson", "\n".join(json.dumps(r) for r in rows))
    document, columns = report(csv, ndjson, "--columns", "x,n,w")
    assert all(c["verdict"]["statistic"] == 0 for c in columns.values())
    assert columns["w"]["histogram"]["labels"] == ["a", "c\nd", "ü,\"b\""]
    assert document["reference"]["rows"] == document["current"]["rows"] == 200


def test_one_side_may_be_standard_input(shifted):
    call(shifted[0], "-", stdin=shifted[1].read_text(), code=DRIFT)
    call("-", "-", code=USAGE)


@pytest.mark.parametrize("text, message", [
    ("a,b\n1,2\n1,2,3\n", ":3: 3 cells, but the header has 2"),
    ("a,b\n1\n", ":2: 1 cells, but the header has 2"),
    ("a,a\n1,2\n", ":1: the header names 'a' twice"),
    ("a,b\n1,\"open\n2,3\n", ":2: a quote is opened and never closed"),
    ("a,b\n1,\"x\"y\n", ":2: text after a closing quote"),
    ("", "there is no header"),
    ("a,b\n", "there are no rows"),
    ("{\"a\": 1}\n{\"a\": \n", ":2: "),
    ("{\"a\": 1}\n[1]\n", ":2: not an object"),
    ("{\"a\": [1, 2]}\n", ":1: 'a' is a list"),
    ("{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n", ":2: "),
    ("{\"a\": NaN}\n", "write null"),
    ("{\"a\": 1e999}\n", ":1: "),
])
def test_a_file_that_is_no_table_is_refused_with_file_and_line(write, text, message):
    good, bad = write("good.csv", "a,b\n1,2\n"), write("bad", text)
    for words in (bad, good), (good, bad):
        stderr = call(*words, code=USAGE).stderr
        assert str(bad) in stderr and message in stderr


@pytest.mark.parametrize("words, message", [
    (["--profile", "evidentally"], "native, evidently or scipy"),
    (["--method", "kolmogorov"], "jensenshannon"),
    (["--profile", "scipy", "--method", "psi"], "the profile scipy has no psi"),
    (["--correction", "bonferroni"], "holm, bh or none"),
    (["--threshold", "-1"], "--threshold"), (["--threshold", "nan"], "--threshold"), (["--threshold", "x"], "--threshold"),
    (["--columns", "aeg"], "neither file has a column 'aeg'"), (["--columns", ","], "names no column"),
    (["--categorical", "agee"], "did you mean 'age'"),
    (["--column", "agee=0.1"], "neither file has a column 'agee'; did you mean 'age'?"), (["--ignore", "agee"], "did you mean 'age'"),
    (["--column", "age"], "'age' is not NAME=THRESHOLD"), (["--column", "=1"], "is not NAME=THRESHOLD"),
    (["--column", "age=0"], "is not NAME=THRESHOLD"), (["--column", "age=inf"], "is not NAME=THRESHOLD"), (["--column", "age=1x"], "is not"),
    (["--column", "age=1,psy"], "there is no method 'psy'"), (["--column", "age=1,"], "there is no method ''"),
    (["--column", "age=1", "--column", "age=psi"], "'age' is given twice"),
    (["--profile", "scipy", "--column", "age=psi"], "the profile scipy has no psi"),
    (["--ignore", "age,income,city"], "--ignore leaves no column"),
])
def test_wrong_words_are_exit_code_2(shifted, words, message):
    assert message in call(*shifted, *words, code=USAGE).stderr


def test_a_file_that_is_not_there(shifted, tmp_path):
    call(shifted[0], tmp_path / "none.csv", code=NOT_FOUND)
    call(shifted[0], tmp_path, code=USAGE)


def test_columns_that_come_and_go(write):
    ref, cur = write("r.csv", "a,b\n1,2\n2,3\n"), write("c.csv", "b,c\n2,9\n3,9\n")
    _, columns = report(ref, cur, code=DRIFT)
    assert columns["a"]["finding"] == "column_gone" and columns["a"]["outcome"] == "drift"
    assert columns["c"]["finding"] == "column_new" and columns["c"]["outcome"] == "no drift"


def test_a_changed_type_is_drift_and_says_where(write):
    ref = write("r.csv", "a\n" + "".join(f"{i}\n" for i in range(50)))
    cur = write("c.csv", "a\n" + "".join(f"{i}\n" for i in range(49)) + "broken\n")
    _, columns = report(ref, cur, code=DRIFT)
    assert columns["a"]["finding"] == "type_changed" and "'broken', line 51" in columns["a"]["text"]
    report(ref, cur, "--categorical", "a")


def test_a_column_may_have_a_threshold_and_a_method_of_its_own(shifted):
    _, columns = report(*shifted, "--method", "psi", "--threshold", "0.3", "--column", "age=100", "--column", "income=ks",
                        "--column", "city=0.05,hellinger")
    used = {name: (c["verdict"]["method"], c["verdict"]["comparator"], c["verdict"]["threshold"]) for name, c in columns.items()}
    assert used == {"age": ("psi", ">=", 100), "income": ("ks", "<", 0.05), "city": ("hellinger", ">=", 0.05)}
    out = call(*shifted, "--column", "age=1e-200").stdout
    assert "< 1e-200" in out and "< 0.05" in out and "0 of 3 columns drifted" in out


def test_a_column_named_with_an_equals_sign_may_have_a_threshold(write):
    table = write("e.csv", "a=b,c\n" + "".join(f"{i},{i}\n" for i in range(30)))
    _, columns = report(table, table, "--column", "a=b=0.01")
    assert columns["a=b"]["verdict"]["threshold"] == 0.01 and columns["c"]["verdict"]["threshold"] == 0.05


def test_forty_columns_may_each_have_a_threshold(write):
    names = [f"c{i}" for i in range(40)]
    table = write("t.csv", ",".join(names) + "\n" + "".join(",".join([str(i)] * 40) + "\n" for i in range(30)))
    _, columns = report(table, table, *(word for i, n in enumerate(names) for word in ("--column", f"{n}=0.{i + 10}")))
    assert [columns[n]["verdict"]["threshold"] for n in names] == [pytest.approx((i + 10) / 100) for i in range(40)]


def test_ignored_columns_are_not_judged(shifted):
    document, columns = report(*shifted, "--ignore", "age")
    assert set(columns) == {"income", "city"} and document["drifted"] == 0
    assert columns["city"]["verdict"]["family"] == 2


def test_missing_values_are_a_finding_of_their_own(write):
    values = [str(i / 7) for i in range(300)]
    ref = write("r.csv", "a,b\n" + "".join(f"{v},1\n" for v in values))
    cur = write("c.csv", "a,b\n" + "".join(f"{v if i % 5 else ''},1\n" for i, v in enumerate(values)))
    _, columns = report(ref, cur, code=DRIFT)
    assert columns["a"]["verdict"]["outcome"] == "no drift" and columns["a"]["missing"]["outcome"] == "drift"
    assert columns["a"]["finding"] == "missing_changed" and columns["a"]["missing"]["missing_cur"] == 60
    report(ref, cur, "--profile", "evidently")


def test_nothing_but_missing_values_is_undecided_not_a_silent_pass(write):
    ref, cur = write("r.csv", "a,b\n1,1\n2,2\n"), write("c.csv", "a,b\nNaN,1\nnan,2\n")
    _, columns = report(ref, cur, "--profile", "evidently", code=UNDECIDED)
    assert columns["a"]["outcome"] == "undecided" and "no value" in columns["a"]["text"]
    assert "1 undecided" in call(ref, cur, "--profile", "scipy", code=UNDECIDED).stdout


def test_what_pandas_drops_is_missing(write):
    words = ["", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "null", "NULL", "None", "-1.#QNAN", "#N/A N/A", '""']
    ref = write("r.csv", "a,b\n" + "".join(f"{w},1\n" for w in words) + "inf,1\n-1.5E3,2\n")
    _, columns = report(ref, ref)
    verdict = columns["a"]["verdict"]
    assert verdict["missing_ref"] == len(words) and verdict["n_ref"] == 2 and verdict["infinite_ref"] == 1


def test_a_method_that_needs_numbers_says_so_of_words(shifted):
    _, columns = report(*shifted, "--method", "ks", code=DRIFT)
    assert columns["city"]["outcome"] == "undecided" and columns["city"]["text"] == "the method needs numbers"


def test_corrections_take_back_what_chance_explains(write):
    rng = random.Random(3)
    table = lambda: ",".join(f"c{i}" for i in range(60)) + "\n" + "".join(
        ",".join(f"{rng.random():.6f}" for _ in range(60)) + "\n" for _ in range(80))
    ref, cur = write("r.csv", table()), write("c.csv", table())
    plain, _ = report(ref, cur, "--correction", "none", code=DRIFT)
    holm, columns = report(ref, cur, "--correction", "holm")
    assert plain["drifted"] >= 1 and holm["drifted"] == 0
    verdict = columns["c0"]["verdict"]
    assert verdict["correction"] == "holm" and verdict["family"] == 60 and verdict["p_adjusted"] >= verdict["p"]


def test_a_hundred_thousand_columns(write):
    header = ",".join(f"c{i}" for i in range(100_000))
    row = ",".join(str(i % 7) for i in range(100_000))
    table = write("wide.csv", f"{header}\n{row}\n{row}\n")
    document, _ = report(table, table, limit_mb=1500)
    assert len(document["columns"]) == 100_000 and not document["drift"]


def test_bounds_are_errors_with_a_line(write):
    good = write("good.csv", "a\n1\n2\n")
    assert ":2: the line is longer than 16 MiB" in call(good, write("long.csv", "a\n" + "1" * (20 << 20)), code=1).stderr
    wide = write("wide.csv", ",".join(f"c{i}" for i in range(140_000)) + "\n")
    assert ":1: more than 131072 columns" in call(good, wide, code=1).stderr
    # A new member in each line: bounded by the columns, not by rows times columns.
    many = write("many.ndjson", "".join(f'{{"k{i}": 1}}\n' for i in range(140_000)))
    assert "more than 131072 columns" in call(good, many, code=1, limit_mb=1500).stderr


def test_bytes_that_are_not_utf8_and_odd_line_ends(write):
    ref = write("r.csv", b"\xef\xbb\xbfa;b\r\n1;caf\xe9\r\n2;x\r\n\r\n3;x")
    document, columns = report(ref, ref)
    assert document["reference"]["rows"] == 3 and list(columns) == ["a", "b"]
    assert columns["b"]["histogram"]["labels"] == ["caf�", "x"]


def test_more_cells_than_memory_holds_go_to_a_file(write, tmp_path):
    rng = random.Random(5)
    lines = "".join(",".join(f"{rng.random():.3f}" for _ in range(40)) + "\n" for _ in range(60_000))
    big = write("big.csv", ",".join(f"c{i}" for i in range(40)) + "\n" + lines)
    _, columns = report(big, big, TMPDIR=str(tmp_path))
    assert all(c["verdict"]["statistic"] == 0 and c["verdict"]["n_cur"] == 60_000 for c in columns.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.csv"]
    call(big, big, code=1, TMPDIR=str(tmp_path / "none"))


def test_memory_does_not_grow_with_the_files(write):
    """250,000 rows of 30 columns are 60 MB of numbers a side; two columns of them are 4 MB."""
    rng = random.Random(6)
    block = "".join(",".join(f"{rng.random():.3f}" for _ in range(30)) + "\n" for _ in range(2500))
    big = write("big.csv", ",".join(f"c{i}" for i in range(30)) + "\n" + 100 * block)
    for words, most in (["--method", "psi"], 24), ([], 40):
        _, columns = report(big, big, *words, data_mb=most)
        assert all(c["verdict"]["statistic"] == 0 and c["verdict"]["n_cur"] == 250_000 for c in columns.values())


def test_help_has_examples_and_exit_codes():
    text = call("--help").stdout
    assert "Examples:" in text and "7 drift found" in text and "--profile" in text
