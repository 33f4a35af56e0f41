"""What tools/grade.py adds to pytest: each result is told to it, as a line of JSON in a file.

No specification is expected to fail here: that of a function which is still marked `@todo` fails.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

MUST_FAIL = "tests/test_must_fail.py"  # a test that shows whether failures are reported
_report = Path(os.environ.pop("GRADING_REPORT", os.devnull))
_project = Path.cwd()
_todo: dict[str, list[str]] = {}  # the functions still marked, by the test that specifies them


def tell(kind: str, where: str = "", **more: Any) -> None:
    with _report.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, "where": where, **more}) + "\n")


def sentence(error: BaseException) -> str:
    """What went wrong, with the line of the project that raised it."""
    cause = getattr(error, "cause", None) or error.__cause__
    if isinstance(cause, BaseException):  # pytest's own errors wrap that of an import
        error = cause
    places = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    own = [
        f" ({path.name}, line {line})"
        for path, line in places
        if path.is_relative_to(_project) and not path.is_relative_to(_project / "tests")
    ]
    where = "" if isinstance(error, SyntaxError) or not own else own[-1]  # which names it itself
    return f"{type(error).__name__}: {error}{where}".replace(f"{_project}{os.sep}", "")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    try:
        return (yield)
    except BaseException as error:
        tell("error", text=f"does not import: {sentence(error)}")
        raise


def pytest_exception_interact(call: pytest.CallInfo[Any], report: Any) -> None:
    if isinstance(report, pytest.CollectReport) and call.excinfo:
        tell("error", report.nodeid, text=f"does not import: {sentence(call.excinfo.value)}")


def pytest_internalerror(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    tell("error", text=f"ended the tests: {sentence(excinfo.value)}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Undo what the project's conftest expects of stubs, which has run before."""
    stubs = [module for name, module in sys.modules.items() if name.endswith(".compose.stub")]
    left = [name for module in stubs for name in module.stubs()]
    tell("todo", names=left)
    for item in items:
        names = [str(arg) for mark in item.iter_markers("stub") for arg in mark.args]
        tell("test", item.nodeid, names=names)
        if names:
            item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "xfail"]
            _todo[item.nodeid] = [name for name in names if name in left]
    items.sort(key=lambda item: item.nodeid not in _todo)  # specifications before other tests
    items.sort(key=lambda item: not item.nodeid.startswith(MUST_FAIL))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    for name in _todo.get(item.nodeid, []):
        pytest.fail(f"{name} is still marked @todo", pytrace=False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    about = {"phase": report.when, "outcome": report.outcome, "text": report.longreprtext[-4000:]}
    tell("result", report.nodeid, **about)


def pytest_sessionfinish() -> None:
    tell("end")
