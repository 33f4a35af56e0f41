"""READ. What tasks have ever written: outputs of any salt, and what they were made from."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import luigi
from luigi.format import UTF8

from .commit import Manifest, read_manifest
from .errors import DataError
from .files import FileTarget
from .graph import is_external, outputs
from .output import TargetOutput
from .roots import filesystem
from .salts import Document, lineage
from .targets import BaseDaskTarget

_SALT = "~salt~"
RECORD = ".lineage"
_UNKNOWN: Manifest = {"lineage": {}, "created": ""}
_ATTEMPT = re.compile(r"-[0-9a-f]{32}$")  # while a file is written


class Written(NamedTuple):
    """What stands at a place where a task writes; `info` is storage's own."""

    path: str
    salt: str
    task: luigi.Task
    output: Any  # TargetOutput
    info: dict[str, Any]
    is_attempt: bool

    @property
    def flag(self) -> str:
        return str(self.output.target_kwargs.get("flag", "_SUCCESS"))

    def manifest(self) -> Manifest | None:
        """What it was made from; see commit.read_manifest."""
        path = f"{self.path}/{self.flag}" if self.output.is_dataset else record(self.path)
        return read_manifest(filesystem(path), path)


def written(tasks: Iterable[luigi.Task]) -> Iterator[Written]:
    """All that stands where these tasks write, of any salt; each folder is listed once."""
    places: dict[str, dict[str, tuple[luigi.Task, TargetOutput]]] = {}
    for task in tasks:
        if place := _place(task):
            folder, _, name = place[0].rpartition("/")
            places.setdefault(folder, {})[name] = task, place[1]
    for folder, names in places.items():
        fs = filesystem(folder)
        infos = fs.ls(folder, detail=True) if fs.exists(folder) else []
        seen = set()
        for info in sorted(infos, key=lambda info: str(info["name"])):
            name = info["name"].rstrip("/").rpartition("/")[2]
            is_attempt = bool(_ATTEMPT.search(name))
            whole = _ATTEMPT.sub("", name).removesuffix(RECORD)
            path = f"{folder}/{name if is_attempt else whole}"
            for salt in re.findall("(?=([0-9a-f]{12}))", whole) if path not in seen else ():
                maker = names.get(whole.replace(salt, _SALT))
                if maker and maker[1].is_dataset == (info["type"] == "directory"):
                    yield Written(path, salt, *maker, info, is_attempt)
            seen.add(path)  # its record, which comes next, is no other


def made(tasks: list[luigi.Task]) -> tuple[list[tuple[str, str, str]], dict[str, Document]]:
    """When each output of any salt was made, its family and salt, the newest last; all documents.

    A manifest tells of all that its dataset was made from, whose own need not be read then.
    """
    entries = [each for each in written(tasks) if not each.is_attempt]
    entries.sort(key=lambda each: each.info.get("mtime", 0), reverse=True)
    sources = [(e.task, e.salt, e.manifest, e.output.is_dataset) for e in entries]
    for task in tasks:
        if not is_external(task) and not _place(task):  # it is replaced
            targets = [each for each in outputs(task) if isinstance(each, BaseDaskTarget)]
            sources += [(task, "", target.manifest, True) for target in targets]
    documents: dict[str, Document] = {}
    created: dict[str, str] = {}
    found = []
    with ThreadPoolExecutor() as pool:
        manifests = pool.map(lambda s: _UNKNOWN if s[1] in documents else read(s[2]), sources)
        for (task, salt, _, is_dataset), manifest in zip(sources, manifests, strict=True):
            if manifest is None and is_dataset:
                continue
            about = manifest or _UNKNOWN
            documents |= about["lineage"]
            for each in about["lineage"]:
                created.setdefault(each, about.get("created", ""))
            if salt := salt or next(iter(about["lineage"]), ""):
                found.append((created.get(salt, ""), task.get_task_family(), salt))
    return sorted(found), documents


def record(path: str) -> str:
    """The path of the record beside a salted file, which says what it was made from."""
    return f"{path}{RECORD}"


def remember(task: luigi.Task) -> None:
    """Say beside a salted file what it was made from, as the manifest of a dataset does."""
    place = _place(task)
    path = getattr(task.output(), "path", None)
    if place and not place[1].is_dataset and path:
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        about = {"parts": [], "lineage": lineage(task), "created": created}
        with FileTarget(record(path), format=UTF8).open("w") as file:
            json.dump(about, file, indent=1, ensure_ascii=False)


luigi.Task.event_handler(luigi.Event.SUCCESS)(remember)


def _place(task: luigi.Task) -> tuple[str, TargetOutput] | None:
    """Where a task writes, with a mark in place of the salt; None where no salt is in the name."""
    output: Any = inspect.getattr_static(type(task), "output", None)
    if not isinstance(output, TargetOutput) or not output.is_salted or is_external(task):
        return None
    path = output.path(task, _SALT)
    return None if _SALT in path.rpartition("/")[0] else (path, output)


def read(manifest: Callable[[], Manifest | None]) -> Manifest | None:
    """What a manifest tells, if only that it is there."""
    try:
        found = manifest()
        return found if found is None else found or _UNKNOWN
    except DataError:  # damaged
        return _UNKNOWN
