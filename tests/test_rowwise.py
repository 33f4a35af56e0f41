"""A rowwise stage computes the parts whose source changed, and takes the others over."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import cut_sample
import dask.dataframe as dd
import luigi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project
from hypothesis import given
from hypothesis import strategies as st
from o_brien_s_flights_b import tasks
from o_brien_s_flights_b.compose import (
    ComposeError,
    CSVTarget,
    DataError,
    ExternalData,
    ParquetTarget,
    Requirement,
    Stage,
    TargetOutput,
    csv_blocks,
    parquet_writer,
    part_writer,
    reuse,
    salts,
)

NUMBERS = pa.schema([("n", pa.int64()), ("word", pa.string())])


class RawNumbers(ExternalData):
    schema = NUMBERS
    csv_options = {"block_size": 100}  # noqa: RUF012
    output = TargetOutput("raw/numbers", target_class=CSVTarget, flag=None)


class Doubled(Stage):
    times = luigi.IntParameter(default=2)
    schema = NUMBERS
    rowwise = True
    raw = Requirement(RawNumbers)

    def transform(self, raw: Any) -> Any:
        return raw.assign(n=raw["n"] * self.times)


class Positive(Stage):
    schema = pa.schema([("n", pa.int64())])
    rowwise = True
    doubled = Requirement(Doubled)

    def transform(self, doubled: Any) -> Any:
        return doubled[doubled["n"] > 2][["n"]]


@pytest.fixture
def numbers(data_root: Path) -> Callable[..., None]:
    """Writes raw files of two rows each, named after their first number, and nothing else."""

    def write(*firsts: int) -> None:
        salts.forget()
        folder = data_root / "raw" / "numbers"
        shutil.rmtree(folder, ignore_errors=True)
        for first in firsts:
            cut_sample.write(folder / f"{first:03}.csv", ["n,word", f"{first},a", f"{first + 1},b"])

    return write


def built(task: luigi.Task) -> dict[str, Any]:
    """Its manifest, once it has run."""
    salts.forget()
    assert luigi.build([task], local_scheduler=True, log_level="WARNING")
    return task.output().manifest()


def rows(task: Stage) -> list[int]:
    return list(task.output().read_dask()["n"].compute())


def test_a_huge_part_stays_the_one_of_its_source(numbers, monkeypatch) -> None:
    monkeypatch.setattr(part_writer, "LARGEST", 1)
    numbers(1, 3)
    assert [part["rows"] for part in built(Doubled())["parts"]] == [2, 2]


def test_one_file_more_changed_or_removed_costs_its_part(numbers) -> None:
    numbers(1, 3, 5)
    assert built(Doubled())["reused"] == 0
    numbers(1, 3, 5, 7)
    assert built(Doubled())["reused"] == 3
    assert rows(Doubled()) == [2, 4, 6, 8, 10, 12, 14, 16]
    numbers(0, 1, 5, 7)
    assert built(Doubled())["reused"] == 3
    assert rows(Doubled()) == [0, 2, 2, 4, 10, 12, 14, 16]
    numbers(5, 7)
    assert built(Doubled())["reused"] == 2
    assert rows(Doubled()) == [10, 12, 14, 16]


def test_a_part_that_is_taken_over_is_the_same_file(numbers) -> None:
    numbers(1, 3)
    first = built(Doubled())
    old = Path(Doubled().output().path)
    numbers(1, 3, 5)
    second = built(Doubled())
    new = Path(Doubled().output().path)
    for before, after in zip(first["parts"], second["parts"], strict=False):
        assert os.path.samefile(old / before["name"], new / after["name"])
        assert before | {"name": ""} == after | {"name": ""}
    shutil.rmtree(old)
    assert rows(Doubled()) == [2, 4, 6, 8, 10, 12]


def test_stages_in_a_row_reuse_the_parts_that_stay_the_same(numbers) -> None:
    numbers(1, 3, 5)
    built(Positive())
    numbers(1, 3, 5, 7)
    assert built(Positive())["reused"] == 3
    assert rows(Positive()) == [4, 6, 8, 10, 12, 14, 16]


def test_another_parameter_or_other_code_computes_all(numbers, monkeypatch) -> None:
    numbers(1, 3)
    built(Doubled())
    assert built(Doubled(times=3))["reused"] == 0
    monkeypatch.setattr(Doubled, "__version__", "next", raising=False)
    assert built(Doubled())["reused"] == 0


def test_another_version_of_a_library_computes_all(numbers, monkeypatch) -> None:
    numbers(1, 3)
    built(Doubled())
    numbers(1, 3, 5)
    monkeypatch.setattr(reuse, "libraries", lambda: {"dask": "next"})
    assert built(Doubled())["reused"] == 0


def test_other_options_of_the_raw_files_compute_all(numbers, monkeypatch) -> None:
    numbers(1, 3)
    built(Doubled())
    monkeypatch.setattr(RawNumbers, "__version__", "next", raising=False)
    monkeypatch.setattr(RawNumbers, "null_values", ("a",))
    assert built(Doubled())["reused"] == 0


@pytest.mark.parametrize("text", [b"", b"PAR1", None])
def test_a_damaged_part_is_not_taken_over(numbers, text: bytes | None) -> None:
    numbers(1, 3)
    name = built(Doubled())["parts"][0]["name"]
    part = Path(Doubled().output().path, name)
    if text is None:
        part.unlink()
    else:
        whole = part.read_bytes()
        part.write_bytes(text and whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    numbers(1, 3, 5)
    assert built(Doubled())["reused"] == 1
    assert rows(Doubled()) == [2, 4, 6, 8, 10, 12]


def test_what_is_forced_is_computed(numbers, monkeypatch) -> None:
    numbers(1)
    built(Doubled())
    numbers(1, 3)
    monkeypatch.setattr(Doubled, "forced", True, raising=False)
    assert built(Doubled())["reused"] == 0


def test_the_parts_of_a_dataset_that_is_replaced_are_not_known(numbers, monkeypatch) -> None:
    numbers(1)
    output = TargetOutput("doubled", target_class=ParquetTarget)
    monkeypatch.setattr(Doubled, "output", output)
    built(Positive())
    assert reuse.keys(Positive()) is None
    assert "reused" not in built(Positive())


@pytest.mark.parametrize(
    ("transform", "named"),
    [
        (lambda self, raw: raw.assign(n=raw["n"] - raw["n"].min()), "Min takes"),
        (
            lambda self, raw: raw.assign(n=raw["n"].shift().fillna(0).astype("int64[pyarrow]")),
            "Shift",
        ),
        (lambda self, raw: raw.repartition(npartitions=1), "Repartition takes more than its rows"),
        (lambda self, raw: raw.drop_duplicates(), "DropDuplicates takes more than its rows"),
        (lambda self, raw: raw.sort_values("n").persist(), "FromGraph takes"),
        (lambda self, raw: dd.from_pandas(raw.compute()[::-1], npartitions=2), "FromPandas takes"),
        (lambda self, raw: dd.from_delayed(raw.to_delayed()[::-1]), "DelayedsExpr takes"),
        (lambda self, raw: raw.sample(frac=0.5, random_state=1), "Sample takes"),
    ],
)
def test_a_stage_whose_rows_depend_on_others_is_refused(
    numbers, monkeypatch, transform, named: str
) -> None:
    numbers(1, 3)
    monkeypatch.setattr(Doubled, "transform", transform)
    with pytest.raises(ComposeError, match=rf"Doubled\(times=2\) is rowwise, but {named}"):
        Doubled().run()
    assert not Doubled().complete()


def test_a_stage_with_two_requirements_is_refused(numbers) -> None:
    class Both(Doubled):
        again = Requirement(Positive)

        def transform(self, raw: Any, again: Any) -> Any:
            return raw

    numbers(1)
    built(Positive())
    with pytest.raises(ComposeError, match="requires 2 things, but a rowwise stage requires one"):
        Both().run()


def test_what_is_no_dask_frame_is_refused_in_a_sentence(numbers, monkeypatch) -> None:
    numbers(1)
    monkeypatch.setattr(Doubled, "transform", lambda self, raw: raw.compute())
    with pytest.raises(
        DataError, match="a Dask frame is needed, not pandas's DataFrame: no return"
    ):
        Doubled().run()


class RawParts(ExternalData):
    schema = NUMBERS
    output = TargetOutput("raw/parts", target_class=ParquetTarget, flag=None, glob="**/*.parquet")


class Parts(Stage):
    schema = NUMBERS
    rowwise = True
    raw = Requirement(RawParts)

    def transform(self, raw: Any) -> Any:
        return raw


def deliver(root: Path, name: str, number: int) -> None:
    path = root / "raw" / "parts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"n": [number], "word": ["a"]}), path)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_parts_are_known_in_the_order_in_which_dask_reads_them(data_root, monkeypatch, scheme):
    monkeypatch.setenv("RAW_ROOT", f"{scheme}{data_root}/raw")
    output = TargetOutput(f"{scheme}{data_root}/raw/parts", target_class=ParquetTarget, flag=None)
    monkeypatch.setattr(RawParts, "output", output)
    for number in (1, 2, 10):
        deliver(data_root, f"{number}.parquet", number)
    built(Parts())
    deliver(data_root, "11.parquet", 11)
    assert built(Parts())["reused"] == 3
    assert rows(Parts()) == [1, 2, 10, 11]


def test_a_value_that_a_folder_names_belongs_to_the_part(data_root, monkeypatch) -> None:
    schema = NUMBERS.append(pa.field("year", pa.int32()))
    for task in (RawParts, Parts):
        monkeypatch.setattr(task, "schema", schema)
    for year in (1, 2):
        deliver(data_root, f"year={year}/a.parquet", 0)
    built(Parts())
    deliver(data_root, "year=3/a.parquet", 0)
    assert built(Parts())["reused"] == 2
    years = [1, 2, 3]
    assert Parts().output().read_dask()["year"].compute().tolist() == years
    monkeypatch.setattr(Parts, "transform", lambda self, raw: raw[raw["year"] != 1])
    for year in (4, 5):
        deliver(data_root, f"year={year}/a.parquet", 0)
        built(Parts())
        years.append(year)
        assert Parts().output().read_dask()["year"].compute().tolist() == years[1:]


def test_another_run_of_the_same_leaves_the_parts_that_this_one_took_over(
    numbers, monkeypatch
) -> None:
    numbers(1, 3)
    built(Doubled())
    for path in Path(Doubled().output().path).iterdir():
        os.utime(path, (0, 0))
    numbers(1, 3, 5)
    make = parquet_writer.PartWriter.__call__

    def late(*args: Any) -> Any:
        monkeypatch.setattr(parquet_writer.PartWriter, "__call__", make)
        Doubled().run()
        return make(*args)

    monkeypatch.setattr(parquet_writer.PartWriter, "__call__", late)
    Doubled().run()
    assert rows(Doubled()) == [2, 4, 6, 8, 10, 12]


def test_all_the_days_of_a_year_then_one_more_one_changed_one_removed(
    sample: Path, data_root: Path, monkeypatch
) -> None:
    """After each change the dataset is, part for part, that of a first run."""
    monkeypatch.setattr(tasks.RawFlights, "csv_options", {"block_size": 2**20})
    monkeypatch.setenv("RAW_ROOT", str(sample))
    shutil.rmtree(sample / "flights")
    header, *lines = cut_sample.flights()
    days = groupby(lines, key=lambda line: "-".join(f"{int(n):02}" for n in line.split(",")[:3]))
    for day, group in days:
        cut_sample.write(sample / "flights" / f"{day}.csv", [header, *group])
    assert len(list(sample.glob("flights/*"))) == 365

    def parts(root: Path) -> tuple[int, list[tuple[int, str, str]]]:
        monkeypatch.setenv("DATA_ROOT", str(root))
        manifest = built(tasks.CleanFlights())
        content = [(part["rows"], part["sha256"], part["source"]) for part in manifest["parts"]]
        return len(content) - manifest["reused"], content

    def computed() -> int:
        """How many parts were computed, once it is sure that they are right."""
        count, content = parts(data_root)
        fresh = data_root / "fresh"
        assert parts(fresh) == (len(content), content)
        shutil.rmtree(fresh)
        return count

    assert computed() > 20
    first, last = (sample / "flights" / f"2013-{day}.csv" for day in ("01-01", "12-31"))
    shutil.copy(first, sample / "flights" / "2014-01-01.csv")
    assert computed() == 1
    cut_sample.write(last, last.read_text().splitlines()[:-1])
    assert computed() <= 2
    (sample / "flights" / "2013-06-15.csv").unlink()
    assert computed() <= 2


def groups(sizes: dict[str, int], block_size: int) -> list[tuple[str, ...]]:
    blocks = [csv_blocks.Block(name, ()) for name in sorted(sizes)]
    joined = csv_blocks.joined(blocks, sizes, block_size)
    return [tuple(block.path for block in group) for group in joined]


@given(st.lists(st.integers(1, 400_000), min_size=1), st.sampled_from([2**20, 2**21]))
def test_files_are_joined_in_their_order_to_groups_of_like_size(sizes, block_size) -> None:
    named = {f"{number:05}.csv": size for number, size in enumerate(sizes)}
    found = groups(named, block_size)
    weights = [sum(max(named[name], 2**16) for name in group) for group in found]
    assert [name for group in found for name in group] == sorted(named)
    assert all(2 * weight >= block_size for weight in weights[:-1])
    assert all(2 * weight <= 3 * block_size for weight in weights)


def test_a_file_more_in_their_midst_changes_few_groups() -> None:
    draw = random.Random(0)
    changes = []
    for _ in range(100):
        sizes = {f"{draw.random()}.csv": draw.randint(1, 400_000) for _ in range(300)}
        before = groups(sizes, 2**20)
        after = groups(sizes | {f"{draw.random()}.csv": 100_000}, 2**20)
        assert len(after) > 40
        changes.append(len({*after} - {*before}))
    assert min(changes) == 1
    assert sorted(changes)[-5] <= 4
    assert sum(changes) / len(changes) < 2


def test_a_run_and_why_say_what_is_reused(new_project: Project) -> None:
    options = "    csv_options = {'block_size': 70_000}\n"
    new_project.edit(
        "tasks.py",
        "    schema = schemas.RAW_FLIGHTS\n",
        f"{options}    schema = schemas.RAW_FLIGHTS\n",
    )
    assert "reused" not in new_project.run().stdout
    raw = new_project.raw / "flights"
    cut_sample.write(raw / "2013-01-04.csv", (raw / "2013-01-01.csv").read_text().splitlines()[:9])
    why = new_project.run("why", "CleanFlights").stdout
    assert why == (
        "CleanFlights runs because RawFlights changed: 2013-01-04.csv (new); "
        "6 of its 7 parts can be reused\n"
    )
    done = new_project.run()
    assert "; CleanFlights reused 6 of 7 parts; " in done.stdout.splitlines()[0]
    assert new_project.run("verify").stdout == "2 datasets, none damaged\n"
