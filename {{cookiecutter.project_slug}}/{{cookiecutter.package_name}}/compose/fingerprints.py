"""READ. The content of raw files, so that clones, branches and machines agree on a salt.

A local file counts by its SHA-256, which is remembered under its path, size and modification time
in `.fingerprints.json` in the data root. A file on object storage counts by its own checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import luigi
from luigi.format import UTF8

from .files import FileTarget
from .graph import outputs
from .roots import filesystem, is_url, roots
from .targets import BaseDaskTarget

_Known = dict[str, list[Any]]  # path: [size, modification time in ns, digest]


def fingerprint(task: luigi.Task) -> dict[str, str]:
    """`{file name: digest}` of the raw files of external data; empty for a salted output."""
    output: Any = inspect.getattr_static(type(task), "output", None)
    if "salt" in getattr(output, "fields", ()):
        return {}
    digests: dict[str, str] = {}
    targets = outputs(task)
    for number, target in enumerate(targets):
        if isinstance(target, BaseDaskTarget):
            names = {target.name(path): path for path in target.files()}
        elif isinstance(target, luigi.LocalTarget) and target.exists():
            path = Path(target.path)
            names = {path.name: target.path}
            if path.is_dir():
                files = [file for file in sorted(path.rglob("*")) if file.is_file()]
                names = {file.relative_to(path.parent).as_posix(): str(file) for file in files}
        else:
            continue
        options = target.storage_options if isinstance(target, BaseDaskTarget | FileTarget) else {}
        several = f"{number}/" if len(targets) > 1 else ""
        values = _digests(list(names.values()), options)
        digests |= {f"{several}{name}": value for name, value in zip(names, values, strict=True)}
    return digests


def _digests(paths: list[str], storage_options: dict[str, Any]) -> list[str]:
    if paths and is_url(paths[0]):
        fs = filesystem(paths[0], storage_options)
        return [str(fs.checksum(path)) for path in paths]
    memory = FileTarget(f"{roots().data_root}/.fingerprints.json", format=UTF8)
    try:
        with memory.open() as file:
            known: _Known = dict(json.load(file))
    except (OSError, TypeError, ValueError):
        known = {}
    with ThreadPoolExecutor() as pool:
        entries = dict(zip(paths, pool.map(partial(_entry, known), paths), strict=True))
    settled = {path: entry for path, entry in entries.items() if _is_settled(entry[1])}
    if any(known.get(path) != entry for path, entry in settled.items()):
        with contextlib.suppress(OSError), memory.open("w") as file:  # else digest again next time
            json.dump(known | settled, file)
    return [digest for _, _, digest in entries.values()]


def _entry(known: _Known, path: str) -> list[Any]:
    stat = Path(path).stat()
    entry = known.get(path)
    if entry and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
        return entry
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return [stat.st_size, stat.st_mtime_ns, digest]


def _is_settled(modified: int) -> bool:
    """Whether a file is so old that another change would show in its time (in ns)."""
    tick = 50_000_000 if modified % 1_000_000_000 else 2_000_000_000
    return time.time_ns() - modified > tick
