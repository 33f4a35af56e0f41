"""Grade a submission against its hand-out: python tools/grade.py HANDOUT SUBMISSION

Of the submission, only the modules that a student edits are taken. All else is the hand-out's: the
toolkit, the tests, the settings of pytest, the raw data; --hidden adds tests that they do not see.
Stubs and tests are those of the hand-out, listed before any code of the student runs. A test passes
when it is reported as passed; one that is skipped, or of which nothing is heard, does not.

The student's code runs in a process of its own, under a time limit, but with your rights and beside
the tests. One test there must fail, after all imports: if it does not, nothing is believed, so
crude tampering with pytest is noticed. What cannot be ruled out in one process: code that forges
the report with more care, that moves a process out of reach of the time limit (on Windows, also one
that it leaves behind), or that reads and changes your files. So run this in a container.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import click
from baking import clean_environ
from grading import MUST_FAIL
from handout import copy, modules, package_of, refuse, speak_anywhere

TOOLS = Path(__file__).resolve().parent
PASSED = [(phase, "passed") for phase in ("setup", "call", "teardown")]
LIMIT = 50_000_000  # the characters of a report that are read


@dataclass
class Report:
    """What a run of pytest has told; `cut` says why it ended early, if it did."""

    tests: dict[str, list[str]] = field(default_factory=dict)  # each with what it specifies
    todo: list[str] = field(default_factory=list)  # the functions marked @todo
    errors: dict[str, str] = field(default_factory=dict)  # by test file; "" concerns all
    results: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    cut: str = ""

    def fault(self, test: str) -> str:
        """Why a test has not passed; nothing if it has."""
        phases = self.results.get(test, [])
        if [(phase, outcome) for phase, outcome, _ in phases] == PASSED:
            return ""
        told = "\n".join(text for _, _, text in phases if text)
        return told or self.absence(test) or "skipped"

    def absence(self, test: str) -> str:
        """Why the end of a test is not heard of; nothing if it is."""
        if any(phase == "teardown" for phase, _, _ in self.results.get(test, [])):
            return ""
        error = self.errors.get(test.partition("::")[0]) or self.errors.get("")
        return error or self.cut or "its tests did not run"

    def reason(self, stub: str, tests: list[str]) -> str:
        """Why a stub is not done; nothing if it is."""
        failing = [test for test in tests if self.fault(test)]
        if failing and stub in self.todo:
            return "still marked @todo"
        absent = [self.absence(test) for test in failing if self.absence(test)]
        fail = "fails" if len(failing) == 1 else "fail"
        return (absent or [f"{len(failing)} of {len(tests)} tests {fail}"])[0] if failing else ""


def run(project: Path, seconds: float, *options: str) -> Report:
    """Run a project's tests in a process of their own; what they told until their time was up."""
    path, scratch = project.with_suffix(".report"), project.with_suffix(".scratch")
    path.unlink(missing_ok=True)
    scratch.mkdir(exist_ok=True)
    environ = clean_environ(GRADING_REPORT=str(path), PYTHONPATH=str(TOOLS))
    plugins = ("-p", "grading", "-p", "no:cacheprovider", "--continue-on-collection-errors")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugins, *options, "tests"],
        cwd=project,
        env=environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a group of its own, to be killed as a whole
    )
    try:
        status = process.wait(seconds)
        cut = f"the tests ended early, with exit status {status}" if status not in (0, 1) else ""
    except subprocess.TimeoutExpired:
        cut = f"the time of {seconds:g} s was up"
    finally:
        kill(process)
    report = read(path)
    report.cut = cut or report.cut
    return report


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started, as far as the system can tell what that is."""
    if sys.platform == "win32":
        tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(tree, capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def read(path: Path) -> Report:
    """What was told; any line of it may be forged, and none of them is an error here."""
    report, text, ended = Report(), "", False
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(LIMIT)
    for line in text.split("\n"):
        try:
            told = json.loads(line)
            kind, where, names = str(told["kind"]), str(told["where"]), told.get("names", [])
            names = [str(name) for name in names]
            phase, outcome, detail = (str(told.get(n, "")) for n in ("phase", "outcome", "text"))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            continue
        if kind == "test":
            report.tests[where] = names
        elif kind == "todo":
            report.todo = names
        elif kind == "error":
            report.errors.setdefault(where, detail)
        elif kind == "result":
            report.results.setdefault(where, []).append((phase, outcome, detail))
        ended = ended or kind == "end"
    report.cut = "" if ended else "the tests ended early, with no report of it"
    must_fail = [phase[1] for t, all in report.results.items() if MUST_FAIL in t for phase in all]
    if report.results and "failed" not in must_fail:
        report.results.clear()
        report.cut = "a test that must fail did not, so the others say nothing"
    return report


def clean(text: str) -> str:
    """The text with nothing in it that a terminal would obey or that XML may not hold."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text.expandtabs())


def junit(report: Report, tests: list[str]) -> bytes:
    """The tests as JUnit XML, with one error more if the run was cut or something not imported."""
    faults = {test: clean(report.fault(test)) for test in tests}
    errors = sorted(set(report.errors.values())) or [report.cut] * bool(report.cut)
    counts = {"tests": len(tests) + bool(errors), "failures": sum(map(bool, faults.values()))}
    root = ET.Element("testsuites")
    about = {"name": "grade", "errors": int(bool(errors)), "skipped": 0, **counts}
    suite = ET.SubElement(root, "testsuite", {name: str(value) for name, value in about.items()})
    for test, fault in faults.items():
        file, _, name = test.partition("::")
        place = file.removesuffix(".py").replace("/", ".")
        case = ET.SubElement(suite, "testcase", classname=place, name=name)
        if fault:
            ET.SubElement(case, "failure", message=fault.splitlines()[-1]).text = fault
    if errors:
        case = ET.SubElement(suite, "testcase", classname="tests", name="run")
        ET.SubElement(case, "error", message=clean("; ".join(errors)))
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def prepare(handout: Path, hidden: Path | None, project: Path) -> Report:
    """Copy the hand-out, with the hidden tests; what it specifies. Raises ValueError if nothing."""
    copy(handout, project)
    if hidden:
        shutil.rmtree(project / "tests" / "hidden", ignore_errors=True)
        shutil.copytree(hidden, project / "tests" / "hidden")
        (project / "tests" / "hidden" / "__init__.py").touch()  # so that names may be used twice
    (project / MUST_FAIL).write_text("def test_must_fail():\n    assert 1 == 2\n", "utf-8")
    listed = run(project, 600, "--collect-only")
    listed.tests = {test: n for test, n in listed.tests.items() if MUST_FAIL not in test}
    untested = set(listed.todo).difference(*listed.tests.values())
    faults = [f"{file}: {clean(text)}." for file, text in listed.errors.items()]
    faults = faults or [f"{handout} cannot be tested: {listed.cut}."] * bool(listed.cut)
    faults = faults or [f"Nothing tests {name}." for name in sorted(untested)]
    faults = faults or [f"{handout} has no stubs."] * (not listed.todo)
    if faults:
        raise ValueError("\n".join(faults))
    return listed


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("handout", type=FOLDER)
@click.argument("submission", type=FOLDER)
@click.option("--hidden", type=FOLDER, help="A folder of tests that are added.")
@click.option("--seconds", type=click.FloatRange(1), default=300, help="The time limit.")
@click.option("--xml", type=click.Path(dir_okay=False, path_type=Path), help="JUnit XML to write.")
def main(
    handout: Path, submission: Path, hidden: Path | None, seconds: float, xml: Path | None
) -> None:
    """Say which stubs of HANDOUT are done in SUBMISSION."""
    speak_anywhere()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        project = Path(folder).resolve() / "project"
        try:
            package = package_of(handout.resolve())
            theirs = submission / package.name
            if theirs.is_symlink() or not theirs.is_dir():
                raise ValueError(f"{submission} has no folder {package.name}.")
            if xml and not xml.resolve().parent.is_dir():
                raise ValueError(f"{xml} cannot be written: there is no such folder.")
            listed = prepare(handout.resolve(), hidden, project)
            for relative in modules(theirs, like=package):
                to = project / package.name / relative
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(theirs / relative, to)
            report = run(project, seconds)
            if xml:
                xml.write_bytes(junit(report, list(listed.tests)))
        except (OSError, ValueError) as error:
            refuse(str(error).splitlines())
    reasons = {
        stub: report.reason(stub, [t for t, names in listed.tests.items() if stub in names])
        for stub in listed.todo
    }
    width = max(map(len, reasons)) + 2
    for stub, reason in reasons.items():
        said = textwrap.shorten(clean(reason), 200, placeholder=" ...")
        line = f"{stub:{width}}{f'not done: {said}' if said else 'done'}"
        click.echo(textwrap.fill(line, 80, subsequent_indent=" " * width, break_on_hyphens=False))
    done = sum(not reason for reason in reasons.values())
    click.echo(f"{done} of {len(reasons)} done")
    others = [t for t, names in listed.tests.items() if not {*names} & {*reasons}]
    if others:
        click.echo(f"other tests: {sum(not report.fault(t) for t in others)} of {len(others)} pass")
    sys.exit(0 if done == len(reasons) else 1)


if __name__ == "__main__":
    main()
