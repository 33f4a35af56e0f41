"""What `clean` takes for old, and what it never touches."""

from __future__ import annotations

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import luigi
import pytest
from o_brien_s_flights_b import cli, tasks
from o_brien_s_flights_b.compose import clean, salts
from o_brien_s_flights_b.compose.history import record

DAY = 24 * 60 * 60
OLD = "0123456789ab"


@pytest.fixture
def said(sample: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the pipeline once; then what `clean` prints, with exit status 0."""
    assert cli.main([]) == 0
    capsys.readouterr()

    def clean(*arguments: str) -> list[str]:
        salts.forget()
        capsys.readouterr()
        assert cli.main(["clean", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return clean


def aged(path: Path, days: float) -> Path:
    """Make what a task has written so many days older."""
    when = time.time() - days * DAY
    for each in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(each, (when, when))
    about = path / "_SUCCESS" if path.is_dir() else Path(record(str(path)))
    if about.exists() and about.read_bytes():
        manifest = json.loads(about.read_text(encoding="utf-8"))
        manifest["created"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        about.write_text(json.dumps(manifest), encoding="utf-8")
    return path


def older(task: Any, days: float, salt: str = OLD) -> Path:
    """A copy of what a task has written, as it would be after a change of its code."""
    path = Path(task.output().path)
    copy = path.with_name(path.name.replace(salts.salt(task), salt))
    if path.is_dir():
        shutil.copytree(path, copy)
        flag = copy / "_SUCCESS"
        flag.write_text(flag.read_text().replace(salts.salt(task), salt), encoding="utf-8")
    else:
        shutil.copy(path, copy)
        about = Path(record(str(path))).read_text(encoding="utf-8")
        Path(record(str(copy))).write_text(about.replace(salts.salt(task), salt), encoding="utf-8")
    return aged(copy, days)


def test_old_outputs_are_shown_and_deleted_on_request_only(said, data_root) -> None:
    paths = [older(task, 30) for task in (tasks.CleanFlights(), tasks.ScoreReport())]
    shown = said()
    assert [line.split()[:4] for line in shown[:-1]] == [["old", "output", "30", "d"]] * 2
    assert [line.split()[-1] for line in shown[:-1]] == [str(path) for path in paths]
    assert shown[-1] == "2 to delete; --yes deletes"
    assert all(path.exists() for path in paths)
    assert said("--yes")[-1] == "2 deleted"
    assert not any(path.exists() for path in paths)
    assert not Path(record(str(paths[1]))).exists()
    assert said("--yes") == ["0 deleted"]
    assert cli.main(["status", "--check"]) == 0


def test_the_newest_file_of_each_parameter_is_kept(said, data_root) -> None:
    assert cli.main(["--min-flights=20"]) == 0
    for report in data_root.glob("ScoreReport-*.html"):
        aged(report, 30)
    old = older(tasks.ScoreReport(), 40)
    assert [line.split()[-1] for line in said("--yes")[:-1]] == [str(old)]
    assert len([*data_root.glob("ScoreReport-*")]) == 4  # two reports and their records


def test_a_record_without_its_file_does_not_pass_for_the_newest_output(said, data_root) -> None:
    report = Path(tasks.ScoreReport().output().path)
    kept = older(tasks.ScoreReport(), 40)
    gone = older(tasks.ScoreReport(), 20, "123456789abc")
    aged(Path(record(str(gone))), 20)
    gone.unlink()
    for path in (report, Path(record(str(report)))):
        path.unlink()
    assert [line.split()[-1] for line in said("--yes")[:-1]] == [str(gone)]
    assert {path.name for path in data_root.glob("ScoreReport-*")} == {
        kept.name,
        Path(record(str(kept))).name,
    }


def test_what_is_younger_than_seven_days_is_kept(said) -> None:
    kept, gone = older(tasks.CleanFlights(), 6.9), older(tasks.CleanFlights(), 7.1, "b" * 12)
    assert [line.split()[-1] for line in said("--yes")[:-1]] == [str(gone)]
    assert kept.exists()
    assert said("--older-than", "6")[-1] == "1 to delete; --yes deletes"
    assert said("--older-than", "7")[-1] == "0 to delete"


def test_the_newest_output_of_a_task_and_its_parameters_is_kept(said, sample) -> None:
    assert cli.main(["--min-flights", "20"]) == 0
    other = tasks.AirportScores(min_flights=20)
    before = older(other, 30)
    newest = aged(Path(other.output().path), 20)
    current = aged(Path(tasks.AirportScores().output().path), 90)
    deleted = [line.split()[-1] for line in said("--yes")[:-1]]
    assert deleted == [str(before)]
    assert newest.exists()
    assert current.exists()


def test_the_last_output_is_kept_when_the_code_has_changed(said, monkeypatch) -> None:
    path = aged(Path(tasks.CleanFlights().output().path), 30)
    monkeypatch.setattr(tasks.CleanFlights, "__version__", "2", raising=False)
    assert said("--yes") == ["0 deleted"]
    assert path.exists()


def test_dead_attempts_go_when_they_are_old(said, data_root) -> None:
    dead = data_root / f"CleanFlights-{OLD}"
    dead.mkdir()
    (dead / f"part-00000-{'a' * 12}.parquet").write_bytes(b"x" * 2000)
    flights = Path(tasks.CleanFlights().output().path)
    left = flights / f"part-00009-{'c' * 12}.parquet"
    mine = flights / "notes.txt"
    report = Path(f"{tasks.ScoreReport().output().path}-{'d' * 32}")
    for path in (left, mine, report):
        path.write_bytes(b"x")
    assert said("--older-than", "0") == ["0 to delete"]
    for path in (dead, left, mine, report):
        aged(path, 8)
    shown = said("--yes")
    assert [line[:13] for line in shown[:-1]] == ["dead attempt "] * 3
    assert {line.split()[-1] for line in shown[:-1]} == {str(dead), str(left), str(report)}
    assert sum("2 kB" in line for line in shown) == 1
    assert mine.exists()
    assert not dead.exists()


def test_with_a_task_it_is_what_that_task_wrote_whatever_its_age(said) -> None:
    scores = tasks.AirportScores().output()
    kept = older(tasks.AirportScores(), 30)
    assert said("AirportScores", "--min-flights", "11") == ["0 to delete"]
    assert said("AirportScores")[-1] == "1 to delete; --yes deletes"
    assert scores.exists()
    assert said("AirportScores", "--yes")[-1] == "1 deleted"
    assert not Path(scores.path).exists()
    assert kept.exists()
    report = Path(tasks.ScoreReport().output().path)
    assert said("ScoreReport", "--yes")[-1] == "1 deleted"
    assert not report.exists()
    assert said("Pipeline", "--yes") == ["0 deleted"]


def test_it_refuses_while_raw_data_is_missing(said, sample, capsys) -> None:
    path = older(tasks.CleanFlights(), 30)
    shutil.rmtree(sample / "flights")
    salts.forget()
    assert cli.main(["clean", "--yes"]) == 3
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("RawFlights is missing: ")
    assert last == "so nobody can tell what is old; nothing deleted"
    assert path.exists()


def test_raw_data_is_never_deleted(said, sample) -> None:
    assert said("RawFlights", "--yes") == ["0 deleted"]
    assert list(sample.rglob("*.csv"))


def test_what_others_put_beside_the_outputs_is_never_deleted(said, data_root, tmp_path) -> None:
    elsewhere = older(tasks.CleanFlights(), 30).rename(tmp_path / "elsewhere")
    link = data_root / f"CleanFlights-{OLD}"
    link.symlink_to(elsewhere, target_is_directory=True)
    spark = data_root / f"CleanFlights-{'b' * 12}"
    spark.mkdir()
    (spark / "_SUCCESS").touch()
    names = ("CleanFlights-notes", f"CleanFlights-{OLD}-mine", f"OtherFlights-{OLD}")
    others = [data_root / name for name in names]
    for path in others:
        path.mkdir()
    for path in (spark, *others):
        aged(path, 90)
    assert said("--yes", "--older-than", "0") == ["0 deleted"]
    assert all(path.exists() for path in (elsewhere / "_SUCCESS", link, spark, *others))


def test_raw_data_in_the_place_of_an_output_is_never_deleted(said, data_root, monkeypatch) -> None:
    raw = data_root / f"CleanFlights-{OLD}" / "raw"
    shutil.copytree(data_root / "raw", raw)
    monkeypatch.setenv("RAW_ROOT", str(raw))
    aged(raw.parent, 90)
    assert said("--yes", "--older-than", "0") == ["0 deleted"]
    assert raw.exists()


def test_an_output_outside_the_data_root_is_never_deleted(said, tmp_path, monkeypatch) -> None:
    from o_brien_s_flights_b.compose import ParquetTarget, SaltedOutput

    pattern = f"{tmp_path.as_posix()}/{{task}}-{{salt}}"
    monkeypatch.setattr(
        tasks.CleanFlights, "output", SaltedOutput(pattern, target_class=ParquetTarget)
    )
    salts.forget()
    assert cli.main([]) == 0
    path = older(tasks.CleanFlights(), 90)
    assert path.parent == tmp_path
    assert said("--yes") == ["0 deleted"]
    assert said("CleanFlights", "--yes") == ["0 deleted"]
    assert path.exists()


def test_a_relative_path_in_the_data_root_is_ours(said, data_root, monkeypatch) -> None:
    class Note(luigi.Task):
        def output(self) -> luigi.LocalTarget:
            return luigi.LocalTarget("data/note.txt")

    monkeypatch.chdir(data_root.parent)
    (data_root / "note.txt").touch()
    monkeypatch.setattr(tasks, "Note", Note, raising=False)
    monkeypatch.setattr(Note, "__module__", tasks.__name__)
    assert said("Note", "--yes")[-1] == "1 deleted"
    assert not (data_root / "note.txt").exists()


def test_a_task_that_may_be_running_is_not_cleaned(said, capsys) -> None:
    folder = Path(tasks.CleanFlights().output().path)
    (folder / "_SUCCESS").unlink()
    assert cli.main(["clean", "CleanFlights", "--yes"]) == 1
    assert f"{folder} may be written now; clean it when it is a day old" in capsys.readouterr().err
    aged(folder, 2)
    assert said("CleanFlights", "--yes")[-1] == "1 deleted"


def test_a_task_and_an_age_are_not_taken_together(said, capsys) -> None:
    assert cli.main(["clean", "CleanFlights", "--older-than", "30"]) == 2
    assert "leave out --older-than" in capsys.readouterr().err


def test_the_cure_of_a_damaged_dataset_names_its_parameters(said, sample, capsys) -> None:
    assert cli.main(["--min-flights", "20"]) == 0
    healthy = Path(tasks.AirportScores().output().path)
    folder = Path(tasks.AirportScores(min_flights=20).output().path)
    (part,) = folder.glob("part-*")
    part.write_bytes(b"short")
    assert cli.main(["verify"]) == 0
    assert cli.main(["verify", "--min-flights", "20"]) == 1
    words = capsys.readouterr().err.partition("`clean ")[2].partition("`")[0].split()
    assert words == ["AirportScores", "--min-flights=20", "--yes"]
    assert said(*words)[-1] == "1 deleted"
    assert (folder.exists(), healthy.exists()) == (False, True)


def test_a_damaged_manifest_is_named_by_verify_and_left_by_clean(said, capsys) -> None:
    damaged = older(tasks.CleanFlights(), 30)
    (damaged / "_SUCCESS").write_text('{"parts": ', encoding="utf-8")
    gone = older(tasks.CleanFlights(), 30, "b" * 12)
    assert [line.split()[-1] for line in said("--yes")[:-1]] == [str(gone)]
    (Path(tasks.AirportScores().output().path) / "_SUCCESS").write_text("{", encoding="utf-8")
    (part, *_) = Path(tasks.CleanFlights().output().path).glob("part-*")
    part.unlink()
    capsys.readouterr()
    assert cli.main(["verify"]) == 1
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert f"{part.name} is missing" in first
    assert "_SUCCESS is damaged: " in second


def test_what_only_looks_like_an_output_is_never_deleted(said, data_root) -> None:
    thesis = data_root / "CleanFlights-202401311200" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("mine", encoding="utf-8")
    copy = data_root / f"CleanFlights-{'c' * 12}"
    shutil.copytree(tasks.CleanFlights().output().path, copy)  # under another salt than it says
    for path in (thesis.parent, copy):
        aged(path, 90)
    assert said("--yes") == ["0 deleted"]
    assert thesis.exists()
    assert copy.exists()


def test_an_output_that_climbs_out_of_the_data_root_is_never_deleted(said, monkeypatch) -> None:
    from o_brien_s_flights_b.compose import ParquetTarget, SaltedOutput

    output = SaltedOutput("../{task}-{salt}", target_class=ParquetTarget)
    monkeypatch.setattr(tasks.CleanFlights, "output", output)
    salts.forget()
    assert cli.main([]) == 0
    path = aged(Path(tasks.CleanFlights().output().path), 90)
    assert said("CleanFlights", "--yes") == ["0 deleted"]
    assert path.exists()


def test_an_output_that_is_a_link_is_never_deleted(said, tmp_path) -> None:
    path = Path(tasks.CleanFlights().output().path)
    elsewhere = shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(elsewhere, target_is_directory=True)
    assert said("CleanFlights", "--yes") == ["0 deleted"]
    assert (elsewhere / "_SUCCESS").exists()


def test_an_attempt_is_as_old_as_its_last_part(said) -> None:
    flights = Path(tasks.CleanFlights().output().path)
    first, last = (flights / f"part-0000{n}-{'e' * 12}.parquet" for n in (7, 8))
    for path in (first, last):
        path.write_bytes(b"x")
    aged(first, 30)
    assert said("--yes") == ["0 deleted"]
    aged(last, 30)
    assert said("--yes")[-1] == "2 deleted"


def test_a_name_with_brackets_on_object_storage_stands_for_itself_alone() -> None:
    fs = fsspec.filesystem("memory")
    for name in ("mine[12]/Old/_SUCCESS", "mine[12]/Old/part", "mine1/Old/part", "mine2/Old"):
        fs.pipe_file(f"/clean/{name}", b"x")
    clean.Useless("memory://clean/mine[12]/Old", "old output", 2, datetime.now(UTC)).remove()
    assert fs.find("/clean") == ["/clean/mine1/Old/part", "/clean/mine2/Old"]
