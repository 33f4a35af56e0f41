"""READ. Whether a frame fits a declared Arrow schema, and Arrow-backed frames that do."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_STRINGS = {pa.string(), pa.large_string(), pa.string_view()}


def dtype(arrow_type: pa.DataType) -> Any:
    """The pandas dtype of an Arrow type: pandas's own string for strings, else Arrow-backed."""
    import pandas as pd

    return pd.StringDtype("pyarrow") if arrow_type in _STRINGS else pd.ArrowDtype(arrow_type)


def empty_frame(schema: pa.Schema, columns: list[str] | None = None) -> pd.DataFrame:
    """A frame with no rows, for Dask's meta."""
    table = schema.empty_table().select(schema.names if columns is None else columns)
    frame: pd.DataFrame = table.to_pandas(types_mapper=dtype)
    return frame


def check_dask(frame: Any) -> None:
    """Raise DataError unless it is a Dask frame."""
    import dask.dataframe as dd

    if not isinstance(frame, dd.DataFrame):
        found = f"{type(frame).__module__.partition('.')[0]}'s {type(frame).__name__}"
        raise DataError(f"a Dask frame is needed, not {found}: no return, or a compute() too many?")


def check_meta(meta: pd.DataFrame, schema: pa.Schema) -> None:
    """Raise DataError, naming every column at fault, unless a frame of this meta fits."""
    fine = [f.name for f in schema if re.search(r"time\w+\[ns", str(f.type))]
    if fine:
        refused = f"the schema has nanoseconds in {', '.join(map(repr, fine))}, which Spark refuses"
        raise DataError(f'{refused}; declare "us" there')
    found = pa.Schema.from_pandas(meta, preserve_index=False)
    if faults := _differences(found, schema):
        lost = [n for n in meta.index.names if n in schema.names and n not in found.names]
        cure = f"reset_index() gives the column {lost[0]!r}" if lost else "mend one of the two"
        raise DataError(f"the frame does not fit the schema: {'; '.join(faults)}; {cure}")


def to_table(
    part: pd.DataFrame, schema: pa.Schema, name: str, index: str | None = None
) -> pa.Table:
    """One part as a table that fits the schema. Raises DataError naming the part and columns."""
    part = part if index is None else part.reset_index()
    try:
        table = pa.Table.from_pandas(part, preserve_index=False, nthreads=1)
    except (pa.ArrowException, OverflowError, ValueError) as error:  # Python objects
        wrong = [_first_wrong(part[field.name], field) for field in schema if field.name in part]
        found = "; ".join(filter(None, wrong)) or str(error)
        raise DataError(f"{name} does not fit the schema: {found}") from error
    faults = _differences(table.schema, schema)
    if not faults:
        table = table.select(schema.names)
        faults = [
            f"the column {field.name!r} has {column.null_count} nulls and may have none "
            f"(the first in row {column.is_null().index(True)})"
            for field, column in zip(schema, table.columns, strict=True)
            if column.null_count and not field.nullable
        ]
    if faults:
        raise DataError(f"{name} does not fit the schema: {'; '.join(faults)}")
    table = table.cast(schema.remove_metadata())
    return table.replace_schema_metadata(_metadata(schema, index))


@cache
def _metadata(schema: pa.Schema, index: str | None) -> Any:
    """What tells pandas the index and dtypes, but not those it cannot name or Parquet lacks."""
    # Nested, or of seconds:
    odd = [f.name for f in schema if re.search(r"<|date64|\[s", str(f.type)) and f.name != index]
    frame = empty_frame(schema).drop(columns=odd)
    return pa.Schema.from_pandas(frame if index is None else frame.set_index(index)).metadata


def _first_wrong(values: Any, field: pa.Field) -> str | None:
    for row, value in enumerate(values):
        try:
            pa.array([value], field.type, from_pandas=True)
        except (pa.ArrowException, OverflowError, ValueError):
            found = f"{value!r:.60}"
            return f"the column {field.name!r} is {found} in row {row}, which is no {field.type}"
    return None


def _differences(found: pa.Schema, declared: pa.Schema) -> list[str]:
    faults = [
        f"the column {name!r} is missing" for name in declared.names if name not in found.names
    ]
    for field in found:
        name = field.name
        if name not in declared.names:
            faults.append(f"the column {name!r} is left over")
        elif not _same(field.type, declared.field(name).type):
            faults.append(
                f"the column {name!r} is {field.type}, the schema says {declared.field(name).type}"
            )
    return faults


def _same(found: pa.DataType, declared: pa.DataType) -> bool:
    """Strings are equal whatever their width; a column of nulls alone has no type yet."""
    return {found, declared} <= _STRINGS or pa.types.is_null(found) or found == declared


def schema_of(frame: Any) -> pa.Schema:
    """The schema that a Dask frame's meta implies, with its index if that has a name."""
    meta = frame._meta_nonempty
    return pa.Schema.from_pandas(meta, preserve_index=meta.index.name is not None)
