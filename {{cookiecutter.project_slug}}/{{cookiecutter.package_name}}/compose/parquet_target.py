"""READ. A folder of Parquet files as a target, written in a transaction; see `commit`."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from . import commit, frames
from .errors import DataError
from .leftovers import sweep
from .roots import is_url
from .targets import BaseDaskTarget

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa


class ParquetTarget(BaseDaskTarget):
    """A folder of Parquet files."""

    suffix = ".parquet"

    def write_dask(
        self, frame: dd.DataFrame, compression: str | None = "zstd", **options: Any
    ) -> None:
        """Write and commit the frame; options as for pyarrow.parquet.write_table.

        Without a schema timestamps become microseconds, since Spark refuses nanoseconds.

        An attempt that fails removes its parts, but for what a thread is still writing, and for all
        if its commit may have reached storage: they wait for `clean`. Raises DataError before any
        data is read if the frame does not fit the schema.
        """
        from dask.base import compute
        from dask.delayed import delayed

        frames.check_dask(frame)
        if not self.flag:
            raise TypeError(f"{self.path} has no flag, so nothing could tell when it is complete")
        if self.schema is not None:
            frames.check_meta(frame._meta, self.schema)
        has_folders = commit.check_storage(self.fs, self.path)
        if not self.replace and self.exists():
            return
        if has_folders:  # object storage would make a bucket
            self.fs.makedirs(self.path, exist_ok=True)
        end = f"{commit.new_attempt()}{self.suffix}"
        paths = [self.at(f"part-{number:05d}-{end}") for number in range(frame.npartitions)]
        schema = frames.schema_of(frame) if self.schema is None else self.schema
        unit = "us" if self.schema is None else None
        options = {"compression": compression, "coerce_timestamps": unit} | options
        write = delayed(partial(_write_part, self.fs, schema, self.schema is not None, options))
        useless = paths  # until they are committed
        try:
            parts = compute(*map(write, frame.to_delayed(), paths))
            if faults := commit.damaged(list(parts), self.sizes()):
                raise DataError(f"somebody cleans {self.path}: {'; '.join(faults)}; run again")
            manifest = self._describe(list(parts), schema)
            old = (self.parts() or []) if self.replace else []
            useless = []  # a commit that fails may be one of which only the answer was lost
            committed = commit.commit(self.fs, self.at(self.flag), manifest, self.replace)
            useless = old if committed else paths
            if committed:
                sweep(self.fs, self.path, self.flag, manifest)
        finally:
            commit.discard(self.fs, useless)

    def head(self, rows: int) -> pa.Table:
        """The first rows, as written, without pandas."""
        import pyarrow as pa
        from pyarrow import parquet

        tables: list[pa.Table] = []
        for path in self.files(check=True):
            with self.fs.open(path) as file:
                # Arrow's threads over a Python file can outlive the interpreter, and abort it.
                tables.append(parquet.ParquetFile(file, pre_buffer=False).read(use_threads=False))
            if sum(table.num_rows for table in tables) >= rows:
                break
        return pa.concat_tables(tables).slice(0, rows)

    def _read(self, files: list[str], columns: Any, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd
        from pyarrow.fs import LocalFileSystem

        options = {"storage_options": self.storage_options or None} | options
        if self.schema is None:
            return dd.read_parquet(files, columns=columns, filters=filters, **options)
        local = {} if is_url(self.path) else {"filesystem": LocalFileSystem()}
        options = {"dtype_backend": "pyarrow"} | local | options
        frame = dd.read_parquet(files, columns=columns, filters=filters, **options)
        meta = frames.empty_frame(self.schema, list(frame.columns))
        if frame._meta.dtypes.to_dict() == meta.dtypes.to_dict():
            return frame
        # Another program wrote it and left no dtypes in the files for Dask to find.
        return frame.astype(meta.dtypes.to_dict())

    def _describe(self, parts: list[dict[str, Any]], schema: pa.Schema) -> commit.Manifest:
        return {
            "parts": parts,
            "rows": sum(part["rows"] for part in parts),
            "bytes": sum(part["bytes"] for part in parts),
            "schema": {f.name: f"{f.type}{'' if f.nullable else ' not null'}" for f in schema},
            "lineage": self.lineage(),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("dask", "luigi", "pandas", "pyarrow")},
        }


def _write_part(
    fs: Any, schema: pa.Schema, declared: bool, options: Any, part: pd.DataFrame, path: str
) -> dict[str, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    name = path.rpartition("/")[2]
    if declared:
        table = frames.to_table(part, schema, name)
    else:
        table = pa.Table.from_pandas(part, schema=schema, preserve_index=None)
    stream = pa.BufferOutputStream()  # Arrow's own, which needs no lock of Python's
    parquet.write_table(table, stream, **options)
    data = stream.getvalue().to_pybytes()
    fs.pipe_file(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return {"name": name, "rows": len(part), "bytes": len(data), "sha256": digest}
