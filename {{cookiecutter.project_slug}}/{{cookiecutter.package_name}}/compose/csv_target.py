"""READ. A folder of CSV files with headers as a target, which others write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .csv_reader import read_csv
from .targets import BaseDaskTarget


class CSVTarget(BaseDaskTarget):
    """A folder of CSV files; `null_values` are the texts that stand for null."""

    declarations = ("schema", "null_values")
    suffix = ".csv"

    def __init__(self, *args: Any, null_values: Sequence[str] = ("",), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.null_values = tuple(null_values)

    def _read(self, files: list[str], columns: Any, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd

        if filters is not None:
            raise TypeError("CSV files take no filters; filter the frame")
        if self.schema is not None:
            frame = read_csv(self.fs, files, self.schema, self.null_values, **options)
            return frame if columns is None else frame[columns]
        if columns is not None:
            options.setdefault("usecols", columns)
        return dd.read_csv(files, storage_options=self.storage_options or None, **options)
