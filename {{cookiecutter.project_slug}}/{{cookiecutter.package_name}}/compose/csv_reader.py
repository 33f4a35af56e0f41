"""READ. Raw CSV files as Arrow-backed frames, typed by a declared schema while parsed."""

from __future__ import annotations

import contextlib
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from . import csv_blocks, csv_headers, frames
from .csv_blocks import Block
from .errors import DataError

_OPEN = "a quoted field has no end; close the quotation mark"
_CUT = " or, where the file was cut, declare csv_options = {'newlines_in_values': True}"


@dataclass(frozen=True)
class CSVReader:
    """How files are read; `options` are those of pyarrow.csv.ParseOptions."""

    fs: Any
    schema: pa.Schema
    null_values: tuple[str, ...]
    encoding: str
    block_size: int
    options: dict[str, Any]
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)  # else a cluster reuses old rows

    def groups(self, files: list[str]) -> list[list[Block]]:
        """The blocks of each partition, of about `block_size` bytes.

        Raises DataError naming every file that is empty or lacks a column.
        """
        heads = csv_headers.check(self.fs, files, self.schema, self.encoding, self.options)
        sizes = dict(zip(files, self.fs.sizes(files), strict=True))
        blocks: list[Block] = []
        for path, (names, head) in zip(files, heads, strict=True):
            block = Block(path, names)
            if self.options.get("newlines_in_values"):
                blocks.append(block)
            else:
                blocks += csv_blocks.cut(block, head, self.encoding, sizes[path], self.block_size)
        return csv_blocks.joined(blocks, sizes, self.block_size)

    def table(self, block: Block, schema: pa.Schema) -> pa.Table:
        """The rows of a block. Raises DataError naming file, line and column of what is wrong.

        A block is right if it begins outside of quotes, and so it does if all before it end there.
        Arrow's own parser tells where one ends: a row like no other is put behind the block, and
        must be found as a row.
        """
        from pyarrow import csv
        from pyarrow.compute import call_function

        one_too_many = self.options.get("delimiter", ",") * len(block.names)
        last = f"{uuid.uuid4().hex}{one_too_many}"
        odd = [""]
        on_invalid_row = self.options.get("invalid_row_handler", lambda row: "error")

        def keep(row: Any) -> Any:
            odd.append(row.text)
            return "skip" if last in row.text else on_invalid_row(row)

        options = self.options | {"newlines_in_values": True, "invalid_row_handler": keep}
        convert = csv.ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            null_values=list(self.null_values),
            strings_can_be_null=True,
        )

        def parsed(at_once: int) -> pa.Table:
            source = csv_blocks.Pieces(at_once, *pieces)
            read = csv.ReadOptions(use_threads=False, block_size=at_once)
            table = csv.read_csv(source, read, csv.ParseOptions(**options), convert)
            if odd[-1] != last:
                raise pa.ArrowInvalid(last)
            for number, column in enumerate(table.columns):
                if pa.types.is_floating(column.type):  # a sum of partitions would leave some out
                    given = [column.is_null(nan_is_null=True), pa.scalar(None, column.type), column]
                    known = call_function("if_else", given)
                    table = table.set_column(number, table.field(number), known)
            return table.cast(schema)  # which raises ValueError for a null that may not be

        pieces = [block.head, block.rows(self.fs)]
        try:
            if self.encoding != "utf-8":
                texts = [piece.decode(self.encoding, "surrogateescape") for piece in pieces]
                # What a byte that is not in it becomes is no UTF-8, which Arrow finds.
                pieces = [text.encode(errors="surrogatepass") for text in texts]
            if not pieces[1].endswith(b"\n"):
                pieces[1] += b"\n"
            pieces.append(f"{last}\n".encode())
            with contextlib.suppress(ValueError):  # a row may be longer, and is told by its number
                return parsed(csv_blocks.CHUNK)
            return parsed(csv_blocks.MOST)
        except ValueError as error:
            raise self._wrong(block, b"".join(pieces), error, last) from error

    def _wrong(self, block: Block, data: bytes, error: ValueError, last: str) -> DataError:
        """What to raise. A fault in an earlier block is raised instead: it may be the cause."""
        text, where, line = str(error), "", 0
        records = csv_headers.records(data, "utf-8", self.options)
        if last in text:
            line = csv_headers.line_of(records)
            text = _OPEN if block.length is None else _OPEN + _CUT
        else:
            if column := re.search(r"In CSV column #(\d+): ", text):
                where = f", column {block.names[int(column[1])]!r}"
            if row := re.search(r"Row #(\d+): ", text):
                line = csv_headers.line_of(records, int(row[1]))
            text = re.sub(r"(In CSV column|Row) #\d+: ", "", text, count=2)
            text += "; mend the file, or its csv_options, null_values or schema"
        for earlier in block.earlier():
            self.table(earlier, self.schema)
            line = line and line + earlier.rows(self.fs).count(b"\n")
        return DataError(f"{block.path}{where}{f', line {line}' if line else ''}: {text}")


def read(blocks: list[Block], *, reader: CSVReader, columns: list[str] | None = None) -> Any:
    """A partition, as a pandas frame."""
    names = reader.schema.names if columns is None else columns
    schema = pa.schema([reader.schema.field(name) for name in names])
    table = pa.concat_tables([reader.table(block, schema) for block in blocks])
    return table.combine_chunks().to_pandas(types_mapper=frames.dtype)
