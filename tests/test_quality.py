"""The project as baked is formatted, linted, typed, tested and gated before anyone fixes it."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from baking import TEMPLATE, clean_environ, run
from conftest import PACKAGE, Project, mypy_cache

TYPED = f"""\
from {PACKAGE} import tasks
from {PACKAGE}.compose import Requirement, RequirementList
import luigi


class Typed(luigi.Task):
    scores = Requirement(tasks.AirportScores)
    many = RequirementList(tasks.AirportScores, min_flights=lambda task: [1, 2])

    def run(self) -> None:
        reveal_type(self.scores)
        reveal_type(self.many)
        reveal_type(Typed.scores)
        reveal_type(tasks.AirportScores(min_flights=3).min_flights)


reveal_type(tasks.CleanFlights().raw)
"""


def module(project: Project, *command: str) -> subprocess.CompletedProcess[str]:
    environ = clean_environ(PYTHONPATH=str(project.path), MYPY_CACHE_DIR=mypy_cache())
    return run([sys.executable, "-m", *command], cwd=project.path, env=environ)


def test_it_is_formatted_and_linted(new_project: Project) -> None:
    assert module(new_project, "ruff", "format", "--check").returncode == 0
    assert module(new_project, "ruff", "check").stdout == "All checks passed!\n"


@pytest.mark.xdist_group("types")
def test_it_is_typed_for_mypy_and_pyright(new_project: Project) -> None:
    assert module(new_project, "mypy").stdout.startswith("Success: no issues found")
    done = module(new_project, "pyright", "--pythonpath", sys.executable, PACKAGE)
    assert done.stdout.splitlines()[-1] == "0 errors, 0 warnings, 0 informations"


@pytest.mark.xdist_group("types")
def test_a_requirement_is_typed_as_its_task_for_mypy_and_pyright(new_project: Project) -> None:
    (new_project.path / "typed.py").write_text(TYPED)
    mypy = re.findall(r'Revealed type is "(.*)"', module(new_project, "mypy", "typed.py").stdout)
    scores = f"{PACKAGE}.tasks.AirportScores"
    assert [each.replace("builtins.", "") for each in mypy] == [
        scores,
        f"list[{scores}]",
        f"{PACKAGE}.compose.requirement.Requirement[{scores}]",
        "int",
        f"{PACKAGE}.tasks.RawFlights",
    ]
    done = module(new_project, "pyright", "--pythonpath", sys.executable, "typed.py")
    assert re.findall(r'Type of ".*" is "(.*)"', done.stdout) == [
        "AirportScores",
        "list[AirportScores]",
        "Requirement[AirportScores]",
        "int",
        "RawFlights",
    ]


def test_its_tests_pass_and_cover_what_the_user_edits_wholly(new_project: Project) -> None:
    before = {*new_project.path.rglob("*")}
    done = module(new_project, "pytest", "--cov", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    left = {*new_project.path.rglob("*")} - before
    assert left == {new_project.path / ".coverage"}  # which git ignores
    assert re.search(r"TOTAL +\d+ +0 +\d+ +0 +100%", done.stdout)
    measured = set(re.findall(rf"^{PACKAGE}/(\S+)\.py", done.stdout, re.MULTILINE))
    assert measured == {"__init__", "schemas", "settings", "tasks", "transforms"}
    assert "warning" not in done.stdout


def test_the_gate_goes_red_when_a_test_is_deleted(new_project: Project) -> None:
    (new_project.path / "tests" / "test_transforms.py").unlink()
    (new_project.path / "tests" / "test_tasks.py").unlink()
    done = module(new_project, "pytest", "--cov", "-q")
    assert done.returncode == 1
    assert "FAIL Required test coverage of 90.0% not reached" in done.stdout


def test_the_whole_pipeline_alone_does_not_reach_the_gate(new_project: Project) -> None:
    done = module(new_project, "pytest", "--cov", "-q", "tests/test_pipeline.py")
    assert done.returncode == 1
    assert "2 passed" in done.stdout


def test_one_test_file_runs_without_the_gate(new_project: Project) -> None:
    assert module(new_project, "pytest", "-q", "tests/test_settings.py").returncode == 0


def test_its_tests_cannot_reach_the_network(new_project: Project) -> None:
    (new_project.path / "tests" / "test_net.py").write_text(
        "import urllib.request\n\n\ndef test_net():\n    urllib.request.urlopen('http://127.0.0.1:9')\n"
    )
    assert "SocketBlockedError" in module(new_project, "pytest", "-q", "tests/test_net.py").stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('raw["arr_delay"].notnull()', 'raw["dest"].notnull()'),
        (">= LATE", "> LATE"),
        (".clip(lower=0)\n", "\n"),
        ("ascending=[False, True]", "ascending=[True, True]"),
        (">= min_flights", "> min_flights"),
        (', escape="html"', ""),
        ("[escape(str(text)) for", "[str(text) for"),
        ('how="left"', 'how="inner"'),
    ],
)
def test_its_tests_catch_a_broken_transform(new_project: Project, old: str, new: str) -> None:
    new_project.edit("transforms.py", old, new)
    soonest = ("-x", "-k", "not cut", "tests/test_tasks.py", "tests/test_transforms.py")
    assert module(new_project, "pytest", "-q", *soonest).returncode == 1


def sources(baked: Path) -> list[Path]:
    return sorted((baked / PACKAGE).rglob("*.py"))


def test_every_module_says_first_whether_one_edits_or_reads_it(baked: Path) -> None:
    for path in sources(baked):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        edited = path.name in ("settings.py", "schemas.py", "transforms.py", "tasks.py")
        expected = "EDIT." if edited else "READ."
        if path.parent.name == PACKAGE and path.name == "__init__.py":
            continue
        assert first.startswith(f'"""{expected} '), path


def test_no_module_of_the_toolkit_is_longer_than_150_lines(baked: Path) -> None:
    lengths = {p.name: len(p.read_text("utf-8").splitlines()) for p in sources(baked)}
    assert {n: length for n, length in lengths.items() if length > 150 and n != "cli.py"} == {}


def imported(path: Path) -> set[str]:
    """The modules of the package that a module imports from, relative to the package."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            inside = "compose." if path.parent.name == "compose" and node.level == 1 else ""
            names |= {f"{inside}{node.module}"} if node.module else {a.name for a in node.names}
    return names


def test_imports_point_one_way(baked: Path) -> None:
    package = baked / PACKAGE
    for path in (package / "compose").glob("*.py"):
        assert all(n.startswith("compose.") or n in vars_of(path) for n in imported(path)), path
    below = {
        "transforms.py": {"schemas", "compose"},
        "schemas.py": set(),
        "settings.py": set(),
        "tasks.py": {"schemas", "transforms", "compose"},
        "__main__.py": {"cli"},
    }
    for name, allowed in below.items():
        assert imported(package / name) <= allowed, name


def vars_of(path: Path) -> set[str]:
    """What `from . import x` may name inside the toolkit: its own modules."""
    return {other.stem for other in path.parent.glob("*.py")}


def test_nothing_depends_on_posix_alone(baked: Path) -> None:
    posix = re.compile(
        r"\bos\.(fork|kill|getuid|geteuid|chown|mkfifo|uname|getpgid|setsid|nice|statvfs|openpty)\b"
        r"|\b(fcntl|pwd|grp|resource|termios|pty)\b\s*(?:\.|$)|signal\.SIG(KILL|HUP|USR|ALRM|QUIT)|/tmp\b|/dev/"
    )
    for path in [*sources(baked), *(baked / "tests").glob("*.py")]:
        code = path.read_text(encoding="utf-8")
        code = re.sub(r'if os.name == "posix".*\n.*\n', "", code)
        assert not posix.search(code), path
        for call in re.findall(r"(?:read_text|write_text|(?<!def )\bPath\S*open)\([^()]*\)", code):
            assert "utf-8" in call or '"rb"' in call, (path, call)


def count(path: Path) -> int:
    """Lines of code, without blanks, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    kinds = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*kinds, tokenize.ENDMARKER):
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def test_the_package_is_no_larger_than_what_its_lines_are_for(baked: Path) -> None:
    text = (TEMPLATE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    allowed = {
        tuple(re.findall(r"`(\w+)`", modules)): int(lines)
        for modules, lines in re.findall(r"^\| (`.*`) \| (\d+) \|", text, re.MULTILINE)
    }
    sizes = {p.relative_to(baked / PACKAGE).as_posix(): count(p) for p in sources(baked)}
    toolkit = sorted(name for name in sizes if name.startswith("compose/"))
    named = [f"compose/{name}.py" for names in allowed for name in names]
    assert sorted([*named, "compose/__init__.py"]) == toolkit
    found = {names: sum(sizes[f"compose/{name}.py"] for name in names) for names in allowed}
    assert {names: n for names, n in found.items() if n > allowed[names]} == {}
    assert sum(sizes.values()) <= 3226
