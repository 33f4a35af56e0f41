"""READ. Running a graph with Luigi, so that what it reports can be trusted."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import luigi
from luigi.rpc import RPCError
from luigi.task_status import DONE, FAILED

from .cluster import on_cluster, reach
from .errors import ComposeError, public, sentence
from .graph import flat, is_external, label, outputs
from .history import remember
from .progress import bars, inside, say
from .roots import near
from .worker import Workers, as_a_task

INTERRUPTED = 130  # the exit status
_SHOWN = 8  # of a list of tasks


def build(tasks: list[luigi.Task], workers: int) -> list[luigi.Task]:
    """Run these tasks, and announce each on standard error; those that failed."""
    reach()
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    # A process that has used Dask's threads cannot fork another that needs them.
    in_processes = workers > 1 or any(task.worker_timeout for task in tasks)
    hired = Workers(
        check_complete_on_run=True,  # a run() that writes nothing fails
        force_multiprocessing=in_processes,
        no_install_shutdown_handler=True,  # which only the main thread could
        task_process_context=f"{__name__}.announced",
        wait_jitter=0,
    )
    url = os.environ.get("LUIGI_SCHEDULER_URL", "")
    where: Any = {"scheduler_url": url, "local_scheduler": not url, "workers": workers}
    work = {task for task in tasks if not isinstance(task, luigi.WrapperTask)}
    try:
        with bars(0 if in_processes else len(work)):
            result: Any = luigi.build(tasks, hired, detailed_summary=True, **where)
    except RPCError as error:
        cure = "start it, or empty LUIGI_SCHEDULER_URL"
        raise ComposeError(f"no luigid answers at {url}; {cure}") from error
    told = {task: status for task, status, _ in result.worker._add_task_history}
    left = [
        task
        for task, status in told.items()
        if status not in (DONE, FAILED) and not is_external(task) and not task.complete()
        if all(each.complete() for each in flat(task.requires()))
    ]
    for task in left:  # it may be that nobody could tell whether it is complete
        say(f"failed  {label(task)}: Luigi did not finish it; LOG_LEVEL=INFO shows why")
    return [*left, *(task for task in told if told[task] == FAILED)]


@contextlib.contextmanager
def announced(process: Any) -> Iterator[None]:
    """What Luigi enters around each task, in whatever process runs it."""
    try:
        if process.use_multiprocessing:
            as_a_task()
        log()
        with inside(process.task), on_cluster():
            yield
    except KeyboardInterrupt:
        if process.use_multiprocessing:  # at once: threads may still work on what is interrupted
            os._exit(INTERRUPTED)
        raise


def log() -> None:
    """Log what LOG_LEVEL asks for of this package, and of Luigi, whose failures are announced here.

    Others log nothing below a warning: some of them would show credentials.
    """
    level = logging.getLevelNamesMapping()[os.environ.get("LOG_LEVEL") or "WARNING"]
    handler = logging.lastResort or logging.StreamHandler()  # it looks standard error up each time
    handler.setLevel(logging.NOTSET)
    least = max(level, logging.WARNING)
    logging.basicConfig(level=least, format="%(name)s: %(message)s", handlers=[handler])
    logging.getLogger(__name__.partition(".")[0]).setLevel(level)
    is_wanted = level < logging.WARNING
    logging.getLogger("luigi-interface").setLevel(level if is_wanted else logging.CRITICAL)


def some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN]) or 'none'}{more}"


def _announce_success(task: luigi.Task) -> None:
    if not isinstance(task, luigi.WrapperTask):
        say(f"done    {label(task)}", done=True)


def _announce_failure(task: luigi.Task, error: object) -> None:
    say(f"failed  {label(task)}: {sentence(error)}{_inputs(task)}")
    logging.getLogger(__name__).debug("The traceback:", exc_info=True)


def _inputs(task: luigi.Task) -> str:
    """A line with what the task requires, and where that lies."""
    inputs = []
    for required in flat(task.requires()):
        paths = [near(public(getattr(t, "path", t))) for t in outputs(required)]
        inputs.append(": ".join(filter(None, (label(required), " and ".join(paths)))))
    return f"\n        from {some(inputs)}" if inputs else ""


for callback in (remember, _announce_success):
    luigi.Task.event_handler(luigi.Event.SUCCESS)(callback)
for event in (luigi.Event.FAILURE, luigi.Event.PROCESS_FAILURE, luigi.Event.TIMEOUT):
    luigi.Task.event_handler(event)(_announce_failure)
