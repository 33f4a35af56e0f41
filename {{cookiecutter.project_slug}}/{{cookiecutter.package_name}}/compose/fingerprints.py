"""READ. The content of raw files, so that clones, branches and machines agree on a salt.

A local file counts by its SHA-256, which is remembered under its path, size and modification time
in `.fingerprints.json` in the data root. A file on object storage counts by its own checksum.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import luigi
from luigi.format import UTF8

from .commit import digest, is_local
from .files import FileTarget
from .graph import outputs
from .roots import filesystem, roots
from .targets import BaseDaskTarget

_TICK = 2_000_000_000  # ns, the coarsest time of a file
_Known = dict[str, list[Any]]  # path: [size, modification time in ns, digest]


def fingerprint(task: luigi.Task) -> dict[str, str]:
    """`{file name: digest}` of the raw files of external data; empty for a salted output."""
    if getattr(inspect.getattr_static(type(task), "output", None), "is_salted", False):
        return {}
    digests: dict[str, str] = {}
    targets = outputs(task)
    for number, target in enumerate(targets):
        if isinstance(target, BaseDaskTarget):
            fs, paths = target.fs, [target.fs._strip_protocol(path) for path in target.files()]
            names = [target.name(path) for path in paths]
        elif isinstance(target, luigi.LocalTarget) and target.exists():
            fs = filesystem(target.path, getattr(target, "storage_options", None))
            paths = fs.find(target.path)
            names = [path.removeprefix(f"{fs._parent(target.path)}/") for path in paths]
        else:
            continue
        several = f"{number}/" if len(targets) > 1 else ""
        digests |= zip((several + name for name in names), _digests(fs, paths), strict=True)
    return digests


def _digests(fs: Any, paths: list[str]) -> list[str]:
    if not is_local(fs):
        return [str(fs.checksum(path)) for path in paths]
    memory = FileTarget(f"{roots().data_root}/.fingerprints.json", format=UTF8)
    try:
        with memory.open() as file:
            known: _Known = dict(json.load(file))
    except (OSError, TypeError, ValueError):
        known = {}
    with ThreadPoolExecutor() as pool:
        entries = dict(zip(paths, pool.map(partial(_entry, fs, known), paths), strict=True))
    before = time.time_ns() - _TICK  # what is younger may change again without another time
    settled = {path: entry for path, entry in entries.items() if entry[1] < before}
    if (settled := known | settled) != known:
        with contextlib.suppress(OSError), memory.open("w") as file:  # else digest again next time
            json.dump(settled, file)
    return [content for _, _, content in entries.values()]


def _entry(fs: Any, known: _Known, path: str) -> list[Any]:
    stat = Path(path).stat()
    entry = known.get(path)
    if entry and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
        return entry
    return [stat.st_size, stat.st_mtime_ns, digest(fs, path)]
