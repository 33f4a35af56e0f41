"""Projects baked for a graph of one's own: green at birth, right or red as stubs are written."""

from __future__ import annotations

import ast
import builtins
import csv
import importlib
import inspect
import json
import keyword
import random
import re
import shutil
import string
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import luigi
import pandas as pd
import pytest
from baking import TEMPLATE, bake, clean_environ, run
from conftest import PACKAGE, Project, bake_here
from test_quality import module

COURSE = "RawReviews > CleanReviews > ByDecade, ByStars"
DIAMOND = "RawNumbers > Evens > Sums; RawNumbers > Odds > Sums"
JOIN = (
    "RawSales > CleanSales > SalesByDay > Forecast > Summary; "
    "RawSales > CleanSales > SalesByShop > BestShops, WorstShops > Overview > Summary; "
    "RawShops > CleanShops > SalesByShop; RawShops > CleanShops > ShopMap > Overview"
)
ROW = " > ".join(f"Task{number}" for number in range(50))
LONG = "RawAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaAaB, RawBbBbBbBbBbBbBbBbBbBbBbBbBbBbBbBbBbBbB"
LONG = f"{LONG} > CcCcCcCcCcCcCcCcCcCcCcCcCcCcCcCcCcCcCcCc > D, E"
GRAPHS = {"course": COURSE, "diamond": DIAMOND, "join": JOIN, "row": ROW, "long": LONG}
COUNTS = {"course": (1, 3), "diamond": (1, 3), "join": (2, 10), "row": (1, 49), "long": (2, 3)}
EDITED = ("schemas", "tasks", "transforms")  # all else is as in the worked example
REQUIRES = {  # what the classes say
    "course": {"CleanReviews": "RawReviews", "ByDecade": "CleanReviews", "ByStars": "CleanReviews"},
    "diamond": {"Evens": "RawNumbers", "Odds": "RawNumbers", "Sums": "Evens Odds"},
    "join": {
        "CleanSales": "RawSales",
        "CleanShops": "RawShops",
        "SalesByDay": "CleanSales",
        "SalesByShop": "CleanSales CleanShops",
        "ShopMap": "CleanShops",
        "Forecast": "SalesByDay",
        "BestShops": "SalesByShop",
        "WorstShops": "SalesByShop",
        "Overview": "BestShops WorstShops ShopMap",
        "Summary": "Forecast Overview",
    },
}
STUB = """\
@todo("delete this line when clean_reviews is written")
def clean_reviews(raw_reviews: dd.DataFrame) -> dd.DataFrame:
    \"\"\"Say what a row is, what is dropped and why.

    Returns `schemas.CLEAN_REVIEWS`.
    \"\"\"
    return conform(raw_reviews, schemas.CLEAN_REVIEWS)
"""
WRITTEN = "def clean_reviews(raw_reviews):\n"
RIGHT = f'{WRITTEN}    return raw_reviews[raw_reviews["value"].notnull()]\n'
KNOWN = "raw_reviews[raw_reviews['value'].notnull()]"
WRONG = {  # the usual ways, each as a stage, and what the student reads
    "wrong_column": (
        f"    return {KNOWN}.rename(columns={{'value': 'valeu'}})\n",
        "NAME: the frame does not fit the schema: the column 'value' is missing; "
        "the column 'valeu' is left over",
    ),
    "wrong_type": (
        f"    return {KNOWN}.assign(value=1)\n",
        "NAME: the frame does not fit the schema: the column 'value' is int64, "
        "the schema says double",
    ),
    "mean_of_means": (
        "    def fill(part):\n"
        "        return part.fillna({'value': part['value'].mean()}).dropna()\n\n"
        "    return raw_reviews.map_partitions(fill)\n",
        "NAME gives other rows when its input lies in 2 partitions: does it take a mean "
        "of means, a rank or a shift of each partition alone?",
    ),
    "mutates_its_input": (
        "    raw_reviews['value'] = raw_reviews['value'].fillna(0)\n    return raw_reviews\n",
        "NAME changes its input raw_reviews; return a new frame instead: "
        "raw_reviews.assign(column=...)",
    ),
    "returns_pandas": (
        f"    return {KNOWN}.compute()\n",
        "NAME returns a pandas DataFrame, not a Dask frame: a compute() too many, no return?",
    ),
    "returns_nothing": (
        f"    {KNOWN}\n",
        "NAME returns a builtins NoneType, not a Dask frame: a compute() too many, no return?",
    ),
    "forgets_a_null": (
        "    return raw_reviews\n",
        "NAME: the result does not fit the schema: the column 'value' has 1 nulls and "
        "may have none",
    ),
    "not_written": (
        "    return conform(raw_reviews, schemas.NOT_WRITTEN)\n",
        "NAME gives what a stub gives: write it, or put @todo back",
    ),
    "another_columns_name": (
        "    return raw_reviews[raw_reviews['stars'].notnull()]\n",
        "NAME: KeyError: 'stars' (transforms.py, line {line})",
    ),
    "another_attributes_name": (
        "    return raw_reviews[raw_reviews.vlaue.notnull()]\n",
        "NAME: AttributeError: 'DataFrame' object has no attribute 'vlaue'",
    ),
    "text_as_a_number": (
        f"    return {KNOWN}.assign(value=raw_reviews['key'].astype('float64'))\n",
        "NAME: ValueError: could not convert string to float: 'a'",
    ),
    "another_result_each_time": (
        "    import random\n\n"
        f"    known = {KNOWN}\n"
        "    return known.assign(value=known['value'] + random.random())\n",
        "NAME gives other rows each time: is it random?",
    ),
}


@pytest.fixture(scope="session")
def bakes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The project of each graph, baked once: read it, copy it, change nothing in it."""
    baked: dict[str, Path] = {}

    def of(graph: str) -> Path:
        if graph not in baked:
            answers = {"package_name": PACKAGE, "pipeline": GRAPHS[graph]}
            baked[graph] = bake(tmp_path_factory.mktemp(graph), **answers)
        return baked[graph]

    return of


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(graph: str, bakes: Callable[[str], Path], tmp_path: Path) -> Project:
    return Project(shutil.copytree(bakes(graph), tmp_path / "project"))


@pytest.fixture
def course(bakes: Callable[[str], Path], tmp_path: Path) -> Project:
    return Project(shutil.copytree(bakes("course"), tmp_path / "course"))


def spec(project: Project, *options: str) -> tuple[int, str]:
    """How the specifications end, and what is said."""
    done = module(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/spec", *options)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.xdist_group("types")  # for one cache of mypy's
def test_graphs_are_formatted_linted_and_typed(
    bakes: Callable[[str], Path], tmp_path: Path
) -> None:
    for graph in GRAPHS:
        project = Project(shutil.copytree(bakes(graph), tmp_path / graph))
        typed = module(project, "mypy").stdout
        assert typed.startswith("Success: no issues found"), typed
    together = Project(tmp_path)
    formatted = module(together, "ruff", "format", "--diff")
    assert formatted.returncode == 0, formatted.stdout
    assert module(together, "ruff", "check").stdout == "All checks passed!\n"
    own = [f"{graph}/{PACKAGE}/{name}.py" for graph in GRAPHS for name in EDITED]  # not compose
    done = module(together, "pyright", "--pythonpath", sys.executable, *own)
    assert done.stdout.splitlines()[-1] == "0 errors, 0 warnings, 0 informations", done.stdout


def test_a_graph_runs_and_runs_again(project: Project, graph: str) -> None:
    raw, stages = COUNTS[graph]
    assert len(project.ran()) == stages
    assert project.ran() == set()
    rows = project.status()
    assert len(rows) == raw + stages + 1
    assert all(row["complete"] for row in rows.values())
    left = project.run("status").stdout.splitlines()
    said = " ".join(left[len(rows) + 1 :])
    assert re.match(rf"{stages} stubs are left: \w+, ", said), said
    assert len(said.split(", ")) == stages
    assert max(map(len, left)) <= 80 or graph == "long"


def test_the_tests_of_a_graph_pass_and_reach_the_gate(project: Project, graph: str) -> None:
    done = module(project, "pytest", "--cov", "--cov-config=pyproject.toml", "-q")
    assert done.returncode == 0, done.stdout
    assert f"{COUNTS[graph][1]} xfailed" in done.stdout
    assert re.search(r"TOTAL +\d+ +0 +\d+ +0 +100%", done.stdout)
    assert "warning" not in done.stdout


@pytest.mark.parametrize("graph", REQUIRES)
def test_a_graph_is_wired_as_it_was_given(project: Project, graph: str) -> None:
    tree = ast.parse((project.package / "tasks.py").read_text(encoding="utf-8"))
    required = {
        cls.name: " ".join(
            item.value.args[0].id
            for item in cls.body
            if isinstance(item, ast.Assign)
            and isinstance(item.value, ast.Call)
            and item.value.func.id == "Requirement"
        )
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
    }
    stages = REQUIRES[graph]
    everything = required.pop("Pipeline").split()
    raw = {name for name, needs in required.items() if not needs}
    assert {name: needs for name, needs in required.items() if needs} == stages
    assert sorted(everything) == sorted({*raw, *stages})
    readme = (project.path / "README.md").read_text(encoding="utf-8")
    arrows = re.findall(r"^    ([\w &]+) --> (\w+)$", readme, re.MULTILINE)
    assert {name: " ".join(needs.split(" & ")) for needs, name in arrows} == stages


def test_a_graph_in_a_readme_names_nothing_of_the_worked_example(project: Project) -> None:
    own = [path for path in project.path.rglob("*") if path.is_file() and path.name != "cli.py"]
    texts = [path.read_text("utf-8") for path in own if path.parent.name != "compose"]
    words = r"(?i)clean.?flights|airport|delay|min.flights"
    assert [text for text in texts if re.search(words, text)] == []


def test_a_diamond_without_hooks_lacks_its_raw_data_and_says_so(tmp_path: Path) -> None:
    options = ("--accept-hooks", "no")
    baked = bake(tmp_path, *options, package_name=PACKAGE, pipeline=DIAMOND)
    done = Project(baked).run()
    assert done.returncode == 3
    assert "no file fits " in done.stderr


def test_a_bake_into_a_project_keeps_its_raw_data(tmp_path: Path) -> None:
    project = bake(tmp_path, pipeline=DIAMOND)
    sample = project / "data" / "raw" / "numbers" / "sample.csv"
    sample.rename(sample.with_name("mine.csv"))
    bake(tmp_path, "-f", pipeline=DIAMOND)
    assert [path.name for path in sample.parent.iterdir()] == ["mine.csv"]


def test_results_are_given_as_json(course: Project) -> None:
    done = course.run("--json", "--rows", "3")
    assert done.returncode == 0
    decades, stars = json.loads(done.stdout)
    assert (decades["task"], decades["rows"], decades["complete"]) == ("ByDecade", 4, True)
    assert decades["data"] == [{"key": "todo", "value": 0.0}] * 3
    assert stars["columns"] == ["key", "value"]
    assert done.stderr.splitlines()[-2:] == [
        "3 ran, 1 was complete; 12 rows; " + done.stderr.splitlines()[-2].rpartition("; ")[2],
        "3 stubs are left: clean_reviews, by_decade, by_stars",
    ]


def test_right_code_passes_and_the_other_stubs_still_expect_to_fail(course: Project) -> None:
    course.edit("transforms.py", STUB, RIGHT)
    done = module(course, "pytest", "-q", "--cov", "--cov-config=pyproject.toml")
    assert done.returncode == 0
    assert "2 xfailed" in done.stdout
    assert "2 stubs are left: by_decade, by_stars" in course.run("status").stdout


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The code of a project where each stage is wrong but one; what its specifications say."""
    stages = ["LeftAlone", *("".join(map(str.capitalize, way.split("_"))) for way in WRONG)]
    answers = {"package_name": PACKAGE, "pipeline": f"RawReviews > {', '.join(stages)}"}
    project = Project(bake_here(tmp_path_factory.mktemp("wrong"), **answers))
    path = project.package / "transforms.py"
    head, left_alone, *_ = path.read_text(encoding="utf-8").split("@todo")
    wrong = "".join(f"def {way}(raw_reviews):\n{WRONG[way][0]}\n\n" for way in WRONG)
    path.write_text(f"{head}{wrong}@todo{left_alone}", encoding="utf-8")
    said = spec(project)[1]
    assert "1 xfailed" in said
    assert "/compose/" not in said
    return path.read_text(encoding="utf-8"), said


@pytest.mark.xdist_group("wrong")  # for one run of them all
@pytest.mark.parametrize("way", WRONG)
def test_wrong_code_is_red_with_a_message_that_says_why(
    corrected: tuple[str, str], way: str
) -> None:
    code, said = corrected
    told = said.partition(f"_ test_{way} _")[2].partition("\n")[2]
    told = re.split(r"^[_=]{3,} ", told, maxsplit=1, flags=re.MULTILINE)[0]
    shown = " ".join(re.findall(r"^E +(.*)", told, re.MULTILINE))
    line = code[: code.index("['stars']")].count("\n") + 1
    assert WRONG[way][1].replace("NAME", way).format(line=line) in shown
    assert len(told.splitlines()) < 35


def test_right_code_that_is_still_marked_is_red(course: Project) -> None:
    marker = STUB.splitlines(keepends=True)[0]
    course.edit("transforms.py", STUB, marker + RIGHT)
    status, said = spec(course)
    assert status == 1
    assert "[XPASS(strict)] clean_reviews is a stub; a test that it passes says nothing of" in said


def test_a_specification_that_a_stub_satisfies_is_red(course: Project) -> None:
    vacuous = course.path / "tests" / "spec" / "test_vacuous.py"
    vacuous.write_text(
        f"import pytest\n\nfrom {PACKAGE} import transforms\n\n\n"
        '@pytest.mark.stub("by_stars")\ndef test_it(): assert transforms.by_stars\n'
    )
    status, said = spec(course)
    assert status == 1
    assert "[XPASS(strict)] by_stars is a stub" in said


def test_an_import_error_is_always_red(course: Project) -> None:
    marker = STUB.splitlines(keepends=True)[0]
    course.edit("transforms.py", STUB, f"{marker}{WRITTEN}    import nowhere\n")
    begin = '@todo("delete this line when by_stars is written")\ndef by_stars(clean_reviews'
    unmarked = "def by_stars(clean_reviews=None):\n    import nowhere\n\n\ndef rest(clean_reviews"
    course.edit("transforms.py", begin, unmarked)
    status, said = spec(course)
    assert status == 1
    assert "2 failed, 1 xfailed" in said
    assert said.count("E       ModuleNotFoundError: No module named 'nowhere'") == 2


def test_a_missing_name_in_the_module_is_red(course: Project) -> None:
    course.edit("transforms.py", "from . import schemas\n", "from . import schema\n")
    assert spec(course)[0] not in (0, 1)


def test_a_row_of_a_specification_that_does_not_fit_the_schema_is_red(course: Project) -> None:
    course.edit("schemas.py", '        ("value", pa.float64()),  # may be null\n', "")
    status, said = spec(course)
    assert status == 1
    assert "ValueError: the schema has no column value" in said


def test_a_stub_fills_columns_of_any_type(frame: Callable[..., object]) -> None:
    import pyarrow as pa
    from o_brien_s_flights_b.compose import conform
    from o_brien_s_flights_b.compose.frames import to_table
    from o_brien_s_flights_b.compose.stub import filler

    types = [
        *(pa.string(), pa.large_string(), pa.binary(), pa.bool_(), pa.int8(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.date32()),
        *(pa.time64("us"), pa.duration("us"), pa.decimal128(10, 2), pa.list_(pa.int64())),
        *(pa.struct([("a", pa.int64())]), pa.null()),
    ]
    schema = pa.schema([pa.field(f"c{n}", each, each == pa.null()) for n, each in enumerate(types)])
    given = pa.schema([("x", pa.int64())])
    made = conform(frame(given, [{"x": 1}, {"x": 2}, {"x": 3}], 2), schema)
    assert made.npartitions == 2
    table = to_table(made.compute(), schema, "it")
    assert table.to_pylist() == [filler(schema)] * 3
    assert table["c0"].to_pylist() == ["todo"] * 3
    assert filler(schema)["c7"] == 0.0


def test_status_and_a_run_say_which_stubs_are_left(
    sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from o_brien_s_flights_b import cli
    from o_brien_s_flights_b.compose import stub, todo

    monkeypatch.setattr(stub, "_left", [])
    assert cli.main(["status"]) == 0
    assert "stub" not in capsys.readouterr().out
    assert todo("delete this line when one is written")(test_chains_are_read_as_a_graph)
    for arguments, name in ((["status"], "out"), (["--json"], "err")):
        assert cli.main(arguments) == 0
        said = getattr(capsys.readouterr(), name)
        assert "\n1 stub is left: test_chains_are_read_as_a_graph\n" in said
    assert todo("a second one")(str) is str
    with pytest.raises(TypeError, match="@todo needs a reminder"):
        todo(str)
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert "0 s\n2 stubs are left: test_chains_are_read_as_a_graph, str\n\nAirportScores" in said


def test_json_holds_what_json_can_hold() -> None:
    from o_brien_s_flights_b import cli

    day = datetime(2026, 1, 2, tzinfo=UTC)
    row = {"a": float("nan"), "b": float("inf"), "c": 1.5, "d": None, "e": day, "f": "é"}
    row["g"] = [{"h": float("-inf")}]
    text = cli._json([{"created": "now", "data": [row]}, {"created": None, "data": None}])
    right = {"a": None, "b": None, "c": 1.5, "d": None, "e": str(day), "f": "é"}
    right["g"] = [{"h": None}]
    assert json.loads(text, parse_constant=pytest.fail) == [{"data": [right]}, {"data": None}]
    assert text.isascii()  # so that any terminal shows it as it is


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(TEMPLATE)
    return importlib.import_module("local_pipeline")


def test_no_task_may_be_called_like_what_it_would_hide(pipelines: ModuleType) -> None:
    from o_brien_s_flights_b import compose

    def refused(name: str) -> bool:
        (problem,) = pipelines.problems("pipeline", f"RawX > {name}")
        return "which Python or the toolkit has" in problem

    def camel(name: str) -> str:
        return "".join(word.capitalize() for word in name.split("_"))

    attributes = {*dir(compose.Stage), *vars(compose.Stage())}
    small = {name for name in attributes if not name.startswith("_") and name.islower()}
    small |= {*keyword.kwlist, *(n for n in dir(builtins) if n.islower() and n.isidentifier())}
    names = {camel(name) for name in small if not name.startswith("_")}
    names |= set(compose.__all__) - {"conform", "lineage", "salt", "todo"}
    names |= {"Conform", "Lineage", "Salt", "Todo", "None", "True", "Exception", "Pipeline", "Any"}
    names |= {
        n
        for n in dir(luigi)
        if inspect.isclass(v := getattr(luigi, n)) and issubclass(v, luigi.Task)
    }
    assert len(names) > 100
    assert sorted(name for name in names if not refused(name)) == []


@pytest.mark.parametrize(
    ("text", "requires"),
    [
        ("A>B", {"A": [], "B": ["A"]}),
        ("  A  >  B  ", {"A": [], "B": ["A"]}),
        ("A, B > C", {"A": [], "B": [], "C": ["A", "B"]}),
        ("A > C; B > C", {"A": [], "B": [], "C": ["A", "B"]}),
        ("A > B; A > B", {"A": [], "B": ["A"]}),
        ("B > Z > Y; A > Y", {"B": [], "A": [], "Z": ["B"], "Y": ["Z", "A"]}),
    ],
)
def test_chains_are_read_as_a_graph(pipelines: ModuleType, text: str, requires: object) -> None:
    assert list(pipelines.problems("pipeline", text)) == []
    tasks = pipelines.graph(text)
    assert {task.name: [each.name for each in task.requires] for task in tasks} == requires
    assert [task.name for task in tasks] == list(requires)


def test_each_raw_dataset_has_a_folder_of_its_own(pipelines: ModuleType) -> None:
    tasks = pipelines.graph("RawA, A, RawCon, RawCSVFiles > B")
    assert [task.folder for task in tasks] == ["raw_a", "a", "raw_con", "csv_files", ""]


REVIEWS_SCHEMAS = '''\
"""EDIT. The reviews."""

import pyarrow as pa

COUNTS = ["useful", "funny", "cool"]
RAW_REVIEWS = pa.schema(
    [("review_id", pa.string()), ("date", pa.timestamp("us")), ("stars", pa.int64())]
    + [(name, pa.float64()) for name in COUNTS]
    + [("text", pa.string())]
)
CLEAN_REVIEWS = pa.schema(
    [pa.field(f.name, pa.int64(), False) if f.name in COUNTS else f for f in RAW_REVIEWS]
)
BY_DECADE = pa.schema([("decade", pa.int64()), ("length", pa.float64())])
BY_STARS = pa.schema([("stars", pa.int64()), ("length", pa.float64())])
'''
REVIEWS_TRANSFORMS = '''\
"""EDIT. What is made of the reviews."""

from . import schemas


def clean_reviews(raw_reviews):
    whole = raw_reviews[raw_reviews["review_id"].str.len() == 22]
    counts = whole[schemas.COUNTS].fillna(0).astype("int64[pyarrow]")
    return whole.assign(**{name: counts[name] for name in schemas.COUNTS})


def average_length(reviews, by):
    lengths = reviews.assign(length=reviews["text"].str.len())
    return lengths.groupby(by)["length"].mean().reset_index()


def by_decade(clean_reviews):
    decade = clean_reviews["date"].dt.year // 10 * 10
    return average_length(clean_reviews.assign(decade=decade), "decade")


def by_stars(clean_reviews):
    return average_length(clean_reviews, "stars")
'''


def reviews(seed: int) -> list[dict[str, object]]:
    """3,000 reviews with the defects of the course: broken identifiers, counts left out."""
    draw = random.Random(seed)
    letters = string.ascii_letters + string.digits + "-_"

    def count() -> str:
        return "" if draw.random() < 0.2 else f"{draw.randrange(9)}.0"

    return [
        {
            "review_id": "".join(draw.choices(letters, k=draw.choice([22] * 9 + [5, 21, 23]))),
            "date": f"{draw.randrange(1995, 2025)}-{draw.randrange(1, 13):02}-11 12:30:00",
            "stars": draw.randrange(1, 6),
            "useful": count(),
            "funny": count(),
            "cool": count(),
            "text": draw.choice(
                ['Good, "really"', "é" * draw.randrange(90), "no; 'never'", "航班"]
            ),
        }
        for _ in range(3000)
    ]


def test_the_assignment_of_the_course_is_solved_in_few_lines(course: Project) -> None:
    rows = reviews(5)
    folder = course.raw / "reviews"
    (folder / "sample.csv").unlink()
    for number in range(3):
        with (folder / f"{number}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows[number::3])
    (course.package / "schemas.py").write_text(REVIEWS_SCHEMAS, encoding="utf-8")
    (course.package / "transforms.py").write_text(REVIEWS_TRANSFORMS, encoding="utf-8")
    assert len(f"{REVIEWS_SCHEMAS}{REVIEWS_TRANSFORMS}".splitlines()) < 40

    done = course.run("--json", "--rows", "100")
    assert done.returncode == 0, done.stderr
    found = {result["task"]: result["data"] for result in json.loads(done.stdout)}

    whole = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("*.csv"))])
    whole = whole[whole["review_id"].str.len() == 22]
    assert 1000 < len(whole) < 3000
    assert course.status()["CleanReviews"]["rows"] == len(whole)
    whole = whole.assign(
        length=whole["text"].str.len(), decade=pd.to_datetime(whole["date"]).dt.year // 10 * 10
    )
    for task, by in (("ByDecade", "decade"), ("ByStars", "stars")):
        expected = whole.groupby(by)["length"].mean()
        assert {row[by]: row["length"] for row in found[task]} == pytest.approx(expected.to_dict())
    parts = (course.path / course.status()["CleanReviews"]["path"]).glob("*.parquet")
    clean = pd.concat(pd.read_parquet(path) for path in parts)
    counts = ["useful", "funny", "cool"]
    assert clean[counts].sum().tolist() == whole[counts].fillna(0).sum().tolist()
    assert clean[counts].isna().sum().sum() == 0


HOSTILE = [
    "$(touch PWNED)",
    "`touch PWNED`",
    "; touch PWNED; #",
    "Robert'); DROP TABLE students;--",
    '"; import os; os.mkdir("PWNED"); "',
    "'''+__import__('os').mkdir('PWNED')+'''",
    "{{ lipsum.__globals__.os.mkdir('PWNED') }}",
    "{% set x = lipsum.__globals__.os.mkdir('PWNED') %}",
    "{{ cookiecutter.project_slug }}",
    "../../../PWNED",
    "-f --overwrite-if-exists",
    "project_slug=PWNED",
    "José Núñez",
    "Ólafur Þór",
    "李小龍",
    "محمد",
    "👩‍🚀",
    "\\n\\t\\",
    "<script>alert(1)</script>",
    "${HOME} %PATH% $env:PATH",
]


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_a_class_of_hostile_names_is_baked_by_the_documented_script(
    tmp_path: Path, times: int
) -> None:
    page = (TEMPLATE / "docs" / "instructors.md").read_text(encoding="utf-8")
    (script,) = re.findall(
        r"^```python\n(from cookiecutter.*?)^```", page, re.DOTALL | re.MULTILINE
    )
    assert script.count('"cookiecutter-luigi-dask"') == 1
    script = script.replace('"cookiecutter-luigi-dask"', repr(str(TEMPLATE)))
    names = [f"{name} {number}" for number in range(times) for name in HOSTILE]
    (tmp_path / "students.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
    environ = clean_environ(HOME=str(tmp_path / "home"), USERPROFILE=str(tmp_path / "home"))
    done = run([sys.executable, "-c", script], cwd=tmp_path, env=environ)
    assert done.returncode == 0, done.stderr
    projects = sorted((tmp_path / "class").iterdir())
    assert [project.name for project in projects] == [
        f"pset-5-{n:03}" for n in range(1, len(names) + 1)
    ]
    answers = {"project_name": "Problem Set 5", "package_name": "pset_5", "pipeline": COURSE}
    plain = bake(tmp_path / "plain", **answers, author_name="NAME")
    expected = texts_of(plain)
    for project, name in zip(projects, names, strict=True):
        quoted = re.sub(r'(["\\])', r"\\\1", name)
        ours = {path: text.replace("NAME", name) for path, text in expected.items()}
        ours["pyproject.toml"] = expected["pyproject.toml"].replace("NAME", quoted)
        found = texts_of(project)
        assert {
            path: (found[path], text) for path, text in ours.items() if found[path] != text
        } == {}
        assert found.keys() == ours.keys()
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "class", "home", "students.txt"}
    assert list(tmp_path.rglob("PWNED")) == []


def texts_of(project: Path) -> dict[str, str]:
    files = [path for path in project.rglob("*") if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_text("utf-8") for path in files}


SOLVED = """\


def by_decade(clean_reviews):
    return clean_reviews.groupby("key")[["value"]].mean().reset_index()


def by_stars(clean_reviews):
    return clean_reviews.assign(value=-clean_reviews["value"])
"""


def test_when_all_stubs_are_written_lint_is_mended_as_the_page_says(course: Project) -> None:
    path = course.package / "transforms.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.partition("@todo")[0] + RIGHT + SOLVED, encoding="utf-8")
    page = (TEMPLATE / "docs" / "students.md").read_text(encoding="utf-8")
    for command in re.findall(r"^    pipenv run (ruff .*)$", page, re.MULTILINE):
        assert module(course, *command.split()).returncode == 0
    assert module(course, "ruff", "check").returncode == 0
    assert module(course, "ruff", "format", "--check").returncode == 0
    done = module(course, "pytest", "-q", "--cov", "--cov-config=pyproject.toml")
    assert done.returncode == 0, done.stdout
    assert "xfail" not in done.stdout
    assert "stub" not in course.run("status").stdout


def test_the_readme_leads_to_a_stage_more(course: Project) -> None:
    page = (course.path / "README.md").read_text(encoding="utf-8")
    steps = page.partition("## Add a stage")[2].partition("## Commands")[0]
    blocks = re.findall(r"```python\n(.*?)```", steps, re.DOTALL)
    schema, transform, stage = (re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in blocks)
    with (course.package / "schemas.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{schema}")
    with (course.package / "transforms.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{transform}")
    course.edit("tasks.py", "class Pipeline(", f"{stage}\n\nclass Pipeline(")
    (added,) = re.findall(r"In `Pipeline`, add `(.*)`", steps)
    with (course.package / "tasks.py").open("a", encoding="utf-8") as file:
        file.write(f"    {added}\n")
    tests = course.path / "tests" / "test_tasks.py"
    text = tests.read_text(encoding="utf-8")
    text = text.replace("tasks.ByStars],", "tasks.ByStars, tasks.Summary],", 1)
    text = text.replace("\n}\n", "\n    tasks.Summary: [tasks.ByStars],\n}\n", 1)
    tests.write_text(text, encoding="utf-8")
    diagram = course.run("graph", "--format", "mermaid", "--plain").stdout
    old = re.search(r"(?<=```mermaid\n).*?(?=```)", page, re.DOTALL)
    (course.path / "README.md").write_text(page.replace(old[0], diagram), encoding="utf-8")
    assert module(course, "ruff", "format", "--check", PACKAGE).returncode == 0
    assert module(course, "ruff", "check", PACKAGE).returncode == 0
    assert module(course, "pytest", "-q").returncode == 0
    assert course.ran() == {"CleanReviews", "ByDecade", "ByStars", "Summary"}


def test_the_added_stage_is_never_one_of_the_graph(tmp_path: Path) -> None:
    page = (bake(tmp_path, pipeline="RawA > Summary") / "README.md").read_text(encoding="utf-8")
    assert "class AnotherSummary(Stage):" in page


OWN_SPEC = """\
import pytest

from {package} import transforms


@pytest.mark.stub("by_stars")
def test_it(specify):
    {body}
"""
SUMMED = """\
def by_decade(clean_reviews):
    return clean_reviews.groupby("key")[["value"]].sum().reset_index()


def by_stars(clean_reviews):
    return clean_reviews
"""
NUMBERS = """

def test_sums(specify):  # which differ in their last digits
    rows = [{"key": "a", "value": value} for value in (0.1, 0.2, -0.3)]
    specify(transforms.by_decade, clean_reviews=rows)


def test_order(specify):
    rows = [{"key": "a", "value": value} for value in (10.0, -1.0, 5.0)]
    rows = specify(transforms.by_stars, clean_reviews=rows)
    assert [row["value"] for row in rows] == [-1.0, 5.0, 10.0]
"""


def test_right_numbers_are_never_refused_and_come_sorted(course: Project) -> None:
    path = course.package / "transforms.py"
    head = path.read_text(encoding="utf-8").partition("@todo")[0]
    path.write_text(f"{head}{RIGHT}\n\n{SUMMED}", encoding="utf-8")
    own = course.path / "tests" / "spec" / "test_own.py"
    own.write_text(f"from {PACKAGE} import transforms\n{NUMBERS}", encoding="utf-8")
    done = module(course, "pytest", "-q", "tests/spec/test_own.py")
    assert done.returncode == 0, done.stdout


MISTAKEN = {  # what calls `specify`, and what is wrong with it
    "transforms.by_stars, clean_review=[]": "specify looks for schemas.CLEAN_REVIEW because",
    "lambda x: x, clean_reviews=[]": "specify looks for schemas.<LAMBDA> because",
    "transforms.by_stars, clean_reviews=[{'value': 1.0}]": "wants a key in every row",
    "transforms.by_stars, clean_reviews=[{'stars': 1}]": "the schema has no column stars",
}


def test_a_specification_that_is_itself_wrong_is_red(course: Project) -> None:
    head, test = OWN_SPEC.format(package=PACKAGE, body="specify(CALL)").split("@", 1)
    for number, call in enumerate(MISTAKEN):
        one = test.replace("test_it", f"test_{number}").replace("CALL", call)
        head += f"@{one}\n\n"
    (course.path / "tests" / "spec" / "test_own.py").write_text(head, encoding="utf-8")
    status, said = spec(course)
    assert status == 1
    assert "4 failed" in said
    assert [words for words in MISTAKEN.values() if words not in said] == []


def test_a_mark_of_a_function_that_is_not_there_is_told(course: Project) -> None:
    own = course.path / "tests" / "spec" / "test_own.py"
    text = OWN_SPEC.format(package=PACKAGE, body="assert transforms")
    own.write_text(text.replace('"by_stars"', '"by_star"'), encoding="utf-8")
    status, said = spec(course)
    assert status == 0
    assert "there is no transform by_star" in said
