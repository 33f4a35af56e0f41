"""READ. Stubs: transforms that nobody has written yet, and that give what their schema says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from . import frames

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

F = TypeVar("F", bound=Callable[..., Any])
_left: list[str] = []


def todo(reminder: str) -> Callable[[F], F]:
    """Mark a function as a stub. Whoever has written it deletes this decorator."""

    if not isinstance(reminder, str):
        raise TypeError('@todo needs a reminder: write @todo("delete this line when ...")')

    def mark(function: F) -> F:
        _left.append(function.__name__)
        return function

    return mark


def stubs() -> list[str]:
    """The names of the functions that are still marked, in their order."""
    return list(_left)


def conform(frame: dd.DataFrame, schema: pa.Schema) -> dd.DataFrame:
    """As many rows as `frame` has, with the columns of `schema`, which hold nothing but fillers."""
    return frame.map_partitions(partial(_filled, schema), meta=frames.empty_frame(schema))


def filler(schema: pa.Schema) -> dict[str, Any]:
    """The row that a stub gives: "todo", False, 0, the first moment of 1970 and the like."""
    return {field.name: _value(field.type) for field in schema}


def _filled(schema: pa.Schema, part: pd.DataFrame) -> pd.DataFrame:
    row = pa.Table.from_pylist([filler(schema)], schema=schema)
    rows = row.take(pa.array([0] * len(part), pa.int64()))
    filled: pd.DataFrame = rows.to_pandas(types_mapper=frames.dtype)
    return filled


def _value(arrow_type: pa.DataType) -> Any:
    fillers: tuple[Any, ...] = ("todo", False, 0, [])
    for value in fillers:
        with contextlib.suppress(pa.ArrowException):
            return pa.scalar(value, arrow_type).as_py()
    return None
