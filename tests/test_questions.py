"""What the graph answers: how it looks, why a task would run, and what Dask reads for it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import luigi
import pyarrow as pa
import pytest
from conftest import Project
from o_brien_s_flights_b import cli, tasks
from o_brien_s_flights_b.compose import (
    LocalTargetOutput,
    ParquetTarget,
    RequirementList,
    Requires,
    Stage,
    TargetOutput,
    draw,
    salts,
    tables,
)
from o_brien_s_flights_b.compose.graph import walk

TREE = """\
Pipeline  to run
├── RawFlights  complete
├── RawAirports  complete
├── CleanFlights  to run
│   └── RawFlights (above)  complete
├── AirportScores  to run
│   ├── CleanFlights (above)  to run
│   └── RawAirports (above)  complete
└── ScoreReport  to run
    └── AirportScores (above)  to run
"""
MERMAID = """\
graph TD
    RawFlights[("RawFlights: complete")]:::complete
    RawAirports[("RawAirports: complete")]:::complete
    CleanFlights["CleanFlights: to run"]:::torun
    AirportScores["AirportScores: to run"]:::torun
    ScoreReport["ScoreReport: to run"]:::torun
    Pipeline["Pipeline: to run"]:::torun
    RawFlights --> CleanFlights
    CleanFlights & RawAirports --> AirportScores
    AirportScores --> ScoreReport
    RawFlights & RawAirports & CleanFlights & AirportScores & ScoreReport -.-> Pipeline
    classDef complete stroke:green,stroke-width:2px
    classDef torun stroke:magenta,stroke-width:2px
    classDef missing stroke:red,stroke-width:2px
"""
DOT = """\
digraph {
    "RawFlights" [label="RawFlights", shape=cylinder]
    "CleanFlights" [label="CleanFlights", shape=box]
    "RawAirports" [label="RawAirports", shape=cylinder]
    "AirportScores" [label="AirportScores", shape=box]
    "RawFlights" -> "CleanFlights"
    "CleanFlights" -> "AirportScores"
    "RawAirports" -> "AirportScores"
}
"""
EXPLAINED = """\
AirportScores(min_flights=10) writes 1 partition
reads RawAirports: 1 partition
  columns  faa, name, lat, lon
reads CleanFlights: 1 partition
  columns  dest, arr_delay, late
expression, the last step first
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What a command prints, in a process that remembers nothing."""
    luigi.task_register.Register.clear_instance_cache()
    salts.forget()
    capsys.readouterr()
    assert cli.main(arguments) == status
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


class Day(luigi.Task):
    __version__ = "1"
    day: luigi.IntParameter = luigi.IntParameter()
    kind: luigi.Parameter = luigi.Parameter(default='<script>"&\\\x1b[31m')
    output = LocalTargetOutput("{task}-{task.day}.txt")


class Week(luigi.WrapperTask):
    __version__ = "1"
    requires = Requires()
    days = RequirementList(Day, day=lambda task: [1, 2])


def test_the_tree_shows_what_is_complete_and_draws_what_is_shared_once(sample, capsys) -> None:
    assert said(capsys, "graph") == TREE
    assert cli.main([]) == 0
    assert said(capsys, "graph") == TREE.replace("to run", "complete")
    (sample / "airports" / "airports.csv").unlink()
    after = said(capsys, "graph", "AirportScores")
    assert after.splitlines()[0] == "AirportScores  to run"
    assert after.splitlines()[-1] == "└── RawAirports  missing"


def test_the_tree_has_no_colour_when_piped_and_one_on_a_terminal(
    sample, capsys, monkeypatch
) -> None:
    assert "\x1b" not in said(capsys, "graph")
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *about: False)
    assert "RawFlights  \x1b[32mcomplete" in said(capsys, "graph")


def test_mermaid_and_dot_show_the_same(sample, capsys) -> None:
    assert said(capsys, "graph", "--format", "mermaid") == MERMAID
    assert said(capsys, "graph", "AirportScores", "--format", "dot", "--plain") == DOT
    with_states = said(capsys, "graph", "--format=dot")
    assert '"CleanFlights" [label="CleanFlights: to run", shape=box, color=magenta]' in with_states
    assert '"CleanFlights" -> "Pipeline" [style=dotted]' in with_states


def test_parameters_are_shown_where_they_tell_tasks_apart_and_mean_nothing_to_the_format() -> None:
    graph = [*walk(Week())]
    states = dict.fromkeys((task for task, _ in graph), "to run")
    lines = [*draw.mermaid(graph, states)]
    assert lines[1:4] == [
        '    task0["Day(day=1): to run"]:::torun',
        '    task1["Day(day=2): to run"]:::torun',
        '    Week["Week: to run"]:::torun',
    ]
    hostile = [*walk(Day(day=1)), *walk(Day(day=1, kind="x"))]
    assert [*draw.mermaid(hostile, {})][1] == (
        '    task0["Day(kind=#60;script#62;#34;#38;#92;#63;#91;31m)"]'
    )
    assert r'label="Day(kind=<script>\"&\\?[31m)"' in [*draw.dot(hostile, {})][1]


def test_a_deep_graph_goes_on_below_within_80_columns() -> None:
    class Link(luigi.Task):
        __version__ = "1"
        number: luigi.IntParameter = luigi.IntParameter()

        def requires(self):
            return [Link(number=self.number - 1)] if self.number else []

    lines = [*draw.text([*walk(Link(number=100))], {})]
    assert max(map(len, lines)) <= 80
    drawn = [line.strip(" └─") for line in lines if "(below)" not in line]
    assert drawn == [f"Link(number={number})" for number in range(100, -1, -1)]


@pytest.mark.parametrize("command", ["graph", "why", "explain"])
@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["Nope"], "There is no task 'Nope'; there are RawFlights, RawAirports, CleanFlights"),
        (["CleanFlights", "--min-flights=3"], "CleanFlights has no parameter 'min_flights'"),
        (["AirportScores", "--min-flights=x"], "min_flights is 'x', which is no IntParameter"),
    ],
)
def test_an_unknown_task_or_parameter_is_named(command, arguments, fault, capsys) -> None:
    assert cli.main([command, *arguments]) == 2
    captured = capsys.readouterr()
    assert fault in captured.err
    assert captured.out == ""


def test_why_says_what_has_never_run_what_is_complete_and_what_is_missing(sample, capsys) -> None:
    never = "CleanFlights has never run\nAirportScores has never run\nScoreReport has never run\n"
    assert said(capsys, "why") == never + "2 are complete\n"
    assert cli.main([]) == 0
    assert said(capsys, "why") == "5 are complete\n"
    assert said(capsys, "why", "CleanFlights") == "CleanFlights is complete\n"
    (sample / "airports" / "airports.csv").unlink()
    assert (
        said(capsys, "why", "AirportScores", status=3)
        .splitlines()[0]
        .startswith("RawAirports is missing: ")
    )
    missing = said(capsys, "why", status=3).splitlines()
    assert missing[0] == (
        f"RawAirports is missing: no file fits {sample}/airports/*.csv; put the raw data there"
    )
    assert missing[1] == ("AirportScores runs because RawAirports changed: airports.csv (removed)")


def test_why_names_the_raw_files_that_changed(sample, capsys) -> None:
    assert cli.main([]) == 0
    first, _, third = sorted((sample / "flights").iterdir())
    os.utime(first)
    assert said(capsys, "why") == "5 are complete\n"
    lines = first.read_text().splitlines(keepends=True)
    first.write_text("".join(lines[:-1]))
    (sample / "flights" / "new.csv").write_text("".join(lines))
    third.unlink()
    because = (
        f"because RawFlights changed: {first.name} (modified), {third.name} (removed), "
        "new.csv (new)"
    )
    assert said(capsys, "why").splitlines() == [
        f"CleanFlights runs {because}",
        f"AirportScores runs {because}, through CleanFlights",
        f"ScoreReport runs {because}, through CleanFlights and AirportScores",
        "2 are complete",
    ]


def test_why_names_five_of_many_files(sample, capsys) -> None:
    assert cli.main(["run", "CleanFlights"]) == 0
    text = next((sample / "flights").iterdir()).read_text()
    for number in range(8):
        (sample / "flights" / f"more-{number}.csv").write_text(text)
    files = ", ".join(f"more-{number}.csv (new)" for number in range(5))
    assert said(capsys, "why", "CleanFlights") == (
        f"CleanFlights runs because RawFlights changed: {files} and 3 more\n"
    )


def test_why_names_a_parameter_once(sample, capsys) -> None:
    assert cli.main([]) == 0
    assert said(capsys, "why", "AirportScores", "--min-flights=20") == (
        "AirportScores runs because min_flights is 20 (was 10)\n"
    )
    assert said(capsys, "why", "--min-flights=20").splitlines() == [
        "AirportScores runs because min_flights is 20 (was 10)",
        "ScoreReport runs because min_flights is 20 (was 10)",
        "3 are complete",
    ]


def test_why_compares_with_an_output_of_the_same_parameters_if_there_is_one(sample, capsys) -> None:
    for number in ("10", "20"):
        assert cli.main(["run", "AirportScores", "--min-flights", number]) == 0
    (sample / "airports" / "more.csv").write_text("faa,name,lat,lon\nXXX,Nowhere,1,2\n")
    assert said(capsys, "why", "AirportScores") == (
        "AirportScores runs because RawAirports changed: more.csv (new)\n"
    )


def test_why_names_the_root_cause_first(sample, capsys) -> None:
    assert cli.main([]) == 0
    (sample / "airports" / "more.csv").write_text("faa,name,lat,lon\nXXX,Nowhere,1,2\n")
    assert said(capsys, "why", "ScoreReport", "--min-flights=20") == (
        "ScoreReport runs because RawAirports changed: more.csv (new), through AirportScores; "
        "min_flights is 20 (was 10)\n"
    )


def test_why_names_an_output_that_is_gone(sample, data_root, capsys) -> None:
    assert cli.main([]) == 0
    (scores,) = data_root.glob("AirportScores-*")
    shutil.rmtree(scores)
    expected = f"AirportScores runs because its output is gone: {scores}\n"
    assert said(capsys, "why", "AirportScores") == expected
    (report,) = data_root.glob("ScoreReport-*.html")
    report.unlink()
    assert said(capsys, "why").splitlines() == [
        expected.strip(),
        f"ScoreReport runs because its output is gone: {report}",
        "3 are complete",
    ]


def test_why_compares_with_an_output_that_is_replaced(sample, monkeypatch, capsys) -> None:
    output = TargetOutput("fixed/flights", target_class=ParquetTarget)
    monkeypatch.setattr(tasks.CleanFlights, "output", output)
    assert said(capsys, "why", "CleanFlights") == "CleanFlights has never run\n"
    assert cli.main(["run", "CleanFlights"]) == 0
    min((sample / "flights").iterdir()).unlink()
    assert said(capsys, "why", "CleanFlights") == (
        "CleanFlights runs because RawFlights changed: 2013-01-01.csv (removed)\n"
    )


def test_why_says_when_nothing_tells_what_an_output_was_made_from(
    sample, data_root, capsys
) -> None:
    assert cli.main([]) == 0
    for record in data_root.glob("ScoreReport-*.lineage"):
        record.unlink()
    assert said(capsys, "why", "ScoreReport", "--min-flights=20") == (
        "ScoreReport runs because something changed, and its last output does not tell what\n"
    )


EDITS = {
    "a function": (
        "transforms.py",
        'arrived["arr_delay"] >= LATE',
        'arrived["arr_delay"] > LATE',
        "the code of transforms.clean_flights changed, through CleanFlights",
    ),
    "what a function uses": (
        "transforms.py",
        "LATE = 15",
        "LATE = 30",
        "the code of transforms.LATE changed, through CleanFlights",
    ),
    "a schema": (
        "schemas.py",
        '("flight", pa.int32()),',
        '("flight", pa.int64()),',
        "the code of schemas.RAW_FLIGHTS changed, through CleanFlights",
    ),
    "a class": (
        "tasks.py",
        "        return transforms.clean_flights(raw)",
        "        return transforms.clean_flights(raw).dropna()",
        "the code of tasks.CleanFlights changed",
    ),
    "a comment": ("transforms.py", "LATE = 15", "LATE = 15  # minutes\n# late", None),
}


@pytest.mark.parametrize("edit", EDITS)
def test_why_names_the_code_that_changed(project: Project, edit: str) -> None:
    name, old, new, cause = EDITS[edit]
    project.edit(name, old, new)
    done = project.run("why", "AirportScores")
    expected = f"AirportScores runs because {cause}" if cause else "AirportScores is complete"
    assert (done.stdout, done.stderr, done.returncode) == (f"{expected}\n", "", 0)


def test_why_names_a_version_three_levels_up(new_project: Project) -> None:
    old = "class RawFlights(ExternalData):\n"
    new_project.edit("tasks.py", old, f'{old}    __version__ = "1"\n')
    new_project.ran()
    new_project.edit("tasks.py", '__version__ = "1"', '__version__ = "2"')
    assert new_project.run("why", "ScoreReport").stdout == (
        "ScoreReport runs because RawFlights.__version__ is 2 (was 1), "
        "through CleanFlights and AirportScores\n"
    )
    new_project.edit("tasks.py", '    __version__ = "2"\n', "")
    assert "RawFlights.__version__ is not declared (was 1)" in new_project.run("why").stdout


def test_why_works_on_manifests_alone_on_another_machine(
    project: Project, baked: Path, tmp_path: Path
) -> None:
    elsewhere = Project(shutil.copytree(baked, tmp_path / "elsewhere"))
    kept = [*project.path.glob("data/*/_SUCCESS"), *project.path.glob("data/*.lineage")]
    assert len(kept) == 3
    for path in kept:
        copy = elsewhere.path / path.relative_to(project.path)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    elsewhere.edit("transforms.py", ">= min_flights", "> min_flights")
    assert elsewhere.run("why").stdout.splitlines() == [
        "AirportScores runs because the code of transforms.score_airports changed",
        "ScoreReport runs because the code of transforms.score_airports changed, "
        "through AirportScores",
        "3 are complete",
    ]


def test_explain_names_every_column_of_many_within_80_columns(sample, capsys, monkeypatch) -> None:
    names = [f"column_{number:02}" for number in range(40)]
    for path in (sample / "flights").iterdir():
        path.write_text(",".join(names) + "\n" + ",".join("1" * 40) + "\n")
    schema = pa.schema([(name, pa.int64()) for name in names])
    monkeypatch.setattr(tasks.RawFlights, "schema", schema)
    monkeypatch.setattr(tasks.CleanFlights, "transform", lambda self, raw: raw)
    text = said(capsys, "explain", "CleanFlights")
    assert max(map(len, text.splitlines())) <= 80
    for name in names:
        assert name in text


def test_why_names_requirements_and_parameters_that_came_and_went() -> None:
    from o_brien_s_flights_b.compose.why import _find

    def document(task: str, params: dict[str, str], requires: dict[str, object]) -> dict:
        return {"task": task, "version": "1", "params": params, "requires": requires}

    old = {
        "s1": document("Sum", {"a": "1", "b": "2"}, {"days": ["d1", "d2"], "raw": "r"}),
        "d1": document("Day", {"day": "1"}, {}),
        "d2": document("Day", {"day": "2"}, {}),
        "r": document("Raw", {}, {}),
    }
    new = {
        "s2": document("Sum", {"b": "2", "c": "3"}, {"days": ["d2", "d3"], "names": "n"}),
        "d2": old["d2"],
        "d3": document("Day", {"day": "3"}, {}),
        "n": document("Names", {}, {}),
    }
    assert set(_find({}, ("s1", "s2"), old | new)) == {
        "the parameter a is gone",
        "the parameter c is new",
        "days changed: Day(day=1) (removed), Day(day=3) (new)",
        "raw changed: Raw (removed)",
        "names changed: Names (new)",
    }


def test_explain_lists_the_columns_and_filters_that_reach_each_reader(
    sample, capsys, monkeypatch
) -> None:
    assert cli.main(["run", "CleanFlights"]) == 0
    from dask.callbacks import Callback

    computed: list[object] = []
    with Callback(pretask=lambda *about: computed.append(about)):
        text = said(capsys, "explain", "AirportScores")
        assert text.startswith(EXPLAINED)
        assert "  SortValues: by=['score', 'dest'] ascending=[False, True]" in text
        assert max(map(len, text.splitlines())) <= 80

        def filtered(self: Stage, flights: object, airports: object) -> object:
            late = flights[(flights["arr_delay"] > 60) & (flights["origin"] == "JFK")]
            return late[["dest", "arr_delay"]]

        monkeypatch.setattr(tasks.AirportScores, "transform", filtered)
        assert said(capsys, "explain", "AirportScores").splitlines()[1:4] == [
            "reads CleanFlights: 1 partition",
            "  columns  dest, arr_delay",
            "  filter   arr_delay > 60 and origin == 'JFK'",
        ]
    assert computed == []


def test_explain_reads_nothing_to_sort_and_takes_other_arguments_than_frames(
    sample, capsys, monkeypatch
) -> None:
    seen = []

    def spied(part):
        seen.append(len(part))
        return part

    def transform(self: Stage, raw: object) -> object:
        few = raw[raw["carrier"].isin(["AA"]) | (raw["arr_delay"] > 3)].repartition(npartitions=2)
        return few.map_partitions(spied).sort_values("arr_delay")

    monkeypatch.setattr(tasks.CleanFlights, "transform", transform)
    text = said(capsys, "explain", "CleanFlights")
    assert text.startswith("CleanFlights writes as many partitions as its sort finds\n")
    assert max(seen, default=0) <= 2  # Dask's own rows, for its meta
    monkeypatch.setattr(tasks.CleanFlights, "transform", lambda self, raw: raw.head())
    assert cli.main(["explain", "CleanFlights"]) == 1
    assert capsys.readouterr().err == (
        "a Dask frame is needed, not pandas's DataFrame: no return, or a compute() too many?\n"
    )


@pytest.mark.parametrize("text", ["", "[]", "{", '{"parts": [], "lineage": {"a": {}}}'])
def test_why_says_of_a_manifest_that_tells_nothing_that_something_changed(
    sample, data_root, capsys, text: str
) -> None:
    assert cli.main(["run", "CleanFlights"]) == 0
    (flag,) = data_root.glob("CleanFlights-*/_SUCCESS")
    flag.write_text(text)
    flag.parent.rename(flag.parent.with_name("CleanFlights-0123456789ab"))
    assert said(capsys, "why", "CleanFlights") == (
        "CleanFlights runs because something changed, and its last output does not tell what\n"
    )
    assert said(capsys, "clean", "--older-than=0") == "0 to delete\n"


def test_why_shows_no_digest_of_a_secret() -> None:
    from o_brien_s_flights_b.compose.why import _params

    documents = [{"params": {"password": digit * 64}} for digit in "ab"]
    assert [*_params(*documents)] == ["password changed"]


def test_explain_needs_inputs_and_a_stage(sample, capsys) -> None:
    assert cli.main(["explain", "AirportScores"]) == 1
    assert re.fullmatch(
        r"\S+/CleanFlights-\w+ is not complete; run the task that writes it\n",
        capsys.readouterr().err,
    )
    assert cli.main(["explain", "ScoreReport"]) == 2
    assert "ScoreReport is no stage" in capsys.readouterr().err


def test_explain_ends_however_often_a_frame_is_used(sample, capsys, monkeypatch) -> None:
    def ladder(self: Stage, raw: object) -> object:
        for _ in range(20):  # a million lines, were each use drawn
            raw = raw.assign(arr_delay=raw["arr_delay"] + raw["flight"])
        return raw

    monkeypatch.setattr(tasks.CleanFlights, "transform", ladder)
    assert len(said(capsys, "explain", "CleanFlights").splitlines()) < 200


def test_a_table_is_shortened_words_first_and_counts_what_it_leaves_out() -> None:
    rows = [("a" * 60, "b" * 60, 1234567890, "日本" * 20), ("c", "d", 5, "e")]
    lines = tables.table(("first", "second", "number", "wide"), rows).splitlines()
    assert lines[1].split() == ["a" * 20 + "…", "b" * 20 + "…", "1234567890", "日本" * 5 + "…"]
    many = tables.table([f"c{n}" for n in range(30)], [["x" * 9] * 30])
    assert many.splitlines()[-1] == "... and 19 more columns"
    assert max(map(len, many.splitlines())) <= 80
    assert tables.table(("a",), [("\x1b[31m\u202e",)]) == "a\n?[31m?"
