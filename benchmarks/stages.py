"""What stages cost: an aggregation beside Dask by hand, and how all grows with the input."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from budgets import Bench, Section, cores
from csv_to_parquet import compare
from data import deliver, digest
from measure import (
    IncomparableError,
    Run,
    Runs,
    child,
    comparison,
    fault,
    in_turns,
    ratios,
    spread,
)

Told = dict[str, Any]


def warm(few: str, data: str) -> None:
    """Run both stages on a few rows, so that all is imported."""
    from flight_scores import tasks

    os.environ.update(RAW_ROOT=few, DATA_ROOT=data)
    tasks.CleanFlights().run()
    tasks.AirportScores(min_flights=1).run()


def stage(name: str, few: str, raw: str, data: str) -> Callable[[], Told]:
    """A stage of the example, run; what its dataset is like, and the seconds before Dask works."""
    from flight_scores import tasks

    with tempfile.TemporaryDirectory() as folder:
        warm(few, folder)
    os.environ.update(RAW_ROOT=raw, DATA_ROOT=data)
    task = getattr(tasks, name)()
    began = time.perf_counter()
    target = task.output()
    salted = time.perf_counter()
    for required in task.requires().values():
        assert required.complete(), f"{required} is not complete"
    task.transform(**task.frames())
    built = time.perf_counter()

    def work() -> Told:
        task.run()
        manifest = target.manifest()
        return {
            "salt": salted - began,
            "graph": built - salted,
            "parts": len(manifest["parts"]),
            "rows": manifest["rows"],
            "bytes": manifest["bytes"],
            "manifest": Path(target.at(target.flag)).stat().st_size,
        }

    return work


def by_hand(few: str, raw: str, data: str, target: str) -> Callable[[], None]:
    """AirportScores as one writes it with Dask alone, over the same files."""
    import dask.dataframe as dd
    from flight_scores import schemas, transforms

    types: Any = {"faa": "string", "name": "string", "lat": "float64", "lon": "float64"}

    def write(data: str = data, target: str = target) -> None:
        (clean,) = Path(data).glob("CleanFlights-*")
        airports = dd.read_csv(
            f"{raw}/airports/*.csv", usecols=list(types), dtype=types, na_values=["NA"]
        )
        scores = transforms.score_airports(dd.read_parquet(clean), airports, 10)
        scores.to_parquet(
            target, schema=schemas.AIRPORT_SCORES, compression="zstd", write_index=False
        )

    with tempfile.TemporaryDirectory() as folder:
        warm(few, folder)
        write(folder, f"{folder}/written")
    return write


def sizes(bench: Bench) -> None:
    """All that depends on the size of the input, one size after the other."""
    small, big = (336_776, 1_000_000) if bench.quick else (3_367_760, 10_000_000)
    before = [] if bench.quick else [1_000_000]
    few, raw, data = (bench.folder / name for name in ("few", "raw", "data"))
    deliver(few, 1000, 2)
    grown: list[list[str]] = []
    for rows in (*before, small, big, *([100_000_000] if bench.large else [])):
        rounds = 1 if rows > big or (bench.quick and rows == small) else bench.rounds(3)
        try:
            size = deliver(raw, rows)
            if rows >= small:
                runs = compare(bench, few, raw, size, rows, rounds)
                for key, name in CONTENDED.items() if rows <= big else ():
                    which = "small" if rows == small else "big"
                    note = f"{rows:,} rows{limit(runs, name)}"
                    bench.compared(f"{which} {key}", runs, "CleanFlights", name, note)
            grown.append(grow(bench, few, raw, data, size, rows, min(rounds, 3)))
            if rows == big:
                aggregate(bench, few, raw, data)
        except Exception as error:  # a full disk, say; the other sizes go on
            said = f"failed: {type(error).__name__}: {error}"
            grown.append([f"{rows:,}", said, *[""] * (len(GROWTH_HEAD) - 2)])
        finally:
            for folder in (raw, data):
                shutil.rmtree(folder, ignore_errors=True)
    if not bench.growth:
        raise RuntimeError(grown[0][1])
    bench.sections.append(Section("Growth", GROWTH, GROWTH_HEAD, grown, factors(bench.growth)))
    peaks = [each["peak memory"] / 1e9 for each in bench.growth]
    sizes = [f"{each['rows']:,} rows" for each in bench.growth]
    told = ", ".join(f"{peak:.2f} GB at {size}" for peak, size in zip(peaks, sizes, strict=True))
    bench.found("memory", [max(peaks)], told)
    if len(peaks) > 1:
        bench.found("flat", [peaks[-1] / peaks[-2]], f"{sizes[-1]} by {sizes[-2]}")


LIMIT = "PyArrow alone"
CONTENDED = {"duckdb": "DuckDB", "polars": "Polars", "arrow": LIMIT}
GROWTH = (
    "The two stages of the example, each in a process of its own. The raw files are digested once "
    "for each file; a graph is what Dask is given before it works."
)
GROWTH_HEAD = [
    *("rows", "CSV", "raw files digested", "CleanFlights", "MB of CSV/s/core", "its peak"),
    *("its parts", "its manifest", "its graph", "AirportScores", "its peak"),
]


def limit(runs: Runs, other: str) -> str:
    """What is left at best of a contender's time, with nothing but Arrow's reader and writer."""
    if other == LIMIT:
        return ""
    with contextlib.suppress(IncomparableError):
        ratio = spread(ratios(runs, LIMIT, other), unit="×")
        return f"; {LIMIT}, which reads and writes for us: {ratio}"
    return ""


def grow(
    bench: Bench, few: Path, raw: Path, data: Path, size: int, rows: int, rounds: int
) -> list[str]:
    """Add the figures of a size; a row of the table. Leaves the last datasets."""

    def run(name: str) -> Run:
        for old in data.glob(f"{name}-*"):
            shutil.rmtree(old)
        if name == "CleanFlights":
            shutil.rmtree(data, ignore_errors=True)  # with what it knows of the raw files
        where = {"few": str(few), "raw": str(raw), "data": str(data)}
        return child("stages:stage", bench.project, name=name, **where)

    found = {name: [run(name) for _ in range(rounds)] for name in ("CleanFlights", "AirportScores")}
    for name, runs in found.items():
        if why := fault(runs):
            raise RuntimeError(f"{name}: {why}")
    clean, scores = found.values()
    seconds = [[each.seconds for each in runs] for runs in found.values()]
    peaks = [max(each.mib for each in runs) for runs in found.values()]
    told = clean[-1].told
    figures = {
        "rows": rows,
        "CSV": size,
        "digest": clean[0].told["salt"],
        "CleanFlights": statistics.median(seconds[0]),
        "AirportScores": statistics.median(seconds[1]),
        "peak memory": max(peaks) * 2**20,
        **{name: told[name] for name in ("parts", "manifest", "graph")},
        "result": scores[-1].told["bytes"],
    }
    bench.growth.append(figures)
    return [
        f"{rows:,}",
        f"{size / 1e6:,.0f} MB",
        f"{figures['digest']:.1f} s",
        spread(seconds[0], unit="s"),
        f"{size / figures['CleanFlights'] / cores() / 1e6:,.0f}",
        f"{peaks[0]:,.0f} MiB",
        f"{told['parts']:,}",
        f"{told['manifest'] / 1e3:,.1f} kB",
        f"{told['graph']:.3f} s",
        spread(seconds[1], unit="s"),
        f"{peaks[1]:,.0f} MiB",
    ]


def factors(growth: list[dict[str, float]]) -> str:
    """By what each figure grew from the smallest input to the largest."""
    first, last = growth[0], growth[-1]
    told = [f"{name} × {last[name] / first[name]:.1f}" for name in first if name != "rows"]
    rows = f"From {first['rows']:,} to {last['rows']:,} rows, × {last['rows'] / first['rows']:.1f}"
    return f"{rows}: {', '.join(told)}. What grows as the rows do is linear in them."


def aggregate(bench: Bench, few: Path, raw: Path, data: Path) -> None:
    """AirportScores beside the same in Dask by hand, over the dataset that stands in `data`."""
    target = bench.folder / "written"
    where = {"few": str(few), "raw": str(raw), "data": str(data)}

    def run(name: str) -> Run:
        for old in (target, *data.glob("AirportScores-*")):
            shutil.rmtree(old, ignore_errors=True)
        if name == "Dask by hand":
            done = child("stages:by_hand", bench.project, target=str(target), **where)
            written = f"{target}/*.parquet"
        else:
            done = child("stages:stage", bench.project, name=name, **where)
            written = f"{data}/AirportScores-*/*.parquet"
        if not done.fault:
            done.made = digest(written)
        return done

    runs = in_turns(["AirportScores", "Dask by hand"], bench.rounds(7), run)
    bench.compared("aggregation", runs, "AirportScores", "Dask by hand")
    text = "The scores of all airports from the clean flights of the largest ordinary input."
    head = ["contender", "seconds, median (range)", "ours is", "peak memory"]
    rows = list(comparison(runs, "AirportScores"))
    bench.sections.append(Section("An aggregation stage", text, head, rows))
