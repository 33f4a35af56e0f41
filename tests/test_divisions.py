"""Parquet that is written: sorted by the index that is declared, in files of a sensible size."""

from __future__ import annotations

import datetime
import json
import re
import uuid
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import luigi
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from o_brien_s_flights_b.compose import (
    DataError,
    ParquetTarget,
    Requirement,
    Stage,
    compaction,
    part_writer,
)

SCHEMA = pa.schema([("x", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("word", pa.string())])
START = datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)


def rows(*hours: int | None) -> list[dict[str, Any]]:
    at = [hour if hour is None else START + datetime.timedelta(hours=hour) for hour in hours]
    return [{"x": n, "at": each, "word": f"{n:03}"} for n, each in enumerate(at)]


def indexed(frame: Any, name: str = "at") -> Any:
    """By the column, in the order that it has."""
    return frame.map_partitions(lambda part: part.set_index(name))


@pytest.fixture(params=["folder", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> ParquetTarget:
    path = str(tmp_path) if request.param == "folder" else f"memory://{uuid.uuid4().hex}"
    return ParquetTarget(f"{path}/set", schema=SCHEMA, index="at", replace=False)


class Sorted(Stage):
    schema = SCHEMA
    index = "at"
    frame: Any = None

    def transform(self) -> Any:
        return type(self).frame.set_index("at")


class Day(Stage):
    schema = SCHEMA
    sorted = Requirement(Sorted)

    def transform(self, sorted: Any) -> Any:
        day = sorted.loc[START + datetime.timedelta(days=1) : START + datetime.timedelta(hours=47)]
        assert day.optimize().npartitions < sorted.npartitions
        return day.reset_index()[SCHEMA.names]


def test_loc_reads_the_partition_that_holds_it(target, frame) -> None:
    target.write_dask(indexed(frame(SCHEMA, rows(*range(40)), 10)))
    read = target.read_dask()
    assert read.npartitions == 10
    assert read.divisions[1] == START + datetime.timedelta(hours=4)
    assert list(read.columns) == ["x", "word"]
    some = read.loc[read.divisions[3] : read.divisions[3]]
    assert some.optimize().npartitions == 1
    assert some.compute()["x"].tolist() == [12]
    assert read.loc[read.divisions[9] :].compute()["x"].tolist() == [36, 37, 38, 39]


def test_an_index_is_read_as_it_was_written(target, frame) -> None:
    written = indexed(frame(SCHEMA, rows(*range(40)), 10))
    target.write_dask(written)
    read = target.read_dask()
    assert read.index.dtype == pd.ArrowDtype(SCHEMA.field("at").type)
    pd.testing.assert_frame_equal(read.compute(), written.compute())
    some = target.read_dask(columns=["at", "word"], filters=[("x", ">", 37)]).compute()
    assert some["word"].tolist() == ["038", "039"]


def test_an_index_is_a_column_of_the_files_and_pandas_knows_it(tmp_path, frame) -> None:
    target = ParquetTarget(str(tmp_path), schema=SCHEMA, index="at")
    target.write_dask(indexed(frame(SCHEMA, rows(*range(4)), 2)))
    assert pq.read_schema(target.files()[0]).names == SCHEMA.names
    manifest = json.loads((tmp_path / "_SUCCESS").read_text(encoding="utf-8"))
    ends = [(part["first"][:19], part["last"][:19]) for part in manifest["parts"]]
    assert ends[1] == ("2013-01-01 02:00:00", "2013-01-01 03:00:00")
    assert pd.read_parquet(target.files()[0]).index.name == "at"


def test_a_part_without_rows_is_no_partition(target, frame) -> None:
    whole = indexed(frame(SCHEMA, rows(*range(6)), 3))
    target.write_dask(whole[(whole["x"] < 2) | (whole["x"] > 3)])
    assert len(target.parts()) == 3
    assert target.read_dask().npartitions == 2
    assert target.read_dask().known_divisions


@pytest.mark.parametrize("hours", [range(6), ()])
@pytest.mark.parametrize("columns", [[], ["at"], ["word", "x"], ["x", "at"]])
def test_the_columns_that_are_read_are_those_asked_for(target, frame, columns, hours) -> None:
    target.write_dask(indexed(frame(SCHEMA, rows(*hours), 3)))
    read = target.read_dask(columns=columns)
    found = read.compute()
    asked = [name for name in columns if name != "at"]
    assert (found.index.name, list(found.columns), list(read.columns)) == ("at", asked, asked)
    assert len(found) == len(hours)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ((0, 1, 3, 2), r"part-00001-\w+\.parquet is not sorted by 'at'; set_index\('at'\) sorts"),
        ((0, 1, None, 2), r"part-00001-\w+\.parquet has 1 nulls in the index 'at'; drop them"),
        ((2, 3, 0, 1), r"part-00000-\w+\.parquet ends with 2013-01-01 03:00:00\.000000 in the "),
        ((0, 1, 1, 2), r"part-00001-\w+\.parquet begins with 2013-01-01 01:00:00\.000000; set_"),
    ],
)
def test_what_is_not_sorted_is_refused(target, frame, hours, said) -> None:
    with pytest.raises(DataError, match=said):
        target.write_dask(indexed(frame(SCHEMA, rows(*hours), 2)))
    assert not target.exists()


def test_another_index_than_the_declared_one_is_refused_before_data_is_read(frame) -> None:
    target = ParquetTarget("memory://none", schema=SCHEMA, index="at")
    with pytest.raises(DataError, match=r"no index 'at', which the stage declares; return it afte"):
        target.write_dask(frame(SCHEMA, rows(0)))
    target.index = "other"
    with pytest.raises(DataError, match="the index 'other' is no column of the schema; declare"):
        target.write_dask(frame(SCHEMA, rows(0)))


@pytest.mark.parametrize(
    "values",
    [
        [3, -1, 10, 2],
        ["é", "b", "", "a,\n"],
        [0.1, -1e300, 1 / 3, 2.0],
        [datetime.date(2013, 1, day) for day in (9, 10, 2, 1)],
        [datetime.datetime(2013, 1, day) for day in (9, 10, 2, 1)],
    ],
)
def test_any_type_that_sorts_may_be_the_index(tmp_path, frame, values) -> None:
    kind = pa.array(values).type
    schema = pa.schema([("key", kind), ("x", pa.int64())])
    target = ParquetTarget(str(tmp_path), schema=schema, index="key")
    data = [{"key": value, "x": n} for n, value in enumerate(sorted(values))]
    target.write_dask(indexed(frame(schema, data, 4), "key"))
    read = target.read_dask()
    assert read.npartitions == 4
    assert read.loc[read.divisions[2] : read.divisions[2]].compute()["x"].tolist() == [2]


def test_a_stage_with_an_index_sorts_and_its_reader_reads_what_it_needs(frame) -> None:
    shuffled = [rows(*range(96))[n * 37 % 96] for n in range(96)]
    Sorted.frame = frame(SCHEMA, shuffled, 6)
    assert luigi.build([Day()], local_scheduler=True)
    assert Sorted().output().read_dask().known_divisions
    read = Day().output().read_dask().compute()
    assert read["x"].tolist() == list(range(24, 48))


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (pa.timestamp("ns"), False),
        (pa.timestamp("us"), True),
        (pa.time64("ns"), False),
        (pa.duration("ns"), True),
        (pa.list_(pa.struct([("t", pa.timestamp("ns", "UTC"))])), False),
        (pa.map_(pa.string(), pa.time64("us")), True),
    ],
)
def test_nanoseconds_are_refused_before_data_is_read(tmp_path, frame, kind, fits) -> None:
    schema = pa.schema([("x", pa.int64()), ("at", kind)])
    target = ParquetTarget(str(tmp_path), schema=schema)
    if fits:
        target.write_dask(frame(schema, [{"x": 1}]))
        return
    whole = frame(schema, [{"x": 1}])
    never = whole.map_partitions(pytest.fail, meta=whole._meta)
    with pytest.raises(DataError, match="the schema has nanoseconds in 'at', which Spark refuses;"):
        target.write_dask(never)
    assert not target.exists()


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.duration("us"), pa.binary()])
def test_an_index_that_text_cannot_hold_is_refused_before_data_is_read(frame, kind) -> None:
    schema = pa.schema([("key", kind), ("x", pa.int64())])
    target = ParquetTarget("memory://none", schema=schema, index="key")
    with pytest.raises(DataError, match=rf"the index 'key' is {re.escape(str(kind))}; declare"):
        target.write_dask(indexed(frame(schema, []), "key"))


def test_a_huge_part_of_a_sorted_frame_is_one_file_of_several_row_groups(
    tmp_path, monkeypatch, frame
) -> None:
    target = ParquetTarget(str(tmp_path / "set"), schema=SCHEMA, index="at")
    monkeypatch.setattr(part_writer, "LARGEST", 1000)
    target.write_dask(indexed(frame(SCHEMA, rows(*[n // 50 for n in range(100)]))))
    (path,) = target.files()
    assert pq.read_metadata(path).num_row_groups > 2
    assert target.read_dask().compute()["x"].tolist() == list(range(100))


def test_small_parts_are_joined_in_their_order(target, monkeypatch, frame) -> None:
    many = indexed(frame(SCHEMA, rows(*range(100)), 50))
    monkeypatch.setattr(compaction, "BLOCK_SIZE", 2000)
    target.write_dask(many)
    assert 1 < len(target.parts()) < 10
    assert len(target.fs.glob(f"{target.path}/*.parquet")) == len(target.parts())
    assert target.parts() == sorted(target.parts())
    assert target.read_dask().compute()["x"].tolist() == list(range(100))
    assert target.read_dask().known_divisions


@given(st.lists(st.integers(0, 50), max_size=40))
def test_only_what_is_small_is_joined_and_never_to_more_than_a_block(sizes) -> None:
    groups = compaction.neighbours(sizes, 32)
    assert [n for group in groups for n in group] == list(range(len(sizes)))
    for group in groups:
        assert len(group) == 1 or sum(sizes[n] for n in group) <= 32
    small = [group for group in groups if sum(sizes[n] for n in group) <= 8]
    assert all(abs(groups.index(a) - groups.index(b)) > 1 for a in small for b in small if a != b)


def test_without_a_schema_partitions_are_written_as_they_are(tmp_path) -> None:
    plain = ParquetTarget(str(tmp_path / "set"))
    plain.write_dask(dd.from_pandas(pd.DataFrame({"x": range(4)}), npartitions=4))
    assert len(plain.parts()) == 4


def test_parts_that_are_worth_reading_are_left_as_they_are() -> None:
    assert compaction.neighbours([14, 14, 14, 3, 20], 32) == [[0], [1], [2, 3], [4]]
    assert compaction.neighbours([3, 3, 14, 3], 32) == [[0, 1, 2, 3]]
