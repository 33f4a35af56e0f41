"""Raw CSV files: typed by the schema, cut and joined, named with line and column if wrong."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
import uuid
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from o_brien_s_flights_b.compose import (
    ComposeError,
    CSVTarget,
    DataError,
    ExternalData,
    TargetOutput,
    csv_blocks,
    csv_headers,
)

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("n", pa.int32()),
        ("at", pa.timestamp("us", "UTC")),
        ("x", pa.float64()),
    ]
)
HEADER = "name,n,at,x\n"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Reads files of these texts through a target with the schema."""

    def rows(
        *texts: str | bytes, schema: pa.Schema = SCHEMA, **options: Any
    ) -> list[dict[str, Any]]:
        for number, text in enumerate(texts):
            data = text.encode() if isinstance(text, str) else text
            (tmp_path / f"{number}.csv").write_bytes(data)
        target = CSVTarget(str(tmp_path), flag=None, schema=schema, null_values=("NA", ""))
        frame = target.read_dask(**options).compute()
        return pa.Table.from_pandas(frame, preserve_index=False).to_pylist()

    return rows


def test_values_are_typed_by_the_schema(read) -> None:
    assert read(f"{HEADER}a,1,2013-01-01T10:00:00Z,2\nNA,NA,NA,NA\n,,,\n")[0]["n"] == 1
    (row, *nulls) = read(f"{HEADER}a,1,2013-01-01T10:00:00Z,2\nNA,NA,NA,NA\n,,,\n")
    assert row["at"].isoformat() == "2013-01-01T10:00:00+00:00"
    assert row["x"] == 2.0
    assert nulls == [dict.fromkeys(SCHEMA.names)] * 2


def test_columns_may_stand_in_any_order_with_others_between(read, caplog) -> None:
    caplog.set_level(logging.INFO, csv_headers.__name__)  # another test may have set its parent
    text = "more,x,at,n,name\n9,1.5,2013-01-01T10:00:00Z,2,b\n"
    assert [row["name"] for row in read(text, text)] == ["b", "b"]
    assert [r.message for r in caplog.records if "does not name" in r.message] == [
        "Columns that the schema does not name: more"
    ]


def test_only_the_columns_that_are_asked_for_are_read(read) -> None:
    assert read(f"{HEADER}a,not a number,,\n", columns=["name"]) == [{"name": "a"}]


@pytest.mark.parametrize(
    "text",
    [
        "name,n,at,x\r\na,1,,\r\n",
        "name,n,at,x\na,1,,",
        "\ufeffname,n,at,x\na,1,,\n",
        '"name","n","at","x"\n"a","1","",""\n',
        "\nname,n,at,x\n\na,1,,\n\n",
    ],
)
def test_line_ends_byte_order_marks_and_quotes_make_no_difference(read, text) -> None:
    assert read(text) == [{"name": "a", "n": 1, "at": None, "x": None}]


def test_a_quoted_field_may_hold_line_ends_and_any_text(read) -> None:
    assert read(f'{HEADER}"a,\n""ƒ"" 😀",1,,\n')[0]["name"] == 'a,\n"ƒ" 😀'


def test_a_header_alone_is_no_rows(read) -> None:
    assert read(HEADER) == []


def test_every_file_that_is_empty_or_lacks_a_column_is_named_at_once(read, tmp_path) -> None:
    with pytest.raises(DataError) as error:
        read("", "name,n\n", f"{HEADER}bad", "name,n,at,x,n\n")
    assert str(error.value) == (
        f"{tmp_path}/0.csv is empty; {tmp_path}/1.csv lacks the column 'at', 'x', or has it twice; "
        f"{tmp_path}/3.csv lacks the column 'n', or has it twice; "
        "mend or remove the file, or change the schema"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "a,1,,\nb,one,,\n",
            "column 'n', line 3: CSV conversion error to int32: invalid value 'one'",
        ),
        ("a,1,,\n\n\nb,1.5,,\n", "column 'n', line 5: CSV conversion error to int32"),
        ('"a\nb",1,,\nc,1,soon,\n', "column 'at', line 4: CSV conversion error to timestamp"),
        ("a,1,,\nb,1\n", "line 3: CSV parse error: Expected 4 columns, got 2: b,1"),
        ("a,99999999999,,\n", "column 'n', line 2: CSV conversion error to int32"),
        ('a,1,,\n"b,1,,\n', "line 3: a quoted field has no end; close the quotation mark"),
        ('a,1,,\n5" b,1,,\n"c,1,,\n', "line 4: a quoted field has no end; close the"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_column_and_line(read, body, said, tmp_path) -> None:
    with pytest.raises(DataError) as error:
        read(f"{HEADER}ok,1,,\n", HEADER + body)
    assert str(error.value).startswith(f"{tmp_path}/1.csv")
    assert said in str(error.value)


def test_text_that_is_not_utf_8_is_named(read) -> None:
    with pytest.raises(DataError, match=r"0.csv, column 'name', line 2: .*invalid UTF8 data"):
        read(HEADER.encode() + b"\xff,1,,\n")


def test_a_null_where_none_may_be_is_named(read) -> None:
    schema = SCHEMA.set(1, pa.field("n", pa.int32(), nullable=False))
    with pytest.raises(DataError, match=r"0.csv: Casting field 'n' with null values to non-nul"):
        read(f"{HEADER}a,NA,,\n", schema=schema)


def test_long_fields_and_long_headers_are_read(read) -> None:
    long = "x" * 2_000_000
    assert read(f'{HEADER}"{long}",1,,\n')[0]["name"] == long
    more = ",".join(f"column_{number}" for number in range(10_000))
    assert read(f"{more},{HEADER}{',' * 10_000}a,1,,\n")[0]["n"] == 1
    with pytest.raises(DataError, match=r"column 'n', line 3: CSV conversion error"):
        read(f"{HEADER}{long},1,,\nb,one,,\n")


def test_quotation_marks_may_mean_nothing(read) -> None:
    assert read(f'{HEADER}5" disk,1,,\n', quote_char=False)[0]["name"] == '5" disk'


def test_a_file_may_have_another_delimiter(read) -> None:
    assert read("name;n;at;x\na;1;;2.5\n", delimiter=";")[0]["x"] == 2.5


class Texts:
    """Reads texts in blocks of a few bytes, each column a string and nothing null."""

    def __init__(self) -> None:
        self.fs = fsspec.filesystem("memory")

    def frame(self, files: dict[str, bytes], names: list[str], **options: Any) -> Any:
        folder = f"memory://{uuid.uuid4().hex}"
        for name, data in files.items():
            self.fs.pipe_file(f"{folder}/{name}", data)
        schema = pa.schema([(name, pa.string()) for name in names])
        target = CSVTarget(folder, glob="*", flag=None, schema=schema, null_values=("null",))
        return target.read_dask(**options)

    def rows(self, files: dict[str, bytes], names: list[str], **options: Any) -> list[list[str]]:
        frame = self.frame(files, names, **options).compute(scheduler="sync")
        return frame.to_numpy().tolist()


texts = Texts()
PIECES = ["a", "bc", " ", "5", "é", "日本", "😀", "'", ";", "\t", '"', ",", "\n", "\r\n", '""', ""]
fields = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
tables = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(fields, min_size=width, max_size=width), max_size=12)
)
block_sizes = st.integers(1, 60)
chunks = st.sampled_from([40, 64, csv_blocks.CHUNK])
often = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(rows: list[list[str]], line_end: str, quoting: int, bom: bool, ended: bool) -> bytes:
    """The rows as Python's csv writes them, under a header c0,c1,..."""
    file = io.StringIO(newline="")
    header = [f"c{number}" for number in range(len(rows[0]) if rows else 2)]
    csv.writer(file, lineterminator=line_end, quoting=quoting).writerows([header, *rows])
    text = file.getvalue()
    return (text if ended else text.removesuffix(line_end)).encode("utf-8-sig" if bom else "utf-8")


files = st.builds(
    written,
    tables,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.booleans(),
)


def by_python(data: bytes) -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    return header, [row for row in rows if row]


@often
@given(files, block_sizes, chunks)
def test_any_file_cut_anywhere_is_read_as_by_python_or_refused(
    monkeypatch, data, block_size, chunk
) -> None:
    monkeypatch.setattr(csv_blocks, "CHUNK", chunk)
    names, expected = by_python(data)
    assert texts.rows({"x.csv": data}, names, newlines_in_values=True) == expected
    try:
        assert texts.rows({"x.csv": data}, names, block_size=block_size) == expected
    except DataError as error:
        assert "x.csv, line " in str(error)
        assert "declare csv_options = {'newlines_in_values': True}" in str(error)
        assert any("\n" in field for row in expected for field in row)


@often
@given(
    st.lists(st.sampled_from([*'a",\n', "\r\n", "é"]), max_size=99).map("".join),
    block_sizes,
    chunks,
)
def test_any_text_at_all_is_read_as_by_python_or_refused(
    monkeypatch, body, block_size, chunk
) -> None:
    monkeypatch.setattr(csv_blocks, "CHUNK", chunk)
    data = b"c0,c1\n" + body.encode()
    names, expected = by_python(data)
    try:
        rows = texts.rows({"x.csv": data}, names, block_size=block_size)
    except DataError:
        return
    assert rows == expected


@often
@given(st.lists(files, min_size=1, max_size=6), st.integers(1, 200_000))
def test_any_files_together_are_read_in_their_order(data, block_size) -> None:
    named = {f"{number}.csv": each for number, each in enumerate(data)}
    read = [by_python(each) for each in data]
    expected = [row[:2] for _, rows in read for row in rows]
    try:
        assert texts.rows(named, ["c0", "c1"], block_size=block_size) == expected
    except DataError:
        assert any("\n" in field for _, rows in read for row in rows for field in row)


@often
@given(tables.filter(len), st.sampled_from(["latin-1", "cp1252", "utf-8", "utf-16"]), block_sizes)
def test_any_encoding_gives_the_same(rows, encoding, block_size) -> None:
    plain = [[re.sub("[^a-zé]", "", field) for field in row] for row in rows]
    data = written(plain, "\n", csv.QUOTE_ALL, False, True).replace(b"c0", "ñ0".encode())
    names, expected = by_python(data)
    encoded = data.decode().encode(encoding)
    read = texts.rows({"x.csv": encoded}, names, encoding=encoding, block_size=block_size)
    assert read == expected


def test_a_cut_in_a_quoted_field_is_refused_whatever_number_of_quotes_is_before_it() -> None:
    row = b'5" disk,"one\ntwo,three"\n'  # the first quote means nothing
    data = b"a,b\n" + row
    assert texts.rows({"x": data}, ["a", "b"]) == [['5" disk', "one\ntwo,three"]]
    refused = r"x, line 2: a quoted field has no end; .* was cut, declare .*newlines_in_values"
    with pytest.raises(DataError, match=refused):
        texts.rows({"x": data}, ["a", "b"], block_size=15)


def test_a_cut_in_a_quoted_field_is_named_before_what_it_leads_to() -> None:
    data = b"a,b\n1,2\n3,4\n" + b'5,"\n' + b"x\n" * 40 + b'"\n'
    frame = texts.frame({"x": data}, ["a", "b"], block_size=8)
    assert frame.npartitions > 8
    for number in range(4, frame.npartitions):
        with pytest.raises(DataError, match=r"x, line 4: a quoted field has no end; .* or, where"):
            frame.partitions[number].compute(scheduler="sync")


def test_the_line_of_a_wrong_value_is_right_in_every_block(tmp_path) -> None:
    lines = ["n,x", "", *[f"{number}," for number in range(50)]]
    schema = pa.schema([("n", pa.int32())])
    target = CSVTarget(str(tmp_path), flag=None, schema=schema)
    for wrong in range(2, len(lines)):
        text = [*lines]
        text[wrong] = "no,"
        (tmp_path / "x.csv").write_text("\r\n".join(text), newline="")
        with pytest.raises(DataError, match=rf"x.csv, column 'n', line {wrong + 1}: CSV conv"):
            target.read_dask(block_size=30).compute(scheduler="sync")


def test_big_files_are_cut_and_small_ones_joined(tmp_path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.csv").write_text("n\n" + f"{number}\n" * 100_000)
    (tmp_path / "10.csv").write_text("n\n" + "10\n" * 3_000_000)
    target = CSVTarget(str(tmp_path), flag=None, schema=pa.schema([("n", pa.int32())]))
    assert target.read_dask().npartitions == 1
    frame = target.read_dask(block_size=2_000_000)
    lengths = [len(part.compute()) for part in frame.to_delayed()]
    assert 6 <= len(lengths) <= 9
    assert 250_000 < min(lengths[:-1]) <= max(lengths) < 1_500_000
    assert sum(lengths) == 4_900_000
    assert frame["n"].sum().compute() == sum(range(20)) * 100_000 + 10 * 2_900_000


def test_compressed_files_are_read_where_the_glob_names_them(tmp_path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"))
    zstd = pa.compress(b"a\n" + b"3\n" * 100_000, codec="zstd", asbytes=True)
    (tmp_path / "b.csv.zst").write_bytes(zstd)
    (tmp_path / "c.csv").write_text("a\n4\n")
    schema = pa.schema([("a", pa.int32())])
    every = CSVTarget(str(tmp_path), glob="*.csv*", flag=None, schema=schema)
    assert every.read_dask(block_size=10)["a"].sum().compute() == 300_007
    assert CSVTarget(str(tmp_path), flag=None, schema=schema).read_dask()["a"].sum().compute() == 4
    (tmp_path / "b.csv.zst").write_bytes(zstd[:-9])
    with pytest.raises(
        DataError, match=r"b\.csv\.zst cannot be decompressed: Truncated compressed"
    ):
        every.read_dask().compute()


@pytest.mark.parametrize(("encoding", "text"), [("ascii", "é".encode()), ("cp1253", b"\xd2\xaa")])
def test_bytes_that_are_not_in_the_encoding_are_no_letter(tmp_path, encoding, text) -> None:
    (tmp_path / "x.csv").write_bytes(b"a\n" + text + b"\n")
    target = CSVTarget(str(tmp_path), flag=None, schema=pa.schema([("a", pa.string())]))
    with pytest.raises(DataError, match=r"x.csv, column 'a', line 2: .*invalid UTF8"):
        target.read_dask(encoding=encoding).compute()


def test_the_handler_of_invalid_rows_is_asked(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3\n4,5\n")
    target = CSVTarget(str(tmp_path), flag=None, schema=pa.schema([("a", pa.int64())]))
    read = target.read_dask(invalid_row_handler=lambda row: "skip")
    assert read.compute()["a"].tolist() == [1, 4]


def test_nan_is_null_so_that_no_sum_of_partitions_leaves_rows_out(tmp_path) -> None:
    (tmp_path / "1.csv").write_text("x,s\n1.5,NaN\n2.5,a\n")
    (tmp_path / "2.csv").write_text("x,s\nNaN,b\nnan,c\n4.0,d\n")
    schema = pa.schema([("x", pa.float64()), ("s", pa.string())])
    target = CSVTarget(str(tmp_path), flag=None, schema=schema, csv_options={"block_size": 2**16})
    read = target.read_dask()
    assert read.npartitions == 2
    assert read["x"].sum().compute() == 8.0
    assert read["x"].mean().compute() == 8.0 / 3
    assert read["s"].compute().tolist() == ["NaN", "a", "b", "c", "d"]
    strict = pa.schema([pa.field("x", pa.float64(), nullable=False)])
    with pytest.raises(
        DataError, match=r"2.csv: Casting field 'x' with null values to non-nullable"
    ):
        CSVTarget(str(tmp_path), flag=None, schema=strict).read_dask().compute()


def test_one_text_that_stands_for_null_is_taken_whole(tmp_path) -> None:
    (tmp_path / "x.csv").write_text("grade\nA\nNA\n")
    schema = pa.schema([("grade", pa.string())])
    target = CSVTarget(str(tmp_path), flag=None, schema=schema, null_values="NA")
    assert target.read_dask().compute()["grade"].tolist()[0] == "A"


def test_how_files_are_written_is_declared_with_the_data(sample: Path) -> None:
    class RawPlaces(ExternalData):
        schema = pa.schema([("name", pa.string()), ("lat", pa.float64())])
        csv_options: ClassVar = {"delimiter": ";", "encoding": "cp1252", "newlines_in_values": True}
        output = TargetOutput("raw/places", target_class=CSVTarget, flag=None)

    (sample / "places").mkdir()
    text = 'lat;name\n1.5;"Sao\nTomé"\n'
    (sample / "places" / "x.csv").write_bytes(text.encode("cp1252"))
    read = RawPlaces().output().read_dask(block_size=1)
    assert read.compute().to_numpy().tolist() == [["Sao\nTomé", 1.5]]
    with pytest.raises(
        DataError, match=r"x.csv, column 'name', line 2: .*invalid UTF8 data; mend .* csv_options"
    ):
        RawPlaces().output().read_dask(encoding="ascii").compute()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"sep": ";"}, "'sep': ';'.*keyword argument 'sep'"),
        ({"delimiter": ";;"}, "'delimiter': ';;'.*single character"),
        ({"encoding": "cp9"}, "unknown encoding: cp9"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, wrong: dict[str, str], fault: str) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    schema = pa.schema([("a", pa.int64())])
    target = CSVTarget(str(tmp_path), flag=None, schema=schema, csv_options=wrong)
    with pytest.raises(ComposeError, match=f"{tmp_path} is read with .*{fault}.*; give those of"):
        target.read_dask()
