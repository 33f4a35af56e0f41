"""READ. Having complete tasks made again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import luigi

from .describe import measured
from .errors import ComposeError
from .graph import flat, is_external, label, outputs


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
