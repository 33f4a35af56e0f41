"""READ. A folder of CSV files with headers as a target, which others write."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from glob import escape
from typing import Any

from . import frames
from .csv_blocks import BLOCK_SIZE
from .csv_reader import CSVReader, read
from .errors import ComposeError
from .targets import BaseDaskTarget


class CSVTarget(BaseDaskTarget):
    """A folder of CSV files; `null_values` are the texts that stand for null.

    Files that end in .gz or .zst are compressed: say `glob="*.csv.gz"`, or `"*.csv*"` for both.
    With a schema, `csv_options` and the options of `read_dask` are those of
    pyarrow.csv.ParseOptions, `encoding` ("utf-8") and `block_size`, the bytes in a partition.
    A file is cut into blocks unless it is compressed, or its encoding hides the line ends, or
    `newlines_in_values` says that quoted fields hold some. Without a schema they are Dask's.
    """

    declarations = ("schema", "null_values", "csv_options")
    suffix = ".csv"

    def __init__(
        self,
        *args: Any,
        null_values: Sequence[str] = ("",),
        csv_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.null_values = (null_values,) if isinstance(null_values, str) else tuple(null_values)
        self.csv_options = dict(csv_options or {})

    def sources(self) -> list[list[tuple[Any, ...]]] | None:
        if self.schema is None:
            return None
        groups = self._reader(**self.csv_options).groups(self.files())
        return [[(self.name(b.path), b.offset, b.length) for b in group] for group in groups]

    def _reader(
        self, encoding: str = "utf-8", block_size: int = BLOCK_SIZE, **options: Any
    ) -> CSVReader:
        from pyarrow.csv import ParseOptions

        try:
            codec = codecs.lookup(encoding).name
            ParseOptions(**options)
        except (LookupError, TypeError, ValueError) as error:
            cure = "give those of pyarrow.csv.ParseOptions, `encoding` and `block_size`"
            raise ComposeError(f"{self.path} is read with {options}: {error}; {cure}") from error
        return CSVReader(self.fs, self.schema, self.null_values, codec, block_size, options)

    def _read(self, files: list[str], columns: Any, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd

        if filters is not None:
            raise TypeError("CSV files take no filters; filter the frame")
        options = self.csv_options | options
        if self.schema is not None:
            reader, meta = self._reader(**options), frames.empty_frame(self.schema)
            frame = dd.from_map(read, reader.groups(files), meta=meta, reader=reader)
            return frame if columns is None else frame[columns]
        if columns is not None:
            options.setdefault("usecols", columns)
        if self.null_values != ("",):
            options.setdefault("na_values", list(self.null_values))
        files = [escape(path) for path in files]
        return dd.read_csv(files, storage_options=self.storage_options or None, **options)
