# SPDX-License-Identifier: Apache-2.0
"""The source of a pipeline as one tar file, the same bytes for the same files."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import stat
import tarfile
from typing import Iterator, List, Tuple

from modelbus._place import CompileError, Place

IGNORED = [".*", "__pycache__", "*.pyc", "*.egg-info", "node_modules", "venv", "build", "dist"]
IGNORE_FILE = ".modelbusignore"
FILES_MAX = 2000
BYTES_MAX = 64 << 20
_HERE = os.path.dirname(os.path.abspath(__file__))


class Archive:
    """content: the tar file. uri: "sha256:...", its name in the artifact store. names: what is in it, sorted."""

    def __init__(self, content: bytes, names: List[str]):
        self.content, self.names = content, names
        self.uri = "sha256:" + hashlib.sha256(content).hexdigest()

    @classmethod
    def of_folder(cls, root: str, bundle: bool) -> "Archive":
        """All files below root but hidden ones, caches, environments and what .modelbusignore names (a pattern a
        line, of a name or of a path). bundle: with the package modelbus. CompileError: too large, too many, links."""
        files = dict(_files(root, IGNORED + _ignore_file(root)))
        if bundle and "modelbus/__init__.py" not in files:
            files.update((f"modelbus/{name}", path) for name, path in _files(_HERE, IGNORED))
        return cls(_tar(root, files), sorted(files))


def source_root(file: str) -> str:
    """The folder from which a file's module is imported: above its packages."""
    folder = os.path.dirname(os.path.abspath(file))
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder = os.path.dirname(folder)
    return folder


def _ignore_file(root: str) -> List[str]:
    path = os.path.join(root, IGNORE_FILE)
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8") as lines:
        return [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]


def _files(root: str, ignored: List[str]) -> Iterator[Tuple[str, str]]:
    """Names below root, with / between folders, and where the files are."""
    for folder, folders, names in os.walk(root):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if below == "." else below + "/"

        def kept(name: str, prefix: str = prefix) -> bool:
            return not any(fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(prefix + name, p) for p in ignored)

        folders[:] = sorted(filter(kept, folders))
        for name in folders + names:
            if kept(name) and os.path.islink(os.path.join(folder, name)):
                raise _refused(os.path.join(folder, name), "is a symbolic link")
        folders[:] = [name for name in folders if not os.path.isfile(os.path.join(folder, name, "pyvenv.cfg"))]
        for name in filter(kept, names):
            path = os.path.join(folder, name)
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise _refused(path, "is no regular file")
            yield prefix + name, path


def _refused(path: str, why: str) -> CompileError:
    return CompileError(f"{why}; name it in {IGNORE_FILE} or keep it elsewhere", Place(path, 0))


def _tar(root: str, files: "dict[str, str]") -> bytes:
    if len(files) > FILES_MAX:
        raise _refused(root, f"has {len(files)} files, an archive takes {FILES_MAX}")
    sizes = {name: os.path.getsize(path) for name, path in files.items()}
    if sum(sizes.values()) > BYTES_MAX:
        largest = max(sizes, key=lambda name: sizes[name])
        raise _refused(root, f"has {sum(sizes.values()) >> 20} MiB, an archive takes {BYTES_MAX >> 20}; the largest file is {largest}")
    folders = {name[:i] for name in files for i, c in enumerate(name) if c == "/"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted({*files, *folders}):
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            try:
                if name in folders:
                    entry.type = tarfile.DIRTYPE
                    tar.addfile(entry)
                    continue
                with open(files[name], "rb") as file:
                    content = file.read()
                entry.size = len(content)
                entry.mode = 0o755 if os.access(files[name], os.X_OK) else 0o644
                tar.addfile(entry, io.BytesIO(content))
            except ValueError as error:
                raise _refused(os.path.join(root, name), f"has a name that a tar file does not take ({error})") from error
    return out.getvalue()
