"""READ. Running a graph with Luigi, so that what it reports can be trusted."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import warnings
from typing import Any

import luigi
from luigi import task_status

from .cluster import on_cluster, reach
from .errors import InterruptError, public, sentence
from .graph import flat, is_external, label, outputs
from .history import remember
from .progress import bars, inside, say
from .roots import near
from .stop import as_a_task, in_main_thread, signals
from .worker import Workers, retries

DONE, FAILED, MISUSED, MISSING, INTERRUPTED = 0, 1, 2, 3, 130  # exit statuses
_SHOWN = 8  # of a task's inputs, and of the tasks of a run


def build(tasks: list[luigi.Task], workers: int, scheduler_url: str) -> int:
    """Run these tasks; the exit status. Announces each on standard error.

    Raises InterruptError on Ctrl-C or SIGTERM, once all that ran has stopped.
    """
    reach()
    config = luigi.configuration.get_config()
    config.set("core", "no_configure_logging", "true")
    config.set("core", "rpc-retry-wait", "1")
    warnings.filterwarnings("ignore", ".*rpc_retry_wait")  # Luigi reads it all the same
    luigi.Task.event_handler(luigi.Event.PROCESS_FAILURE)(_announce_failure)
    luigi.Task.event_handler(luigi.Event.TIMEOUT)(_announce_failure)
    hired = Workers(
        check_complete_on_run=True,  # a run() that writes nothing fails
        task_process_context=f"{__name__}.Announced",
        wait_jitter=0,
        # A process that has used Dask's threads cannot fork another that needs them.
        force_multiprocessing=workers > 1 or any(task.worker_timeout for task in tasks),
        no_install_shutdown_handler=not in_main_thread(),
    )
    where: Any = {"scheduler_url": scheduler_url} if scheduler_url else {"local_scheduler": True}
    work = [task for task in dict.fromkeys(tasks) if not isinstance(task, luigi.WrapperTask)]
    drawn = 0 if hired.options["force_multiprocessing"] else len(work)
    with bars(drawn), signals(signal.SIGTERM, signal.default_int_handler):
        try:
            luigi.build(tasks, hired, workers=workers, **where)
        except KeyboardInterrupt:
            raise InterruptError(f"interrupted; {_progress(work)}") from None
    told, left = hired.worker.told(), hired.worker.left()
    if task_status.UNKNOWN in told.values():  # of which Luigi sends no event
        unsure = "failed  nobody could tell whether a task is complete; run again"
        say(f"{unsure}; LOG_LEVEL=INFO shows why")
    for task in left:
        say(f"failed  {label(task)}: the scheduler let nobody run it")
    if left or {task_status.FAILED, task_status.UNKNOWN} & {*told.values()}:
        return FAILED
    absent = [t for t in told if is_external(t) and told[t] == task_status.PENDING]
    return MISSING if absent else DONE


class Announced:
    """What Luigi enters around each task, in whatever process runs it."""

    def __init__(self, process: Any) -> None:
        self.is_process = process.use_multiprocessing
        self.task = process.task
        self.contexts = contextlib.ExitStack()

    def __enter__(self) -> None:
        self.contexts.enter_context(inside(self.task))
        self.contexts.enter_context(on_cluster())
        quiet_luigi()
        luigi.Task.event_handler(luigi.Event.SUCCESS)(remember)
        luigi.Task.event_handler(luigi.Event.SUCCESS)(_announce_success)
        luigi.Task.event_handler(luigi.Event.FAILURE)(_announce_failure)
        if self.is_process:
            as_a_task(INTERRUPTED)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.contexts.close()
        sys.stderr.flush()
        if self.is_process and kind is KeyboardInterrupt:
            os._exit(INTERRUPTED)  # at once: its threads may still work on what is interrupted


def quiet_luigi() -> None:
    """Luigi's own log only where LOG_LEVEL asks for it: failures are announced once, here."""
    level = os.environ.get("LOG_LEVEL", "WARNING")
    wanted = level if level in ("DEBUG", "INFO", "NOTSET") else "CRITICAL"
    logging.getLogger("luigi-interface").setLevel(wanted)


def _announce_success(task: luigi.Task) -> None:
    if not isinstance(task, luigi.WrapperTask):
        say(f"done    {label(task)}", done=True)


def _announce_failure(task: luigi.Task, error: object) -> None:
    count = retries(task) - 1
    again = f"; trying again, {count} left" if count else ""
    say(f"failed  {label(task)}: {sentence(error)}{again}{_inputs(task)}")
    logging.getLogger(__name__).debug("The traceback:", exc_info=True)


def _inputs(task: luigi.Task) -> str:
    """A line with what the task requires, and where that lies."""
    inputs = []
    for required in flat(task.requires()):
        paths = [near(public(getattr(t, "path", t))) for t in outputs(required)]
        inputs.append(": ".join(filter(None, (label(required), " and ".join(paths)))))
    return f"\n        from {_some(inputs)}" if inputs else ""


def _progress(tasks: list[luigi.Task]) -> str:
    complete = {task: task.complete() for task in tasks}
    done, left = ([label(t) for t in complete if complete[t] is state] for state in (True, False))
    return f"complete: {_some(done)}; not: {_some(left)}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN]) or 'none'}{more}"
