"""READ. Running a graph with Luigi, so that what it reports can be trusted."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import luigi
from luigi.execution_summary import LuigiStatusCode

from .describe import measured
from .errors import ComposeError
from .graph import flat, is_external, label, outputs

DONE, FAILED, MISUSED, MISSING, INTERRUPTED = 0, 1, 2, 3, 130  # exit statuses
_STATUS = {
    LuigiStatusCode.SUCCESS: DONE,
    LuigiStatusCode.SUCCESS_WITH_RETRY: DONE,
    LuigiStatusCode.MISSING_EXT: MISSING,
}
_UNSURE = {LuigiStatusCode.SCHEDULING_FAILED, LuigiStatusCode.FAILED_AND_SCHEDULING_FAILED}


def build(tasks: list[luigi.Task], workers: int, scheduler_url: str) -> int:
    """Run these tasks; the exit status. Announces each on standard error."""
    config = luigi.configuration.get_config()
    config.set("worker", "check_complete_on_run", "true")  # a run() that writes nothing fails
    config.set("worker", "task_process_context", f"{__name__}.Announced")
    config.set("core", "no_configure_logging", "true")
    config.set("core", "rpc-retry-wait", "1")
    warnings.filterwarnings("ignore", ".*rpc_retry_wait")  # Luigi reads it all the same
    luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)(_announce_failure)
    luigi.Task.event_handler(luigi.Event.TIMEOUT)(_announce_failure)
    options = {"scheduler_url": scheduler_url} if scheduler_url else {"local_scheduler": True}
    result: Any = luigi.build(tasks, workers=workers, detailed_summary=True, **options)
    if result.status in _UNSURE:  # of which Luigi sends no event
        unsure = "failed  nobody could tell whether a task is complete; run again"
        print(f"{unsure}; LOG_LEVEL=INFO shows why", file=sys.stderr)
    return _STATUS.get(result.status, FAILED)


class Announced:
    """What Luigi enters around each task, in whatever process runs it."""

    def __init__(self, process: Any) -> None:
        """Luigi hands over the process; nothing of it is needed."""

    def __enter__(self) -> None:
        quiet_luigi()
        luigi.Task.event_handler(luigi.Event.SUCCESS)(_announce_success)
        luigi.Task.event_handler(luigi.Event.FAILURE)(_announce_failure)

    def __exit__(self, *error: object) -> None:
        sys.stderr.flush()


def quiet_luigi() -> None:
    """Luigi's own log only where LOG_LEVEL asks for it: failures are announced once, here."""
    level = os.environ.get("LOG_LEVEL", "WARNING")
    wanted = level if level in ("DEBUG", "INFO", "NOTSET") else "CRITICAL"
    logging.getLogger("luigi-interface").setLevel(wanted)


def sentence(error: object) -> str:
    """What went wrong; for an error that is not ours, with the user's line that raised it."""
    text = re.sub(r"//[^/@\s]+@", "//", str(error))  # no password of an address
    if not isinstance(error, BaseException) or isinstance(error, ComposeError | OSError):
        return text
    package = Path(__file__).parents[1]
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.parent == package and path.name not in ("__main__.py", "cli.py"):
            where = f" ({path.name}, line {frame.lineno})"
    return f"{type(error).__name__}: {text}{where}"


def force(graph: Iterable[tuple[luigi.Task, Any]], again: set[type[luigi.Task]]) -> None:
    """Make the tasks of these classes, and all that depend on them, run again.

    What they wrote stays complete for readers until its successor is committed. Raises
    ComposeError for external data, or an output of which nobody can tell when it was written.
    """
    forced: set[luigi.Task] = set()
    for task, requires in graph:
        if type(task) in again or any(required in forced for required in flat(requires)):
            if is_external(task):
                raise ComposeError(f"{label(task)} is external data; only others can make it again")
            forced.add(task)
            if targets := outputs(task):
                states = [_state(target) for target in targets]
                vars(task).update(forced=True, complete=partial(_written_since, task, states))


def _written_since(task: luigi.Task, before: list[Any]) -> bool:
    targets = outputs(task)
    return all(
        target.exists() and _state(target) != state
        for target, state in zip(targets, before, strict=True)
    )


def _state(target: Any) -> Any:
    """When the target was written; None if it is not there."""
    state = measured(target).get("created") if target.exists() else None
    if state is None and target.exists():
        raise ComposeError(f"nobody can tell when {target} was written; remove it and run again")
    return state


def _announce_success(task: luigi.Task) -> None:
    if not isinstance(task, luigi.WrapperTask):
        print(f"done    {label(task)}", file=sys.stderr)


def _announce_failure(task: luigi.Task, error: object) -> None:
    print(f"failed  {label(task)}: {sentence(error)}", file=sys.stderr)
    logging.getLogger(__name__).debug("The traceback:", exc_info=True)
