"""READ. Writing a partition of a frame as a Parquet file, or as several if it is huge."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import divisions, frames
from .compaction import SIZE, Part
from .csv_blocks import BLOCK_SIZE
from .roots import filesystem

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DICTIONARY = 2**18  # bytes: a column with more different values is written without one
LARGEST = 4 * BLOCK_SIZE  # bytes in memory of a row group, and of a part that may be cut


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
    index: str | None
    options: dict[str, Any]
    may_cut: bool

    @property
    def fs(self) -> Any:
        return filesystem(self.folder, self.storage_options)

    def path(self, place: str) -> str:
        """A path that no other call gives; the order of such places is that of the rows."""
        return self.at(f"{place}-{self.attempt}{uuid.uuid4().hex[:8]}.parquet")

    def at(self, name: str) -> str:
        return f"{self.folder.rstrip('/')}/{name}"

    def __call__(self, part: pd.DataFrame, number: int) -> list[Part]:
        """What the manifest says of its file, or of several if it is huge.

        Raises DataError where it does not fit the schema.
        """
        import pyarrow as pa

        place = f"part-{number:05d}"
        path = self.path(place)
        if self.declared is None:
            keep = True if part.index.name in self.schema.names else None
            table = pa.Table.from_pandas(part, schema=self.schema, preserve_index=keep)
        else:
            table = frames.to_table(part, self.schema, path.rpartition("/")[2], self.index)
        size = _rows(table) if self.may_cut else len(table)
        if len(table) <= size:
            return [self.write(table, path)]
        return [
            self.write(table.slice(first, size), self.path(f"{place}-{first:010d}"))
            for first in range(0, len(table), size)
        ]

    def write(self, table: pa.Table, path: str) -> Part:
        """The name of the file, its rows, bytes and SHA-256."""
        import pyarrow as pa
        from pyarrow import parquet

        name = path.rpartition("/")[2]
        ends = divisions.ends(table, self.index, name) if self.index else {}
        stream = pa.BufferOutputStream()  # Arrow's own, which needs no lock of Python's
        options: dict[str, Any] = {"row_group_size": min(_rows(table), 2**20)}
        options |= {"dictionary_pagesize_limit": DICTIONARY} | self.options
        parquet.write_table(table, stream, **options)
        data = stream.getvalue().to_pybytes()
        self.fs.pipe_file(path, data)
        known = {"name": name, "rows": len(table), "bytes": len(data), SIZE: table.nbytes}
        return known | {"sha256": hashlib.sha256(data).hexdigest()} | ends


def _rows(table: pa.Table) -> int:
    """How many of its rows are not too large."""
    return max(1, len(table) * LARGEST // max(table.nbytes, 1))
