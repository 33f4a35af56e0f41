"""READ. CSV files as blocks of bytes: big files are cut at line ends, small ones are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from random import Random
from typing import Any, NamedTuple

import pyarrow as pa
from fsspec.utils import read_block

from .errors import DataError

BLOCK_SIZE = 32 * 2**20  # bytes of text in a partition, the same on every machine
CHUNK = 2**20  # bytes that Arrow parses at once: few enough for a processor to hold
MOST = 2**30  # bytes that it can parse at once, where a row is longer
_LEAST = 2**16  # what a small file counts for, since each takes a request
_CODECS = {".gz": "gzip", ".zst": "zstd"}
_EXPANDED = 8  # times its size is what a compressed file counts for
_SINGLE_BYTE = ("ascii", "cp125", "iso8859", "koi8", "utf-8")  # here b"\n" is always a line end


class Block(NamedTuple):
    """A file, or what follows the first line end from `offset` on, to the one `length` later.

    `names` are the columns of the file, and `head` is its start up to the first row, unless the
    block itself holds that.
    """

    path: str
    names: tuple[str, ...]
    head: bytes = b""
    offset: int = 0
    length: int | None = None

    def rows(self, fs: Any) -> bytes:
        """The text but for the head. Raises DataError where it cannot be decompressed."""
        if self.length is None:
            return decompressed(self.path, fs.cat_file(self.path))
        with fs.open(self.path, "rb", cache_type="none") as file:
            return bytes(read_block(file, self.offset, self.length, b"\n"))

    def earlier(self) -> Iterator[Block]:
        """The blocks of the same file before this one."""
        if self.length is not None:
            for offset in range(len(self.head) - 1, self.offset, self.length):
                yield self._replace(offset=offset)


def cut(whole: Block, head: bytes, encoding: str, size: int, block_size: int) -> list[Block]:
    """A file in blocks of the same size; the file itself if it is small or cannot be cut.

    It can where its line ends are found without reading what is before them.
    """
    is_plain = PurePosixPath(whole.path).suffix not in _CODECS
    is_single_byte = encoding.startswith(_SINGLE_BYTE)
    if size <= block_size or not (is_plain and is_single_byte and head.endswith(b"\n")):
        return [whole]
    rest = size - len(head) + 1  # from the line end on that the first block follows
    step = -(-rest // -(-rest // block_size))
    return [
        whole._replace(head=head, offset=offset, length=step)
        for offset in range(size - rest, size, step)
    ]


def joined(blocks: Iterable[Block], sizes: dict[str, int], block_size: int) -> list[list[Block]]:
    """Successive blocks together, in groups between half of `block_size` and one and a half.

    Only the last may be smaller, and only a file that is not cut may be larger. Whether a group of
    that size ends before a block depends on the block's name alone, by chance: so a file more or
    less changes the groups around it, and none further on.
    """
    groups: list[list[Block]] = []
    total = 0
    for block in blocks:
        times = _EXPANDED if PurePosixPath(block.path).suffix in _CODECS else 1
        weight = max(block.length or times * sizes[block.path], _LEAST)
        chance = Random(f"{PurePosixPath(block.path).name} {block.offset}").random()
        is_end = 2 * total >= block_size and chance * block_size < 2 * weight
        if not groups or is_end or 2 * (total + weight) > 3 * block_size:
            groups.append([])
            total = 0
        groups[-1].append(block)
        total += weight
    return groups


def decompressed(path: str, data: bytes, length: int | None = None) -> bytes:
    """The text of a file, or so many bytes of it; the file's name tells how it is compressed."""
    if not (codec := _CODECS.get(PurePosixPath(path).suffix)):
        return data
    try:
        text: bytes = pa.CompressedInputStream(pa.BufferReader(data), codec).read(length)
    except OSError as error:
        raise DataError(f"{path} cannot be decompressed: {error}; deliver it again") from error
    return text


class Pieces:
    """A file of bytes that Arrow reads one after the other, without a copy.

    What it reads at once ends with a line, since Arrow loses a part of a line end that is cut.
    """

    closed = False

    def __init__(self, size: int, *pieces: bytes) -> None:
        self._views = (view for piece in pieces for view in _lines(piece, size))

    def read(self, size: int = -1, /) -> Any:
        return next(self._views, b"")


def _lines(piece: bytes, size: int) -> Iterator[memoryview]:
    """Whole lines, of so many bytes together if they are not longer."""
    start = 0
    while start < len(piece):
        found = piece.rfind(b"\n", start, start + size) + 1 or piece.find(b"\n", start) + 1
        end = found or len(piece)
        yield memoryview(piece)[start:end]
        start = end
