"""What a transaction adds to a write: write_dask beside Dask's own to_parquet, from memory."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from budgets import Bench, cores
from cut_sample import flights
from data import digest
from measure import Run, child

Told = dict[str, Any]
PARTITION = 250_000  # rows


def pairs(rows: int, rounds: int) -> Callable[[], Told]:
    """write_dask and Dask's own to_parquet of the same frame in memory, in turns."""
    import dask.dataframe as dd
    import pyarrow as pa
    from dask.delayed import delayed
    from flight_scores import schemas
    from flight_scores.compose import ParquetTarget, frames
    from pyarrow import csv

    schema = schemas.RAW_FLIGHTS
    year = csv.read_csv(
        io.BytesIO("\n".join(flights()).encode()),
        convert_options=csv.ConvertOptions(
            column_types=schema, include_columns=schema.names, null_values=["NA"]
        ),
    )
    whole = pa.concat_tables([year] * (rows // len(year) + 1)).slice(0, rows)
    parts = [
        whole.slice(start, PARTITION).combine_chunks().to_pandas(types_mapper=frames.dtype)
        for start in range(0, rows, PARTITION)
    ]
    lazy = [delayed(part, name=f"part-{number}") for number, part in enumerate(parts)]
    frame: Any = dd.from_delayed(lazy, meta=parts[0].iloc[:0], verify_meta=False)

    def transaction(path: str) -> None:
        ParquetTarget(path, schema=schema, replace=False).write_dask(frame)

    def plain(path: str) -> None:
        frame.to_parquet(path, schema=schema, compression="zstd", write_index=False)

    def work() -> Told:
        found: list[Told] = []
        for number in range(rounds + 1):  # the first warms up
            took = {}
            for write in (transaction, plain) if number % 2 else (plain, transaction):
                with tempfile.TemporaryDirectory() as folder:
                    path = f"{folder}/written"
                    began = time.perf_counter()
                    write(path)
                    took[write.__name__] = time.perf_counter() - began
                    took[f"digest of {write.__name__}"] = digest(f"{path}/*.parquet")
                    written = [part.read_bytes() for part in Path(path).glob("*.parquet")]
            began = time.perf_counter()
            with ThreadPoolExecutor(cores()) as threads:
                list(threads.map(lambda data: sha256(data).digest(), written))
            took["sha256"] = time.perf_counter() - began
            found.append(took)
        return {"pairs": found[1:]}

    return work


def measure(bench: Bench) -> None:
    rows = 1_000_000 if bench.quick else 10_000_000
    run = child("transaction:pairs", bench.project, rows=rows, rounds=bench.rounds(9))
    if run.fault:
        raise RuntimeError(run.fault)
    runs = {
        name: [Run(p[name], made=p[f"digest of {name}"]) for p in run.told["pairs"]]
        for name in ("transaction", "plain")
    }
    bench.compared("transaction", runs, "transaction", "plain")
    outcome = bench.outcomes["transaction"]
    outcome.values = [100 * (ratio - 1) for ratio in outcome.values]
    hashed = statistics.median(100 * p["sha256"] / p["plain"] for p in run.told["pairs"])
    told = f"{rows:,} rows in memory, {PARTITION:,} a partition"
    outcome.note = outcome.note or f"{told}; SHA-256 of the parts alone: {hashed:.1f} %"
