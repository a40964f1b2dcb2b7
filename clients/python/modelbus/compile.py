# SPDX-License-Identifier: Apache-2.0
"""Write the YAML of a pipeline that is a Python function.

    python3 -m modelbus.compile my_pipeline.py                   # to standard output
    python3 -m modelbus.compile my_pipeline.py:nightly -o nightly.yaml
    python3 -m modelbus.compile my_pipeline.py --archive source.tar
    python3 -m modelbus.compile my_pipeline.py --apply

The last one stores the source, names it in the YAML and applies it, by MODELBUS_GATEWAY_URL and MODELBUS_TOKEN.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from typing import List, Optional

from modelbus._client import Client, Error
from modelbus._package import source_root
from modelbus._pipeline import Pipeline
from modelbus._place import CompileError, Place, of_exception


def load(file: str) -> "dict[str, Pipeline]":
    """Run a Python file and return its pipelines by the names of their variables. CompileError."""
    path = os.path.abspath(file)
    if not os.path.isfile(path):
        raise CompileError("there is no such file", Place(file, 0))
    root = source_root(path)
    name = os.path.relpath(path, root)[:-3].replace(os.sep, ".")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CompileError("no Python file", Place(file, 0))
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, root)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except CompileError:
        raise
    except SyntaxError as error:
        raise CompileError(f"SyntaxError: {error.msg}", Place(error.filename or path, error.lineno or 0)) from error
    except Exception as error:
        raise CompileError(f"{type(error).__name__}: {error}", of_exception(error, Place(path, 0))) from error
    return {name: value for name, value in vars(module).items() if isinstance(value, Pipeline)}


def choose(file: str) -> Pipeline:
    """FILE, when it has one pipeline, or FILE:NAME by its name or its variable's."""
    path, colon, name = file.rpartition(":") if not os.path.exists(file) else (file, "", "")
    found = load(path if colon else file)
    if colon:
        found = {variable: value for variable, value in found.items() if name in (variable, value.name)}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise CompileError(f"has no pipeline{' ' + name if name else ''}", Place(path or file, 0))
    raise CompileError(f"has several pipelines: name one by FILE:NAME ({', '.join(found)})", Place(file, 0))


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m modelbus.compile", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE[:NAME]")
    parser.add_argument("-o", "--output", help="write the YAML there")
    parser.add_argument("--archive", metavar="TAR", help="write the source there, and its digest into the YAML")
    parser.add_argument("--apply", action="store_true", help="store the source and apply the pipeline")
    parser.add_argument("--python", help="the interpreter on the workers (the pipeline's own: python3)")
    parser.add_argument("--no-bundle", action="store_true", help="leave the package modelbus out of the source: workers have it")
    args = parser.parse_args(arguments)
    try:
        pipeline = choose(args.file)
        pipeline.python = args.python or pipeline.python
        if args.archive or args.apply:
            client = Client() if args.apply else None
            archive = pipeline.package(client, bundle=not args.no_bundle)
            if args.archive:
                with open(args.archive, "wb") as file:
                    file.write(archive.content)
        text = pipeline.to_yaml()
        if args.apply:
            applied = Client().apply(text)
            print(f"{pipeline.name}: {applied['outcome']}, version {applied['pipeline']['version']}", file=sys.stderr)
        if args.output:
            with open(args.output, "w", encoding="utf-8") as out:
                out.write(text)
        elif not args.apply:
            sys.stdout.write(text)
    except (CompileError, Error, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
