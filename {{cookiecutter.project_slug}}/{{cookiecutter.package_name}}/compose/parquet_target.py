"""READ. A folder of Parquet files as a target, written in a transaction; see `commit`."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

from . import conform
from .errors import DataError
from .roots import is_url
from .targets import BaseDaskTarget, Encoder

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa


class ParquetTarget(BaseDaskTarget):
    """A folder of Parquet files."""

    suffix = ".parquet"

    def head(self, rows: int) -> pa.Table:
        """The first rows, as written, without pandas."""
        import pyarrow as pa
        from pyarrow import parquet

        tables: list[pa.Table] = []
        for path in self.files():
            with self.fs.open(path) as file:
                tables.append(parquet.ParquetFile(file).read())
            if sum(table.num_rows for table in tables) >= rows:
                break
        return pa.concat_tables(tables).slice(0, rows)

    def _read(self, columns: list[str] | None, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd
        from pyarrow.fs import LocalFileSystem

        files = self.files()
        if not files:
            raise DataError(f"{self.path} holds no file that fits {self.glob}")
        options.setdefault("storage_options", self.storage_options or None)
        if self.schema is None:
            return dd.read_parquet(files, columns=columns, filters=filters, **options)
        if not is_url(self.path):
            options.setdefault("filesystem", LocalFileSystem())
        options.setdefault("dtype_backend", "pyarrow")
        frame = dd.read_parquet(files, columns=columns, filters=filters, **options)
        meta = conform.empty_frame(self.schema)[list(frame.columns)]
        # A program without pandas has left no dtypes in the files for Dask to find.
        if list(frame._meta.dtypes.items()) != list(meta.dtypes.items()):
            frame = frame.map_partitions(conform.as_dtypes, meta.dtypes, meta=meta)
        return frame

    def _encoder(self, frame: dd.DataFrame, compression: str | None, options: Any) -> Encoder:
        schema = self.schema if self.schema is not None else conform.schema_of(frame)
        declared = self.schema is not None
        return partial(_to_parquet, schema, declared, {"compression": compression} | options)


def _to_parquet(
    schema: pa.Schema, declared: bool, options: dict[str, Any], part: pd.DataFrame, name: str
) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    if declared:
        table = conform.to_table(part, schema, name)
    else:
        table = pa.Table.from_pandas(part, schema=schema, preserve_index=None)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **options)
    return buffer.getvalue()
