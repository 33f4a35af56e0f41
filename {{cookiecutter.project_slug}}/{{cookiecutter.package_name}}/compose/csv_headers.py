"""READ. The headers of raw CSV files, checked before data is read, and the lines of rows."""

from __future__ import annotations

import csv
import io
import logging
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
) -> list[tuple[tuple[str, ...], bytes]]:
    """The columns of each file, and its start up to the first row.

    Raises DataError naming every file that is empty or lacks a column.
    """
    faults, additional, heads = [], set(), []
    starts = fs.cat_ranges(files, [0] * len(files), [_HEADER_BYTES] * len(files))
    for path, start in zip(files, starts, strict=True):
        text = decompressed(path, start, _HEADER_BYTES)
        if b"\n" not in text:
            text = decompressed(path, fs.cat_file(path))
        found = records(text, encoding, options)
        header: list[str] = next(filter(None, found), [])
        head = b"".join(text.splitlines(keepends=True)[: found.line_num])
        heads.append((tuple(header), head))
        wrong = [repr(name) for name in schema.names if header.count(name) != 1]
        additional |= set(header) - set(schema.names)
        if not header:
            faults.append(f"{path} is empty")
        elif wrong:
            faults.append(f"{path} lacks the column {', '.join(wrong)}, or has it twice")
    if faults:
        raise DataError(f"{'; '.join(faults)}; mend or remove the file, or change the schema")
    if additional:
        logger.info("Columns that the schema does not name: %s", ", ".join(sorted(additional)))
    return heads


def records(data: bytes, encoding: str, options: dict[str, Any]) -> Any:
    """What Python's own reader finds in a text."""
    text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    dialect = {name: options[of] for of, name in _DIALECT.items() if options.get(of)}
    if options.get("quote_char") is False:
        dialect["quoting"] = csv.QUOTE_NONE
    return csv.reader(io.StringIO(text, newline=""), **dialect)


def line_of(found: Any, row: int = -1) -> int:
    """The line on which a row begins, or the last one; lines in quotes and blank ones count."""
    begins, after = 1, 1
    for record in found:
        begins, after = after, found.line_num + 1
        row -= bool(record)
        if not row:
            break
    return begins
