"""What bounds the memory of a stage: few threads, small partitions, and sorts on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from baking import clean_environ, run
from conftest import PACKAGE, Project
from dask.callbacks import Callback
from o_brien_s_flights_b.compose import CSVTarget, cluster, memory, targets
from pyarrow import csv

LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[1]) << 20,) * 2)
del sys.argv[:2]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
PEAK = """
import resource, runpy, sys
del sys.argv[:1]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)  # KiB on Linux
"""
STAGES = """

class SortedFlights(Stage):
    schema = schemas.CLEAN_FLIGHTS
    index = "time_hour"
    flights = Requirement(CleanFlights)

    def transform(self, flights: dd.DataFrame) -> dd.DataFrame:
        return flights.set_index("time_hour")


class JoinedFlights(Stage):
    schema = schemas.CLEAN_FLIGHTS
    flights = Requirement(CleanFlights)

    def transform(self, flights: dd.DataFrame) -> dd.DataFrame:
        names = ["flight", "origin", "dest"]
        return flights.drop(columns=names[1:]).merge(flights[names], on="flight")[self.schema.names]
"""
WHOLE = """
from {package} import tasks
frame = tasks.CleanFlights().output().read_dask().compute()
"""
needs_limits = pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")


@pytest.fixture(autouse=True)
def mended() -> None:
    """As a stage has Dask before it computes."""
    memory.mend()


def deliver(folder: Path, rows: int) -> int:
    """Flights in one CSV file, drawn with a seed; its bytes."""
    folder.mkdir(parents=True)
    path, random, step = folder / "flights.csv", np.random.default_rng(2013), 500_000
    hours = pa.array(
        [
            f"2013-{h // 720 % 12 + 1:02}-{h // 24 % 28 + 1:02}T{h % 24:02}:00:00Z"
            for h in range(8640)
        ]
    )
    airports = pa.array(["IAH", "MIA", "BQN", "ATL", "ORD", "FLL", "IAD", "MCO", "PBI", "TPA"])
    remarks = pa.array([letter * 50 for letter in "abc"])
    with path.open("wb") as file:
        for first in range(0, rows, step):
            count = min(step, rows - first)
            minutes = pa.array(["NA", *map(str, range(-60, 190))])

            def drawn(texts: pa.Array, count: int = count) -> pa.Array:
                return texts.take(pa.array(random.integers(0, len(texts), count)))

            table = pa.table(
                {
                    "time_hour": drawn(hours),
                    "carrier": drawn(pa.array(["UA", "AA", "B6"])),
                    "flight": np.arange(first, first + count),
                    "origin": drawn(pa.array(["EWR", "LGA", "JFK"])),
                    "dest": drawn(airports),
                    "arr_delay": drawn(minutes),
                    "remarks": drawn(remarks),  # of no use: as wide a file as the real one
                }
            )
            options = csv.WriteOptions(include_header=first == 0, quoting_style="none")
            csv.write_csv(table, file, options)
    return path.stat().st_size


def limited(project: Project, limit: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the project in a process that may take so many MiB."""
    environ = clean_environ(DASK_NUM_WORKERS="2", PYTHONPATH=str(project.path))
    command = [sys.executable, "-c", LIMITED, str(limit), *words]
    return run(command, cwd=project.path, env=environ, timeout=1200)


def measured(project: Project, *words: str) -> int:
    """Run a module of the project; its peak memory in MiB."""
    environ = clean_environ(DASK_NUM_WORKERS="2", PYTHONPATH=str(project.path))
    done = run([sys.executable, "-c", PEAK, *words], cwd=project.path, env=environ, timeout=1200)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.split()[-1]) >> 10


def table(project: Project, task: str) -> str:
    """The files of a task's dataset, for DuckDB."""
    return f"read_parquet('{project.path}/data/{task}-*/*.parquet')"


def compare(project: Project) -> None:
    """What CleanFlights and AirportScores wrote, with the same by DuckDB from the CSV file."""
    raw = f"read_csv('{project.raw}/flights/*.csv', nullstr='NA')"
    clean = f"(select *, arr_delay >= 15 as late from {raw} where arr_delay is not null)"
    same = "count(*), sum(flight), sum(arr_delay), count(*) filter (late), max(dest)"
    (ours,) = duckdb.sql(f"select {same} from {table(project, 'CleanFlights')}").fetchall()
    assert [ours] == duckdb.sql(f"select {same} from {clean}").fetchall()
    scored = f"""
        select dest, count(*) as flights, avg(arr_delay) as mean, avg(1 - late::int) as on_time
        from {clean} group by dest order by dest
    """
    names = "dest, flights, mean_delay, on_time"
    rows = duckdb.sql(f"select {names} from {table(project, 'AirportScores')} order by dest")
    for mine, other in zip(rows.fetchall(), duckdb.sql(scored).fetchall(), strict=True):
        assert mine == pytest.approx(other)


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.duration("us")])
def test_a_sort_by_time_is_right_and_leaves_nothing_on_disk(tmp_path, frame, kind) -> None:
    schema = pa.schema([("at", kind), ("n", pa.int64())])
    times = np.random.default_rng(1).permutation(1000) * 1_000_000
    rows = [{"at": int(time) if time else None, "n": int(time)} for time in times]
    shuffled = frame(schema, rows, 7)
    with dask.config.set({"temporary-directory": str(tmp_path)}), memory.bounded():
        assert len(list(tmp_path.iterdir())) == 1
        (inside,) = tmp_path.iterdir()
        parts = shuffled.sort_values(["at", "n"]).to_delayed()
        found = pd.concat(dask.compute(*parts))
        assert list(inside.iterdir())  # what it put aside
    assert found["n"].tolist() == [n * 1_000_000 for n in [*range(1, 1000), 0]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [pa.string(), pa.int64(), pa.timestamp("us", "UTC")])
@pytest.mark.parametrize("values", [[None] * 20, [None] * 5 + [7, None, 3, 9, None] * 3])
def test_a_sort_puts_nulls_last(frame, kind, values) -> None:
    given = [str(value) if value and kind == pa.string() else value for value in values]
    schema = pa.schema([("key", kind), ("n", pa.int64())])
    whole = frame(schema, [{"key": key, "n": n} for n, key in enumerate(given)], 4)
    with memory.bounded():
        found = whole.sort_values("key").reset_index(drop=True).compute()
    keys = [values[n] for n in found["n"]]
    assert keys == sorted(values, key=lambda key: key or 10)
    assert sorted(found["n"]) == [*range(20)]


def test_booleans_are_the_same_keys_where_there_are_nulls_among_them(frame) -> None:
    schema = pa.schema([("b", pa.bool_()), ("n", pa.int64())])
    values = [True, False, True, False, None, True, False, None]
    rows = frame(schema, [{"b": value, "n": n} for n, value in enumerate(values)], 2)
    whole = rows.compute()
    with memory.bounded():
        joined = rows.merge(rows.rename(columns={"n": "m"}), on="b").compute()
        assert len(joined) == len(whole.merge(whole, on="b")) == 3 * 3 + 3 * 3 + 2 * 2
        assert len(rows.drop_duplicates(subset=["b"]).compute()) == 3
        assert rows["b"].nunique().compute() == 2
        assert len(rows.groupby("b")["n"].median().compute()) == 2
        counts = rows["b"].value_counts(dropna=False, split_out=2).compute()
        assert sorted(counts) == [2, 3, 3]


def test_dask_is_mended_for_whoever_reads(tmp_path, monkeypatch) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    done: list[str] = []
    monkeypatch.setattr(targets, "mend", lambda: done.append("mended"))
    CSVTarget(str(tmp_path), flag=None).read_dask()
    assert done == ["mended"]


def test_no_piece_of_a_join_comes_back_from_disk_before_all_sides_are_there(frame) -> None:
    names, count = ("left", "right", "third"), 5
    sides = [
        frame(
            pa.schema([("key", pa.int64()), (name, pa.int64())]),
            [{"key": n, name: 999 - n} for n in np.random.default_rng(1).permutation(1000)],
            count,
        )
        for name in names
    ]
    joined = sides[0].merge(sides[1], on="key")
    joined = joined.merge(sides[2], left_on="right", right_on="third", suffixes=("", "_third"))
    ended: list[str] = []

    def posttask(key: Any, *about: Any) -> None:
        ended.append(key if isinstance(key, str) else key[0])

    with memory.bounded(), Callback(posttask=posttask):
        found = joined.compute()
    aside = [name.startswith("shuffle-partition") for name in ended]
    back = [name.startswith("diskshuffle") for name in ended]
    assert sum(back) == 4 * count
    assert sum(aside[: back.index(True)]) == 3 * count
    last = len(aside) - aside[::-1].index(True)  # what was joined is put aside for the next join
    assert sum(back[last:]) == 2 * count
    assert len(found) == 1000
    assert (found["left"] + found["key"] == 999).all()
    assert (found["third"] + found["key"] == 999).all()


def test_both_sides_of_a_join_go_to_disk_as_they_are_made(frame) -> None:
    schema = pa.schema([("key", pa.int64()), ("left", pa.int64()), ("right", pa.int64())])
    whole = frame(schema, [{"key": n, "left": n, "right": n} for n in range(200)], 20)
    joined = whole.drop(columns="right").merge(whole.drop(columns="left"), on="key")
    most = made = 0

    def posttask(key: Any, *about: Any) -> None:
        nonlocal most, made
        name = key if isinstance(key, str) else key[0]
        made += name.startswith("operation") - name.startswith("shuffle-partition")
        most = max(most, made)

    with memory.bounded(), Callback(posttask=posttask), dask.config.set(num_workers=2):
        assert len(joined.compute()) == 200
    assert 0 < most <= 8


def test_what_the_user_configured_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    from dask import config

    def seen() -> list[Any]:
        with memory.bounded():
            names = ("num_workers", "scheduler", "dataframe.shuffle.method")
            return [config.get(name) for name in names]

    threads = min(os.cpu_count() or 1, memory.THREADS)
    assert seen() == [threads, memory.compute, "disk"]
    with config.set({"num_workers": 64, "scheduler": "sync", "dataframe.shuffle.method": "tasks"}):
        assert seen() == [64, "sync", "tasks"]
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    with config.set(scheduler="sync", num_workers=""):  # as an empty variable says
        assert seen() == [threads, cluster.compute, "p2p"]  # also in a run that Luigi began


@pytest.fixture
def large(new_project: Project) -> Project:
    for path in (new_project.raw / "flights").iterdir():
        path.unlink()
    (new_project.raw / "flights").rmdir()
    return new_project


@needs_limits
@pytest.mark.slow
def test_data_four_times_larger_than_memory_is_cleaned_and_scored(large: Project) -> None:
    limit = 1_000
    assert deliver(large.raw / "flights", 45_000_000) > 4 * limit << 20
    done = limited(large, limit, PACKAGE, "run", "AirportScores")
    assert done.returncode == 0, done.stderr
    compare(large)
    (large.path / "whole.py").write_text(WHOLE.format(package=PACKAGE))
    assert limited(large, limit, "whole").returncode != 0


@needs_limits
@pytest.mark.slow
def test_a_sort_and_a_join_larger_than_memory_go_by_way_of_the_disk(large: Project) -> None:
    """Their peaks are measured: a limit would count what Dask's threads reserve and never use."""
    with (large.package / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(STAGES)
    deliver(large.raw / "flights", 20_000_000)
    tasks = ("CleanFlights", "SortedFlights", "JoinedFlights")
    peaks = [measured(large, PACKAGE, "run", task) for task in tasks]
    same = "count(*), sum(flight), sum(arr_delay), sum(hash(flight, origin, dest))"
    found = [duckdb.sql(f"select {same} from {table(large, task)}").fetchall() for task in tasks]
    assert found == [found[0]] * 3
    (large.path / "whole.py").write_text(WHOLE.format(package=PACKAGE))
    print(peaks, whole := measured(large, "whole"))
    assert max(peaks) < 1_500 < whole
