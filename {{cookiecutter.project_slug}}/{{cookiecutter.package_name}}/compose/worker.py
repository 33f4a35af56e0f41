"""READ. Luigi's worker, which here waits for what may still be done, and stops in order.

Luigi's own ends as soon as it is handed no task. This one stays while a task that failed may be
tried again, and while another run at the same luigid works on what this run needs. What that run
leaves, because it failed or died, this one tries itself. When it is interrupted, its processes
remove what they have begun, and luigid hears that its tasks are free.
"""

from __future__ import annotations

import contextlib
from multiprocessing import active_children
from typing import Any

import luigi
from luigi import worker
from luigi.rpc import RemoteScheduler, RPCError
from luigi.scheduler import Scheduler
from luigi.task_status import DISABLED, FAILED, PENDING

from .errors import ComposeError
from .graph import flat, is_external, label
from .progress import say
from .stop import later, stop


class Workers:
    """What `luigi.build` asks for a scheduler and a worker; options as in Luigi's [worker]."""

    worker: Worker

    def __init__(self, **options: Any) -> None:
        self.options = options

    def create_local_scheduler(self) -> Scheduler:
        """One that has a task tried again only if the task sets `retry_count`."""
        return Scheduler(prune_on_get_work=True, retry_count=1, retry_delay=1)

    def create_remote_scheduler(self, url: str) -> RemoteScheduler:
        first: Any = RemoteScheduler(url, connect_timeout=3)
        try:
            first.is_paused()
        except (RPCError, ValueError, KeyError) as error:
            cure = "start it, or empty LUIGI_SCHEDULER_URL"
            raise ComposeError(f"no luigid answers at {url}; {cure}") from error
        return RemoteScheduler(url)

    def create_worker(self, scheduler: Any, worker_processes: int, assistant: bool) -> Worker:
        self.worker = Worker(scheduler, None, worker_processes, assistant, **self.options)
        return self.worker


class Worker(worker.Worker):
    def told(self) -> dict[luigi.Task, str]:
        """What the scheduler was last told of each task."""
        history: list[tuple[luigi.Task, str, Any]] = self._add_task_history
        return {task: status for task, status, _ in history}

    def left(self) -> list[luigi.Task]:
        """Tasks that nobody ran although all that they require is complete."""
        begun = {answer["task_id"] for answer in self._get_work_response_history}
        return [
            task
            for task, status in self.told().items()
            if status == PENDING and not is_external(task) and task.task_id not in begun
            if not task.complete() and all(each.complete() for each in flat(task.requires()))
        ]

    def run(self) -> Any:
        self._waits_for: set[str] = set()
        for task in self.told():
            vars(task)["_failures"] = 0
            if task.retry_count:  # luigid may have disabled it for a day, after an earlier run
                self._scheduler.re_enable_task(task.task_id)
        return super().run()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        if kind is KeyboardInterrupt:
            stop([each for each in active_children() if isinstance(each, worker.TaskProcess)])
            with contextlib.suppress(Exception):  # luigid may be gone
                for task_id in self._running_tasks:
                    self._scheduler.add_task(task_id=task_id, status=FAILED, worker=self._id)
        return super().__exit__(kind, error, trace)

    def _add_task(self, **told: Any) -> None:
        task = self._scheduled_tasks.get(told["task_id"])
        if task and told["status"] == FAILED:
            vars(task)["_failures"] = vars(task).get("_failures", 0) + 1
        super()._add_task(**told)

    def _keep_alive(self, get_work_response: Any) -> bool:
        """Whether to ask for work again in a second, when there is none now."""
        if self._stop_requesting_work:
            return False
        if running := {each["task_id"] for each in get_work_response.running_tasks}:
            for task_id in running - self._waits_for:
                say(f"waits   another run makes {label(self._scheduled_tasks[task_id])}")
            self._waits_for |= running
            return True
        again = [task for task, status in self.told().items() if status == FAILED and retries(task)]
        if isinstance(self._scheduler, RemoteScheduler):
            again += self.left()
        for task in again:
            self.add(task)
        scheduler: Any = self._scheduler
        answers = [scheduler.forgive_failures(task.task_id) for task in again]
        return any(each["status"] != DISABLED for each in answers)

    def _run_task(self, task_id: str) -> None:
        if not self._config.force_multiprocessing:
            return super()._run_task(task_id)
        with later():
            return super()._run_task(task_id)


def retries(task: luigi.Task) -> int:
    """How often a task that failed may be tried again."""
    return max(0, (task.retry_count or 1) - int(vars(task).get("_failures", 0)))
