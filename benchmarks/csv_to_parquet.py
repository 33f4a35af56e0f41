"""CSV to Parquet by the template's CleanFlights and by what one would use instead.

Each contender reads the columns of the schema as its types, keeps the flights that arrived, adds
whether they were late, and writes zstd Parquet: in a process of its own, which has done the same
with a thousand rows before the clock starts. Each is set up once, with its libraries imported, and
returns what is timed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from budgets import Bench, Section, cores
from data import digest
from measure import Run, Runs, child, comparison, in_turns

Work = Callable[[], None]
LATE = 15
SQL = ["timestamptz", "varchar", "int", "varchar", "varchar", "double"]


def ours(source: str, target: str) -> Work:
    """The stage itself, its manifest and all; only its raw files have been digested before."""
    import dask.dataframe  # noqa: F401
    from flight_scores import tasks

    os.environ.update(RAW_ROOT=source, DATA_ROOT=target)
    stage = tasks.CleanFlights()
    stage.output()
    return stage.run


def arrow(source: str, target: str) -> Work:
    """The limit: Arrow's own reader and writer of a file, a thread for each core."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from flight_scores import schemas
    from pyarrow import csv, parquet

    convert = csv.ConvertOptions(
        column_types=schemas.RAW_FLIGHTS,
        include_columns=schemas.RAW_FLIGHTS.names,
        null_values=["NA"],
        strings_can_be_null=True,
    )
    block = csv.ReadOptions(use_threads=False)

    def convert_file(path: Path) -> None:
        raw = csv.read_csv(path, block, convert_options=convert)
        clean = raw.filter(raw["arr_delay"].is_valid())
        late = pc.greater_equal(clean["arr_delay"], pa.scalar(float(LATE)))
        parquet.write_table(
            clean.append_column("late", late), f"{target}/{path.stem}.parquet", compression="zstd"
        )

    def write() -> None:
        Path(target).mkdir()
        with ThreadPoolExecutor(cores()) as threads:
            list(threads.map(convert_file, sorted(Path(source, "flights").iterdir())))

    return write


def duckdb(source: str, target: str) -> Work:
    import duckdb
    from flight_scores import schemas

    connection = duckdb.connect()
    header = (
        next(Path(source, "flights").iterdir()).open(encoding="utf-8").readline().strip().split(",")
    )
    types = dict.fromkeys(header, "varchar") | dict(
        zip(schemas.RAW_FLIGHTS.names, SQL, strict=True)
    )

    def write() -> None:
        connection.execute(
            f"copy (select {', '.join(schemas.RAW_FLIGHTS.names)}, arr_delay >= {LATE} as late "
            f"from read_csv('{source}/flights/*.csv', header=true, delim=',', quote='\"', "
            f"nullstr='NA', columns={types}) where arr_delay is not null) to '{target}' "
            "(format parquet, compression zstd, per_thread_output true)"
        )

    return write


def polars(source: str, target: str) -> Work:
    import polars as pl
    from flight_scores import schemas

    kinds = [pl.Datetime("us", "UTC"), pl.String, pl.Int32, pl.String, pl.String, pl.Float64]
    names = schemas.RAW_FLIGHTS.names
    types: Any = dict(zip(names, [pl.String, *kinds[1:]], strict=True))

    def write() -> None:
        Path(target).mkdir()
        raw = pl.scan_csv(
            f"{source}/flights/*.csv", schema_overrides=types, null_values="NA"
        ).select(names)
        when = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us")
        clean = raw.filter(pl.col("arr_delay").is_not_null()).with_columns(
            when.dt.replace_time_zone("UTC"), late=pl.col("arr_delay") >= LATE
        )
        clean.sink_parquet(f"{target}/part.parquet", compression="zstd")

    return write


def _pandas_types() -> dict[str, Any]:
    types = ["string", "int32", "string", "string", "float64"]
    names = ["carrier", "flight", "origin", "dest", "arr_delay"]
    return {"dtype": dict(zip(names, types, strict=True)), "usecols": ["time_hour", *names]}


def _clean(raw: Any) -> Any:
    arrived = raw[raw["arr_delay"].notnull()]
    return arrived.assign(late=arrived["arr_delay"] >= LATE)


def dask(source: str, target: str) -> Work:
    import dask.dataframe as dd
    from flight_scores import schemas

    def write() -> None:
        raw = dd.read_csv(
            f"{source}/flights/*.csv",
            parse_dates=["time_hour"],
            na_values=["NA"],
            **_pandas_types(),
        )
        _clean(raw)[schemas.CLEAN_FLIGHTS.names].to_parquet(
            target, schema=schemas.CLEAN_FLIGHTS, compression="zstd", write_index=False
        )

    return write


def pandas(source: str, target: str) -> Work:
    import pandas as pd
    from flight_scores import schemas

    def write() -> None:
        Path(target).mkdir()
        for path in sorted(Path(source, "flights").iterdir()):
            raw = pd.read_csv(path, parse_dates=["time_hour"], na_values=["NA"], **_pandas_types())
            _clean(raw)[schemas.CLEAN_FLIGHTS.names].to_parquet(
                f"{target}/{path.stem}.parquet",
                schema=schemas.CLEAN_FLIGHTS,
                compression="zstd",
                index=False,
            )

    return write


CONTENDERS = {
    "CleanFlights": ours,
    "PyArrow alone": arrow,
    "DuckDB": duckdb,
    "Polars": polars,
    "dd.read_csv": dask,
    "pandas": pandas,
}


def prepared(name: str, few: str, source: str, target: str) -> Work:
    """A contender that has done the same with a few rows before."""
    CONTENDERS[name](few, target)()
    shutil.rmtree(target)
    return CONTENDERS[name](source, target)


def compare(bench: Bench, few: Path, raw: Path, size: int, rows: int, rounds: int) -> Runs:
    """All contenders over the same files, in turns; the digest of what each wrote."""
    target = bench.folder / "written"

    def run(name: str) -> Run:
        shutil.rmtree(target, ignore_errors=True)
        where = {"few": str(few), "source": str(raw), "target": str(target)}
        done = child("csv_to_parquet:prepared", bench.project, name=name, **where)
        if not done.fault:
            done.made = digest(f"{target}/**/*.parquet")
        shutil.rmtree(target, ignore_errors=True)
        return done

    runs = in_turns(CONTENDERS, rounds, run)
    title = f"CSV → clean → Parquet, {rows:,} rows"
    text = (
        f"{size / 1e6:,.0f} MB of CSV with all 19 columns, of which the schema takes six; zstd. "
        "The ratio is that of our seconds to theirs in the same round."
    )
    head = ["contender", "seconds, median (range)", "ours is", "peak memory"]
    bench.sections.append(Section(title, text, head, list(comparison(runs, "CleanFlights"))))
    bench.charts.append((title, runs))
    return runs
