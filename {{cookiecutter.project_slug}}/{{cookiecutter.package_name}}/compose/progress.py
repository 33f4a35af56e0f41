"""READ. What a person sees while a graph runs: bars on a terminal, else a line for each task."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import luigi

from .graph import label

_shown: list[Any] = []  # the rich Progress that is on the screen


@contextmanager
def bars(tasks: int) -> Iterator[None]:
    """Draw how many of so many tasks are done, if they run in this process."""
    if not tasks or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
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

    def begin(dsk: Any, state: Any) -> None:
        progress.update(bar, total=len(state["ready"]) + len(state["waiting"]), completed=0)

    def step(*about: Any) -> None:
        progress.advance(bar)

    try:
        with Callback(start_state=begin, posttask=step):
            yield
    finally:
        progress.remove_task(bar)
        progress.advance(progress.task_ids[0])


def say(line: str) -> None:
    """A line on standard error, above the bars."""
    if _shown:
        _shown[0].console.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        print(line, file=sys.stderr)
