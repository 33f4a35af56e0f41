"""READ. Raw CSV files as an Arrow-backed Dask frame, typed by a declared schema while parsed."""

from __future__ import annotations

import csv
import io
import logging
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import frames
from .errors import DataError

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

logger = logging.getLogger(__name__)
_HEADER_BYTES = 65536
csv.field_size_limit(2**31 - 1)


def read_csv(
    fs: Any, files: list[str], schema: pa.Schema, null_values: tuple[str, ...], **options: Any
) -> dd.DataFrame:
    """One partition for each file, with the columns of `schema`; options as for ParseOptions.

    Raises DataError naming every file that is empty or lacks a column, before data is read.
    """
    import dask.dataframe as dd

    _check_headers(fs, files, schema, options)
    return dd.from_map(
        _read_file,
        files,
        meta=frames.empty_frame(schema),
        fs=fs,
        schema=schema,
        null_values=null_values,
        options=options,
    )


def _check_headers(fs: Any, files: list[str], schema: pa.Schema, options: dict[str, Any]) -> None:
    faults, additional = [], set()
    starts = fs.cat_ranges(files, [0] * len(files), [_HEADER_BYTES] * len(files))
    for path, start in zip(files, starts, strict=True):
        header = _header(start if b"\n" in start else fs.cat_file(path), options)
        missing = [name for name in schema.names if name not in header]
        twice = [name for name in schema.names if header.count(name) > 1]
        additional |= set(header) - set(schema.names)
        if not header:
            faults.append(f"{path} is empty")
        elif missing:
            faults.append(f"{path} lacks the column {', '.join(map(repr, missing))}")
        elif twice:
            faults.append(f"{path} has more than one column {', '.join(map(repr, twice))}")
    if faults:
        raise DataError(f"{'; '.join(faults)}; mend or remove the file, or change the schema")
    if additional:
        logger.info("Columns that the schema does not name: %s", ", ".join(sorted(additional)))


def _rows(data: bytes, options: dict[str, Any]) -> Any:
    text = io.StringIO(data.decode("utf-8-sig", errors="replace"), newline="")
    dialect: dict[str, Any] = {"delimiter": options.get("delimiter", ",")}
    dialect["quotechar"] = options.get("quote_char", '"') or None
    dialect["quoting"] = csv.QUOTE_MINIMAL if dialect["quotechar"] else csv.QUOTE_NONE
    return csv.reader(text, **dialect)


def _header(data: bytes, options: dict[str, Any]) -> list[str]:
    return next(filter(None, _rows(data, options)), [])


def _read_file(
    path: str,
    *,
    fs: Any,
    schema: pa.Schema,
    null_values: tuple[str, ...],
    options: dict[str, Any],
    columns: list[str] | None = None,
) -> pd.DataFrame:
    from pyarrow import csv as arrow_csv

    data = fs.cat_file(path)
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if data.count(b'"') % 2 and not {"quote_char", "escape_char"} & set(options):
        raise DataError(f"{path} has an odd number of quotation marks; close the open one")
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=arrow_csv.ParseOptions(**{"newlines_in_values": True} | options),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict(zip(wanted.names, wanted.types, strict=True)),
                include_columns=wanted.names,
                null_values=list(null_values),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(_explained(path, data, str(error), options)) from error
    for field, column in zip(wanted, table.columns, strict=True):
        if column.null_count and not field.nullable:
            raise DataError(
                f"{path}, column {field.name!r}: {column.null_count} nulls, and the schema allows "
                f"none; mend the file or the schema"
            )
    frame: pd.DataFrame = table.to_pandas(types_mapper=frames.dtype)
    return frame


def _explained(path: str, data: bytes, message: str, options: dict[str, Any]) -> str:
    """Arrow's message with the file's line and the column's name in place of their numbers."""
    where, text = path, message
    if column := re.search(r"In CSV column #(\d+): ", text):
        text = text.replace(column[0], "")
        where += f", column {_header(data, options)[int(column[1])]!r}"
    if row := re.search(r"Row #(\d+): ", text):
        text = text.replace(row[0], "")
        where += f", line {_line(data, int(row[1]), options)}"
    return f"{where}: {text}; mend the file, its null_values or the schema"


def _line(data: bytes, row: int, options: dict[str, Any]) -> int:
    """The line on which a row begins; quoted line ends and blank lines count as lines."""
    begins, records = 1, _rows(data, options)
    while row := row - bool(next(records)):
        begins = records.line_num + 1
    return int(begins)
