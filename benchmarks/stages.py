"""What stages cost: an aggregation beside Dask by hand, and how all grows with the input."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from budgets import Bench, Section, cores
from csv_to_parquet import compare
from data import deliver, digest
from measure import Run, child, comparison, in_turns, spread

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
    ordinary = (100_000, 336_776, 1_000_000) if bench.quick else (1_000_000, 3_367_760, 10_000_000)
    few = bench.folder / "few"
    deliver(few, 1000, 2)
    grown: list[list[str]] = []
    peaks: list[float] = []
    for rows in (*ordinary, *([100_000_000] if bench.large else [])):
        raw, data = bench.folder / "raw", bench.folder / "data"
        size = deliver(raw, rows)
        is_large = rows > 10_000_000
        if rows != ordinary[0]:
            rounds = 1 if is_large or (bench.quick and rows == ordinary[1]) else bench.rounds(5)
            runs = compare(bench, few, raw, size, rows, rounds)
            if not is_large:
                which = "small" if rows == ordinary[1] else "big"
                for key, name in CONTENDED.items():
                    note = f"{rows:,} rows"
                    bench.compared(f"{which} {key}", runs, "CleanFlights", name, note)
        row, peak = grow(bench, few, raw, data, size, rows, 1 if is_large or bench.quick else 3)
        grown.append([f"{rows:,}", *row])
        peaks.append(peak)
        if rows == ordinary[-1]:
            aggregate(bench, few, raw, data)
        shutil.rmtree(raw)
        shutil.rmtree(data)
    bench.sections.append(Section("Growth", GROWTH, GROWTH_HEAD, grown))
    inputs = ", ".join(row[0] for row in grown)
    bench.found("memory", [max(peaks)], f"{', '.join(f'{p:.2f}' for p in peaks)} GB at {inputs}")
    bench.found("flat", [peaks[-1] / peaks[-2]], f"{grown[-1][0]} rows by {grown[-2][0]}")


CONTENDED = {"duckdb": "DuckDB", "polars": "Polars", "arrow": "PyArrow alone"}
GROWTH = (
    "The two stages of the example, each in a process of its own. Linear in the input: the digest "
    "of the raw files (once for each file), the time of both stages, the parts of CleanFlights "
    "and, with them, its manifest and the seconds to build its graph. Not: the peak memory, and "
    "all of what AirportScores writes."
)
GROWTH_HEAD = [
    *("rows", "CSV", "raw files digested", "CleanFlights", "MB of CSV/s/core", "its peak"),
    *("its parts", "its manifest", "its graph", "AirportScores", "its peak"),
]


def grow(
    bench: Bench, few: Path, raw: Path, data: Path, size: int, rows: int, rounds: int
) -> tuple[list[str], float]:
    """A row of the table of growth, and the highest peak in GB; leaves the last datasets."""

    def run(name: str) -> Run:
        for old in data.glob(f"{name}-*"):
            shutil.rmtree(old)
        if name == "CleanFlights":
            shutil.rmtree(data, ignore_errors=True)  # with what it knows of the raw files
        where = {"few": str(few), "raw": str(raw), "data": str(data)}
        return child("stages:stage", bench.project, name=name, **where)

    found = {name: [run(name) for _ in range(rounds)] for name in ("CleanFlights", "AirportScores")}
    for name, runs in found.items():
        if why := next((each.fault for each in runs if each.fault), ""):
            raise RuntimeError(f"{name}: {why}")
    clean, scores = found["CleanFlights"], found["AirportScores"]
    seconds = sorted(each.seconds for each in clean)[len(clean) // 2]
    speed = size / seconds / cores()
    told = clean[-1].told
    before = bench.terabyte
    bench.terabyte = {
        "speed": speed,
        "size": size,
        "rows": rows,
        "part": size / told["parts"],
        "parts": told["parts"],
        "manifest": told["manifest"],
        "scores": size / sorted(e.seconds for e in scores)[len(scores) // 2] / cores(),
    }
    if before:  # what a part more adds; the rest of a manifest does not grow
        more = told["parts"] - before["parts"] or 1
        bench.terabyte["entry"] = (told["manifest"] - before["manifest"]) / more
    peaks = [max(each.mib for each in runs) for runs in (clean, scores)]
    row = [
        f"{size / 1e6:,.0f} MB",
        f"{clean[0].told['salt']:.1f} s",
        spread([each.seconds for each in clean], unit="s"),
        f"{speed / 1e6:,.0f}",
        f"{peaks[0]:,.0f} MiB",
        f"{told['parts']:,}",
        f"{told['manifest'] / 1e3:,.0f} kB",
        f"{told['graph']:.3f} s",
        spread([each.seconds for each in scores], unit="s"),
        f"{peaks[1]:,.0f} MiB",
    ]
    return row, max(peaks) * 2**20 / 1e9


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
