"""READ. What a person sees while a graph runs: bars on a terminal, else a line for each task."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import luigi

from .graph import label

_shown: list[Any] = []  # the rich Progress that is on the screen
draw: list[Callable[[int, int], None]] = []  # moves the bar of the task that runs: done, of all


@contextmanager
def bars(tasks: int) -> Iterator[None]:
    """Draw how many of so many tasks are done, if they run in this process."""
    if not tasks or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    name = TextColumn("{task.description}", markup=False)  # a parameter is no markup
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task("tasks", total=tasks)
        _shown.append(progress)
        try:
            yield
        finally:
            _shown.clear()


@contextmanager
def inside(task: luigi.Task) -> Iterator[None]:
    """Draw how far Dask is with what this task computes."""
    if not _shown or isinstance(task, luigi.WrapperTask):
        yield
        return
    from dask.callbacks import Callback

    progress = _shown[0]
    bar = progress.add_task(label(task), total=None)

    def move(done: int, total: int) -> None:
        progress.update(bar, total=total, completed=done)

    def step(key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        done, ahead = len(state["finished"]), ("ready", "waiting", "running")
        move(done, done + sum(len(state[name]) for name in ahead))

    draw.append(move)
    try:
        with Callback(posttask=step):
            yield
    finally:
        draw.clear()
        progress.remove_task(bar)


def say(line: str, done: bool = False) -> None:
    """A line on standard error, above the bars; `done` when it tells of a task that is."""
    if _shown:
        _shown[0].advance(_shown[0].task_ids[0], int(done))
        _shown[0].console.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        print(line, file=sys.stderr)
