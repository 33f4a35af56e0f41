"""READ. What lies in the data root that nobody needs: old outputs, and attempts that died."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from posixpath import normpath
from typing import Any

import fsspec
import luigi

from .commit import read_manifest
from .errors import ComposeError, DataError
from .graph import is_external, outputs
from .leftovers import leftovers, written
from .output import TargetOutput
from .roots import roots

_SALT = "~salt~"


@dataclass(frozen=True)
class Useless:
    """A file or folder that may go: what it is, and since when nobody has written to it."""

    path: str
    what: str
    bytes: int
    when: datetime
    flag: str = "_SUCCESS"

    def remove(self) -> None:
        """Remove it; its flag first, so that nothing which lacks a part is complete."""
        fs = _fs(self.path)
        for path in (f"{self.path}/{self.flag}", *fs.find(self.path)):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                fs.rm_file(path)
        if os.path.isdir(self.path):  # object storage has no folders
            shutil.rmtree(self.path)


def of_task(task: luigi.Task) -> list[Useless]:
    """What this very task has written. Raises ComposeError where an attempt may be running."""
    found = []
    for target in outputs(task):
        path, flag = str(getattr(target, "path", "")), getattr(target, "flag", None) or "_SUCCESS"
        if is_external(task) or not _is_ours(path) or not _fs(path).exists(path):
            continue
        each = Useless(path, "output", *_measured(path), flag)
        if not target.exists() and each.when > datetime.now(UTC) - timedelta(days=1):
            raise ComposeError(f"{path} may be written now; clean it when it is a day old")
        found.append(each)
    return found


def old(tasks: list[luigi.Task], days: float) -> list[Useless]:
    """What these tasks wrote more than so many days ago, and nobody needs.

    The newest complete output of each task with the same parameters is not among it, nor is an
    attempt of the last day: it may be running.
    """
    now = datetime.now(UTC)
    before: dict[str | None, datetime] = {None: now - timedelta(days=max(days, 1))}
    kept = {getattr(target, "path", None) for task in tasks for target in outputs(task)}
    found = {each: group for task in tasks for group, each in _written_by(task)}
    newest: dict[str | None, Useless] = {}
    for each, group in found.items():
        if group not in newest or each.when > newest[group].when:
            newest[group] = each
    kept |= {each.path for group, each in newest.items() if group}
    return [
        each
        for each, group in found.items()
        if each.path not in kept and each.when < before.get(group, now - timedelta(days=days))
    ]


def _written_by(task: luigi.Task) -> Iterator[tuple[str | None, Useless]]:
    """All that a task has ever written, with the task and parameters if it is complete."""
    output: Any = inspect.getattr_static(type(task), "output", None)
    if not isinstance(output, TargetOutput) or "salt" not in output.fields or is_external(task):
        return
    folder, _, name = output.path(task, _SALT).rpartition("/")
    fs = _fs(folder)
    if not _is_ours(f"{folder}/{name}") or _SALT in folder or not fs.exists(folder):
        return
    salted = re.escape(name).replace(re.escape(_SALT), "([0-9a-f]{12})")
    ours = re.compile(salted + "(-[0-9a-f]{32})?")  # the latter while a file is written
    flag = output.target_kwargs.get("flag", "_SUCCESS")
    for info in fs.ls(folder, detail=True):
        path = f"{folder}/{info['name'].rstrip('/').rpartition('/')[2]}"
        match = ours.fullmatch(path.rpartition("/")[2])
        if not match or info.get("islink") or not _is_ours(path):
            continue
        if output.is_dataset != (info["type"] == "directory"):
            continue  # not ours
        if not output.is_dataset:
            what = "dead attempt" if match[2] else "old output"
            group = None if match[2] else f"{folder}/{name}"
            yield group, Useless(path, what, info["size"], written(info), flag)
            continue
        with contextlib.suppress(FileNotFoundError, DataError):  # gone meanwhile, or damaged
            yield from _in_folder(fs, path, flag, match[1])


def _in_folder(fs: Any, path: str, flag: str, salt: str) -> Iterator[tuple[str | None, Useless]]:
    try:
        manifest = read_manifest(fs, f"{path}/{flag}")
    except FileNotFoundError:
        files, ours = fs.find(path), leftovers(fs, path, flag, None)
        if len(files) == len(ours):  # else somebody keeps other things there
            yield None, Useless(path, "dead attempt", *_measured(path), flag)
        return
    if manifest and salt in manifest["lineage"]:
        made = manifest["lineage"][salt]
        group = json.dumps([made["task"], made["params"]])
        when = datetime.fromisoformat(manifest["created"])
        yield group, Useless(path, "old output", manifest["bytes"], when, flag)
        for part, when in leftovers(fs, path, flag, manifest).items():
            yield None, Useless(part, "dead attempt", 0, when, flag)


def _measured(path: str) -> tuple[int, datetime]:
    """The bytes in a file or folder, and when it was last written to."""
    infos = list(_fs(path).find(path, detail=True).values()) or [_fs(path).info(path)]
    return sum(info["size"] for info in infos), max(written(info) for info in infos)


def _is_ours(path: str) -> bool:
    """Whether it lies in the data root, is no link, and neither is nor holds raw data."""
    paths = (path, roots().data_root, roots().raw_root)
    here, data, raw = (f"{normpath(each.replace(chr(92), '/'))}/" for each in paths)
    ours = here.startswith(data) and here != data and not os.path.islink(path)
    return ours and not here.startswith(raw) and not raw.startswith(here)


def _fs(path: str) -> Any:
    return fsspec.url_to_fs(path, use_listings_cache=False)[0]
