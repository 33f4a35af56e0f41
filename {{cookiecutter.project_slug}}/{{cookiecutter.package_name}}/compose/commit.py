"""READ. How a folder of parts becomes a dataset: all at once, or not at all.

A writer gives its parts names of their own attempt and writes them beside whatever stands there.
When all are written it puts `_SUCCESS` into the folder in one atomic step: a JSON manifest that
names the parts, with their rows, bytes and SHA-256. Readers read the parts that the manifest
names, so that what a dead or a running attempt left beside them is never seen.

A salted dataset is written once: `_SUCCESS` is created only if absent. Whoever comes second
deletes its own parts and uses what stands. An unsalted one is replaced: the new manifest takes the
place of the old one, then the old parts go. After its commit a writer removes the parts of dead
attempts; it never touches those younger than a day.

Locally the atomic step is a hard link to (or a rename of) a finished file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import uuid
from typing import Any

from .errors import DataError

Manifest = dict[str, Any]
_DAY = 24 * 60 * 60


def new_attempt() -> str:
    return uuid.uuid4().hex[:12]


def read_manifest(fs: Any, path: str) -> Manifest | None:
    """The manifest at `path`; None where there is a `_SUCCESS` of another program.

    Raises FileNotFoundError where there is none, DataError where it is damaged.
    """
    text = fs.cat_file(path)
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        manifest: Manifest = json.loads(text)
        return manifest if "parts" in manifest else None
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; delete it and run again") from error


def commit(fs: Any, path: str, manifest: Manifest, replace: bool) -> bool:
    """Put the manifest at `path`; False where another writer was first. All or nothing."""
    finished = f"{path}.{new_attempt()}"
    fs.pipe_file(finished, json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    try:
        (os.replace if replace else os.link)(finished, path)
    except FileExistsError:
        return False
    finally:
        discard(fs, [finished])
    return True


def discard(fs: Any, paths: list[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(path)


def sweep(fs: Any, folder: str, flag: str, manifest: Manifest) -> None:
    """Remove the parts of attempts that died more than a day ago."""
    named = {part["name"] for part in manifest["parts"]}
    begin = rf"(part-\d+-|{re.escape(flag)}\.)"
    ours = re.compile(begin + r"[0-9a-f]{12}(\.\w+)?")
    for path in fs.ls(folder, detail=False):
        name = path.rpartition("/")[2]
        useless = ours.fullmatch(name) and name not in named
        if useless and time.time() - fs.modified(path).timestamp() > _DAY:
            discard(fs, [path])
