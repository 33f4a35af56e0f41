"""READ. What is known of a task's output, without reading its data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import luigi

from .files import FileTarget
from .graph import flat, is_external, label, outputs
from .parquet_target import ParquetTarget
from .salts import salt
from .targets import BaseDaskTarget


def completeness(graph: Iterable[tuple[luigi.Task, dict[str, Any]]]) -> dict[luigi.Task, bool]:
    """Whether each task is complete, requirements first; each output is asked for once."""
    known: dict[luigi.Task, bool] = {}
    for task, requires in graph:
        wraps = type(task).complete is luigi.WrapperTask.complete
        above = (known[required] for required in flat(requires))
        known[task] = all(above) if wraps else bool(task.complete())
    return known


def describe(task: luigi.Task, complete: bool) -> dict[str, Any]:
    """Family, parameters, salt, path, whether complete; rows, bytes and more, where known."""
    about: dict[str, Any] = {
        "task": task.get_task_family(),
        "task_id": task.task_id,
        "params": task.to_str_params(only_public=True),
        "salt": salt(task),
        "path": None,
        "complete": complete,
        "rows": None,
        "bytes": None,
        "created": None,
    }
    for target in outputs(task):
        about["path"] = about["path"] or getattr(target, "path", None)
        if complete:
            about |= measured(target)
    return about


def measured(target: Any) -> dict[str, Any]:
    """Rows, bytes and when it was written, as far as the target tells."""
    if isinstance(target, BaseDaskTarget):
        if manifest := target.manifest(whole=False):
            return {name: manifest.get(name) for name in ("rows", "bytes", "created", "reused")}
        return {"bytes": sum(target.fs.sizes(target.files()))}
    if isinstance(target, luigi.LocalTarget):
        file = target if isinstance(target, FileTarget) else FileTarget(target.path)
        size, when = file.fs.size(file.path), file.fs.modified(file.path)
        return {"bytes": size, "created": when.isoformat()}
    return {}


def absences(tasks: Iterable[luigi.Task]) -> list[str]:
    """Which external data is not there, why, and the cure."""
    return [absence(each) for each in tasks if is_external(each) and not each.complete()]


def absence(task: luigi.Task) -> str:
    reasons = []
    for target in outputs(task):
        if not isinstance(target, BaseDaskTarget):
            reasons.append(f"{target} is not there")
        elif Path(target.path).is_file():
            reasons.append(f"{target.path} is a file; a folder of {target.glob} files is needed")
        elif target.flag:
            reasons.append(f"there is no {target.path}/{target.flag}")
        else:
            reasons.append(f"no file fits {target.path}/{target.glob}; put the raw data there")
    return f"{label(task)} is missing: {'; '.join(reasons)}"


def results(graph: list[tuple[luigi.Task, Any]]) -> list[luigi.Task]:
    """The last datasets: those that no other dataset is made from."""
    made = {t: requires for t, requires in graph if isinstance(t.output(), ParquetTarget)}
    used = {required for requires in made.values() for required in flat(requires)}
    return [task for task in made if task not in used and not is_external(task)]
