"""READ. What lies in the data root that nobody needs: old outputs, and attempts that died."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from posixpath import normpath

import luigi

from .errors import ComposeError
from .graph import is_external, outputs
from .history import RECORD, Written, read, record, written
from .leftovers import leftovers, modified
from .roots import filesystem, is_url, roots


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
        for path in (f"{self.path}/{self.flag}", *fs.find(self.path), record(self.path)):
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
    found = [each for entry in written(tasks) if _is_ours(entry.path) for each in _useless(entry)]
    newest = {each.made_by: each for each in sorted(found, key=lambda each: each.when)}
    kept |= {each.path for each in newest.values() if each.made_by}
    return [
        each
        for each in found
        if each.path not in kept
        and each.when < now - timedelta(days=days if each.made_by else max(days, 1))
    ]


def _useless(entry: Written) -> Iterator[Useless]:
    """What stands at one place, as if nobody needed it; nothing where nobody can tell."""
    path, info, fs = entry.path, entry.info, filesystem(entry.path)
    manifest = read(entry.manifest)
    if entry.is_attempt or str(info["name"]).endswith(RECORD):  # of a file that is gone
        yield Useless(path, "dead attempt", info["size"], modified(info))
    elif manifest and (made := manifest["lineage"].get(entry.salt)):
        made_by = json.dumps([made["task"], made["params"]])
        size = manifest.get("bytes", info["size"])
        when = datetime.fromisoformat(manifest["created"])
        yield Useless(path, "old output", size, when, entry.flag, made_by)
        for part, when in leftovers(fs, path, entry.flag, manifest).items():
            yield Useless(part, "dead attempt", 0, when)
    elif manifest is None and entry.output.is_dataset:
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            if len(fs.find(path)) == len(leftovers(fs, path, entry.flag, None)):  # else it is used
                yield Useless(path, "dead attempt", *_measured(path), entry.flag)


def _measured(path: str) -> tuple[int, datetime]:
    """The bytes in a file or folder, and when it was last written to."""
    infos = list(filesystem(path).find(path, detail=True).values()) or [filesystem(path).info(path)]
    return sum(info["size"] for info in infos), max(modified(info) for info in infos)


def _is_ours(path: str) -> bool:
    """Whether it lies in the data root, is no link, and neither is nor holds raw data."""
    paths = (path, roots().data_root, roots().raw_root)
    whole = (each if is_url(each) else os.path.abspath(each) for each in paths)
    here, data, raw = (f"{normpath(each.replace(chr(92), '/'))}/" for each in whole)
    ours = here.startswith(data) and here != data and not os.path.islink(path)
    return ours and not here.startswith(raw) and not raw.startswith(here)
