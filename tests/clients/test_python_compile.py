# SPDX-License-Identifier: Apache-2.0
"""The compiler of pipelines written in Python: its YAML, held against the contract, and its errors."""

import pathlib
import re
import subprocess
import sys
import tarfile
import textwrap
import time

import pytest
import yaml
from google.protobuf import descriptor_pb2, json_format, message_factory

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients/python"
FEATURES = ROOT / "tests/clients/pipelines/every_feature"
sys.path.insert(0, str(PACKAGE))
from modelbus import _yaml  # noqa: E402


@pytest.fixture(scope="module")
def definition_class(tmp_path_factory):
    """The message Definition, of the .proto file."""
    out = tmp_path_factory.mktemp("proto") / "set"
    subprocess.run(["protoc", f"-I{ROOT}/proto", "--include_imports", f"--descriptor_set_out={out}",
                    "modelbus/pipeline/v1/definition.proto"], check=True)
    messages = message_factory.GetMessages(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)
    return messages["modelbus.pipeline.v1.Definition"]


def compile_file(path, *options, code=0, cwd=None):
    done = subprocess.run([sys.executable, "-m", "modelbus.compile", str(path), *map(str, options)], cwd=cwd or path.parent, text=True,
                          env={"PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def compile_text(folder, text, code=0):
    """text: what follows the import."""
    path = folder / "flow.py"
    path.write_text("from modelbus import *\n" + textwrap.dedent(text).lstrip("\n"))
    return compile_file(path, code=code)


def test_the_same_source_gives_the_reviewed_text():
    expected = FEATURES.with_suffix(".yaml").read_text()
    for _ in range(2):
        assert compile_file(FEATURES.with_suffix(".py")).stdout == expected


def test_the_text_is_the_message_definition_field_by_field(definition_class):
    document = yaml.safe_load(FEATURES.with_suffix(".yaml").read_text())
    message = json_format.ParseDict(document, definition_class())  # refuses unknown names and other types
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == document


def test_no_field_of_the_contract_is_out_of_reach(definition_class):
    seen = set()

    def walk(message):
        for field, value in message.ListFields():
            seen.add(field.full_name)
            if field.message_type and not field.message_type.GetOptions().map_entry:
                for child in value if field.label == field.LABEL_REPEATED else [value]:
                    walk(child)

    def fields(descriptor):
        for field in descriptor.fields:
            yield field.full_name
            if field.message_type and not field.message_type.GetOptions().map_entry:
                yield from fields(field.message_type)

    text = compile_file(FEATURES.with_suffix(".py"), "--archive", "/dev/null").stdout
    walk(json_format.ParseDict(yaml.safe_load(text), definition_class()))
    assert set(fields(definition_class.DESCRIPTOR)) == seen


HOSTILE = ["", " ", "yes", "No", "null", "~", "007", "1e5", "0x1f", "1_000", "12:30:45", ".inf", "2001-01-01", "- a", "a: b", "a #b", "#",
           "!tag", "&a", "*a", "|", ">", "%", "@", "`", "'", '"', '{"a": 1}', "it's \"so\"", "[a]", "{a}", "a,b", "a\nb", "a\tb", "\x7f",
           "\x85", "\u2028", "\ufeff", "é", "🚀", "\\", "a ", " a", "---", "...", "=", "<<", "-", "--", "-a", "--flag", "?", ":", "-1", "+1",
           "a  b", "on", "OFF", "Y", "a:b", "\x1b[0m", "a\\nb", "\r"]


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader])
def test_every_text_comes_back_as_it_was(loader):
    document = {"block": {text or "empty": text for text in HOSTILE}, "short": [[]], "rows": [{"value": text, "list": [text, text]} for text in HOSTILE]}
    del document["short"]
    document["long"] = HOSTILE
    document["numbers"] = [1, 0.5, 1e-07, 1.5e300, True, False]
    assert yaml.load(_yaml.dump(document, "two\nlines"), loader) == document


def test_a_pipeline_in_a_package_and_one_in_a_file_that_is_no_module(tmp_path):
    flow = "from modelbus import *\n@task\ndef a(): ...\n@pipeline\ndef p(): a()\n"
    package = tmp_path / "top/sub"
    package.mkdir(parents=True)
    for folder in [package.parent, package]:
        (folder / "__init__.py").touch()
    (package / "flow.py").write_text(flow)
    assert '"top.sub.flow:a"' in compile_file(package / "flow.py").stdout
    (tmp_path / "my-flow.py").write_text(flow)
    assert '"my-flow.py:a"' in compile_file(tmp_path / "my-flow.py").stdout


def test_one_of_several_pipelines_is_named(tmp_path):
    (tmp_path / "flow.py").write_text("from modelbus import *\n@task\ndef a(): ...\n@pipeline\ndef p(): a()\n@pipeline(name='other')\ndef q(): a()\n")
    assert "name one by FILE:NAME (p, q)" in compile_file(tmp_path / "flow.py", code=1).stderr
    for name in ["q", "other"]:
        assert "\nname: other\n" in compile_file(pathlib.Path(f"{tmp_path}/flow.py:{name}"), cwd=tmp_path).stdout
    assert "has no pipeline" in compile_file(pathlib.Path(f"{tmp_path}/flow.py:r"), cwd=tmp_path, code=1).stderr


# The marked line is the one that the error names.
MISTAKES = {
    "a result before it exists": ("UnboundLocalError.*exists from the line on that calls it", """
        @task(outputs=["x"])
        def a(v: str): ...
        @pipeline
        def p():
            a.options(name="first")(second.x)  # HERE
            second = a("1")
    """),
    "an output that is none": ("task a has no output 'modle'; did you mean model?", """
        @task(outputs=["model", "auc"])
        def a(): ...
        @task
        def b(v: str): ...
        @pipeline
        def p():
            made = a()
            b(made.modle)  # HERE
    """),
    "an output of a task that was not called": (r"task a.model: .* only once it was called: a\(\.\.\.\).model", """
        @task(outputs=["model"])
        def a(): ...
        @task
        def b(v: str): ...
        @pipeline
        def p():
            b(a.model)  # HERE
    """),
    "a cycle": ("a cycle: a needs c needs b needs a", """
        @task
        def a(): ...
        @pipeline
        def p():
            x = a()
            y = a.options(name="b", after=[x])()
            z = a.options(name="c", after=[y])()
            x.after(z)  # HERE
    """),
    "a default that is no literal": ("parameter when: the default must be a literal string: .*datetime", """
        import datetime
        @task
        def a(): ...
        @pipeline  # HERE
        def p(when: str = datetime.date(2020, 1, 1)):
            a()
    """),
    "a default of another type": ("parameter depth: the default must be a literal int: 'three' is no int", """
        @task
        def a(): ...
        @pipeline  # HERE
        def p(depth: int = "three"):
            a()
    """),
    "an annotation that is none of ours": ("a: parameter x is a set; str, int", """
        @task  # HERE
        def a(x: set): ...
    """),
    "two tasks of one name": (r"there is a task a already \(flow.py:6\); give this one a name: a.options\(name=...\)", """
        @task
        def a(): ...
        @pipeline
        def p():
            a()
            a()  # HERE
    """),
    "an argument of another type": ("task a: parameter depth: 'deep' is no int", """
        @task
        def a(depth: int): ...
        @pipeline
        def p():
            a("deep")  # HERE
    """),
    "a parameter of another type": ("task a: parameter depth is a int, params.name a string", """
        @task
        def a(depth: int): ...
        @pipeline
        def p(name: str = "x"):
            a(name)  # HERE
    """),
    "an argument too many": ("task a: .*unexpected keyword argument 'width'", """
        @task
        def a(depth: int): ...
        @pipeline
        def p():
            a(1, width=2)  # HERE
    """),
    "a decision about a value that is not known": ("params.fast has a value only in a run: use when=", """
        @task
        def a(): ...
        @pipeline
        def p(fast: bool = True):
            if fast:  # HERE
                a()
    """),
    "a decision about a comparison": ("whether tasks.a.outputs.auc > 0.9 is known only in a run", """
        @task(outputs=["auc"])
        def a(): ...
        @pipeline
        def p():
            made = a()
            if made.auc > 0.9:  # HERE
                a.options(name="b")()
    """),
    "arithmetic": ("TypeError: unsupported operand", """
        @task
        def a(depth: int): ...
        @pipeline
        def p(depth: int = 1):
            a(depth + 1)  # HERE
    """),
    "a whole task as a value": ("task a is no value: name one of its outputs; there is x, y", """
        @task(outputs=["x", "y"])
        def a(v: str = ""): ...
        @pipeline
        def p():
            made = a()
            a.options(name="b")(made)  # HERE
    """),
    "a file that is none": (r"task a: input data is a file: .*not 'data.csv'", """
        import pathlib
        @task
        def a(data: pathlib.Path): ...
        @pipeline
        def p():
            a("data.csv")  # HERE
    """),
    "files of a map as one file": ("input data: tasks.a.outputs.x is a list; take it as a list", """
        import pathlib
        @task(outputs=["x"])
        def a(i: str): ...
        @task
        def b(data: pathlib.Path): ...
        @pipeline
        def p():
            b(a.map(["1", "2"])(item).x)  # HERE
    """),
    "a text around a file": (r"task b: input data is a file: .*not 'x \$\{tasks.a.outputs.x\}'", """
        import pathlib
        @task(outputs=["x"])
        def a(): ...
        @task
        def b(data: pathlib.Path): ...
        @pipeline
        def p():
            b(f"x {a().x}")  # HERE
    """),
    "a condition on a list": ("task b: when: tasks.a.outputs.x is a list", """
        @task(outputs=["x"])
        def a(i: str): ...
        @task
        def b(): ...
        @pipeline
        def p():
            made = a.map(["1", "2"])(item)
            b.options(when=[made.x == "1"])()  # HERE
    """),
    "a number that is none": ("task a: when: params.mode is no number", """
        @task
        def a(): ...
        @pipeline
        def p(mode: str = "x"):
            a.options(when=[mode > 3])()  # HERE
    """),
    "an end that is none": ("task b: when: a task ends as succeeded, failed, skipped, cancelled, not 'ok'", """
        @task
        def a(): ...
        @task
        def b(): ...
        @pipeline
        def p():
            b.options(when=[a().status == "ok"])()  # HERE
    """),
    "a condition on an item": ("task a: when: item is known only when the task is run", """
        @task
        def a(i: str): ...
        @pipeline
        def p():
            a.options(when=[item == "1"]).map(["1"])(item)  # HERE
    """),
    "item without a map": ("task a: item is known only in a task with map", """
        @task
        def a(i: str): ...
        @pipeline
        def p():
            a(item)  # HERE
    """),
    "a map without item": ("task a: has a map.., but nothing of it uses item", """
        @task
        def a(i: str): ...
        @pipeline
        def p():
            a.map(["1"])("x")  # HERE
    """),
    "a name in a text": ("task a: there is no parameter 'dept'; did you mean depth", """
        @task
        def a(v: str): ...
        @pipeline
        def p(depth: int = 1):
            a("at ${params.dept}")  # HERE
    """),
    "a brace that stays open": (r"after \$\{ a name and \} are expected", """
        @task
        def a(v: str): ...
        @pipeline
        def p(depth: int = 1):
            a("at ${params.depth")  # HERE
    """),
    "a trigger's parameter": ("trigger cron: there is no parameter 'dpth'; did you mean depth", """
        @task
        def a(): ...
        @pipeline(triggers=[Cron("0 3 * * *", parameters={"dpth": 1})])  # HERE
        def p(depth: int = 1):
            a()
    """),
    "a trigger without what is required": ("trigger DriftDetected: parameter depth is required and not given", """
        @task
        def a(): ...
        @pipeline(triggers=[OnEvent("DriftDetected")])  # HERE
        def p(depth: int):
            a()
    """),
    "a duration": ("task a: timeout: '10 minutes' is no duration such as", """
        @task(timeout="10 minutes")
        def a(): ...
        @pipeline
        def p():
            a()  # HERE
    """),
    "an option": ("there is no option 'retry'; did you mean retries", """
        @task
        def a(): ...
        @pipeline
        def p():
            a.options(retry=3)()  # HERE
    """),
    "no task": ("pipeline p calls no task", """
        @pipeline  # HERE
        def p():
            pass
    """),
    "a task within a function": (r"task .*inner is not at the top of its module", """
        @pipeline
        def p():
            @task
            def inner(): ...
            inner()  # HERE
    """),
    "two values compared": ("params.a = params.b: conditions compare with literals", """
        @task
        def t(): ...
        @pipeline
        def p(a: str, b: str):
            t.options(when=[a == b])()  # HERE
    """),
    "Python that is none": ("SyntaxError", """
        def p(:  # HERE
    """),
    "an exception of one's own": ("KeyError: 'x'", """
        SETTINGS = {}
        @task
        def a(v: str): ...
        def lookup():
            return SETTINGS["x"]  # HERE
        @pipeline
        def p():
            a(lookup())
    """),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place(mistake, tmp_path):
    message, source = MISTAKES[mistake]
    told = compile_text(tmp_path, source, code=1).stderr
    line = next(i for i, text in enumerate(textwrap.dedent(source).lstrip("\n").split("\n"), 2) if "# HERE" in text)
    assert re.match(rf"flow\.py:{line}: ", told), told
    assert re.search(message, told), told
    assert "Traceback" not in told


def test_outside_of_a_pipeline_a_task_is_the_function(tmp_path):
    (tmp_path / "use.py").write_text("from modelbus import task\n@task(outputs=['x'])\ndef double(v: int): return {'x': 2 * v}\nprint(double(21))\n")
    done = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, check=True)
    assert done.stdout == "{'x': 42}\n"


def test_a_thousand_tasks_compile_in_seconds(tmp_path):
    begun = time.monotonic()
    text = compile_text(tmp_path, """
        @task(outputs=["x"])
        def a(v: str): ...
        @pipeline
        def p():
            last = a("0")
            for i in range(999):
                last = a.options(name=f"a{i}")(last.x)
    """).stdout
    assert len(yaml.load(text, yaml.CSafeLoader)["tasks"]) == 1000
    assert time.monotonic() - begun < 20


# ---- the source as an archive ----

FLOW = "from modelbus import *\n@task\ndef a(): ...\n@pipeline\ndef p(): a()\n"


def test_the_archive_is_the_same_for_the_same_files(tmp_path):
    folders = []
    for name in ["one", "two"]:
        folder = tmp_path / name
        (folder / "lib").mkdir(parents=True)
        for path, text in sorted({"flow.py": FLOW, "lib/b.py": "b", "lib/a.py": "a"}.items(), reverse=name == "two"):
            (folder / path).write_text(text)
        (folder / ".git").mkdir()
        (folder / ".git/config").write_text(name)
        (folder / "data.bin").write_text(name)
        (folder / ".modelbusignore").write_text("# large\n*.bin\n")
        (folder / "venv").mkdir()
        folders.append(folder)
    one, two = [compile_file(folder / "flow.py", "--archive", folder.parent / f"{folder.name}.tar").stdout for folder in folders]
    assert one == two and re.search(r'\n    archive: "sha256:[0-9a-f]{64}"\n', one)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        names = tar.getnames()
        assert all((m.mtime, m.uid, m.uname) == (0, 0, "") for m in tar)
    assert names == sorted(names)
    assert [n for n in names if not n.startswith("modelbus")] == ["flow.py", "lib", "lib/a.py", "lib/b.py"]
    assert "modelbus/run.py" in names


def test_an_archive_is_enough_to_run_a_task(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/flow.py").write_text("from modelbus import *\n@task\ndef a(v: int): print(v + 1)\n@pipeline\ndef p(): a(41)\n")
    text = compile_file(tmp_path / "src/flow.py", "--archive", tmp_path / "source.tar").stdout
    (tmp_path / "work").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "source.tar", "-C", tmp_path / "work"], check=True)
    done = subprocess.run(yaml.safe_load(text)["tasks"][0]["run"], cwd=tmp_path / "work", env={"PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


def test_an_archive_refuses_links_and_too_much(tmp_path):
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert "link:0: is a symbolic link; name it in .modelbusignore" in compile_file(tmp_path / "flow.py", "--archive", "/dev/null", code=1).stderr
    (tmp_path / "link").unlink()
    with open(tmp_path / "large", "wb") as file:
        file.truncate(65 << 20)
    assert "the largest file is large" in compile_file(tmp_path / "flow.py", "--archive", "/dev/null", code=1).stderr
