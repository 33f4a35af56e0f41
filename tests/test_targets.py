"""Datasets: written whole or not at all, read as written, and held to their schemas."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from o_brien_s_flights_b.compose import (
    CSVTarget,
    DataError,
    ParquetTarget,
    commit,
    compaction,
    frames,
    parquet_writer,
    part_writer,
)

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        pa.field("n", pa.int64(), nullable=False),
        ("share", pa.float64()),
        ("late", pa.bool_()),
        ("at", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
    ]
)
DOCUMENT = {"task": "T", "version": "1", "params": {}, "requires": {}}
ROWS: list[dict[str, Any]] = [
    {"name": "a", "n": 1, "share": 0.5, "late": True},
    {"name": None, "n": 2, "share": None, "late": None},
    {"name": "ƒ", "n": 3, "share": -1.0, "late": False},
]


@pytest.fixture
def target(tmp_path: Path) -> ParquetTarget:
    """A write-once dataset with a schema, as a salted output makes it."""
    return ParquetTarget(
        str(tmp_path / "set"),
        schema=SCHEMA,
        salt="abc",
        replace=False,
        lineage=lambda: {"abc": DOCUMENT},
    )


def names(target: ParquetTarget) -> set[str]:
    return {path.name for path in Path(target.path).iterdir()}


def rows(target: Any, **options: Any) -> list[Any]:
    table = pa.Table.from_pandas(target.read_dask(**options).compute(), preserve_index=False)
    return table.to_pylist()


def test_what_was_written_is_read_back_arrow_backed(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    read = target.read_dask()
    assert dict(read.dtypes) == dict(read.compute().dtypes)
    assert read.dtypes["n"] == pd.ArrowDtype(pa.int64())
    assert read.dtypes["name"] == pd.StringDtype("pyarrow")
    written = frame(SCHEMA, ROWS).compute()
    pd.testing.assert_frame_equal(read.compute().reset_index(drop=True), written)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.list_(pa.string()), ["a"]),
        (pa.struct([("a", pa.int64())]), {"a": 1}),
        (pa.dictionary(pa.int32(), pa.string()), "a"),
        (pa.timestamp("s"), datetime(2013, 1, 1)),
        (pa.date64(), date(2013, 1, 1)),
    ],
)
def test_a_type_that_pandas_or_parquet_cannot_name_is_read_back(tmp_path, frame, kind, value):
    schema = pa.schema([("n", pa.int64()), ("odd", kind)])
    target, copy = (ParquetTarget(str(tmp_path / name), schema=schema) for name in "ab")
    target.write_dask(frame(schema, [{"n": 1, "odd": value}]))
    copy.write_dask(target.read_dask())
    assert copy.read_dask()["odd"].compute().astype(pd.ArrowDtype(kind)).tolist() == [value]
    assert pd.read_parquet(copy.path)["n"].tolist() == [1]


def test_columns_and_filters_reach_the_reader(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 3))
    assert rows(target, columns=["name"], filters=[("n", ">", 2)]) == [{"name": "ƒ"}]


def test_the_manifest_tells_all_of_a_dataset(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    manifest = json.loads((Path(target.path) / "_SUCCESS").read_text(encoding="utf-8"))
    assert list(manifest) == ["rows", "bytes", "created", "parts", "schema", "lineage", "versions"]
    assert [part["rows"] for part in manifest["parts"]] == [1, 2]
    assert manifest["rows"] == 3
    assert manifest["schema"]["n"] == "int64 not null"
    assert manifest["lineage"] == {"abc": DOCUMENT}
    assert set(manifest["versions"]) == {"python", "dask", "luigi", "pandas", "pyarrow"}
    for part in manifest["parts"]:
        data = (Path(target.path) / part["name"]).read_bytes()
        assert (part["bytes"], part["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert manifest["bytes"] == sum(part["bytes"] for part in manifest["parts"])


def test_of_a_long_manifest_only_the_head_is_read_for_what_it_says(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    whole = target.manifest()
    flag = Path(target.path) / "_SUCCESS"
    flag.write_text(flag.read_text("utf-8")[:300] + "...", encoding="utf-8")
    head = target.manifest(whole=False)
    assert head == {name: whole[name] for name in ("rows", "bytes", "created")}
    flag.write_text(json.dumps({"lineage": {}} | whole), encoding="utf-8")  # of an older project
    assert target.manifest(whole=False)["rows"] == 3


def test_reading_leaves_room_for_the_settings_of_a_cluster(target, frame, monkeypatch) -> None:
    """Where nothing is set of `distributed`, Dask forgets what an import sets meanwhile."""
    target.write_dask(frame(SCHEMA, ROWS))
    monkeypatch.delitem(dask.config.config, "distributed", raising=False)
    target.read_dask()
    with dask.config.set({"distributed.diagnostics.computations.nframes": 0}):
        dask.config.config["distributed"]["comm"] = "set by an import"
    assert dask.config.get("distributed.comm") == "set by an import"


def test_a_complete_folder_is_plain_parquet(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    assert pd.read_parquet(target.path)["n"].tolist() == [1, 2, 3]
    assert pq.read_table(target.path).schema.remove_metadata().equals(SCHEMA)


def test_the_second_writer_uses_what_stands_and_leaves_nothing(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS[:1]))
    before = names(target)
    target.write_dask(frame(SCHEMA, ROWS))
    assert names(target) == before
    assert len(rows(target)) == 1


def test_a_writer_that_was_overtaken_deletes_its_own_parts(target, frame, monkeypatch) -> None:
    first = ParquetTarget(target.path, schema=SCHEMA, replace=False)
    lineage = target.lineage

    def overtaken() -> Any:
        first.write_dask(frame(SCHEMA, ROWS[:1]))
        return lineage()

    monkeypatch.setattr(target, "lineage", overtaken)
    target.write_dask(frame(SCHEMA, ROWS))
    assert len(rows(target)) == 1
    assert len(names(target)) == 2


def test_a_partition_that_is_computed_twice_counts_once(target, frame, monkeypatch) -> None:
    class Twice(parquet_writer.PartWriter):
        def __call__(self, part: pd.DataFrame, number: int) -> list[Any]:
            super().__call__(part, number)
            return super().__call__(part, number)

    monkeypatch.setattr(parquet_writer, "PartWriter", Twice)
    target.write_dask(frame(SCHEMA, ROWS, 2))
    assert len(rows(target)) == len(ROWS)
    assert len(names(target)) == 3  # with the manifest: what was written in vain is gone


def test_a_write_that_fails_leaves_nothing(target, frame) -> None:
    def fail(part: pd.DataFrame) -> pd.DataFrame:
        if part["n"].eq(3).any():
            raise ZeroDivisionError
        return part

    # One after the other: what another thread still writes stays.
    with pytest.raises(ZeroDivisionError), dask.config.set(scheduler="sync"):
        target.write_dask(frame(SCHEMA, ROWS, 3).map_partitions(fail, meta=frame(SCHEMA, [])._meta))
    assert not target.exists()
    assert names(target) == set()


def test_leftovers_of_other_attempts_are_not_read(target, frame) -> None:
    Path(target.path).mkdir()
    pq.write_table(
        pa.Table.from_pylist(ROWS, schema=SCHEMA), Path(target.path) / "part-dead.parquet"
    )
    target.write_dask(frame(SCHEMA, ROWS[:1]))
    assert len(rows(target)) == 1


def test_leftovers_of_dead_attempts_go_after_a_day_and_not_before(target, frame) -> None:
    folder = Path(target.path)
    folder.mkdir()
    dead, young = (f"part-00000-{letter * 12}.parquet" for letter in "ab")
    flag = "_SUCCESS.cccccccccccc"
    (folder / "sub").mkdir()
    for name, age in ((dead, 90_000), (young, 80_000), (flag, 90_000), ("notes.txt", 90_000)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    target.write_dask(frame(SCHEMA, ROWS))
    assert {"sub", young, "notes.txt"} <= names(target)
    assert not {dead, flag} & names(target)


def test_an_unsalted_dataset_is_replaced_as_a_whole(tmp_path, frame) -> None:
    unsalted = ParquetTarget(str(tmp_path / "set"), schema=SCHEMA)
    unsalted.write_dask(frame(SCHEMA, ROWS, 3))
    unsalted.write_dask(frame(SCHEMA, ROWS[:1]))
    assert len(rows(unsalted)) == 1
    assert len(names(unsalted)) == 2


def test_a_rewrite_that_fails_keeps_what_stood(tmp_path, frame) -> None:
    unsalted = ParquetTarget(str(tmp_path / "set"), schema=SCHEMA)
    unsalted.write_dask(frame(SCHEMA, ROWS, 3))
    broken = frame(SCHEMA, ROWS, 3).map_partitions(lambda p: p / 0, meta=frame(SCHEMA, [])._meta)
    with pytest.raises(Exception):  # noqa: B017
        unsalted.write_dask(broken)
    assert len(rows(unsalted)) == 3
    assert len(names(unsalted)) == 4


def test_a_dataset_that_is_not_complete_is_not_read(target) -> None:
    with pytest.raises(FileNotFoundError, match="is not complete; run the task that writes it"):
        target.read_dask()


def test_an_incomplete_dataset_can_be_read_on_request(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    (Path(target.path) / "_SUCCESS").unlink()
    assert len(rows(target, check_complete=False)) == 3
    with pytest.raises(DataError, match=r"holds no file that fits \*\.parquet"):
        ParquetTarget(f"{target.path}/x", schema=SCHEMA).read_dask(check_complete=False)


def test_a_folder_of_another_program_is_read_by_its_files(tmp_path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS, schema=SCHEMA), tmp_path / "part-0.parquet")
    (tmp_path / "_SUCCESS").touch()
    foreign = ParquetTarget(str(tmp_path), schema=SCHEMA)
    assert foreign.manifest() == {}
    read = foreign.read_dask(columns=["n", "name"])
    assert dict(read.dtypes) == dict(read.compute().dtypes)
    assert read.dtypes["n"] == pd.ArrowDtype(pa.int64())
    assert read["n"].sum().compute() == 6


def test_a_folder_of_folders_of_another_program_is_read_with_what_their_names_say(tmp_path) -> None:
    for year in (2013, 2014):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"n": [year % 10]}), tmp_path / f"year={year}" / "part-0.parquet")
    (tmp_path / "_temporary").mkdir()
    pq.write_table(pa.table({"n": [5]}), tmp_path / "_temporary" / "part-0.parquet")
    (tmp_path / "_SUCCESS").touch()
    schema = pa.schema([("year", pa.int32()), ("n", pa.int64())])
    for path in (str(tmp_path), tmp_path.as_uri()):
        rows = ParquetTarget(path, schema=schema).read_dask().compute().astype(int)
        assert rows.to_numpy().tolist() == [[2013, 3], [2014, 4]]
        plain = ParquetTarget(path).read_dask(filters=[("year", "==", 2014)]).compute()
        assert plain["n"].tolist() == [4]


FOLDERS = ("set", "n=7/set", "name=7/set", "other=7/set", "a [x]/set [y]")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("how", ["path", "file", "memory", "index", "plain", "plain memory"])
def test_a_dataset_may_lie_in_any_folder(tmp_path, frame, folder, how) -> None:
    root = f"memory://{uuid.uuid4().hex}" if "memory" in how else str(tmp_path)
    root = tmp_path.as_uri() if how == "file" else root
    schema = None if "plain" in how else pa.schema([SCHEMA.field("n"), SCHEMA.field("name")])
    target = ParquetTarget(f"{root}/{folder}", schema=schema, index="n" if how == "index" else None)
    rows = frame(SCHEMA, ROWS, 3)[["n", "name"]]
    target.write_dask(rows.set_index("n", sorted=True) if how == "index" else rows)
    read = target.read_dask(filters=[("n", ">", 1)]).reset_index()
    assert list(read.columns) == ["index"] * (how != "index") + ["n", "name"]
    assert [row[-2:] for row in read.compute().fillna("").to_numpy().tolist()] == [
        [2, ""],
        [3, "ƒ"],
    ]
    assert len(target.read_dask(filters=[("name", "==", "a")])) == 1


@pytest.mark.parametrize("how", ["path", "file", "memory", "index", "plain"])
def test_rows_count_where_no_column_is_read(tmp_path, frame, how, monkeypatch) -> None:
    monkeypatch.setattr(compaction, "neighbours", lambda sizes, block: [[n] for n in range(3)])
    path = {"file": tmp_path.as_uri(), "memory": f"memory://{uuid.uuid4().hex}"}.get(how)
    schema = None if how == "plain" else SCHEMA
    target = ParquetTarget(path or str(tmp_path), schema=schema, index={"index": "n"}.get(how))
    rows = frame(SCHEMA, ROWS, 3)
    target.write_dask(rows.set_index("n", sorted=True) if target.index else rows)
    read = target.read_dask()
    assert read.npartitions == 3
    one = read.assign(one=1)
    assert one["one"].sum().compute() == 3
    assert one.groupby("one").size().compute().to_dict() == {1: 3}
    assert len(one[["one"]].compute()) == len(read.index) == len(read) == 3
    assert len(one.merge(one, on="one")[["one"]].compute()) == 9
    assert len(target.read_dask(columns=[]).compute()) == 3
    assert len(one[read["share"] < 1][["one"]].compute()) == 2


def test_each_part_is_a_partition_however_few_columns_are_read(target, frame, monkeypatch) -> None:
    monkeypatch.setattr(compaction, "neighbours", lambda sizes, block: [[n] for n in range(3)])
    target.write_dask(frame(SCHEMA, ROWS, 3))
    for path in (target.path, Path(target.path).as_uri()):
        read = ParquetTarget(path, schema=SCHEMA).read_dask()
        assert read[["late"]].isna().optimize().npartitions == 3


def test_a_damaged_manifest_is_named(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS))
    (Path(target.path) / "_SUCCESS").write_text('{"parts": ')
    with pytest.raises(DataError, match=r"_SUCCESS is damaged: .*; delete it and run again"):
        target.read_dask()


def test_a_damaged_head_of_a_manifest_is_named(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS))
    flag = Path(target.path) / "_SUCCESS"
    assert target.manifest(whole=False)["rows"] == len(ROWS)
    flag.write_text(flag.read_text(encoding="utf-8").replace('"rows": ', '"rows": x', 1))
    with pytest.raises(DataError, match=r"_SUCCESS is damaged: .*; delete it and run again"):
        target.manifest(whole=False)


def test_a_folder_may_have_any_name(tmp_path) -> None:
    folder = tmp_path / "a[b]*"
    folder.mkdir()
    (folder / "x.csv").write_text("x\n")
    assert CSVTarget(str(folder), flag=None).files() == [str(folder / "x.csv")]


def test_the_head_is_read_from_as_few_parts_as_it_needs(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 3))
    last = Path(target.files()[2])
    last.write_bytes(b"x" * last.stat().st_size)
    assert target.head(2)["n"].to_pylist() == [1, 2]


def test_without_a_schema_dask_decides(tmp_path) -> None:
    plain = ParquetTarget(str(tmp_path / "set"))
    written = pd.DataFrame({"x": [1, 2], "s": ["a", "b"]}, index=pd.Index([5, 6], name="key"))
    plain.write_dask(dd.from_pandas(written, npartitions=2), compression="gzip")
    assert plain.read_dask(columns=["s"]).compute().to_dict() == {"s": {5: "a", 6: "b"}}
    meta = pq.read_metadata(plain.files()[0])
    assert meta.row_group(0).column(0).compression == "GZIP"


@pytest.mark.parametrize("index", [pd.RangeIndex(5, 7, name="key"), pd.Index([5, 6], name="key")])
def test_without_a_schema_an_index_with_a_name_is_a_column(tmp_path, index) -> None:
    plain = ParquetTarget(str(tmp_path / "set"))
    plain.write_dask(dd.from_pandas(pd.DataFrame({"x": [1, 2]}, index=index), npartitions=2))
    assert plain.read_dask().compute().to_dict() == {"x": {5: 1, 6: 2}}
    assert pq.read_schema(plain.files()[0]).names == ["x", "key"]
    plain.write_dask(plain.read_dask(), write_index=False)
    assert pq.read_schema(plain.files()[0]).names == ["x"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_without_a_schema_timestamps_are_written_in_microseconds(tmp_path, unit) -> None:
    plain = ParquetTarget(str(tmp_path / "set"))
    written = pd.DataFrame({"at": pd.to_datetime(["2013-01-01T10:00:00Z"]).as_unit(unit)})
    plain.write_dask(dd.from_pandas(written, npartitions=1))
    assert pq.read_schema(plain.files()[0]).field("at").type == pa.timestamp("us", "UTC")
    assert plain.read_dask().compute()["at"].tolist() == written["at"].tolist()


def test_parts_have_zstd_dictionaries_and_statistics(target, frame) -> None:
    target.write_dask(frame(SCHEMA, ROWS))
    column = pq.read_metadata(target.files()[0]).row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert "RLE_DICTIONARY" in column.encodings
    assert (column.statistics.min, column.statistics.max) == ("a", "ƒ")


def test_a_dictionary_is_given_up_where_most_values_are_different(tmp_path, frame) -> None:
    schema = pa.schema([("key", pa.int64()), ("few", pa.int64())])
    whole = frame(schema, [{"key": n * 2**40, "few": n % 10_000} for n in range(200_000)])
    target = ParquetTarget(str(tmp_path / "set"), schema=schema)
    target.write_dask(whole)
    pq.write_table(pq.read_table(target.files()[0]), tmp_path / "usual", compression="zstd")
    ours, usual = (
        [pq.read_metadata(path).row_group(0).column(n).total_compressed_size for n in (0, 1)]
        for path in (target.files()[0], tmp_path / "usual")
    )
    assert ours[0] < 0.8 * usual[0]
    assert ours[1] <= usual[1]


def test_a_huge_partition_becomes_parts_in_its_order(target, frame, monkeypatch) -> None:
    whole = frame(SCHEMA, [{"n": n, "name": str(n)} for n in range(1000)], 2)
    monkeypatch.setattr(part_writer, "LARGEST", 2500)
    target.write_dask(whole)
    assert len(target.parts()) > 5
    assert len({part["rows"] for part in target.manifest()["parts"]}) == 2  # the last is less
    assert target.read_dask().compute()["n"].tolist() == list(range(1000))


def test_small_partitions_between_huge_ones_stay_in_their_order(target, frame, monkeypatch) -> None:
    whole = frame(SCHEMA, [{"n": n, "name": str(n)} for n in range(1000)], 4)
    kept = [*range(250), 300, 600, *range(750, 1000)]
    monkeypatch.setattr(part_writer, "LARGEST", 2500)
    monkeypatch.setattr(compaction, "BLOCK_SIZE", 2500)
    target.write_dask(whole[whole["n"].isin(kept)])
    assert target.read_dask().compute()["n"].tolist() == kept


def test_csv_files_without_a_schema_are_read_as_dask_does(tmp_path) -> None:
    (tmp_path / "a [b].csv").write_text("x,y\n1,a\n2,b\n")
    named = CSVTarget(str(tmp_path), flag=None, null_values="a")
    assert named.read_dask().compute()["y"].isna().tolist() == [True, False]
    plain = CSVTarget(str(tmp_path), flag=None)
    assert plain.read_dask(dtype={"x": "float64"}).compute()["x"].tolist() == [1.0, 2.0]
    assert list(plain.read_dask(columns=["x"]).columns) == ["x"]
    with pytest.raises(TypeError, match="CSV files take no filters"):
        plain.read_dask(filters=[("x", ">", 1)])
    with pytest.raises(DataError, match=r"holds no file that fits \*\.tsv"):
        CSVTarget(str(tmp_path), glob="*.tsv", flag=None).read_dask(check_complete=False)


def test_a_frame_that_does_not_fit_is_refused_before_data_is_read(target, frame) -> None:
    def never(part: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("data was read")

    wrong = frame(SCHEMA, ROWS).drop(columns=["day"])
    wrong = wrong.assign(n=wrong["n"].astype("float64[pyarrow]"), extra=1)
    wrong = wrong.map_partitions(never, meta=wrong._meta)
    with pytest.raises(DataError) as error:
        target.write_dask(wrong)
    assert str(error.value) == (
        "the frame does not fit the schema: the column 'day' is missing; "
        "the column 'n' is double, the schema says int64; the column 'extra' is left over; "
        "mend one of the two"
    )
    assert not Path(target.path).exists()


def test_a_column_that_became_the_index_is_told_how_to_come_back(target, frame) -> None:
    with pytest.raises(
        DataError, match=r"'name' is missing; reset_index\(\) gives the column 'name'"
    ):
        target.write_dask(frame(SCHEMA, ROWS).set_index("name", divisions=["a", "ƒ"]))


@pytest.mark.parametrize("give", [lambda frame: None, lambda frame: frame["name"]])
def test_what_is_no_dask_frame_is_refused(give, target, frame) -> None:
    with pytest.raises(DataError, match=r"a Dask frame is needed, not .*(NoneType|Series)"):
        target.write_dask(give(frame(SCHEMA, ROWS)))


def test_a_pandas_frame_is_refused(target) -> None:
    with pytest.raises(
        DataError, match="a Dask frame is needed, not pandas's DataFrame: no return"
    ):
        target.write_dask(pd.DataFrame())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.assign(n=p["n"].astype("float64[pyarrow]")), "'n' is double, the schema says"),
        (
            lambda p: p.assign(n=p["n"].where(p["n"] < 3)),
            r"'n' has 1 nulls and may have none \(the first in row 1\)",
        ),
        (lambda p: p.assign(more=1), "'more' is left over"),
        (lambda p: p.drop(columns=["late"]), "'late' is missing"),
        (
            lambda p: p.assign(share=["x", 1][: len(p)]),
            r"'share' is 'x' in row 0, which is no double",
        ),
        (lambda p: p.assign(n=[1, 2**70][: len(p)]), r"'n' is \d+ in row 1, which is no int64"),
        (lambda p: p.assign(more=["x", 1][: len(p)]), "does not fit the schema: .*more"),
    ],
)
def test_a_part_that_does_not_fit_stops_the_commit_and_is_named(
    target, frame, change, said
) -> None:
    meta = frame(SCHEMA, [])._meta
    with pytest.raises(DataError, match=rf"part-00001-\w+\.parquet .*{said}"):
        target.write_dask(
            frame(SCHEMA, ROWS, 2).map_partitions(
                lambda part: change(part) if len(part) == 2 else part,
                meta=meta,
                enforce_metadata=False,
            )
        )
    assert not target.exists()


def test_a_part_of_nulls_alone_fits_and_strings_of_any_width_are_equal(target, frame) -> None:
    def plain(part: pd.DataFrame) -> pd.DataFrame:
        return part.assign(share=None, name=part["name"].astype(pd.ArrowDtype(pa.large_string())))

    target.write_dask(frame(SCHEMA, ROWS).map_partitions(plain, meta=frame(SCHEMA, [])._meta))
    assert [row["share"] for row in rows(target)] == [None] * 3


def test_storage_without_create_only_writes_is_refused_with_a_sentence(frame) -> None:
    with pytest.raises(DataError, match="that cannot create a file only if it is absent; for DATA"):
        ParquetTarget("http://127.0.0.1:9/set").write_dask(frame(SCHEMA, ROWS))


def test_a_commit_on_object_storage_creates_only_if_absent(frame) -> None:
    url = f"memory://{uuid.uuid4().hex}/set"
    first = ParquetTarget(url, schema=SCHEMA, replace=False)
    first.write_dask(frame(SCHEMA, ROWS[:1]))
    assert commit.commit(first.fs, first.at("_SUCCESS"), {"parts": []}, replace=False) is False
    assert len(rows(first)) == 1
    unsalted = ParquetTarget(url, schema=SCHEMA)
    unsalted.write_dask(frame(SCHEMA, ROWS, 3))
    assert len(rows(unsalted)) == 3
    assert len(unsalted.sizes()) == 4


@pytest.mark.parametrize("replace", [True, False])
def test_a_commit_whose_answer_is_lost_is_known_as_ones_own(monkeypatch, replace) -> None:
    import fsspec

    fs, path = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}/_SUCCESS"
    put = fs.pipe_file

    def lose(*args: Any, **options: Any) -> None:
        put(*args, **options)
        raise ConnectionResetError("the answer was cut")

    monkeypatch.setattr(
        type(fs), "pipe_file", lambda self, *args, **options: lose(*args, **options)
    )
    assert commit.commit(fs, path, {"parts": [], "lineage": {}, "n": 1}, replace)
    assert commit.read_manifest(fs, path)["n"] == 1


@pytest.mark.parametrize("replace", [True, False])
def test_a_commit_that_did_not_reach_storage_is_an_error(monkeypatch, replace) -> None:
    import fsspec

    def fail(*args: Any, **options: Any) -> None:
        raise ConnectionResetError("the line was cut")

    fs, path = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}/_SUCCESS"
    monkeypatch.setattr(type(fs), "pipe_file", fail)
    with pytest.raises(DataError, match="could not be committed: the line was cut; run again"):
        commit.commit(fs, path, {"parts": []}, replace)
    assert not fs.exists(path)


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_part_that_is_missing_or_short_is_named_before_it_is_read(target, frame, damage) -> None:
    target.write_dask(frame(SCHEMA, ROWS, 2))
    part = Path(target.files()[1])
    if damage == "missing":
        part.unlink()
        said = f"{part.name} is missing"
    else:
        part.write_bytes(part.read_bytes()[:-1])
        said = rf"{part.name} has \d+ bytes instead of \d+"
    for read in (target.read_dask, partial(target.head, 1)):
        with pytest.raises(DataError, match=f"is damaged: {said}; `clean T --yes` removes it"):
            read()
    assert target.parts()


def test_a_commit_creates_only_if_absent(tmp_path) -> None:
    import fsspec

    fs, flag = fsspec.filesystem("file"), str(tmp_path / "_SUCCESS")
    assert commit.commit(fs, flag, {"parts": [], "lineage": {}, "n": 1}, replace=False)
    assert not commit.commit(fs, flag, {"parts": [], "lineage": {}, "n": 2}, replace=False)
    assert commit.read_manifest(fs, flag)["n"] == 1
    assert commit.commit(fs, flag, {"parts": [], "lineage": {}, "n": 3}, replace=True)
    assert commit.read_manifest(fs, flag)["n"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["_SUCCESS"]


def test_a_flag_may_be_left_out_or_have_another_name(tmp_path, frame) -> None:
    assert not CSVTarget(str(tmp_path), flag=None).exists()
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert CSVTarget(str(tmp_path), flag=None).exists()
    assert not CSVTarget(str(tmp_path), flag="done").exists()
    (tmp_path / "done").touch()
    assert CSVTarget(str(tmp_path), flag="done").exists()
    assert str(CSVTarget(str(tmp_path))) == str(tmp_path)
    with pytest.raises(TypeError, match="has no flag"):
        ParquetTarget(str(tmp_path), flag=None).write_dask(frame(SCHEMA, ROWS))


def test_dtypes_of_a_schema_are_arrow_backed() -> None:
    assert frames.dtype(pa.large_string()) == pd.StringDtype("pyarrow")
    assert frames.dtype(pa.int8()) == pd.ArrowDtype(pa.int8())


def test_a_dataset_whose_parts_somebody_removes_is_not_committed(
    target, frame, monkeypatch
) -> None:
    sizes = type(target).sizes

    def cleaned(self: ParquetTarget) -> Any:
        next(Path(self.path).glob("part-00001-*")).unlink(missing_ok=True)
        return sizes(self)

    monkeypatch.setattr(type(target), "sizes", cleaned)
    with pytest.raises(DataError, match=r"somebody cleans .*: part-00001-\w+.parquet is missing;"):
        target.write_dask(frame(SCHEMA, ROWS, 2))
    assert not target.exists()
