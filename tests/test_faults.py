"""Whatever happens to a run: what is complete is right, and the next run completes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from baking import run
from conftest import Project

# Imported by a run at its start: does what WHAT says around the link of a manifest.
ACCIDENT = """
import os, shutil, signal

def die():
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

link, what = os.link, os.environ["WHAT"]

def accident(source, target):
    if what == "before":
        die()
    if what == "half":
        with open(source, "r+b") as file:
            file.truncate(100)
        die()
    if what == "vanish":
        shutil.rmtree(os.path.dirname(os.path.dirname(target)))
    link(source, target)
    if what == "after":
        die()

os.link = accident
"""


def content(folder: Path) -> list[Any] | None:
    """The rows of a dataset that is complete, by its manifest alone; None if it is not."""
    try:
        manifest = json.loads((folder / "_SUCCESS").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    rows = [
        row
        for part in manifest["parts"]
        for row in pq.read_table(folder / part["name"]).to_pylist()
    ]
    assert len(rows) == manifest["rows"]
    return sorted(rows, key=repr)


def contents(project: Project) -> dict[str, list[Any]]:
    """Each complete dataset of the project."""
    folders = [path for path in (project.path / "data").glob("*-*") if path.is_dir()]
    return {path.name: rows for path in folders if (rows := content(path)) is not None}


@pytest.fixture(scope="session")
def right(finished: Path) -> dict[str, list[Any]]:
    """What the datasets must hold."""
    found = contents(Project(finished))
    assert [len(rows) for _, rows in sorted(found.items())] == [52, 2659]
    return found


def ends_right(project: Project, right: dict[str, list[Any]]) -> None:
    done = project.run()
    assert done.returncode == 0, done.stderr
    assert contents(project) == right
    assert project.run("verify").returncode == 0
    assert project.ran() == set()


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_leaves_nothing_half_written(
    new_project: Project, right: dict[str, list[Any]], kills: int
) -> None:
    draw = random.Random(kills)
    began = time.monotonic()
    new_project.run()
    usual = time.monotonic() - began
    completed = 0
    for number in range(kills):
        shutil.rmtree(new_project.path / "data" / sorted(right)[number % 2], ignore_errors=True)
        process = new_project.start()
        try:
            process.wait(draw.uniform(0.2, 1.1) * usual)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        found = contents(new_project)
        completed += len(found) == 2
        assert found == {name: right[name] for name in found}
    print(f"{kills} kills, {completed} runs were complete by then")
    assert completed < kills
    ends_right(new_project, right)


@pytest.mark.parametrize("what", ["before", "half", "after"])
def test_a_kill_around_the_commit_leaves_a_dataset_or_none(
    new_project: Project, right: dict[str, list[Any]], tmp_path: Path, what: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ACCIDENT, encoding="utf-8")
    died = new_project.run(PYTHONPATH=str(tmp_path), WHAT=what)
    assert died.returncode not in (0, 1, 2, 3)
    found = contents(new_project)
    assert len(found) == (what == "after")
    assert found == {name: right[name] for name in found}
    ends_right(new_project, right)


def test_a_root_that_vanishes_is_told_in_one_sentence(
    new_project: Project, right: dict[str, list[Any]], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ACCIDENT, encoding="utf-8")
    environ = {"DATA_ROOT": str(tmp_path / "out"), "RAW_ROOT": str(new_project.raw)}
    done = new_project.run(PYTHONPATH=str(tmp_path), WHAT="vanish", **environ)
    assert_told(done, "No such file or directory")
    assert new_project.run(**environ).returncode == 0
    shutil.copytree(tmp_path / "out", new_project.path / "data", dirs_exist_ok=True)
    ends_right(new_project, right)


def assert_told(
    done: subprocess.CompletedProcess[str], words: str, task: str = "CleanFlights"
) -> None:
    """Exit status 1, and one sentence about the task that failed."""
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("failed")]
    assert line.startswith(f"failed  {task}: ")
    assert words in line
    assert "Traceback" not in done.stderr


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Any]:
    """Mounts a small file system of its own; skips where that is not allowed."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def make(options: str) -> Path:
        if shutil.which("mount") is None:
            pytest.skip("there is no command to mount a file system")
        done = run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)])
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return folder

    yield make
    run(["umount", str(folder)])


def test_a_full_disk_is_told_in_one_sentence(
    new_project: Project, right: dict[str, list[Any]], mount: Any
) -> None:
    root = mount("size=12k")  # less than a part
    environ = {"DATA_ROOT": str(root), "RAW_ROOT": str(new_project.raw)}
    assert_told(new_project.run(**environ), "No space left on device")
    files = [path.name for path in root.rglob("*") if path.is_file()]
    assert files == [".fingerprints.json"]  # nothing short
    assert run(["mount", "-o", "remount,size=10m", str(root)]).returncode == 0
    assert new_project.run(**environ).returncode == 0
    shutil.copytree(root, new_project.path / "data", dirs_exist_ok=True)
    ends_right(new_project, right)


def test_a_root_that_cannot_be_written_is_told_in_one_sentence(
    new_project: Project, mount: Any
) -> None:
    root = mount("size=10m,ro")
    done = new_project.run(DATA_ROOT=str(root), RAW_ROOT=str(new_project.raw))
    assert_told(done, "Read-only file system")


def test_a_file_in_the_place_of_a_dataset_is_told_in_one_sentence(new_project: Project) -> None:
    Path(new_project.status()["CleanFlights"]["path"]).write_text("mine", encoding="utf-8")
    assert_told(new_project.run(), "File exists")


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_eight_runs_at_once_with_clean_beside_them_all_succeed(
    new_project: Project, right: dict[str, list[Any]], times: int
) -> None:
    for _ in range(times):
        for name in right:
            shutil.rmtree(new_project.path / "data" / name, ignore_errors=True)
        runs = [new_project.start() for _ in range(8)]
        cleans = 0
        while any(process.poll() is None for process in runs):
            assert new_project.run("clean", "--yes").returncode == 0
            cleans += 1
        assert [process.wait() for process in runs] == [0] * 8, runs[0].communicate()
        assert cleans
        for process in runs:
            process.communicate()
        assert contents(new_project) == right
        for name in right:
            folder = new_project.path / "data" / name
            parts = json.loads((folder / "_SUCCESS").read_text(encoding="utf-8"))["parts"]
            assert {p.name for p in folder.iterdir()} == {"_SUCCESS", *(p["name"] for p in parts)}
    ends_right(new_project, right)


def damaged(project: Project, how: str) -> Path:
    """Damage the part of the clean flights."""
    status = project.status()
    (part,) = Path(status["CleanFlights"]["path"]).glob("part-*")
    (other,) = Path(status["AirportScores"]["path"]).glob("part-*")
    data = bytearray(part.read_bytes())
    if how == "truncated":
        part.write_bytes(data[:-10])
    elif how == "flipped":
        data[len(data) // 2] ^= 1
        part.write_bytes(data)
    elif how == "deleted":
        part.unlink()
    else:
        shutil.copy(other, part)
    return part


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "has "),
        ("flipped", "is altered"),
        ("deleted", "is missing"),
        ("replaced", "has "),
    ],
)
def test_verify_names_a_damaged_part_and_the_cure(project: Project, how: str, said: str) -> None:
    part = damaged(project, how)
    done = project.run("verify")
    assert done.returncode == 1
    assert done.stdout == "2 datasets, 1 damaged\n"
    assert f"{part.parent} is damaged: {part.name} {said}" in done.stderr
    assert "; `clean CleanFlights --yes` removes it, then run again\n" in done.stderr
    if how != "flipped":
        told = project.run("--force", "AirportScores")
        assert_told(
            told, f"{part.parent} is damaged: {part.name} {said}", "AirportScores(min_flights=10)"
        )


def test_the_cure_of_a_damaged_dataset_cures(project: Project, right: dict[str, list[Any]]) -> None:
    part = damaged(project, "truncated")
    assert project.run("clean", "CleanFlights").stdout.endswith("1 to delete; --yes deletes\n")
    assert part.parent.exists()
    assert project.run("clean", "CleanFlights", "--yes").stdout.endswith("1 deleted\n")
    assert not part.parent.exists()
    ends_right(project, right)


def test_verify_without_datasets_finds_none(new_project: Project) -> None:
    done = new_project.run("verify")
    assert (done.returncode, done.stdout) == (0, "0 datasets, none damaged\n")


def test_raw_data_that_changes_while_a_stage_runs_is_refused(
    new_project: Project, right: dict[str, list[Any]], tmp_path: Path
) -> None:
    day = new_project.raw / "flights" / "2013-01-03.csv"
    before = day.read_bytes()
    change = f"open({str(day)!r}, 'ab').write(b'\\n')"
    new_project.edit("transforms.py", "    arrived = raw[", f"    {change}\n    arrived = raw[")
    done = new_project.run()
    assert_told(done, "RawFlights changed while CleanFlights was computed: 2013-01-03.csv; nothing")
    assert contents(new_project) == {}
    new_project.edit("transforms.py", f"    {change}\n", "")
    day.write_bytes(before)
    ends_right(new_project, right)
