"""READ. Running a graph with Luigi, so that what it reports can be trusted."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any

import luigi
from luigi.rpc import RPCError

from .cluster import reach
from .errors import ComposeError, public, sentence
from .graph import flat, label, outputs
from .memory import bounded
from .progress import bars, inside, say
from .roots import near
from .tables import some
from .worker import Workers, as_a_task

INTERRUPTED = 130  # the exit status


def build(tasks: list[luigi.Task], workers: int) -> bool:
    """Run these tasks, and announce each on standard error; whether none of them failed."""
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
    status: str = result.status.name
    if "SCHEDULING" in status:
        say("failed  nobody could tell whether a task is complete; LOG_LEVEL=INFO shows why")
    return "FAILED" not in status


@contextlib.contextmanager
def announced(process: Any) -> Iterator[None]:
    """What Luigi enters around each task, in whatever process runs it."""
    try:
        if process.use_multiprocessing:
            as_a_task()
        log()
        with inside(process.task), bounded():
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
    luigis = logging.getLogger("luigi-interface")
    luigis.setLevel(level if level < logging.WARNING else logging.CRITICAL)
    luigis.addFilter(_is_no_summary)


def _is_no_summary(record: logging.LogRecord) -> bool:
    """Whether it shows no private parameters: a summary of Luigi's does."""
    return "Execution Summary" not in str(record.msg)


def _announce_success(task: luigi.Task) -> None:
    if not isinstance(task, luigi.WrapperTask):
        say(f"done    {label(task)}", done=True)


def _announce_failure(task: luigi.Task, error: object) -> None:
    inputs = flat(task.requires())
    whence = f"\n        from {some([*map(_placed, inputs)])}" if inputs else ""
    say(f"failed  {label(task)}: {sentence(error)}{whence}")
    logging.getLogger(__name__).debug("The traceback:", exc_info=True)


def _placed(task: luigi.Task) -> str:
    """The task, and where its output lies."""
    paths = [near(public(getattr(target, "path", target))) for target in outputs(task)]
    return f"{label(task)}: {' and '.join(paths)}" if paths else label(task)


luigi.Task.__repr__ = label  # type: ignore[method-assign]  # its own shows private parameters
luigi.Task.event_handler(luigi.Event.SUCCESS)(_announce_success)
for event in (luigi.Event.FAILURE, luigi.Event.PROCESS_FAILURE, luigi.Event.TIMEOUT):
    luigi.Task.event_handler(event)(_announce_failure)
