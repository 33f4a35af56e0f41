"""Raw CSV files: typed by the schema, and named with line and column where they are wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from o_brien_s_flights_b.compose import CSVTarget, DataError

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
    caplog.set_level(logging.INFO)
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
        f"{tmp_path}/0.csv is empty; {tmp_path}/1.csv lacks the column 'at', 'x'; "
        f"{tmp_path}/3.csv has more than one column 'n'; "
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
        ('a,1,,\n"b,1,,\n', "has an odd number of quotation marks; close the open one"),
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
    with pytest.raises(DataError, match=r"0.csv, column 'n': 1 nulls, and the schema allows none"):
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
