"""The commands: what they print, how they end, and how they refuse what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import luigi
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baking import clean_environ, run
from conftest import PACKAGE, Project
from o_brien_s_flights_b import cli, tasks
from o_brien_s_flights_b.compose import (
    ParquetTarget,
    Requirement,
    Requires,
    SaltedOutput,
    TargetOutput,
    build,
    commit,
    errors,
    salts,
    tables,
)

STATUS = """\
task                           state     rows    size  age  salt
RawFlights                     complete        246 kB       {RawFlights}
RawAirports                    complete        104 kB       {RawAirports}
CleanFlights                   to run                       {CleanFlights}
AirportScores(min_flights=10)  to run                       {AirportScores}
ScoreReport(min_flights=10)    to run                       {ScoreReport}
Pipeline(min_flights=10)       to run                       {Pipeline}
"""
PRIVATE = """

class Private(Stage):
    schema = schemas.CLEAN_FLIGHTS
    flights = Requirement(CleanFlights)
    token = luigi.Parameter("s3cr3t", visibility=luigi.parameter.ParameterVisibility.PRIVATE)

    def transform(self, flights):
        return flights
"""
RESULT = """\
dest  name                    lat      lon  flights  mean_delay  on_time   score
PHL   Philadelphia Intl     39.87   -75.24       13      -10.69     1.00  100.00
PDX   Portland Intl         45.59  -122.60       11      -15.18     0.91   90.91
SLC   Salt Lake City Intl   40.79  -111.98       21      -18.90     0.90   90.48
BOS   General Edward Lawr…  42.36   -71.01       81       -6.80     0.90   90.12
"""


@pytest.fixture
def add_task(monkeypatch):
    """Puts a task of the test among the package's own."""

    def add(cls: type[luigi.Task]) -> type[luigi.Task]:
        cls.__module__ = f"{PACKAGE}.tasks"
        if "__version__" not in vars(cls):
            cls.__version__ = "1"
        monkeypatch.setattr(tasks, cls.__name__, cls, raising=False)
        return cls

    return add


def salts_of(json_text: str) -> dict[str, str]:
    return {row["task"]: row["salt"] for row in json.loads(json_text)}


def test_a_run_says_what_ran_and_shows_the_result_as_written(sample, capsys) -> None:
    assert cli.main([]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "done    CleanFlights",
        "done    AirportScores(min_flights=10)",
        "done    ScoreReport(min_flights=10)",
    ]
    assert re.match(r"3 ran, 2 were complete; 2,711 rows; \d+\.\d s\n", said.out)
    assert "AirportScores(min_flights=10): 10 of 52 rows in " in said.out
    assert RESULT in said.out
    assert re.search(r"\nScoreReport\(min_flights=10\): \S+\.html\n$", said.out)
    assert max(map(len, RESULT.splitlines())) <= 80


def test_parameters_may_follow_without_the_word_run(sample, capsys) -> None:
    assert cli.main(["--min-flights", "100"]) == 0
    assert "AirportScores(min_flights=100): 6 rows in " in capsys.readouterr().out


def test_one_task_can_be_run_with_its_parameters(sample, capsys) -> None:
    assert cli.main(["run", "AirportScores", "--min-flights=120"]) == 0
    said = capsys.readouterr()
    assert "ScoreReport" not in said.err
    assert "AirportScores(min_flights=120): " in said.out


def test_a_dry_run_runs_nothing(sample, data_root, capsys) -> None:
    assert cli.main(["--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "would run  CleanFlights",
        "would run  AirportScores(min_flights=10)",
        "would run  ScoreReport(min_flights=10)",
    ]
    assert {path.name for path in data_root.iterdir()} <= {"raw", ".fingerprints.json"}
    assert cli.main([]) == 0
    capsys.readouterr()
    assert cli.main(["--dry-run"]) == 0
    assert capsys.readouterr().out == "nothing would run\n"


def test_several_workers_give_the_same(new_project: Project) -> None:
    done = new_project.run("run", "--workers", "2")
    assert done.stderr.count("done    ") == 3
    assert RESULT in done.stdout


def test_force_runs_a_task_and_what_depends_on_it_again(sample, data_root, capsys) -> None:
    assert cli.main([]) == 0
    before = {p.parent.name: p.read_text() for p in data_root.glob("*/_SUCCESS")}
    capsys.readouterr()
    assert cli.main(["run", "--force", "AirportScores"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "done    AirportScores(min_flights=10)",
        "done    ScoreReport(min_flights=10)",
    ]
    after = {p.parent.name: p.read_text() for p in data_root.glob("*/_SUCCESS")}
    changed = [name for name in after if after[name] != before[name]]
    assert [name.partition("-")[0] for name in changed] == ["AirportScores"]
    assert len(list((data_root / changed[0]).iterdir())) == 2


def test_a_forced_run_that_fails_keeps_what_stood(sample, data_root, monkeypatch) -> None:
    assert cli.main([]) == 0
    before = {path: path.stat().st_mtime_ns for path in data_root.rglob("*") if path.is_file()}
    monkeypatch.setattr(tasks.AirportScores, "transform", lambda self, **frames: 1 / 0)
    assert cli.main(["run", "--force", "AirportScores"]) == 1
    luigi.task_register.Register.clear_instance_cache()
    assert {
        path: path.stat().st_mtime_ns for path in data_root.rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--force", "RawFlights"], "RawFlights is external data; only others can make it"),
        (
            ["CleanFlights", "--force", "ScoreReport"],
            "nothing here needs ScoreReport; leave out --force",
        ),
    ],
)
def test_what_cannot_be_forced_is_wrong_usage(sample, capsys, arguments, said) -> None:
    assert cli.main(["run", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_what_a_complete_task_was_made_from_is_made_again(sample, data_root, capsys) -> None:
    assert cli.main([]) == 0
    (clean,) = data_root.glob("CleanFlights-*")
    shutil.rmtree(clean)
    capsys.readouterr()
    assert cli.main(["run", "ScoreReport"]) == 0
    said = capsys.readouterr()
    assert said.err == "done    CleanFlights\n"
    assert "1 ran, 4 were complete" in said.out


def test_an_unsalted_dataset_is_made_again_when_it_changes(sample, data_root, add_task, capsys):
    @add_task
    class Middle(tasks.CleanFlights):
        output = TargetOutput("middle", target_class=ParquetTarget)

    @add_task
    class Last(tasks.CleanFlights):
        raw = Requirement(Middle)

        def transform(self, raw):
            return raw

    assert cli.main(["run", "Last"]) == 0
    day = sample / "flights" / "2013-01-03.csv"
    day.write_text("\n".join(day.read_text().splitlines()[:3]))
    salts.forget()
    capsys.readouterr()
    assert cli.main(["run", "Last"]) == 0
    assert capsys.readouterr().err == "done    Middle\ndone    Last\n"
    assert cli.main(["run", "Last"]) == 0
    assert capsys.readouterr().err == ""


def test_a_parameter_named_like_an_option_gives_way(add_task, sample, capsys) -> None:
    @add_task
    class Busy(luigi.ExternalTask):
        workers = luigi.IntParameter(default=3)
        output = TargetOutput("raw/x")

    assert cli.main(["--workers", "1", "--dry-run"]) == 0
    assert cli.main(["run", "Busy", "--dry-run"]) == 3
    capsys.readouterr()
    assert cli.main(["run", "Busy", "--workers", "5"]) == 2
    said = "--workers is an option of run and a parameter of Busy; rename the parameter"
    assert capsys.readouterr().err == f"Error: {said}\n"


def test_no_control_character_reaches_the_terminal() -> None:
    assert tables.printable("\x1b]0;x\x07") == "?]0;x?"


def test_no_password_of_an_address_is_shown() -> None:
    error = RuntimeError("no answer from http://me:hunter2@host:1/")
    assert errors.sentence(error) == "RuntimeError: no answer from http://host:1/"


def test_forcing_asks_for_an_output_that_tells_when_it_was_written(add_task, capsys) -> None:
    class Table(luigi.Target):
        def __init__(self, path: str) -> None:
            self.path = path

        def exists(self) -> bool:
            return True

    @add_task
    class Load(luigi.Task):
        output = TargetOutput("x", target_class=Table)

    assert cli.main(["run", "Load", "--force", "Load"]) == 2
    assert "nobody can tell when" in capsys.readouterr().err


def test_a_file_can_be_forced(add_task, capsys, data_root) -> None:
    @add_task
    class Note(luigi.Task):
        output = TargetOutput("note", target_class=luigi.LocalTarget)

        def run(self) -> None:
            with self.output().open("w") as file:
                file.write("x")

    for arguments in (["run", "Note"], ["run", "Note", "--force", "Note"]):
        assert cli.main(arguments) == 0
        assert capsys.readouterr().err == "done    Note\n"
    assert (data_root / "note.txt").read_text() == "x"


def test_status_is_a_table_of_every_task(sample, capsys) -> None:
    assert cli.main(["status", "--json"]) == 0
    salts = salts_of(capsys.readouterr().out)
    assert cli.main(["status"]) == 0
    table = capsys.readouterr().out
    assert table == STATUS.format(**salts)
    assert max(map(len, table.splitlines())) <= 80


def test_status_gives_json(sample, data_root, capsys) -> None:
    assert cli.main([]) == 0
    capsys.readouterr()
    assert cli.main(["status", "--json"]) == 0
    rows = {row["task"]: row for row in json.loads(capsys.readouterr().out)}
    scores = rows["AirportScores"]
    assert list(scores) == [
        *("task", "task_id", "params", "salt", "path", "complete", "rows", "bytes")
    ]
    assert scores["params"] == {"min_flights": "10"}
    assert scores["path"] == str(data_root / f"AirportScores-{scores['salt']}")
    assert (scores["complete"], scores["rows"]) == (True, 52)
    assert scores["task_id"] == tasks.AirportScores().task_id
    report = Path(rows["ScoreReport"]["path"])
    assert rows["ScoreReport"]["bytes"] == report.stat().st_size
    assert rows["RawFlights"]["bytes"] == sum(p.stat().st_size for p in sample.glob("flights/*"))
    assert rows["Pipeline"]["path"] is None


def test_status_check_ends_with_1_when_something_is_not_complete(sample) -> None:
    assert cli.main(["status"]) == 0
    assert cli.main(["status", "--check"]) == 1
    assert cli.main([]) == 0
    assert cli.main(["status", "--check"]) == 0


def test_missing_raw_data_ends_with_3_and_each_is_named(data_root, capsys) -> None:
    assert cli.main([]) == 3
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"Raw{name} is missing: no file fits {data_root}/raw/{name.lower()}/*.csv; "
        "put the raw data there"
        for name in ("Flights", "Airports")
    ]
    assert "0 ran, 0 were complete, 5 did not run" in said.out
    assert cli.main(["--dry-run"]) == 3
    assert cli.main(["status"]) == 0
    assert "RawFlights                     missing" in capsys.readouterr().out


def test_other_kinds_of_missing_data_are_named(add_task, data_root, capsys) -> None:
    @add_task
    class File(luigi.ExternalTask):
        output = TargetOutput("raw/file")

    @add_task
    class Flagged(luigi.ExternalTask):
        output = TargetOutput("raw/flagged", target_class=ParquetTarget)

    assert cli.main(["run", "File"]) == cli.main(["run", "Flagged"]) == 3
    assert capsys.readouterr().err.splitlines() == [
        f"File is missing: {data_root}/raw/file.txt is not there",
        f"Flagged is missing: there is no {data_root}/raw/flagged/_SUCCESS",
    ]


def test_a_failed_task_is_one_sentence_with_the_line_at_fault(sample, capsys, monkeypatch) -> None:
    monkeypatch.setattr(tasks.transforms, "LATE", "soon")
    assert cli.main([]) == 1
    said = capsys.readouterr()
    line, inputs = said.err.splitlines()
    assert re.match(r"failed  CleanFlights: \w+: .* \(transforms.py, line \d+\)$", line)
    assert inputs == f"        from RawFlights: {sample / 'flights'}"
    assert "0 ran, 2 were complete, 1 failed (CleanFlights), 2 did not run" in said.out


def test_malformed_raw_data_ends_with_1_and_names_file_column_and_line(sample, capsys) -> None:
    day = sample / "flights" / "2013-01-02.csv"
    lines = day.read_text().splitlines()
    lines[4] = lines[4].replace("2013-01-02T10:00:00Z", "soon")
    day.write_text("\n".join(lines))
    assert cli.main([]) == 1
    line, _ = capsys.readouterr().err.splitlines()
    assert line.startswith(f"failed  CleanFlights: {day}, column 'time_hour', line 5: ")


def test_a_frame_that_does_not_fit_its_schema_ends_with_1_before_data_is_read(
    sample, capsys, monkeypatch
) -> None:
    def transform(self, raw):
        return raw.map_partitions(lambda part: 1 / 0, meta=raw._meta)

    monkeypatch.setattr(tasks.CleanFlights, "transform", transform)
    assert cli.main([]) == 1
    assert capsys.readouterr().err.startswith(
        "failed  CleanFlights: the frame does not fit the schema: the column 'late' is missing"
    )


def test_raw_data_that_changes_while_a_stage_runs_is_refused(sample, capsys, monkeypatch) -> None:
    transform = tasks.CleanFlights.transform

    def meanwhile(self, raw):
        with (sample / "flights" / "2013-01-02.csv").open("a") as file:
            file.write("\n")
        return transform(self, raw)

    monkeypatch.setattr(tasks.CleanFlights, "transform", meanwhile)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == (
        "failed  CleanFlights: RawFlights changed while CleanFlights was computed: "
        "2013-01-02.csv; nothing committed; run again\n"
        f"        from RawFlights: {sample / 'flights'}\n"
    )
    monkeypatch.undo()


def test_a_task_without_an_output_runs_until_it_says_that_it_is_complete(add_task, capsys) -> None:
    @add_task
    class Said(luigi.Task):
        done = False

        def complete(self) -> bool:
            return self.done

        def run(self) -> None:
            self.done = True

    assert cli.main(["run", "Said"]) == 0
    assert capsys.readouterr().err == "done    Said\n"
    assert cli.main(["run", "Said"]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_that_another_program_wrote_is_shown_too(add_task, capsys) -> None:
    @add_task
    class Foreign(luigi.Task):
        output = TargetOutput("foreign", target_class=ParquetTarget)

        def run(self) -> None:
            folder = Path(self.output().path)
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"x": [1, 2]}), folder / "part.parquet")
            (folder / "_SUCCESS").touch()

    assert cli.main(["run", "Foreign"]) == 0
    assert "Foreign: 2 rows in " in capsys.readouterr().out


def test_a_scheduler_that_cannot_be_reached_is_a_sentence(new_project: Project) -> None:
    done = new_project.run(LUIGI_SCHEDULER_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == (
        "no luigid answers at http://127.0.0.1:9; start it, or empty LUIGI_SCHEDULER_URL\n"
    )


def test_a_task_that_writes_nothing_fails(add_task, capsys) -> None:
    @add_task
    class Idle(luigi.Task):
        requires = Requires()
        output = SaltedOutput()

    assert cli.main(["run", "Idle"]) == 1
    assert "failed  Idle: TaskException: Task finished running, but complete() is" in (
        capsys.readouterr().err
    )


def test_a_worker_that_dies_is_a_failed_task(add_task, capfd) -> None:
    @add_task
    class Doomed(luigi.Task):
        output = SaltedOutput()

        def run(self) -> None:
            os._exit(9)

    assert cli.main(["run", "Doomed", "--workers", "2"]) == 1
    assert "failed  Doomed: died unexpectedly with exit code 9" in capfd.readouterr().err


def test_an_interrupt_ends_with_130(sample, monkeypatch, capsys) -> None:
    def interrupt(self, raw):
        raise KeyboardInterrupt

    monkeypatch.setattr(tasks.CleanFlights, "transform", interrupt)
    assert cli.main([]) == 130
    said = capsys.readouterr().err
    assert said.startswith("interrupted; complete: none; not: CleanFlights, AirportScores(min_")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "Nothing"], "There is no task 'Nothing'; there are RawFlights, RawAirports, "),
        (["run", "--force", "Nothing"], "There is no task 'Nothing'"),
        (["statsu"], "No such command 'statsu'"),
        (["run", "--min-flihgts", "3"], "No such option"),
        (
            ["--min-flights", "few"],
            "min_flights is 'few', which is no IntParameter: invalid literal",
        ),
        (
            ["run", "CleanFlights", "--min-flights", "3"],
            "CleanFlights has no parameter 'min_flights'; it has none",
        ),
        (["run", "--workers", "0"], "Invalid value for '--workers'"),
        (["run", "Needs"], "Needs needs --day"),
        (
            ["run", "Needs", "--day", "few", "--min-flights", "3"],
            "Needs has no parameter 'min_flights'; it has day; day is 'few', which is no Int",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(add_task, capsys, arguments, said) -> None:
    @add_task
    class Needs(luigi.Task):
        day = luigi.IntParameter()

    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Error: ")
    assert said in captured.err.splitlines()[0]
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_flag_takes_a_value_or_none(add_task, capsys) -> None:
    @add_task
    class Flagged(luigi.ExternalTask):
        flag = luigi.BoolParameter()
        output = TargetOutput("raw/{task.flag}")

    cli.main(["run", "Flagged", "--flag"])
    cli.main(["run", "Flagged", "--flag", "false"])
    said = capsys.readouterr().err
    assert ["raw/True.txt" in line for line in said.splitlines()] == [True, False]


def test_help_names_the_commands_and_parameters(capsys) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.main(["run", "--help"]) == 0
    said = capsys.readouterr().out
    assert "status" in said
    assert re.search(r"--min-flights TEXT\s+leave out destinations with fewer flights", said)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DATA_ROOT": ""}, "DATA_ROOT is empty; name a folder or a URL, or remove the variable"),
        (
            {"LOG_LEVEL": "LOUD", "RAW_ROOT": " "},
            "LOG_LEVEL is malformed; give DEBUG, INFO, WARNING or ERROR",
        ),
        ({"LOG_LEVEL": "LOUD", "RAW_ROOT": " "}, "RAW_ROOT is empty"),
        *(
            ({"DATA_ROOT": root}, "DATA_ROOT is no whole URL; give s3://BUCKET/FOLDER or")
            for root in ("s3://", "gs:///x", "az:x/y", "file:/x", "memory:x")
        ),
        (
            {"DASK_NUM_WORKERS": "two"},
            "DASK_NUM_WORKERS is malformed; give a number of threads or nothing",
        ),
        (
            {"LUIGI_SCHEDULER_URL": "localhost"},
            "LUIGI_SCHEDULER_URL is malformed; give http://HOST:PORT or nothing",
        ),
    ],
)
@pytest.mark.parametrize("command", ["run", "status"])
def test_wrong_variables_end_with_2_and_all_are_named(command, environ, said, monkeypatch, capsys):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.main([command]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_data_root_on_storage_that_cannot_commit_is_refused_with_a_sentence(
    sample, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("RAW_ROOT", str(sample))
    monkeypatch.setenv("DATA_ROOT", "memory://bucket")
    monkeypatch.setattr(commit, "_CREATE_ONLY", {"s3"})
    assert cli.main([]) == 1
    line, _ = capsys.readouterr().err.splitlines()
    assert line.startswith("failed  CleanFlights: memory://bucket/CleanFlights-")
    assert "is on a file system (memory) that cannot create a file only if it is absent" in line


def test_a_root_that_cannot_be_written_is_a_sentence(sample, monkeypatch, capsys) -> None:
    monkeypatch.setenv("RAW_ROOT", str(sample))
    monkeypatch.setenv("DATA_ROOT", "/proc/nowhere")
    assert cli.main([]) == 1
    line, _ = capsys.readouterr().err.splitlines()
    assert line.startswith("failed  CleanFlights: ")
    assert "/proc/nowhere" in line


def test_tasks_that_cannot_be_imported_are_told_in_a_sentence(new_project: Project) -> None:
    new_project.edit(
        "tasks.py", "raw = Requirement(RawFlights)", "priority = Requirement(RawFlights)"
    )
    done = new_project.run()
    assert done.returncode == 2
    assert (
        "CleanFlights.priority is refused: 'priority' is an attribute of luigi.Task" in done.stderr
    )
    assert "Traceback" not in done.stderr
    new_project.edit("transforms.py", "LATE = 15", "LATE = = 15")
    done = new_project.run("status")
    assert done.returncode == 2
    assert (
        "The tasks cannot be imported: SyntaxError: invalid syntax (transforms.py, line"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert "Traceback" in new_project.run("status", LOG_LEVEL="DEBUG").stderr


def test_a_file_of_the_package_that_is_run_names_the_right_command(new_project: Project) -> None:
    main = str(new_project.package / "__main__.py")
    done = run([sys.executable, main], cwd=new_project.path.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"In {new_project.path}, run: python -m {PACKAGE}\n"


def test_a_relative_root_lies_in_the_project_and_env_overrides_nothing(
    new_project: Project,
) -> None:
    (new_project.path / ".env").write_text(
        "DATA_ROOT=elsewhere\nRAW_ROOT=data/raw\nOTHER=ƒ\n", "utf-8"
    )
    environ = clean_environ(PYTHONPATH=str(new_project.path))
    command = [sys.executable, "-m", PACKAGE, "status", "--json"]
    done = run(command, cwd=new_project.path.parent, env=environ)
    scores = json.loads(done.stdout)[3]
    assert Path(scores["path"]).parent == new_project.path / "elsewhere"
    done = run(command, cwd=new_project.path.parent, env=environ | {"DATA_ROOT": "there"})
    assert Path(json.loads(done.stdout)[3]["path"]).parent == new_project.path / "there"


def test_the_example_environment_changes_nothing(new_project: Project) -> None:
    before = new_project.status()
    (new_project.path / ".env.example").rename(new_project.path / ".env")
    assert new_project.status() == before


def test_luigis_own_command_line_keeps_working(new_project: Project) -> None:
    command = [sys.executable, "-m", "luigi", "--module", f"{PACKAGE}.tasks", "Pipeline"]
    done = run(
        [*command, "--local-scheduler"], cwd=new_project.path, env=clean_environ(PYTHONPATH=".")
    )
    assert done.returncode == 0
    assert "This progress looks :)" in done.stderr
    assert new_project.ran() == set()
    new_project.edit("transforms.py", "LATE = 15", "LATE = 16")
    why = new_project.run("why", "ScoreReport").stdout  # which has no manifest of its own
    assert why.startswith("ScoreReport runs because the code of transforms.LATE changed"), why


@pytest.mark.parametrize("workers", [1, 2])
def test_no_log_shows_a_private_parameter(new_project: Project, workers) -> None:
    with (new_project.package / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(PRIVATE)
    done = new_project.run("run", "Private", f"--workers={workers}", LOG_LEVEL="DEBUG")
    assert done.returncode == 0
    assert "running   Private" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr


def test_luigis_own_log_is_there_when_it_is_asked_for(new_project: Project) -> None:
    done = new_project.run(LOG_LEVEL="INFO")
    assert "luigi-interface: " in done.stderr
    assert "Columns that the schema does not name: air_time, arr_time" in done.stderr


def test_luigi_log_levels_follow_the_environment(monkeypatch) -> None:
    import logging

    for level, expected in (("DEBUG", "DEBUG"), ("ERROR", "CRITICAL")):
        monkeypatch.setenv("LOG_LEVEL", level)
        build.log()
        assert logging.getLevelName(logging.getLogger("luigi-interface").level) == expected


def test_storage_options_of_an_env_file_reach_fsspec(monkeypatch, tmp_path) -> None:
    import fsspec.config
    from o_brien_s_flights_b import settings

    (tmp_path / ".env").write_text("FSSPEC_S3_REQUESTER_PAYS=true\n", encoding="utf-8")
    monkeypatch.setattr(settings, "PROJECT", tmp_path)
    monkeypatch.setattr(fsspec.config, "conf", {})
    monkeypatch.setenv("FSSPEC_S3_REQUESTER_PAYS", "")  # so that it is put back afterwards
    monkeypatch.delenv("FSSPEC_S3_REQUESTER_PAYS")
    settings.load()
    assert fsspec.config.conf == {"s3": {"requester_pays": True}}


@pytest.mark.parametrize(
    ("given", "data_root", "raw_root"),
    [
        ("memory://b/p/", "memory://b/p", "memory://b/p/raw"),
        ("memory://b//p//", "memory://b/p", "memory://b/p/raw"),
        ("memory://", "memory://", "memory:///raw"),
    ],
)
def test_a_root_may_end_in_a_slash(monkeypatch, given, data_root, raw_root) -> None:
    from o_brien_s_flights_b import settings

    monkeypatch.setenv("DATA_ROOT", given)
    assert settings.load().data_root == data_root
    assert settings.load().raw_root == raw_root


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_a_url_of_a_local_folder_is_that_folder(sample, monkeypatch, tmp_path, scheme) -> None:
    from o_brien_s_flights_b import settings

    monkeypatch.setenv("RAW_ROOT", sample.as_uri())
    monkeypatch.setenv("DATA_ROOT", f"{scheme}://{(tmp_path / 'here').as_posix()}")
    assert settings.load().data_root == str(tmp_path / "here")
    assert cli.main(["run", "CleanFlights"]) == 0


def test_a_log_in_every_detail_shows_no_credentials(sample, monkeypatch, capsys) -> None:
    import logging

    monkeypatch.setattr(logging.root, "level", logging.NOTSET)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert cli.main(["status"]) == 0
    assert logging.getLogger(cli.__name__).isEnabledFor(logging.DEBUG)
    for name in ("botocore.auth", "aiobotocore", "urllib3"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
