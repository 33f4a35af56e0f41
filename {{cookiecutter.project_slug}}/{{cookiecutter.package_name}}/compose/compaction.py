"""READ. Compaction: small parts, such as a filter leaves, become files that are worth reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .csv_blocks import BLOCK_SIZE

if TYPE_CHECKING:
    from .part_writer import PartWriter

SIZE = "in memory"  # bytes, which a part is known by until it is in the manifest
Part = dict[str, Any]


def compact(writer: PartWriter, parts: list[Part]) -> list[Part]:
    """The parts once each group is one. What they were made of, nobody names."""
    from dask.base import compute
    from dask.delayed import delayed

    groups = neighbours([part[SIZE] for part in parts], BLOCK_SIZE)
    join = delayed(_join)
    lazy = [
        join(writer, [parts[n] for n in group]) if len(group) > 1 else parts[group[0]]
        for group in groups
    ]
    return list(compute(*lazy))


def neighbours(sizes: list[int], block: int) -> list[list[int]]:
    """Neighbours as groups, where one of the two is small and both are no more than a block."""
    groups: list[list[int]] = []
    total = 0
    for number, size in enumerate(sizes):
        if not groups or min(size, total) > block // 4 or total + size > block:
            groups.append([])
            total = 0
        groups[-1].append(number)
        total += size
    return groups


def _join(writer: PartWriter, parts: list[Part]) -> Part:
    import pyarrow as pa
    from pyarrow import parquet

    tables = []
    for part in parts:
        file = pa.BufferReader(writer.fs.cat_file(writer.at(part["name"])))
        tables.append(parquet.ParquetFile(file).read(use_threads=False))
    return writer.write(pa.concat_tables(tables), writer.path(parts[0]["name"].rpartition("-")[0]))
