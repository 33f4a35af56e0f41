"""READ. The headers of raw CSV files, checked before data is read, and the lines of faults."""

from __future__ import annotations

import csv
import io
import logging
import re
from typing import Any

import pyarrow as pa

from .csv_blocks import decompressed
from .errors import DataError

logger = logging.getLogger(__name__)
_HEADER_BYTES = 65536
_DIALECT = {"delimiter": "delimiter", "quote_char": "quotechar", "escape_char": "escapechar"}
csv.field_size_limit(2**31 - 1)


def check(
    fs: Any, files: list[str], schema: pa.Schema, encoding: str, options: dict[str, Any]
) -> list[tuple[int, bytes]]:
    """The number of fields in each file, and its start up to the first row.

    Raises DataError naming every file that is empty or lacks a column.
    """
    faults, additional, heads = [], set(), []
    starts = fs.cat_ranges(files, [0] * len(files), [_HEADER_BYTES] * len(files))
    for path, start in zip(files, starts, strict=True):
        text = decompressed(path, start, _HEADER_BYTES)
        if b"\n" not in text:
            text = decompressed(path, fs.cat_file(path))
        records = _records(text, encoding, options)
        header: list[str] = next(filter(None, records), [])
        head = b"".join(text.splitlines(keepends=True)[: records.line_num])
        heads.append((len(header), head))
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
    return heads


def _records(data: bytes, encoding: str, options: dict[str, Any]) -> Any:
    text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    dialect: dict[str, Any] = {"doublequote": options.get("double_quote", True)}
    dialect |= {name: options[of] for of, name in _DIALECT.items() if options.get(of)}
    if options.get("quote_char") is False:
        dialect["quoting"] = csv.QUOTE_NONE
    return csv.reader(io.StringIO(text, newline=""), **dialect)


def explained(data: bytes, message: str, options: dict[str, Any]) -> tuple[str, int | None, str]:
    """What Arrow's message tells: the column by its name, the line, and what is wrong there."""
    where, line = "", None
    if column := re.search(r"In CSV column #(\d+): ", message):
        message = message.replace(column[0], "")
        header = next(filter(None, _records(data, "utf-8", options)))
        where = f", column {header[int(column[1])]!r}"
    if row := re.search(r"Row #(\d+): ", message):
        message = message.replace(row[0], "")
        line = line_of(data, int(row[1]), options)
    return where, line, message


def line_of(data: bytes, row: int | None, options: dict[str, Any]) -> int:
    """The line on which a row begins, or the last one; lines in quotes and blank ones count."""
    records, begins, after = _records(data, "utf-8", options), 1, 1
    for record in records:
        begins, after = after, records.line_num + 1
        if row is not None and not (row := row - bool(record)):
            break
    return begins
