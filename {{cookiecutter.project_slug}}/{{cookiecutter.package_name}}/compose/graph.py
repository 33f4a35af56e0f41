"""READ. The graph above a task, requirements first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import luigi
import luigi.task

from .errors import ComposeError
from .tables import printable


def walk(
    root: luigi.Task, known: Callable[[luigi.Task], bool] = lambda task: False
) -> Iterator[tuple[luigi.Task, dict[str, Any]]]:
    """Each task once, after all that it requires, with its requirements under their names.

    Tasks that are `known` are left out, with all above them. Needs no recursion. Raises
    ComposeError where a task requires itself.
    """
    named: dict[str, luigi.Task] = {}
    opened: dict[luigi.Task, dict[str, Any]] = {}
    done: set[luigi.Task] = set()
    stack = [root]
    while stack:
        task = stack[-1]
        twin = named.setdefault(task.task_id, task)
        if twin is not task and (type(twin), _counting(twin)) != (type(task), _counting(task)):
            raise ComposeError(f"two tasks are both {label(task)} to Luigi; rename one of the two")
        if task in done or known(task):
            stack.pop()
            continue
        if task not in opened:
            opened[task] = _by_name(task.requires())
        missing = [t for t in flat(opened[task]) if t not in done and not known(t)]
        if cycle := [t for t in missing if t in opened]:
            through = f"{label(cycle[0])} requires itself, through {label(task)}"
            raise ComposeError(f"{through}; break the cycle")
        stack.extend(reversed(missing))
        if not missing:
            yield task, opened.pop(task)
            done.add(task)


def flat(structure: Any) -> list[Any]:
    """The tasks or targets in whatever arrangement `requires()` or `output()` gives."""
    return list(luigi.task.flatten(structure))


def outputs(task: luigi.Task) -> list[Any]:
    return flat(task.output())


def is_external(task: luigi.Task) -> bool:
    return task.run is None


@cache
def significant(cls: type[luigi.Task]) -> list[tuple[str, Any]]:
    """The parameters that count, by name."""
    return [(name, param) for name, param in cls.get_params() if param.significant]


def names(tasks: Iterable[luigi.Task]) -> dict[luigi.Task, str]:
    """Each task's family, with the parameters in which it differs from others of the family."""
    params = {task: _params(task) for task in tasks}
    values: defaultdict[tuple[type, str], set[str]] = defaultdict(set)
    for task, each in params.items():
        for name, value in each.items():
            values[type(task), name].add(value)
    return {
        task: _written(task, {n: v for n, v in each.items() if len(values[type(task), n]) > 1})
        for task, each in params.items()
    }


def label(task: luigi.Task) -> str:
    """The task as a person would write it, with its public parameters."""
    return _written(task, _params(task))


def _params(task: luigi.Task) -> dict[str, str]:
    return task.to_str_params(only_significant=True, only_public=True)


def _written(task: luigi.Task, params: dict[str, str]) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in params.items())
    return printable(f"{task.get_task_family()}({shown})" if shown else task.get_task_family())


def _counting(task: luigi.Task) -> dict[str, Any]:
    """The significant parameters, also those that Luigi's own name of the task leaves out."""
    return {name: task.param_kwargs[name] for name, _ in significant(type(task))}


def _by_name(requires: Any) -> dict[str, Any]:
    """Requirements under their names; those of a task with its own `requires()` by position."""
    if isinstance(requires, Mapping):
        return dict(requires)
    return {str(position): task for position, task in enumerate(flat(requires))}
