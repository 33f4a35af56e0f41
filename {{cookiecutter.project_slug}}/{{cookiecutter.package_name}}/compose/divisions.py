"""READ. The sorted index that a stage may declare, and whether what it writes has it.

The manifest gives the first and the last value of each part as text. No value is in two parts, so
that Dask knows from the files' own statistics which one a value is in.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .errors import DataError
from .frames import dtype

if TYPE_CHECKING:
    import pandas as pd


_KINDS = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean),
    *(pa.types.is_date, pa.types.is_timestamp, pa.types.is_string, pa.types.is_large_string),
)


def unindexed(meta: pd.DataFrame, schema: pa.Schema, index: str) -> pd.DataFrame:
    """Its meta with the index as a column. Raises DataError where it has another index."""
    if index not in schema.names:
        raise DataError(f"the index {index!r} is no column of the schema; declare one that is")
    kind = schema.field(index).type
    if not any(test(kind) for test in _KINDS):
        raise DataError(f"the index {index!r} is {kind}; declare numbers, text, dates or times")
    if meta.index.name != index:
        fault = f"the frame has no index {index!r}, which the stage declares"
        raise DataError(f"{fault}; return it after set_index({index!r})")
    return meta.reset_index()


def ends(table: pa.Table, index: str, name: str) -> dict[str, str]:
    """The first and the last value of a part. Raises DataError where it is not sorted."""
    column = table.column(index)
    if column.null_count:
        raise DataError(f"{name} has {column.null_count} nulls in the index {index!r}; drop them")
    if not column.to_pandas(types_mapper=dtype).is_monotonic_increasing:
        raise DataError(f"{name} is not sorted by {index!r}; set_index({index!r}) sorts it")
    if not len(column):
        return {}
    texts = _plain(pa.array([column[0], column[-1]], column.type)).cast(pa.string())
    return dict(zip(("first", "last"), texts.to_pylist(), strict=True))


def check(parts: list[dict[str, Any]], schema: pa.Schema, index: str) -> None:
    """Raise DataError unless each part begins after the one before it ends."""
    kind = _plain(pa.array([], schema.field(index).type)).type
    for before, after in pairwise(part for part in parts if "first" in part):
        last, first = pa.array([before["last"], after["first"]]).cast(kind).to_pylist()
        if not last < first:
            fault = f"{before['name']} ends with {before['last']} in the index {index!r}"
            then = f"{after['name']} begins with {after['first']}"
            raise DataError(f"{fault}, and {then}; set_index({index!r}) sorts the whole frame")


def _plain(array: pa.Array) -> pa.Array:
    """Times without their zone, whose database a system may lack."""
    is_time = pa.types.is_timestamp(array.type)
    return array.cast(pa.timestamp(array.type.unit)) if is_time else array
