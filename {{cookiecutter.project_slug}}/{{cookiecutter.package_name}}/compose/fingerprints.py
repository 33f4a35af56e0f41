"""READ. The content of raw files, so that clones, branches and machines agree on a salt.

A local file counts by its SHA-256, which is remembered under its path, size and modification time
in `.fingerprints.json` in the data root. A file on object storage counts by its own checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import luigi
from luigi.format import UTF8

from .files import FileTarget
from .graph import outputs
from .roots import is_url, roots
from .targets import BaseDaskTarget

_Known = dict[str, list[Any]]  # path: [size, modification time in ns, digest]
_TICK = 50_000_000  # ns: a file changed so recently could change again and keep its time


def fingerprint(task: luigi.Task) -> dict[str, str]:
    """`{file name: digest}` of the raw files of external data; empty for a salted output."""
    output: Any = vars(type(task)).get("output")
    if "salt" in getattr(output, "fields", ()):
        return {}
    digests: dict[str, str] = {}
    for target in outputs(task):
        if isinstance(target, BaseDaskTarget):
            strip = target.fs._strip_protocol
            folder = strip(target.path)
            names = {strip(path).removeprefix(f"{folder}/"): path for path in target.files()}
        elif isinstance(target, luigi.LocalTarget) and target.exists():
            names = {Path(target.path).name: target.path}
        else:
            continue
        options = target.storage_options if isinstance(target, BaseDaskTarget | FileTarget) else {}
        digests |= zip(names, _digests(list(names.values()), options), strict=True)
    return digests


def _digests(paths: list[str], storage_options: dict[str, Any]) -> list[str]:
    if paths and is_url(paths[0]):
        fs, _ = fsspec.url_to_fs(paths[0], **storage_options)
        return [str(fs.checksum(path)) for path in paths]
    known = _remembered()
    with ThreadPoolExecutor() as pool:
        entries = list(pool.map(lambda path: _entry(path, known), paths))
    now = time.time_ns()
    settled = {
        path: entry
        for path, entry in zip(paths, entries, strict=True)
        if now - entry[1] > (_TICK if entry[1] % 1_000_000_000 else 2_000_000_000)
    }
    if any(known.get(path) != entry for path, entry in settled.items()):
        _remember(known | settled)
    return [entry[2] for entry in entries]


def _entry(path: str, known: _Known) -> list[Any]:
    stat = os.stat(path)
    entry = known.get(path)
    if entry and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
        return entry
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return [stat.st_size, stat.st_mtime_ns, digest]


def _memory() -> Path | None:
    root = roots().data_root
    return None if is_url(root) else Path(root) / ".fingerprints.json"


def _remembered() -> _Known:
    try:
        known: _Known = json.loads(_memory().read_bytes())  # type: ignore[union-attr]
        return known
    except (AttributeError, OSError, ValueError):
        return {}


def _remember(known: _Known) -> None:
    if path := _memory():
        try:
            with FileTarget(str(path), format=UTF8).open("w") as file:
                json.dump(known, file)
        except OSError:
            pass  # a read-only root: digest again next time
