"""READ. Parts of a rowwise stage that stand already: what they were made from has not changed.

A stage that declares `rowwise = True` makes each part from one partition of what it requires. The
manifest gives each part a key: a digest of the stage's code and parameters, of the content that the
partition was read from, and of the libraries' versions. A part of an earlier output with the same
key is taken over: by a hard link, or by a copy that object storage makes itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import luigi

from .commit import digest, is_local
from .errors import ComposeError
from .frames import check_dask
from .graph import flat, is_external, label
from .history import read, written
from .salts import documents, salt
from .targets import BaseDaskTarget
from .versions import libraries

if TYPE_CHECKING:
    import dask.dataframe as dd

    from .compaction import Part
    from .part_writer import PartWriter


@dataclass(frozen=True)
class Reuse:
    """The key of each partition; by their keys, the parts of earlier outputs and their paths."""

    keys: list[str]
    earlier: dict[str, tuple[str, Part]]

    def take(self, writer: PartWriter) -> dict[int, Part]:
        """Put what stands somewhere undamaged among the parts of this writer, by its number."""
        with ThreadPoolExecutor() as pool:
            parts = pool.map(partial(self._take, writer), range(len(self.keys)))
            return {number: part for number, part in enumerate(parts) if part}

    def _take(self, writer: PartWriter, number: int) -> Part | None:
        if self.keys[number] not in self.earlier:
            return None
        source, part = self.earlier[self.keys[number]]
        fs, path = writer.fs, writer.path(f"part-{number:05d}")
        try:
            if is_local(fs):
                if digest(fs, source) != part["sha256"]:
                    return None
                os.utime(fs._strip_protocol(source))  # else it looks like part of a dead attempt
                fs.link(source, path)
            elif fs.size(source) != part["bytes"]:
                return None
            else:
                fs.cp_file(source, path)
        except OSError:  # somebody removed it
            return None
        return part | {"name": path.rpartition("/")[2]}


def reuse(stage: luigi.Task, frame: dd.DataFrame) -> Reuse | None:
    """What a rowwise stage need not compute; None where its partitions are not known by content.

    Raises ComposeError where the stage cannot be rowwise.
    """
    from dask.dataframe.dask_expr._expr import Blockwise, MapOverlap, Sample, _DelayedExpr
    from dask.dataframe.dask_expr.io import FromPandas

    check_dask(frame)
    # What persist() and from_delayed() give is neither, since it tells not what it was made from.
    one, many = (Blockwise, _DelayedExpr), (MapOverlap, FromPandas, Sample)
    if wide := [n for n in frame.expr.walk() if not isinstance(n, one) or isinstance(n, many)]:
        names = ", ".join(sorted({type(step).__name__ for step in wide}))
        why = "takes more than its rows; remove `rowwise`, or leave that to another stage"
        raise ComposeError(f"{label(stage)} is rowwise, but {names} {why}")
    found = keys(stage)
    if found is None or len(found) != frame.npartitions:
        return None
    return Reuse(found, {} if getattr(stage, "forced", False) else earlier(stage))


def keys(stage: luigi.Task) -> list[str] | None:
    """The key of each partition of what the stage requires; None where Dask makes them."""
    required = flat(stage.requires())
    target = required[0].output() if len(required) == 1 else None
    if not isinstance(target, BaseDaskTarget):
        cure = "a rowwise stage requires one dataset; remove `rowwise`"
        raise ComposeError(f"{label(stage)} requires {len(required)} things, but {cure}")
    own, above = dict(documents[salt(stage)]), dict(documents[salt(required[0])])
    own |= {"requires": [], "libraries": libraries()}  # of what it requires, a part counts alone
    if is_external(required[0]):
        digests = above.pop("files")
        own["reads"] = above  # how its files are parsed
    elif (manifest := target.manifest()) and str(target.salt) in target.path:
        digests = {part["name"]: part["sha256"] for part in manifest["parts"]}
    else:
        return None
    sources = target.sources()
    if sources is None or any(piece[0] not in digests for source in sources for piece in source):
        return None
    texts = (
        json.dumps([own, [[digests[name], *where] for name, *where in source]], sort_keys=True)
        for source in sources
    )
    return [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]


def earlier(stage: luigi.Task) -> dict[str, tuple[str, Part]]:
    """The parts of its outputs of any salt, by their keys, each with its path."""
    entries = [each for each in written([stage]) if each.output.is_dataset]
    with ThreadPoolExecutor() as pool:
        manifests = pool.map(read, [each.manifest for each in entries])
        return {
            part["source"]: (f"{entry.path}/{part['name']}", part)
            for entry, manifest in zip(entries, manifests, strict=True)
            for part in (manifest or {}).get("parts", ())
            if "source" in part
        }


def standing(stage: luigi.Task) -> str:
    """How many parts of a stage a run would not compute, as the end of a sentence."""
    above = flat(stage.requires())
    if not getattr(stage, "rowwise", False) or not all(task.complete() for task in above):
        return ""
    found, known = keys(stage) or [], earlier(stage)
    kept = sum(key in known for key in found)
    return f"; {kept} of its {len(found)} parts can be reused" if kept else ""
