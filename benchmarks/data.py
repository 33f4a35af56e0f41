"""The real flights, repeated to size, and what tells two results apart."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from cut_sample import flights, source

SEED = 2013


def deliver(raw: Path, rows: int, files: int = 0) -> int:
    """Put so many flights, in an order drawn with a seed, and the airports into a raw root.

    All columns of the source are there. Returns the bytes of the flights.
    """
    files = files or max(10, rows // 1_000_000)
    header, *year = flights()
    random.Random(SEED).shuffle(year)
    folder = raw / "flights"
    folder.mkdir(parents=True)
    at = 0
    for number in range(files):
        left = rows * (number + 1) // files - rows * number // files
        with (folder / f"{number:05}.csv").open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{header}\n")
            while left:
                lines = year[at : at + left]
                file.write("\n".join(lines) + "\n")
                left -= len(lines)
                at = (at + len(lines)) % len(year)
    (raw / "airports").mkdir()
    shutil.copy(source() / "airports.csv", raw / "airports")
    os.sync()  # now, rather than while the first contender is timed
    return sum(path.stat().st_size for path in folder.iterdir())


def digest(pattern: str) -> str:
    """The columns and a checksum of the rows of Parquet files, whatever the order of either.

    Integers count by their value and times by their instant; floats to nine decimals.
    """
    import duckdb

    table = f"from read_parquet('{pattern}')"
    columns = sorted(duckdb.sql(f"describe {table}").fetchall())
    values = []
    for name, kind, *_ in columns:
        if kind.startswith("TIMESTAMP"):
            values.append(f'epoch_us("{name}")')
        elif kind in ("DOUBLE", "FLOAT"):
            values.append(f'round("{name}"::double, 9)')
        else:
            values.append(f'"{name}"::bigint' if kind.endswith("INT") else f'"{name}"')
    count, total = duckdb.sql(
        f"select count(*), sum(hash({', '.join(values)})) {table}"
    ).fetchall()[0]
    return f"{','.join(name for name, *_ in columns)}: {count} rows, {total}"
