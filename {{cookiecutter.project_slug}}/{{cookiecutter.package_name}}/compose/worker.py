"""READ. Luigi's worker, which here waits for what may still be done, and stops in order.

Luigi's own ends as soon as it is handed no task. This one stays while a task that failed may be
tried again, and while another run at the same luigid works on what this run needs. What that run
leaves, because it failed or died, this one tries itself.

Ctrl-C reaches every process of a run, SIGTERM only one. A process of a task hears SIGINT once, and
removes what it has begun; SIGTERM ends it at once. luigid hears that what was begun is free.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from multiprocessing import Process, active_children
from typing import Any

from luigi import worker
from luigi.rpc import RemoteScheduler
from luigi.scheduler import Scheduler
from luigi.task_status import FAILED

from .graph import label
from .progress import say

_SECONDS = 5  # for what is interrupted to clean up


class Workers:
    """What `luigi.build` asks for a scheduler and a worker; options as in Luigi's [worker]."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def create_local_scheduler(self) -> Scheduler:
        return Scheduler(retry_delay=-1)  # the worker says what is tried again

    def create_remote_scheduler(self, url: str) -> RemoteScheduler:
        scheduler: Any = RemoteScheduler(url)
        scheduler._rpc_retry_wait = 1  # second
        return scheduler

    def create_worker(self, scheduler: Any, worker_processes: int, assistant: bool) -> Worker:
        return Worker(scheduler, None, worker_processes, assistant, **self.options)


class Worker(worker.Worker):
    _waits_for: frozenset[str] = frozenset()

    def _add_task(self, **told: Any) -> None:
        told.pop("retry_policy_dict", None)  # luigid would count the failures of earlier runs, too
        super()._add_task(**told)

    def _keep_alive(self, get_work_response: Any) -> bool:
        """Whether to ask for work again in a second, when there is none now."""
        if self._stop_requesting_work:
            return False
        running = {each["task_id"] for each in get_work_response.running_tasks}
        for task_id in running - self._waits_for:
            say(f"waits   another run makes {label(self._scheduled_tasks[task_id])}")
        self._waits_for |= running
        history: list[Any] = self._add_task_history
        failures = Counter(task.task_id for task, status, _ in history if status == FAILED)
        scheduler: Any = self._scheduler
        again = [
            task_id
            for task_id in self._scheduled_tasks.keys() & scheduler.task_list(status=FAILED).keys()
            if failures[task_id] < (self._scheduled_tasks[task_id].retry_count or 1)
        ]
        for task_id in again:
            scheduler.forgive_failures(task_id)
        return bool(running or again)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if kind is KeyboardInterrupt:
            _stop([each for each in active_children() if isinstance(each, worker.TaskProcess)])
            with contextlib.suppress(Exception):  # luigid may be gone
                for task_id in self._running_tasks:
                    self._scheduler.add_task(task_id=task_id, status=FAILED, worker=self._id)
        return super().__exit__(kind, error, trace)


def as_a_task() -> None:
    """Say what signals do in the process of a task."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _interrupt_once)


def _interrupt_once(signum: int, frame: Any) -> None:
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stop(processes: list[Process]) -> None:
    """Have these processes clean up and end; those that take too long are killed."""
    deadline = time.monotonic() + _SECONDS
    try:
        while (alive := [p for p in processes if p.is_alive()]) and time.monotonic() < deadline:
            for process in alive:
                if os.name == "posix" and process.pid:  # elsewhere Ctrl-C has reached it already
                    os.kill(process.pid, signal.SIGINT)  # again, since it may have just begun
            alive[0].join(0.1)
    finally:
        for process in processes:
            process.kill()
