"""What runs again after a change, and what does not, in a project used from outside."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from baking import clean_environ, run
from conftest import PACKAGE, Project

DOWNSTREAM = {"CleanFlights", "AirportScores", "ScoreReport"}
CLASS = "class CleanFlights(Stage):\n"
DAY = "2013-01-03.csv"


def test_a_second_run_starts_no_task_and_changes_no_file(project: Project) -> None:
    project.run()  # a copied project digests its raw files anew: their paths are others
    before = project.files()
    assert project.ran() == set()
    assert project.files() == before


def test_what_finds_nothing_to_do_imports_nothing_that_takes_time(project: Project) -> None:
    asked = [
        [],
        ["--dry-run"],
        ["status"],
        ["why"],
        ["graph", "--format=dot"],
        ["verify", "--help"],
    ]
    code = f"import sys; from {PACKAGE}.cli import main; print([main(a) for a in {asked}])"
    done = run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        cwd=project.path,
        env=clean_environ(),
    )
    *_, statuses, names = done.stdout.splitlines()
    assert statuses == str([0] * len(asked))
    loaded = {name.partition(".")[0] for name in names.split()}
    assert {"luigi", "pyarrow"} <= loaded
    slow = {"dask", "pandas", "distributed", "jinja2", "rich", "sqlite3", "aiohttp", "marshmallow"}
    assert not loaded & slow


@pytest.mark.parametrize("task", ["CleanFlights", "AirportScores"])
def test_a_dataset_that_was_removed_is_made_again_alone(project: Project, task: str) -> None:
    shutil.rmtree(project.status()[task]["path"])
    assert project.ran() == {task}


@pytest.mark.parametrize(
    ("name", "old", "new", "again"),
    [
        ("transforms.py", "(100 * scores", "(99 * scores", {"AirportScores", "ScoreReport"}),
        ("transforms.py", 'raw["arr_delay"].notnull()', 'raw["dest"].notnull()', DOWNSTREAM),
        ("transforms.py", "LATE = 15 ", "LATE = 16 ", DOWNSTREAM),
        ("transforms.py", "Airport scores</title>", "Scores</title>", {"ScoreReport"}),
        ("schemas.py", '("carrier", pa.string()),', "", DOWNSTREAM),
    ],
)
def test_an_edit_runs_exactly_what_it_touches(project, name, old, new, again) -> None:
    project.edit(name, old, new)
    assert project.ran() == again


def test_comments_docstrings_and_formatting_run_nothing(project: Project) -> None:
    project.edit("transforms.py", "    arrived = raw", "    # They arrived.\n\n    arrived = raw")
    project.edit("transforms.py", "Keep the flights that arrived", "Keep what arrived")
    project.edit("transforms.py", "EDIT. What the stages do", "EDIT. All that the stages do")
    project.edit("schemas.py", "EDIT. The schema of each", "EDIT. The schema of every")
    project.edit(
        "schemas.py", '        ("faa", pa.string()),', "        ('faa',\n  pa.string(), ),"
    )
    project.edit("tasks.py", CLASS, f'{CLASS}    "It."\n')
    assert project.ran() == set()


def test_bumping_an_upstream_version_moves_every_downstream_output(project: Project) -> None:
    project.edit("tasks.py", CLASS, f'{CLASS}    __version__ = "1"\n')
    assert project.ran() == DOWNSTREAM
    before = project.status()
    project.edit("tasks.py", '__version__ = "1"', '__version__ = "2"')
    assert project.ran() == DOWNSTREAM
    after = project.status()
    assert {task for task in after if after[task]["path"] != before[task]["path"]} == DOWNSTREAM


def test_a_pinned_version_outlasts_an_edit(project: Project) -> None:
    project.edit("tasks.py", CLASS, f"{CLASS}    __version__ = 1\n")
    assert project.ran() == DOWNSTREAM
    project.edit("transforms.py", 'raw["arr_delay"].notnull()', 'raw["dest"].notnull()')
    assert project.ran() == set()


def test_a_raw_file_that_changed_runs_all_that_is_made_from_it(project: Project) -> None:
    day = project.raw / "flights" / DAY
    day.write_bytes(day.read_bytes().replace(b",ORD,", b",MDW,", 1))  # of the same size
    assert project.ran() == DOWNSTREAM


def test_a_raw_file_more_or_less_runs_all_that_is_made_from_it(project: Project) -> None:
    day = project.raw / "flights" / DAY
    rows = project.status()["CleanFlights"]["rows"]
    moved = day.rename(project.path / DAY)
    assert project.ran() == DOWNSTREAM
    assert project.status()["CleanFlights"]["rows"] < rows
    moved.rename(day)
    assert project.ran() == set()  # its output still stands
    shutil.copy(day, day.with_name("2013-01-04.csv"))
    assert project.ran() == DOWNSTREAM


def test_a_raw_file_that_was_only_touched_runs_nothing(project: Project) -> None:
    os.utime(project.raw / "flights" / DAY)
    assert project.ran() == set()


def test_missing_raw_data_is_named_and_ends_with_3(project: Project) -> None:
    shutil.rmtree(project.raw / "flights")
    done = project.run()
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("RawFlights is missing: no file fits ")
    assert "Traceback" not in done.stderr


def test_a_raw_folder_that_is_a_file_is_named(project: Project) -> None:
    shutil.rmtree(project.raw / "flights")
    (project.raw / "flights").write_text("a,b\n")
    done = project.run()
    assert done.returncode == 3
    assert "flights is a file; a folder of *.csv files is needed" in done.stderr
