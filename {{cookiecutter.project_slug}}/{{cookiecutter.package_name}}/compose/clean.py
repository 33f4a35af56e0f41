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

import luigi

from .commit import read_manifest
from .errors import ComposeError, DataError
from .graph import is_external, outputs
from .leftovers import leftovers, written
from .output import TargetOutput
from .roots import filesystem, roots

_SALT = "~salt~"


@dataclass(frozen=True)
class Useless:
    """A file or folder that may go: what it is, and since when nobody has written to it.

    `made_by` names the task and its parameters; it is empty for an attempt that died.
    """

    path: str
    what: str
    bytes: int
    when: datetime
    flag: str = "_SUCCESS"
    made_by: str = ""

    def remove(self) -> None:
        """Remove it; its flag first, so that nothing which lacks a part is complete."""
        fs = filesystem(self.path)
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
        if is_external(task) or not _is_ours(path) or not filesystem(path).exists(path):
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
    kept = {getattr(target, "path", None) for task in tasks for target in outputs(task)}
    patterns = dict(filter(None, map(_pattern, tasks)))  # each is listed once
    found = [each for path, output in patterns.items() for each in _written(path, output)]
    newest = {each.made_by: each for each in sorted(found, key=lambda each: each.when)}
    kept |= {each.path for each in newest.values() if each.made_by}
    return [
        each
        for each in found
        if each.path not in kept
        and each.when < now - timedelta(days=days if each.made_by else max(days, 1))
    ]


def _pattern(task: luigi.Task) -> tuple[str, TargetOutput] | None:
    """Where a task writes, with a mark in place of the salt; None where that is not ours."""
    output: Any = inspect.getattr_static(type(task), "output", None)
    if not isinstance(output, TargetOutput) or "salt" not in output.fields or is_external(task):
        return None
    path = output.path(task, _SALT)
    return (path, output) if _is_ours(path) and _SALT not in path.rpartition("/")[0] else None


def _written(pattern: str, output: TargetOutput) -> Iterator[Useless]:
    """All that was ever written at a pattern."""
    folder, _, name = pattern.rpartition("/")
    fs = filesystem(folder)
    salted = re.escape(name).replace(re.escape(_SALT), "([0-9a-f]{12})")
    ours = re.compile(salted + "(-[0-9a-f]{32})?")  # the latter while a file is written
    flag = output.target_kwargs.get("flag", "_SUCCESS")
    for info in fs.ls(folder, detail=True) if fs.exists(folder) else ():
        path = f"{folder}/{info['name'].rstrip('/').rpartition('/')[2]}"
        match = ours.fullmatch(path.rpartition("/")[2])
        is_folder = info["type"] == "directory"
        if not match or is_folder != output.is_dataset or not _is_ours(path):
            continue
        with contextlib.suppress(FileNotFoundError, DataError):  # gone meanwhile, or damaged
            if is_folder:
                yield from _in_folder(fs, path, flag, match[1])
            elif match[2]:
                yield Useless(path, "dead attempt", info["size"], written(info))
            else:
                yield Useless(path, "old output", info["size"], written(info), made_by=pattern)


def _in_folder(fs: Any, path: str, flag: str, salt: str) -> Iterator[Useless]:
    try:
        manifest = read_manifest(fs, f"{path}/{flag}")
    except FileNotFoundError:
        if len(fs.find(path)) == len(leftovers(fs, path, flag, None)):  # else others use it too
            yield Useless(path, "dead attempt", *_measured(path), flag)
        return
    if manifest and salt in manifest["lineage"]:
        made = manifest["lineage"][salt]
        made_by = json.dumps([made["task"], made["params"]])
        when = datetime.fromisoformat(manifest["created"])
        yield Useless(path, "old output", manifest["bytes"], when, flag, made_by)
        for part, when in leftovers(fs, path, flag, manifest).items():
            yield Useless(part, "dead attempt", 0, when, flag)


def _measured(path: str) -> tuple[int, datetime]:
    """The bytes in a file or folder, and when it was last written to."""
    infos = list(filesystem(path).find(path, detail=True).values()) or [filesystem(path).info(path)]
    return sum(info["size"] for info in infos), max(written(info) for info in infos)


def _is_ours(path: str) -> bool:
    """Whether it lies in the data root, is no link, and neither is nor holds raw data."""
    paths = (path, roots().data_root, roots().raw_root)
    here, data, raw = (f"{normpath(each.replace(chr(92), '/'))}/" for each in paths)
    ours = here.startswith(data) and here != data and not os.path.islink(path)
    return ours and not here.startswith(raw) and not raw.startswith(here)
