"""READ. Raw CSV files as an Arrow-backed Dask frame, typed by a declared schema while parsed."""

from __future__ import annotations

import codecs
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import csv_blocks, csv_headers, frames
from .csv_blocks import Block
from .errors import DataError

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

_OPEN = "a quoted field has no end; close the quotation mark"
_CUT = (
    "a quoted field goes on where the file was cut; close the quotation mark, or declare "
    "csv_options = {'newlines_in_values': True}, so that it is read whole"
)


@dataclass(frozen=True)
class CSVReader:
    """How files are read; `options` are those of pyarrow.csv.ParseOptions."""

    fs: Any
    schema: pa.Schema
    null_values: tuple[str, ...] = ("",)
    encoding: str = "utf-8"
    block_size: int = csv_blocks.BLOCK_SIZE
    options: dict[str, Any] = field(default_factory=dict)
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)  # else a cluster reuses old rows

    def frame(self, files: list[str]) -> dd.DataFrame:
        """The columns of the schema, a partition for each `block_size` bytes.

        Raises DataError naming every file that is empty or lacks a column, before data is read.
        """
        import dask.dataframe as dd

        meta = frames.empty_frame(self.schema)
        return dd.from_map(_read, self.groups(files), meta=meta, reader=self)

    def groups(self, files: list[str]) -> list[list[Block]]:
        """The blocks of each partition; errors as those of `frame`."""
        from pyarrow.csv import ParseOptions

        ParseOptions(**self.options)  # raises TypeError for an unknown one
        heads = csv_headers.check(self.fs, files, self.schema, self.encoding, self.options)
        sizes = dict(zip(files, self.fs.sizes(files), strict=True))
        is_whole = self.options.get("newlines_in_values", False)
        blocks: list[Block] = []
        for path, (fields, head) in zip(files, heads, strict=True):
            block = Block(path, fields)
            if is_whole or not csv_blocks.can_be_cut(path, head, self.encoding):
                blocks.append(block)
            else:
                blocks += csv_blocks.cut(block, head, sizes[path], self.block_size)
        return csv_blocks.joined(blocks, sizes, self.block_size)

    def table(self, block: Block, schema: pa.Schema) -> pa.Table:
        """The rows of a block. Raises DataError naming file, line and column of what is wrong.

        A block is right if it begins outside of quotes, and so it does if all before it end there.
        Arrow's own parser tells where one ends: a row like no other is put behind the block, and
        must be found as a row.
        """
        from pyarrow import csv

        last = uuid.uuid4().hex + self.options.get("delimiter", ",") * block.fields  # one too many
        on_invalid_row = self.options.get("invalid_row_handler") or (lambda row: "error")
        odd = [""]

        def keep(row: Any) -> str:
            odd.append(row.text)
            return "skip" if last in row.text else str(on_invalid_row(row))

        rows = self._rows(block)
        if not rows.endswith(b"\n"):
            rows += b"\n"
        pieces = (self._utf8(block.head), rows, f"{last}\n".encode())
        options = self.options | {"newlines_in_values": True, "invalid_row_handler": keep}
        try:
            table = csv.read_csv(
                csv_blocks.Pieces(*pieces),
                csv.ReadOptions(use_threads=False, block_size=csv_blocks.MOST),
                csv.ParseOptions(**options),
                csv.ConvertOptions(
                    column_types=schema,
                    include_columns=schema.names,
                    null_values=list(self.null_values),
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            data = b"".join(pieces)
            if last in str(error):
                raise self._unclosed(block, data) from error
            column, line, fault = csv_headers.explained(data, str(error), self.options)
            fault += "; mend the file, its null_values or the schema"
            raise self._wrong(block, line, fault, column) from error
        if odd[-1] != last:
            raise self._unclosed(block, b"".join(pieces))
        for each, column in zip(schema, table.columns, strict=True):
            if column.null_count and not each.nullable:
                raise DataError(
                    f"{block.path}, column {each.name!r}: {column.null_count} nulls, and the "
                    "schema allows none; mend the file or the schema"
                )
        return table

    def _utf8(self, text: bytes) -> bytes:
        if codecs.lookup(self.encoding).name == "utf-8":
            return text
        return text.decode(self.encoding).encode()

    def _rows(self, block: Block) -> bytes:
        text = block.rows(self.fs)
        try:
            return self._utf8(text)
        except UnicodeDecodeError as error:
            before = (block.head + text[: error.start]).decode(self.encoding, "replace")
            fault = f"the text is not in {self.encoding}; declare another in csv_options"
            raise self._wrong(block, before.count("\n") + 1, fault) from error

    def _unclosed(self, block: Block, data: bytes) -> DataError:
        line = csv_headers.line_of(data, None, self.options)
        return self._wrong(block, line, _OPEN if block.length is None else _CUT)

    def _wrong(self, block: Block, line: int | None, fault: str, column: str = "") -> DataError:
        """What to raise. A fault in an earlier block is raised instead: it may be the cause."""
        for earlier in block.earlier():
            self.table(earlier, self.schema)
            line = line and line + earlier.rows(self.fs).count(b"\n")
        return DataError(f"{block.path}{column}{f', line {line}' if line else ''}: {fault}")


def _read(
    blocks: list[Block], *, reader: CSVReader, columns: list[str] | None = None
) -> pd.DataFrame:
    names = reader.schema.names if columns is None else columns
    schema = pa.schema([reader.schema.field(name) for name in names])
    table = pa.concat_tables([reader.table(block, schema) for block in blocks])
    frame: pd.DataFrame = table.combine_chunks().to_pandas(types_mapper=frames.dtype)
    return frame
