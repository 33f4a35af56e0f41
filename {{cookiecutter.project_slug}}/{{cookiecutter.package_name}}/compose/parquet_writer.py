"""READ. Writing a Dask frame as a folder of Parquet files, in a transaction; see `commit`."""

from __future__ import annotations

import platform
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import commit, divisions, frames
from .compaction import SIZE, Part, compact
from .errors import DataError
from .leftovers import sweep
from .part_writer import PartWriter
from .versions import libraries

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pyarrow as pa

    from .parquet_target import ParquetTarget
    from .reuse import Reuse


def write(
    target: ParquetTarget, frame: dd.DataFrame, options: dict[str, Any], reuse: Reuse | None
) -> None:
    """Write and commit the frame; see ParquetTarget.write_dask."""
    fs, path, flag = target.fs, target.path, str(target.flag)
    commit.prepare(fs, path)
    schema = frames.schema_of(frame) if target.schema is None else target.schema
    attempt = uuid.uuid4().hex[:12]
    given = (target.storage_options, attempt, schema, target.schema, target.index, options)
    may_cut = target.schema is not None and not target.index and reuse is None
    writer = PartWriter(path, *given, may_cut)
    committed, is_unsure = None, False
    try:
        parts, reused = _compute(writer, frame, reuse)
        if target.index:
            divisions.check(parts, schema, target.index)
        if faults := commit.damaged(parts, target.sizes()):
            raise DataError(f"somebody cleans {path}: {'; '.join(faults)}; run again")
        manifest = ({"reused": reused} if reuse else {}) | _describe(target, parts, schema)
        old = (target.parts() or []) if target.replace else []
        is_unsure = True  # a commit that fails may be one of which only the answer was lost
        if commit.commit(fs, target.at(flag), manifest, target.replace):
            committed = manifest
            commit.discard(fs, old)
        is_unsure = False
    finally:
        if not is_unsure:
            sweep(fs, path, flag, committed, attempt)


def _compute(
    writer: PartWriter, frame: dd.DataFrame, reuse: Reuse | None
) -> tuple[list[Part], int]:
    """What the manifest says of each part, and how many were taken over."""
    from dask.base import compute
    from dask.delayed import delayed

    lazy = frame.to_delayed()
    if reuse and len(lazy) != len(reuse.keys):  # a filter has dropped whole files
        reuse = None
    known = reuse.take(writer) if reuse else {}
    left = [number for number in range(len(lazy)) if number not in known]
    write = delayed(writer)
    made = compute(*(write(lazy[n], n) for n in left))
    if reuse:
        found = {n: part | {"source": reuse.keys[n]} for n, (part,) in zip(left, made, strict=True)}
        parts = [part for _, part in sorted((known | found).items())]
    else:
        parts = [part for several in made for part in several]
        parts = parts if writer.declared is None else compact(writer, parts)
    for part in parts:
        part.pop(SIZE, None)
    return parts, len(known)


def _describe(
    target: ParquetTarget, parts: list[dict[str, Any]], schema: pa.Schema
) -> commit.Manifest:
    return {  # see commit.read_head
        "rows": sum(part["rows"] for part in parts),
        "bytes": sum(part["bytes"] for part in parts),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "parts": parts,
        "schema": {f.name: f"{f.type}{'' if f.nullable else ' not null'}" for f in schema},
        "lineage": target.lineage(),
        "versions": {"python": platform.python_version()} | libraries(),
    }
