"""A solved project becomes a hand-out, and submissions are graded against it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from baking import TEMPLATE, bake, clean_environ, run
from conftest import mypy_cache
from handout import modules
from test_bake import tree

TRANSFORMS, TESTS = "flight_scores/transforms.py", "tests/test_transforms.py"
BEGIN, END = "    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"
RIGHT, WRONG = 'operator.ge(arrived["arr_delay"]', 'operator.lt(arrived["arr_delay"]'
BEST = "    return best_first[schemas.AIRPORT_SCORES.names]\n"
CLEAN = '''\
@todo("delete this line when clean_flights is written")
def clean_flights(raw: dd.DataFrame) -> dd.DataFrame:
    """Keep the flights that arrived and tell which were late.

    raw: `schemas.RAW_FLIGHTS`. Returns `schemas.CLEAN_FLIGHTS`. Source: BTS on-time table.
    """
    return conform(raw, schemas.CLEAN_FLIGHTS)


'''
SCORE = '''\
@todo("delete this line when score_airports is written")
def score_airports(flights: dd.DataFrame, airports: dd.DataFrame, min_flights: int) -> dd.DataFrame:
    """Score each destination by how punctual its arrivals are.

    flights: `schemas.CLEAN_FLIGHTS`; airports: `schemas.RAW_AIRPORTS`. Returns
    `schemas.AIRPORT_SCORES`, best first, for destinations with `min_flights` or more. The score
    is the percentage on time, less one for each minute of mean delay, and never below 0.
    """
    return conform(flights, schemas.AIRPORT_SCORES)


def score_page('''
HIDDEN = """\
import pytest

from flight_scores import schemas, transforms


@pytest.mark.stub("clean_flights")
def test_a_flight_of_half_a_minute_less_is_not_late(frame):
    rows = [{"dest": "MIA", "arr_delay": delay} for delay in (14.5, 15.0)]
    clean = transforms.clean_flights(frame(schemas.RAW_FLIGHTS, rows)).compute()
    assert list(clean["late"]) == [False, True]
"""
SCRATCH = [
    *(".git/config", ".env", ".venv/pyvenv.cfg", ".coverage", "build/lib/transforms.py"),
    *(".ruff_cache/x", "tests/.pytest_cache/x", "flight_scores/__pycache__/transforms.pyc"),
    *("flight_scores.egg-info/PKG-INFO", "data/CleanFlights-000000000000/part.0.parquet"),
]
Edit = tuple[str, str]


def tool(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    environ = clean_environ(MYPY_CACHE_DIR=mypy_cache())
    return run([sys.executable, f"tools/{name}.py", *map(str, words)], cwd=TEMPLATE, env=environ)


def edit(path: Path, *edits: Edit) -> None:
    text = path.read_text("utf-8")
    for old, new in edits:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    path.write_text(text, "utf-8", newline="\n")


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked example, with regions: two transforms, a constant and a test."""
    project = bake(tmp_path_factory.mktemp("solved"))
    edit(
        project / TRANSFORMS,
        ("from html import", "import operator\nfrom html import"),
        ("LATE = 15", "### BEGIN SOLUTION\nLATE = 15"),
        ("from here on\n", "from here on\n### END SOLUTION\n"),
        ("    arrived = raw[", BEGIN + "    arrived = raw["),
        ('arrived["arr_delay"] >= LATE)\n', f"{RIGHT}, LATE))\n{END}"),
        ("    totals: Any", BEGIN + "    totals: Any"),
        (BEST, BEST + END),
    )
    private = "\n\n### BEGIN SOLUTION\ndef test_private():\n    assert transforms.LATE == 15\n"
    with (project / TESTS).open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{private}\n\n### END SOLUTION\n")
    return project


@pytest.fixture(scope="module")
def made(solved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hand-out of the worked example, from a folder with much else in it; not checked."""
    littered = shutil.copytree(solved, tmp_path_factory.mktemp("littered") / "solved")
    for name in SCRATCH:
        (littered / name).parent.mkdir(parents=True, exist_ok=True)
        (littered / name).write_text("def score_airports(): the solution", "utf-8")
    pipfile = (littered / "Pipfile").read_text("utf-8").partition("[scripts]")
    scripts = "".join(f"{name} = 'python -c pass'\n" for name in ("lint", "start", "test"))
    (littered / "Pipfile").write_text(f"{pipfile[0]}[scripts]\n{scripts}", "utf-8")
    before = tree(littered)
    out = tmp_path_factory.mktemp("out") / "hand out"
    done = tool("handout", littered, out)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert tree(littered) == before
    return out


@pytest.fixture(scope="module")
def handout(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with fewer tests, which are sooner run."""
    project = shutil.copytree(made, tmp_path_factory.mktemp("few") / "project")
    for name in ("test_pipeline.py", "test_settings.py"):
        (project / "tests" / name).unlink()
    return project


@pytest.fixture
def submission(solved: Path, tmp_path: Path) -> Path:
    """The solution, as a student may hand it in: to be changed."""
    return shutil.copytree(solved, tmp_path / "submission")


class Grade:
    """What grade.py says of a submission, and its JUnit XML."""

    def __init__(self, handout: Path, submission: Path, *words: object) -> None:
        xml = submission.parent / "grade.xml"
        done = tool("grade", handout, submission, "--xml", xml, *words)
        assert done.stderr == ""
        assert not re.search(r"[^\n -~]", done.stdout)  # which a terminal might obey
        assert max(map(len, done.stdout.splitlines())) <= 80
        self.said = re.sub(r"\n +", " ", done.stdout).splitlines()
        self.status = done.returncode
        self.suite = ET.parse(xml).getroot()[0]
        assert int(self.suite.attrib["tests"]) == len(self.suite.findall("testcase"))
        self.failures = int(self.suite.attrib["failures"])
        assert self.failures == len(self.suite.findall("testcase/failure"))
        (self.error,) = [e.attrib["message"] for e in self.suite.findall("testcase/error")] or [""]
        assert self.suite.attrib["errors"] == str(int(bool(self.error)))


def test_a_handout_has_stubs_with_their_docstrings_in_the_place_of_solutions(made: Path) -> None:
    text = (made / TRANSFORMS).read_text("utf-8")
    assert CLEAN + SCORE in text
    assert "from . import schemas\nfrom .compose import conform, todo\n" in text
    for gone in ("import operator", "LATE", "arrived = ", "best_first"):
        assert gone not in text


def test_a_handout_holds_all_else_and_no_marker_history_or_output(made: Path, solved: Path) -> None:
    after, before = tree(made), tree(solved)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {TRANSFORMS, TESTS, "Pipfile"}
    assert [name for name, (_, content) in after.items() if b"SOLUTION" in (content or b"")] == []
    assert "test_private" not in (made / TESTS).read_text("utf-8")


@pytest.mark.xdist_group("types")
def test_a_solution_and_its_handout_are_checked_and_green(solved: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = tool("handout", solved, out)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.replace(str(out), "OUT").splitlines() == [
        "2 stubs in OUT: clean_flights, score_airports",
        "",
        "check  solution  hand-out",
        "lint   green     green",
        "start  green     green",
        "test   green     green",
        "stubs  green     green",
    ]
    assert set(tree(out)) == set(tree(solved))  # the checks leave no caches in it


@pytest.mark.xdist_group("types")
def test_each_check_of_a_solution_and_of_its_handout_can_be_red(
    submission: Path, tmp_path: Path
) -> None:
    edit(
        submission / TRANSFORMS,
        ("Returns `schemas.CLEAN_FLIGHTS`", "Returns `schemas.NOTHING`"),  # the hand-out's fault
        (RIGHT, WRONG),  # the solution's
        ("import schemas\n", "import schemas\nfrom .compose import todo\n"),
        ("def score_page(", "@todo('write')\ndef score_page("),  # that of both
    )
    for name in ("test_pipeline.py", "test_settings.py", "test_tasks.py"):  # to be sooner done
        (submission / "tests" / name).unlink()
    done = tool("handout", submission, tmp_path / "out")
    assert done.returncode == 1
    assert done.stdout.splitlines()[3:7] == [
        "lint   red       red",
        "start  green     red",
        "test   red       red",
        "stubs  red       red",
    ]
    said = dict(
        re.findall(r"\n(\w+ of the \S+) is red:\n(.*?)(?=\n\n|\n\Z)", done.stdout, re.DOTALL)
    )
    assert "1 file would be reformatted" in said["lint of the solution"]
    assert 'has no attribute "NOTHING"' in said["lint of the hand-out"]
    assert "has no attribute 'NOTHING'" in said["start of the hand-out"]
    assert "1 failed" in said["test of the solution"]
    assert said["test of the hand-out"].endswith("\nexit status 1")
    assert said["stubs of the solution"] == "marked @todo: score_page; expected: none"
    left = "clean_flights, score_airports"
    assert said["stubs of the hand-out"] == f"marked @todo: {left}, score_page; expected: {left}"
    assert (tmp_path / "out" / TRANSFORMS).is_file()  # to be looked at


DEF = 'def one(raw):\n    """Returns\n    `schemas.ONE`."""\n'
BODY = "    return raw\n"
BLOCK = "expected an indented block after 'if' statement on line 1"
REGION = BEGIN + BODY + END
REFUSED = {
    "BEGIN without END": (DEF + BEGIN + BODY, [", line 4: BEGIN without END."]),
    "END without BEGIN": (DEF + BODY + END, [", line 5: END without BEGIN."]),
    "nested": (DEF + BEGIN + REGION, [", line 5: BEGIN in the region that line 4 begins."]),
    "misspelt": (
        f"{DEF}    # begin solution\n{BODY}    pass  ### END SOLUTION\n",
        [
            f", line {n}: no marker; write `### BEGIN SOLUTION` or `### END SOLUTION`, and no more."
            for n in (4, 6)
        ],
    ),
    "no schema, twice": (
        f'def one(raw):\n    """Of `schemas.ONE`. Returns it."""\n{REGION}def two(raw):\n{REGION}',
        [
            ", line 3: the docstring of one should say: Returns `schemas.NAME`.",
            ", line 7: the docstring of two should say: Returns `schemas.NAME`.",
        ],
    ),
    "unparsable when cut": (
        f"if True:\n{BEGIN}    x = 1\n{END}y = 1\n",
        [f", line 2, once cut, is no Python: {BLOCK}."],
    ),
    "no Python": (f"def one(:\n{BEGIN}", [" is no Python: invalid syntax (<unknown>, line 1)."]),
    "async": (
        f"async {DEF}{REGION}",
        [", line 4: one cannot be a stub: it is no plain function of its module."],
    ),
    "method": (
        "class A:\n    " + (DEF + REGION).replace("\n", "\n    "),
        [", line 5: A.one cannot be a stub: it is no plain function of its module."],
    ),
    "no frame": (
        DEF.replace("raw", "") + REGION,
        [", line 4: one cannot be a stub: it takes no frame."],
    ),
    "docstring inside": (
        DEF.replace(":\n", ":\n" + BEGIN) + BODY + END,
        [", line 2: the region holds the docstring of one; begin below it."],
    ),
    "two functions": (
        f"{DEF}{BEGIN}{BODY}def two(raw):\n{END}{BODY}",
        [", line 4: the region cuts a definition in two; keep it within one."],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_region_that_makes_no_stub_is_refused_with_its_line(
    submission: Path, tmp_path: Path, case: str
) -> None:
    text, sentences = REFUSED[case]
    (submission / TRANSFORMS).write_text(text, "utf-8")
    done = tool("handout", submission, tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [TRANSFORMS + sentence for sentence in sentences]
    assert not (tmp_path / "out").exists()


def test_a_handout_is_refused_with_all_that_is_wrong_and_nothing_is_left(
    solved: Path, submission: Path, tmp_path: Path
) -> None:
    def refused(project: Path, out: Path) -> list[str]:
        done = tool("handout", project, out)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr.splitlines()

    (tmp_path / "empty").mkdir()
    full = solved / "data"
    before = tree(solved)
    assert refused(tmp_path / "empty", full) == [
        f"{tmp_path / 'empty'} is no project of this template: "
        "it needs one PACKAGE/compose/stub.py, a Pipfile and a pyproject.toml.",
        f"{full} exists and is not empty; name a new folder.",
    ]
    assert refused(solved, solved / "out") == [
        f"{solved / 'out'} lies in {solved}; name a folder outside."
    ]
    assert tree(solved) == before

    out = tmp_path / "out"
    edit(submission / TESTS, ('@pytest.mark.stub("clean_flights")\n', ""))
    with (submission / TESTS).open("a", encoding="utf-8") as file:  # where it is taken away
        file.write('### BEGIN SOLUTION\n@pytest.mark.stub("clean_flights")\n')
        file.write("def test_more():\n    pass\n### END SOLUTION\n")
    cure = 'mark one, outside every region: @pytest.mark.stub("clean_flights").'
    assert refused(submission, out) == [f"Nothing tests clean_flights; {cure}"]
    edit(submission / TRANSFORMS, (BEGIN + "    arr", "    arr"), (BEGIN + "    tot", "    tot"))
    text = (submission / TRANSFORMS).read_text("utf-8").replace(END, "")
    (submission / TRANSFORMS).write_text(text, "utf-8")
    none = "No function of flight_scores holds a region; write `### BEGIN SOLUTION`, "
    assert refused(submission, out) == [none + "`### END SOLUTION`."]
    with (submission / "flight_scores" / "cli.py").open("a", encoding="utf-8") as file:
        file.write("### BEGIN SOLUTION\n")
    (submission / "NOTES.md").write_text("    ### END SOLUTION\n", "utf-8")
    assert refused(submission, out) == [
        f"{name} holds a marker, but is no module to edit and no test."
        for name in ("NOTES.md", "flight_scores/cli.py")
    ]
    pipfile = submission / "Pipfile"
    pipfile.write_text(pipfile.read_text("utf-8").replace("lint = ", "lent = "), "utf-8")
    assert refused(submission, out) == [
        f"The Pipfile of {submission} gives no script 'lint': 'lint'."
    ]
    assert not out.exists()


def test_a_solution_is_done(handout: Path, submission: Path) -> None:
    grade = Grade(handout, submission)
    assert grade.said == [
        "clean_flights   done",
        "score_airports  done",
        "2 of 2 done",
        "other tests: 7 of 7 pass",
    ]
    assert (grade.status, grade.failures, grade.error) == (0, 0, "")


def test_an_untouched_handout_is_not_done(handout: Path, tmp_path: Path) -> None:
    grade = Grade(handout, shutil.copytree(handout, tmp_path / "submission"))
    assert grade.said == [
        "clean_flights   not done: still marked @todo",
        "score_airports  not done: still marked @todo",
        "0 of 2 done",
        "other tests: 7 of 7 pass",
    ]
    assert (grade.status, grade.failures, grade.error) == (1, 3, "")
    messages = [e.attrib["message"] for e in grade.suite.findall("testcase/failure")]
    assert messages[0] == "clean_flights is still marked @todo"


def test_a_deleted_function_and_one_still_marked_although_right_are_not_done(
    handout: Path, submission: Path
) -> None:
    edit(
        submission / TRANSFORMS,
        ("import schemas\n", "import schemas\nfrom .compose import todo\n"),
        ("def clean_flights(", "@todo('write')\ndef clean_flights("),
        ("def score_airports(", "def other("),
    )
    grade = Grade(handout, submission)
    assert grade.said == [
        "clean_flights   not done: still marked @todo",
        "score_airports  not done: 2 of 2 tests fail",
        "0 of 2 done",
        "other tests: 3 of 7 pass",
    ]
    assert (grade.status, grade.failures, grade.error) == (1, 7, "")


def test_tests_toolkit_and_settings_of_a_submission_do_not_count(
    handout: Path, submission: Path
) -> None:
    edit(submission / TRANSFORMS, (RIGHT, WRONG))
    passing = "def pytest_pyfunc_call():\n    return True\n"
    for name in ("conftest.py", "tests/conftest.py", "flight_scores/compose/__init__.py"):
        (submission / name).write_text(passing, "utf-8")
    for name in (TESTS, "flight_scores/__init__.py", "flight_scores/cli.py"):
        (submission / name).write_text("raise SystemExit(0)\n", "utf-8")
    (submission / "flight_scores" / "cli").mkdir()
    (submission / "flight_scores" / "cli" / "__init__.py").write_text("1 / 0\n", "utf-8")
    (submission / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '-k no'\n", "utf-8"
    )
    (submission / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n", "utf-8")
    grade = Grade(handout, submission)
    assert grade.said == [
        "clean_flights   not done: 1 of 1 tests fails",
        "score_airports  done",
        "1 of 2 done",
        "other tests: 7 of 7 pass",
    ]


def test_only_modules_that_a_student_edits_are_taken(tmp_path: Path) -> None:
    like, theirs = tmp_path / "like", tmp_path / "theirs"
    for folder in (like, theirs):
        for name in ("transforms.py", "given.py", "sub/own.py", "cli.py", "compose/stub.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text('"""EDIT. More."""\n', "utf-8")
    (like / "given.py").write_text('"""READ. More."""\n', "utf-8")
    for name in ("given", "Compose", "cli", "no-name", "helpers"):
        (theirs / name).mkdir(exist_ok=True)
        (theirs / name / "__init__.py").touch()
    (theirs / "data.csv").touch()
    try:
        (theirs / "link.py").symlink_to(theirs / "transforms.py")
        (theirs / "links").symlink_to(like, target_is_directory=True)
    except OSError:
        pass  # this system lets nobody make a link
    taken = [path.as_posix() for path in modules(theirs, like=like)]
    assert taken == ["helpers/__init__.py", "sub/own.py", "transforms.py"]


def test_a_hidden_test_counts(handout: Path, submission: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "test_transforms.py").write_text(HIDDEN, "utf-8")  # a name that is taken
    edit(submission / TRANSFORMS, ("LATE = 15", "LATE = 14.5"))
    grade = Grade(handout, submission, "--hidden", hidden)
    assert grade.said == [
        "clean_flights   not done: 1 of 2 tests fails",
        "score_airports  done",
        "1 of 2 done",
        "other tests: 7 of 7 pass",
    ]


IMPORTS = {
    "syntax error": (
        "x = (\n",
        "does not import: SyntaxError: '(' was never closed (transforms.py, line {line})",
    ),
    "exit": (
        "import sys\nsys.exit('\\x1b[2J\\u202e\\r\\ud800 ]]>')\n",
        "ended the tests: SystemExit: ?[2J??? ]]> (transforms.py, line {next})",
    ),
    "silent exit": (
        "import os\nprint('2 of 2 done', flush=True)\nos._exit(0)\n",
        "the tests ended early, with no report of it",
    ),
    "tampering": (
        "import pytest\npytest.Function.runtest = lambda self: None\n",
        "a test that must fail did not, so the others say nothing",
    ),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_a_module_that_does_harm_when_imported_is_not_done(
    handout: Path, submission: Path, case: str
) -> None:
    harm, reason = IMPORTS[case]
    line = (submission / TRANSFORMS).read_text("utf-8").count("\n") + 1
    with (submission / TRANSFORMS).open("a", encoding="utf-8") as file:
        file.write(harm)
    reason = reason.format(line=line, next=line + 1)
    grade = Grade(handout, submission)
    assert grade.said[:3] == [
        f"clean_flights   not done: {reason}",
        f"score_airports  not done: {reason}",
        "0 of 2 done",
    ]
    assert grade.status == 1
    assert grade.error == reason


LOOP = """    import subprocess, sys
    code = "import time\\nwhile True:\\n    open(sys.argv[1], 'a').write('.')\\n    time.sleep(0.1)"
    subprocess.Popen([sys.executable, "-c", "import sys, " + code.removeprefix("import "), {!r}])
    import time
    while True:
        time.sleep(1)
"""


def test_what_never_ends_is_ended_with_all_that_it_started(
    handout: Path, submission: Path, tmp_path: Path
) -> None:
    beats = tmp_path / "beats"
    edit(
        submission / TRANSFORMS,
        (BEGIN + "    totals", LOOP.format(str(beats)) + "    totals"),
        (BEST + END, BEST),
    )
    grade = Grade(handout, submission, "--seconds", 20)
    assert grade.said == [
        "clean_flights   done",
        "score_airports  not done: the time of 20 s was up",
        "1 of 2 done",
        "other tests: 0 of 7 pass",
    ]
    assert (grade.status, grade.error) == (1, "the time of 20 s was up")
    size = beats.stat().st_size
    time.sleep(1)
    assert beats.stat().st_size == size > 0


def test_a_grade_is_refused_where_there_is_nothing_to_grade(
    solved: Path, handout: Path, submission: Path, tmp_path: Path
) -> None:
    def refused(*words: object) -> list[str]:
        done = tool("grade", *words)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr.splitlines()

    (tmp_path / "empty").mkdir()
    xml = tmp_path / "none" / "grade.xml"
    assert refused(handout, tmp_path / "empty") == [
        f"{tmp_path / 'empty'} has no folder flight_scores."
    ]
    assert refused(handout, submission, "--xml", xml) == [
        f"{xml} cannot be written: there is no such folder."
    ]
    assert refused(solved, submission) == [f"{solved} has no stubs."]
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "test_hidden.py").write_text("import nothing\n", "utf-8")
    (fault,) = refused(handout, submission, "--hidden", tmp_path / "hidden")
    no = "does not import: ModuleNotFoundError: No module named 'nothing'"
    assert fault == f"tests/hidden/test_hidden.py: {no}."
