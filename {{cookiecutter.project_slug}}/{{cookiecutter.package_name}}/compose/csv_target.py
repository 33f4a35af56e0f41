"""READ. A folder of CSV files with headers as a target."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from . import conform
from .csv_reader import read_csv
from .errors import DataError
from .targets import BaseDaskTarget, Encoder

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa


class CSVTarget(BaseDaskTarget):
    """A folder of CSV files with headers."""

    declarations = ("schema", "null_values")
    suffix = ".csv"

    def __init__(self, *args: Any, null_values: Sequence[str] = ("",), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.null_values = tuple(null_values)

    def _read(self, columns: list[str] | None, filters: Any, options: dict[str, Any]) -> Any:
        import dask.dataframe as dd

        if filters is not None:
            raise TypeError("CSV files take no filters; filter the frame")
        files = self.files()
        if not files:
            raise DataError(f"{self.path} holds no file that fits {self.glob}")
        if self.schema is not None:
            frame = read_csv(self.fs, files, self.schema, self.null_values, **options)
            return frame if columns is None else frame[columns]
        if columns is not None:
            options.setdefault("usecols", columns)
        return dd.read_csv(files, storage_options=self.storage_options or None, **options)

    def _encoder(self, frame: dd.DataFrame, compression: str | None, options: Any) -> Encoder:
        return partial(_to_csv, self.schema, {"na_rep": self.null_values[0]} | options)


def _to_csv(
    schema: pa.Schema | None, options: dict[str, Any], part: pd.DataFrame, name: str
) -> bytes:
    if schema is not None:
        part = conform.to_table(part, schema, name).to_pandas(types_mapper=conform.dtype)
    options = {"index": part.index.name is not None, "lineterminator": "\n"} | options
    text: str = part.to_csv(**options)
    return text.encode()
