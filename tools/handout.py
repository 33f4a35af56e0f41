"""Turn a solved project into a hand-out, and check both: python tools/handout.py SOLVED OUT

What stands between the lines `### BEGIN SOLUTION` and `### END SOLUTION` is left out. Where that is
in a function of a module that one edits, the function becomes a stub: `return conform(...)` to the
schema that its docstring says it returns, marked `@todo`. Elsewhere, and in tests, it is deleted.
"""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

import click
from baking import clean_environ, run

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
MARKER = re.compile(r"#\s*(BEGIN|END)\s+SOLUTION", re.IGNORECASE)
READ = {("compose",), ("cli",), ("__init__",), ("__main__",)}
SCRATCH = (".git", ".*_cache", "__pycache__", "*.egg-info", ".ipynb_checkpoints")
SCRATCH_AT_ROOT = (*SCRATCH, ".env", ".venv", ".coverage", "build")
CHECKS = ("lint", "start", "test", "stubs")  # the scripts of the project's Pipfile, and its stubs
STUBS = """
import importlib, sys
package, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(f"{package}.{module}")
print(*sorted(importlib.import_module(f"{package}.compose.stub").stubs()), sep=", ")
"""


def package_of(project: Path) -> Path:
    """The package of a baked project. Raises ValueError, with a sentence, where there is none."""
    found = [path.parents[1] for path in project.glob("*/compose/stub.py")]
    if len(found) != 1 or not all((project / n).is_file() for n in ("Pipfile", "pyproject.toml")):
        needs = "it needs one PACKAGE/compose/stub.py, a Pipfile and a pyproject.toml"
        raise ValueError(f"{project} is no project of this template: {needs}.")
    return found[0]


def modules(package: Path, like: Path) -> list[Path]:
    """The modules that one edits, relative to their package: no links, and nothing that is READ.

    READ is what the template names so, each module of the package `like` whose first word says so,
    and what would take the place of one.
    """
    stated = [p for p in like.rglob("*.py") if p.read_bytes().startswith(b'"""READ.')]
    read = READ | {path.relative_to(like).with_suffix("").parts for path in stated}
    found = []
    for folder, _, names in os.walk(package):
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            relative = path.relative_to(package)
            parts = tuple(part.casefold() for part in relative.with_suffix("").parts)
            taken = any(parts[:n] in read for n in range(1, len(parts) + 1))
            named = all(map(str.isidentifier, parts))  # else nothing can import it
            if named and not taken and path.is_file() and not path.is_symlink():
                found.append(relative)
    return sorted(found)


def copy(project: Path, to: Path) -> Path:
    """Copy a project without its history, settings, environment, caches and outputs."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        patterns = SCRATCH_AT_ROOT if Path(folder) == project else SCRATCH
        outputs = set(names) - {"raw"} if Path(folder) == project / "data" else set()
        return outputs | {name for name in names if any(fnmatch(name, p) for p in patterns)}

    return shutil.copytree(project, to, ignore=left_out, ignore_dangling_symlinks=True)


def regions(lines: list[str]) -> tuple[list[tuple[int, int]], list[str]]:
    """The lines of the markers of each region, counted from 1, and what is wrong with them."""
    found, faults, begun = [], [], 0
    for number, line in enumerate(lines, 1):
        if line.strip() == BEGIN and not begun:
            begun = number
        elif line.strip() == END and begun:
            found.append((begun, number))
            begun = 0
        elif line.strip() == BEGIN:
            faults.append(f"line {number}: BEGIN in the region that line {begun} begins.")
        elif line.strip() == END:
            faults.append(f"line {number}: END without BEGIN.")
        elif MARKER.search(line):
            faults.append(f"line {number}: no marker; write `{BEGIN}` or `{END}`, and no more.")
    return found, faults + ([f"line {begun}: BEGIN without END."] if begun else [])


def stub(tree: ast.Module, first: int, last: int) -> tuple[ast.FunctionDef, str] | None:
    """The function around a region, and the stub's statement; None if there is no function.

    Raises ValueError where the function cannot be a stub.
    """
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    nodes = [(node, node.lineno, node.end_lineno or 0) for node in statements]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    around = [(n, stop) for n, start, stop in nodes if start < first <= stop]
    defined = [(n, stop) for n, stop in around if isinstance(n, kinds)]
    inside = [(start, stop) for _, start, stop in nodes if first < start < last]
    bound = defined[-1][1] if defined else last  # the region may reach as far, or END be below it
    if any(stop > last or start > bound for start, stop in inside):
        raise ValueError("the region cuts a definition in two; keep it within one.")
    if all(isinstance(node, ast.ClassDef) for node, _ in defined):
        return None
    function, name = defined[0][0], ".".join(node.name for node, _ in defined)
    if len(defined) > 1 or not isinstance(function, ast.FunctionDef):
        raise ValueError(f"{name} cannot be a stub: it is no plain function of its module.")
    arguments = function.args.posonlyargs + function.args.args
    if not arguments:
        raise ValueError(f"{name} cannot be a stub: it takes no frame.")
    returned = (ast.get_docstring(function) or "").rpartition("Returns")
    named = re.findall(r"\bschemas\.(\w+)", returned[2]) if returned[1] else []
    if not named:
        raise ValueError(f"the docstring of {name} should say: Returns `schemas.NAME`.")
    if function.body[0].lineno > first:
        raise ValueError(f"the region holds the docstring of {name}; begin below it.")
    return function, f"return conform({arguments[0].arg}, schemas.{named[-1]})"


def cut(text: str, compose: str) -> tuple[str, list[str], list[str]]:
    """A module's text without its regions, the stubs that it has now, and the faults of it.

    compose: what its stubs import `conform` and `todo` from; empty where there are none, in tests.
    """
    lines = text.split("\n")
    tree = ast.parse(text)
    found, faults = regions(lines)
    edits: list[tuple[int, int, list[str]]] = []
    stubs: list[str] = []
    for first, last in found:
        new: list[str] = []
        try:
            made = stub(tree, first, last) if compose else None
        except ValueError as error:
            faults.append(f"line {first}: {error}")
            continue
        if made and made[0].name not in stubs:  # else an earlier region has returned already
            function, statement = made
            stubs.append(function.name)
            new = [lines[first - 1].partition("#")[0] + statement]
            above = min([function.lineno, *(d.lineno for d in function.decorator_list)])
            indent = " " * function.col_offset
            mark = f'{indent}@todo("delete this line when {function.name} is written")'
            edits.append((above, above - 1, [mark]))
        edits.append((first, last, new))
    if stubs:
        gone = {line for first, last in found for line in range(first, last)}
        top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        top = [node for node in top if node.lineno not in gone]
        bound = {alias.asname or alias.name for node in top for alias in node.names}
        below = max((node.end_lineno or 0 for node in top or tree.body[:1]), default=0)
        needs = {"schemas": compose.removesuffix("compose"), "conform": compose, "todo": compose}
        new = [f"from {whence} import {n}" for n, whence in needs.items() if n not in bound]
        edits.append((below + 1, below, new))
    for first, last, new in sorted(edits, reverse=True):
        lines[first - 1 : last] = new
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        faults += [] if faults else [f"line {error.lineno}, once cut, is no Python: {error.msg}."]
    return "\n".join(lines), stubs, faults


def strip(project: Path) -> tuple[list[str], list[str]]:
    """Leave out the solutions in a copy of a project: the stubs made, and the faults."""
    package = package_of(project)
    edited = {package / relative for relative in modules(package, like=package)}
    tests = {path for path in (project / "tests").rglob("*.py") if path.is_file()}
    stubs: list[str] = []
    faults: list[str] = []
    changed = []
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        name = path.relative_to(project).as_posix()
        if name.startswith("data/") or not MARKER.search(path.read_text("utf-8", "replace")):
            continue
        if path not in edited | tests:
            faults.append(f"{name} holds a marker, but is no module to edit and no test.")
            continue
        level = "." * len(path.relative_to(package).parts) if path in edited else ""
        try:
            text, made, wrong = cut(path.read_text("utf-8"), level and f"{level}compose")
        except (SyntaxError, ValueError) as error:
            faults.append(f"{name} is no Python: {error}.")
            continue
        path.write_text(text, "utf-8", newline="\n")
        stubs += made
        faults += [f"{name}, {fault}" for fault in wrong]
        changed.append(name)
    if not faults:
        for fix in ("check --fix --select F401,I", "format"):
            run([sys.executable, "-m", "ruff", *fix.split(), "--no-cache", *changed], cwd=project)
        tested = {name for path in tests for name in marked(path)}
        cure = "mark one, outside every region: @pytest.mark.stub"
        faults = [f'Nothing tests {n}; {cure}("{n}").' for n in stubs if n not in tested]
        if not stubs:
            faults = [f"No function of {package.name} holds a region; write `{BEGIN}`, `{END}`."]
    return stubs, faults


def marked(path: Path) -> list[str]:
    """The names in all marks `stub("name")` of a test file."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # which pytest will say
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    marks = [call for call in calls if getattr(call.func, "attr", "") == "stub"]
    return [str(arg.value) for m in marks for arg in m.args if isinstance(arg, ast.Constant)]


def command(name: str, project: Path) -> list[str]:
    """What runs a check: a script of the project's Pipfile, or a program that tells its stubs.

    Raises ValueError where the Pipfile has no such script.
    """
    if name == "stubs":
        package = package_of(project)
        edited = [".".join(p.with_suffix("").parts) for p in modules(package, like=package)]
        return [sys.executable, "-c", STUBS, package.name, *edited]
    try:
        scripts = tomllib.loads((project / "Pipfile").read_text("utf-8"))["scripts"]
        program, *words = shlex.split(scripts[name])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The Pipfile of {project} gives no script {name!r}: {error}.") from None
    return [sys.executable, *([] if program == "python" else ["-m", program]), *words]


def check(name: str, project: Path, stubs: list[str]) -> str:
    """Run one check on a project: the end of what it said if it is red, else nothing."""
    environ = clean_environ(
        PATH=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]),
        DATA_ROOT=str(project.parent / f"data of {project.name}"),
        RAW_ROOT=str(project / "data" / "raw"),
        MYPY_CACHE_DIR=os.environ.get("MYPY_CACHE_DIR") or str(project.parent / "mypy"),
    )
    try:
        done = run(command(name, project), cwd=project, env=environ)
    except subprocess.TimeoutExpired as error:
        return f"no end after {error.timeout:.0f} s"
    if name == "stubs" and done.returncode == 0:
        left, right = (names or "none" for names in (done.stdout.strip(), ", ".join(sorted(stubs))))
        return "" if left == right else f"marked @todo: {left}; expected: {right}"
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "\n".join([*said[-15:], f"exit status {done.returncode}"]) if done.returncode else ""


def speak_anywhere() -> None:
    """Print what a terminal cannot show as an escape, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def refuse(faults: list[str]) -> NoReturn:
    """End with one sentence for each fault."""
    for fault in faults:
        click.echo(fault, err=True)
    sys.exit(2)


@click.command()
@click.argument("solved", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(solved: Path, out: Path) -> None:
    """Make the hand-out OUT of the project SOLVED, and check both."""
    speak_anywhere()
    solved, faults = solved.resolve(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        projects = {name: Path(folder).resolve() / name for name in ("solution", "hand-out")}
        try:
            package_of(solved)
            for name in CHECKS:
                command(name, solved)
        except ValueError as error:
            faults.append(str(error))
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            faults.append(f"{out} exists and is not empty; name a new folder.")
        if solved in (out.resolve(), *out.resolve().parents):
            faults.append(f"{out} lies in {solved}; name a folder outside.")
        try:
            for project in () if faults else projects.values():
                copy(solved, project)
            stubs, wrong = ([], []) if faults else strip(projects["hand-out"])
            if faults := faults + wrong:
                refuse(faults)
            shutil.copytree(projects["hand-out"], out, dirs_exist_ok=True)
        except OSError as error:
            refuse([f"The hand-out cannot be written: {error}."])
        click.echo(
            f"{len(stubs)} {'stub' if len(stubs) == 1 else 'stubs'} in {out}: {', '.join(stubs)}\n"
        )
        click.echo("check  solution  hand-out")
        red = []
        for name in CHECKS:
            said = {p: check(name, projects[p], stubs * (p == "hand-out")) for p in projects}
            colours = ["red" if text else "green" for text in said.values()]
            click.echo(f"{name:5}  {colours[0]:8}  {colours[1]}")
            red += [f"\n{name} of the {p} is red:\n{text}" for p, text in said.items() if text]
    for text in red:
        click.echo(text)
    sys.exit(1 if red else 0)


if __name__ == "__main__":
    main()
