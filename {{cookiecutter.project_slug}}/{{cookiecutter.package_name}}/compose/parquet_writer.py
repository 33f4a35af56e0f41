"""READ. Writing a Dask frame as a folder of Parquet files, in a transaction; see `commit`."""

from __future__ import annotations

import hashlib
import platform
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from . import commit, frames
from .errors import DataError
from .leftovers import sweep
from .roots import filesystem

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa

    from .parquet_target import ParquetTarget

_LIBRARIES = ("dask", "luigi", "pandas", "pyarrow")


def write(target: ParquetTarget, frame: dd.DataFrame, options: dict[str, Any]) -> None:
    """Write and commit the frame; see ParquetTarget.write_dask."""
    fs, path, flag = target.fs, target.path, str(target.flag)
    if commit.check_storage(fs, path):  # object storage would make a bucket
        fs.makedirs(path, exist_ok=True)
    schema = frames.schema_of(frame) if target.schema is None else target.schema
    attempt = commit.new_attempt()
    writer = PartWriter(path, target.storage_options, attempt, schema, target.schema, options)
    committed, is_unsure = None, False
    try:
        parts = _compute(writer, frame)
        if faults := commit.damaged(parts, target.sizes()):
            raise DataError(f"somebody cleans {path}: {'; '.join(faults)}; run again")
        manifest = _describe(target, parts, schema)
        old = (target.parts() or []) if target.replace else []
        is_unsure = True  # a commit that fails may be one of which only the answer was lost
        if commit.commit(fs, target.at(flag), manifest, target.replace):
            committed = manifest
            commit.discard(fs, old)
        is_unsure = False
    finally:
        if not is_unsure:
            sweep(fs, path, flag, committed, attempt)


@dataclass(frozen=True)
class PartWriter:
    """Writes a partition of a frame, in whatever process computes it.

    Each call gives its file a name of its own: a partition that is computed twice is two files, of
    which the manifest names one.
    """

    folder: str
    storage_options: dict[str, Any]
    attempt: str
    schema: pa.Schema
    declared: pa.Schema | None
    options: dict[str, Any]

    def __call__(self, part: pd.DataFrame, number: int) -> dict[str, Any]:
        """The name of the file, its rows, bytes and SHA-256. Raises DataError where it misfits."""
        import pyarrow as pa
        from pyarrow import parquet

        name = f"part-{number:05d}-{self.attempt}{uuid.uuid4().hex[:8]}.parquet"
        if self.declared is not None:
            table = frames.to_table(part, self.schema, name)
        else:
            table = pa.Table.from_pandas(part, schema=self.schema, preserve_index=None)
        stream = pa.BufferOutputStream()  # Arrow's own, which needs no lock of Python's
        parquet.write_table(table, stream, **self.options)
        data = stream.getvalue().to_pybytes()
        fs = filesystem(self.folder, self.storage_options)
        fs.pipe_file(f"{self.folder.rstrip('/')}/{name}", data)
        digest = hashlib.sha256(data).hexdigest()
        return {"name": name, "rows": len(part), "bytes": len(data), "sha256": digest}


def _compute(writer: PartWriter, frame: dd.DataFrame) -> list[dict[str, Any]]:
    from dask.base import compute
    from dask.delayed import delayed

    write = delayed(writer)
    return list(compute(*(write(part, n) for n, part in enumerate(frame.to_delayed()))))


def _describe(
    target: ParquetTarget, parts: list[dict[str, Any]], schema: pa.Schema
) -> commit.Manifest:
    return {
        "parts": parts,
        "rows": sum(part["rows"] for part in parts),
        "bytes": sum(part["bytes"] for part in parts),
        "schema": {f.name: f"{f.type}{'' if f.nullable else ' not null'}" for f in schema},
        "lineage": target.lineage(),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
    }
