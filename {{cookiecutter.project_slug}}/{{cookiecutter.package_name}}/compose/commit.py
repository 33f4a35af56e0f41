"""READ. How a folder of parts becomes a dataset: all at once, or not at all.

A writer gives its parts names of their own attempt and writes them beside whatever stands there.
When all are written it puts `_SUCCESS` into the folder in one atomic step: a JSON manifest that
names the parts, with their rows, bytes and SHA-256. Readers read the parts that the manifest
names, so that what a dead or a running attempt left beside them is never seen.

A salted dataset is written once: `_SUCCESS` is created only if absent. Whoever comes second
deletes its own parts and uses what stands. An unsalted one is replaced: the new manifest takes the
place of the old one, then the old parts go. After its commit a writer removes the parts of dead
attempts; it never touches those younger than a day.

Locally the atomic step is a hard link to (or a rename of) a finished file; on object storage, a put
that creates only what is not there. When its answer is lost, what stands there tells whose it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from shlex import quote
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from .errors import DataError

Manifest = dict[str, Any]
_HEAD = re.compile(rb'(\{[^{\[]*),\s*"parts"')
_CREATE_ONLY = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}


def read_manifest(fs: Any, path: str) -> Manifest | None:
    """The manifest at `path`: None where there is none, empty where another program's is.

    Raises DataError where it is damaged.
    """
    if (text := _content(fs, path)) is None:
        return None
    if not text.lstrip().startswith(b"{"):
        return {}
    try:
        manifest: Manifest = json.loads(text)
        return manifest if {"parts", "lineage"} <= manifest.keys() else {}
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; delete it and run again") from error


def read_head(fs: Any, path: str) -> Manifest | None:
    """What stands before the parts: rows, bytes and time. All else may be long."""
    with contextlib.suppress(ValueError):  # damaged, which the whole of it tells
        if found := _HEAD.match(_content(fs, path, end=300) or b""):
            return dict(json.loads(found[1] + b"}"))
    return read_manifest(fs, path)


def prepare(fs: Any, path: str) -> None:
    """Make a folder to commit in. Raises DataError where that cannot be done in one step."""
    if is_local(fs):
        fs.makedirs(path, exist_ok=True)  # object storage would make a bucket
    elif (kind := path.partition("://")[0]) not in _CREATE_ONLY:
        raise DataError(
            f"{path} is on a file system ({kind}) that cannot create a file only if it is absent; "
            "for DATA_ROOT, give a folder or S3, Google's or Azure's storage"
        )


def is_local(fs: Any) -> bool:
    """Whether it is this machine's own file system, with hard links."""
    return isinstance(fs, LocalFileSystem)


def commit(fs: Any, path: str, manifest: Manifest, replace: bool) -> bool:
    """Put the manifest at `path`; False where another writer was first. All or nothing."""
    text = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    if not is_local(fs):
        try:
            fs.pipe_file(path, text, mode="overwrite" if replace else "create")
            return True
        except Exception as error:
            standing = _content(fs, path)
            if standing is None or (replace and standing != text):
                raise DataError(f"{path} could not be committed: {error}; run again") from error
            return standing == text
    path = fs._strip_protocol(path)
    finished = f"{path}.{uuid.uuid4().hex[:12]}"
    fs.pipe_file(finished, text)
    try:
        (os.replace if replace else os.link)(finished, path)
    except FileExistsError:
        return False
    finally:
        discard(fs, [finished])
    return True


def digest(fs: Any, path: str) -> str:
    """The SHA-256 of a file's content."""
    with fs.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(fs: Any, paths: list[str]) -> None:
    """Remove what is there of these files; what storage will not remove is left for `clean`."""
    for path in paths:
        with contextlib.suppress(Exception):
            fs.rm_file(path)


def damaged(parts: list[dict[str, Any]], sizes: dict[str, int]) -> list[str]:
    """What is wrong with the sizes of parts, one sentence for each."""
    found = [(part["name"], part["bytes"], sizes.get(part["name"])) for part in parts]
    return [
        f"{name} is missing" if size is None else f"{name} has {size} bytes instead of {written}"
        for name, written, size in found
        if size != written
    ]


def damage(path: str, faults: list[str], manifest: Manifest) -> str:
    """What is wrong with a dataset, and how to have it made again."""
    cure = "remove it and run again"
    if own := next(iter(manifest["lineage"].values()), None):
        params = own["params"].items()
        words = [f"--{name.replace('_', '-')}={quote(text)}" for name, text in params]
        command = " ".join(["clean", own["task"], *words, "--yes"])
        cure = f"`{command}` removes it, then run again"
    return f"{path} is damaged: {'; '.join(faults)}; {cure}"


def _content(fs: Any, path: str, end: int | None = None) -> bytes | None:
    """In one request: asked for a range, S3's client does not ask for the size first."""
    try:
        return bytes(fs.cat_file(path, start=0, end=end))
    except FileNotFoundError:
        return None
    except Exception:  # an empty file has no such range
        return bytes(fs.cat_file(path))
