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
_FIRST = 16  # manifests that are read before the others, which may be known then
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


class Made(NamedTuple):
    """A complete output: when it was made, by which family, and its salt."""

    created: str
    family: str
    salt: str


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
            is_folder = info["type"] == "directory"
            name = info["name"].rstrip("/").rpartition("/")[2]
            whole = name if is_folder else _ATTEMPT.sub("", name).removesuffix(RECORD)
            is_attempt = not is_folder and bool(_ATTEMPT.search(name))
            path = f"{folder}/{name if is_attempt else whole}"
            for salt in re.findall("(?=([0-9a-f]{12}))", whole) if path not in seen else ():
                maker = names.get(whole.replace(salt, _SALT))
                if maker and maker[1].is_dataset == is_folder:
                    yield Written(path, salt, *maker, info, is_attempt)
            seen.add(path)  # its record, which comes next, is no other


def made(tasks: list[luigi.Task]) -> tuple[list[Made], dict[str, Document]]:
    """The outputs of any salt, the newest last, and all that is known of what they were made from.

    A manifest tells of all that its dataset was made from, whose own need not be read then.
    """
    entries = [each for each in written(tasks) if not each.is_attempt]
    entries.sort(key=lambda each: each.info.get("mtime", 0), reverse=True)
    documents: dict[str, Document] = {}
    created: dict[str, str] = {}
    absent: set[str] = set()
    for some in (entries[:_FIRST], entries[_FIRST:]):
        with ThreadPoolExecutor() as pool:
            unread = [each for each in some if each.salt not in documents]
            manifests = pool.map(read, [each.manifest for each in unread])
            for each, manifest in zip(unread, manifests, strict=True):
                if manifest is None:
                    absent.add(each.path)
                    continue
                documents |= manifest["lineage"]
                for digest in manifest["lineage"]:
                    created[digest] = max(created.get(digest, ""), manifest.get("created", ""))
    known = [each for each in entries if each.path not in absent or not each.output.is_dataset]
    found = [Made(created.get(e.salt, ""), e.task.get_task_family(), e.salt) for e in known]
    own = [task for task in tasks if not is_external(task) and not _place(task)]
    for family, target in ((t.get_task_family(), each) for t in own for each in outputs(t)):
        about = read(target.manifest) if isinstance(target, BaseDaskTarget) else None
        if about and about["lineage"]:
            documents |= about["lineage"]
            found.append(Made(about.get("created", ""), family, next(iter(about["lineage"]))))
    return sorted(found), documents


def record(path: str) -> str:
    """The path of the record beside a salted file, which says what it was made from."""
    return f"{path}{RECORD}"


def remember(task: luigi.Task) -> None:
    """Say beside each salted file what it was made from, as the manifest of a dataset does."""
    place = _place(task)
    if place and not place[1].is_dataset:
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        about = {"parts": [], "lineage": lineage(task), "created": created}
        for path in filter(None, (getattr(target, "path", None) for target in outputs(task))):
            with FileTarget(record(path), format=UTF8).open("w") as file:
                json.dump(about, file, indent=1, ensure_ascii=False)


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
