"""Where a task writes: patterns, quoting, roots, extensions and the targets they make."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import luigi
import pytest
from luigi.mock import MockTarget
from o_brien_s_flights_b.compose import (
    CSVTarget,
    FileTarget,
    LocalTargetOutput,
    ParquetTarget,
    SaltedOutput,
    TargetOutput,
    salt,
)


def task_with(output: object, **values: object) -> luigi.Task:
    class Scores(luigi.Task):
        name = luigi.Parameter(default="x")
        day = luigi.DateParameter(default=datetime.date(2013, 1, 2))

    Scores.output = output
    return Scores(**values)


def path(pattern: str, root: Path, **values: object) -> str:
    return task_with(TargetOutput(pattern), **values).output().path.removeprefix(f"{root}/")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("{task}", "Scores.txt"),
        ("{task.__class__.__name__}-{task.name}", "Scores-x.txt"),
        ("{task.day}/{task}", "2013-01-02/Scores.txt"),
        ("{task}.html", "Scores.html"),
        ("{task}.txt", "Scores.txt"),
        ("{task}.v2/{task}", "Scores.v2/Scores.txt"),
    ],
)
def test_a_pattern_knows_the_task_and_its_parameters(pattern, expected, data_root) -> None:
    assert path(pattern, data_root) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("", "%"),
        ("/root", "%2Froot"),
        ("C:\\x", "C%3A%5Cx"),
        ("a b", "a%20b"),
        ("ƒ", "%C6%92"),
        ("v1.", "v1%2E"),
        ("{salt}", "%7Bsalt%7D"),
        ("s3://bucket", "s3%3A%2F%2Fbucket"),
    ],
)
def test_a_parameter_value_is_one_quoted_piece_of_the_path(value, expected, data_root) -> None:
    assert path("{task.name}/{task}", data_root, name=value) == f"{expected}/Scores.txt"


@pytest.mark.parametrize("value", ["..", "../..", "/", "", "\0", "..\\.."])
def test_no_parameter_value_leaves_the_folder(value, data_root) -> None:
    full = os.path.normpath(task_with(TargetOutput("a/{task.name}/b"), name=value).output().path)
    assert full.startswith(str(data_root / "a" / ""))
    assert full.endswith("b.txt")
    assert len(Path(full).relative_to(data_root).parts) == 3


def test_an_extension_is_added_once_and_not_to_folders() -> None:
    def end(output: object) -> str:
        return task_with(output).output().path.rpartition("/")[2]

    assert end(TargetOutput(ext=".csv")) == "Scores.csv"
    assert end(TargetOutput("{task}.csv", ext=".csv")) == "Scores.csv"
    assert end(TargetOutput("{task}.tar", ext=".gz")) == "Scores.tar.gz"
    assert end(TargetOutput(target_class=ParquetTarget)) == "Scores"
    assert end(TargetOutput("{task}/", target_class=luigi.LocalTarget)) == ""
    assert end(SaltedOutput("{task}", ".html")) == "Scores.html"
    assert end(LocalTargetOutput()) == "Scores.txt"
    assert end(LocalTargetOutput("{task}-{task.name}", ext=".csv")) == "Scores-x.csv"


def test_a_relative_path_lies_under_its_root_and_an_absolute_one_where_it_says(
    data_root, monkeypatch, tmp_path
) -> None:
    assert path("a/{task}", data_root) == "a/Scores.txt"
    monkeypatch.setenv("RAW_ROOT", str(tmp_path / "elsewhere"))
    assert task_with(TargetOutput("raw/x")).output().path == f"{tmp_path}/elsewhere/x.txt"
    absolute = tmp_path / "raw" / "x.csv"
    assert task_with(TargetOutput(str(absolute))).output().path == str(absolute)
    assert task_with(TargetOutput("s3://bucket/x.csv")).output().path == "s3://bucket/x.csv"
    monkeypatch.setenv("DATA_ROOT", "memory://bucket/there")
    assert task_with(TargetOutput()).output().path == "memory://bucket/there/Scores.txt"


def test_a_salted_output_has_the_salt_in_its_path() -> None:
    task = task_with(SaltedOutput(ext=".html"))
    assert task.output().path.endswith(f"/Scores-{salt(task)}.html")
    assert len(salt(task)) >= 12


def test_any_target_class_works_with_its_own_arguments(tmp_path) -> None:
    class Own(luigi.Target):
        def __init__(self, path: str, colour: str) -> None:
            self.path, self.colour = path, colour

        def exists(self) -> bool:
            return True

    assert task_with(TargetOutput(target_class=Own, colour="red")).output().colour == "red"
    local = task_with(TargetOutput(target_class=luigi.LocalTarget, format=luigi.format.Nop))
    assert type(local.output()) is luigi.LocalTarget
    assert local.output().format is luigi.format.Nop
    assert isinstance(task_with(TargetOutput(target_class=MockTarget)).output(), MockTarget)


def test_schema_salt_and_lineage_reach_datasets() -> None:
    task = task_with(SaltedOutput(target_class=CSVTarget, glob="*.tsv"))
    type(task).schema, type(task).null_values = "the schema", ("NA",)
    target = task.output()
    assert (target.schema, target.null_values, target.glob) == ("the schema", ("NA",), "*.tsv")
    assert target.salt == salt(task)
    assert list(target.lineage()) == [salt(task)]
    assert target.replace is False
    assert task_with(TargetOutput(target_class=ParquetTarget)).output().replace is True


def test_a_value_does_not_choose_the_root(data_root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RAW_ROOT", str(tmp_path / "elsewhere"))
    assert path("{task.name}/out", data_root, name="raw") == "raw/out.txt"


@pytest.fixture(params=["local", "memory"])
def file_target(request, tmp_path):
    folder = str(tmp_path) if request.param == "local" else f"memory://{tmp_path}"
    return FileTarget(f"{folder}/deep/file.txt", format=luigi.format.UTF8)


def test_a_file_is_there_whole_or_not_at_all(file_target) -> None:
    with pytest.raises(ZeroDivisionError), file_target.open("w") as file:
        file.write("half")
        _ = 1 / 0
    assert not file_target.exists()
    with file_target.open("w") as file:
        file.write("whole ƒ")
        assert not file_target.exists()
    with file_target.open() as file:
        assert file.read() == "whole ƒ"
    file_target.remove()
    assert not file_target.exists()


def test_a_program_can_write_to_a_temporary_path(file_target) -> None:
    with pytest.raises(ZeroDivisionError), file_target.temporary_path() as path:
        Path(path).write_text("half")
        _ = 1 / 0
    assert not file_target.exists()
    with file_target.temporary_path() as path:
        Path(path).write_text("whole")
    with file_target.open() as file:
        assert file.read() == "whole"


def test_a_failed_write_leaves_nothing_behind(tmp_path) -> None:
    target = FileTarget(str(tmp_path / "file.txt"))
    with pytest.raises(ZeroDivisionError), target.temporary_path() as path:
        Path(path).write_text("half")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
