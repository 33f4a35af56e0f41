"""READ. Tasks on the command line: TASK, the parameters of all tasks as options, and --force."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import click
import luigi
from click.core import ParameterSource

from .compose import ComposeError
from .compose.describe import measured
from .compose.errors import sentence
from .compose.graph import flat, is_external, label, outputs

PACKAGE = str(__package__)
_PREFIX = "param_"  # of the names of options that are parameters


class TaskCommand(click.Command):
    """A command about a task, its `root`: TASK, with the parameters that were given.

    It takes the parameters of all tasks as options.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        options: dict[str, click.Option] = {}
        for cls in task_classes().values():
            for name, param in cls.get_params():
                is_flag = isinstance(param, luigi.BoolParameter)  # its value may be left out
                value: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if is_flag else {}
                names = [f"--{name.replace('_', '-')}", f"{_PREFIX}{name}"]
                options.setdefault(name, click.Option(names, help=param.description, **value))
        own = super().get_params(ctx)  # which win over a parameter of the same name
        taken = {flag for option in own for flag in option.opts}
        others = (option for option in options.values() if not taken & {*option.opts})
        return [click.Argument(["task"], default="Pipeline"), *own, *others]

    def invoke(self, ctx: click.Context) -> Any:
        names = [name for name in ctx.params if name.startswith(_PREFIX)]
        given = {name.removeprefix(_PREFIX): ctx.params.pop(name) for name in names}
        task = ctx.params.pop("task")
        flags = {f"--{param.replace('_', '-')}" for param, _ in task_class(task).get_params()}
        for option in super().get_params(ctx):
            is_given = ctx.get_parameter_source(str(option.name)) == ParameterSource.COMMANDLINE
            if is_given and (twice := flags.intersection(option.opts)):
                fault = f"{min(twice)} is an option of {ctx.info_name} and a parameter of {task}"
                raise click.UsageError(f"{fault}; rename the parameter")
        ctx.params["root"] = make_task(task, given)
        return super().invoke(ctx)


def task_classes() -> dict[str, type[luigi.Task]]:
    """The tasks of the package's `tasks` module, by family."""
    try:
        names = vars(import_module(".tasks", PACKAGE))
    except Exception as error:
        logging.getLogger(__name__).debug("The traceback:", exc_info=True)
        cause = error.__cause__ if isinstance(error.__cause__, ComposeError) else error
        raise click.UsageError(f"The tasks cannot be imported: {sentence(cause)}") from error
    return {
        value.get_task_family(): value
        for value in names.values()
        if isinstance(value, type)
        and issubclass(value, luigi.Task)
        and value.__module__.startswith(f"{PACKAGE}.")
        and not value.__module__.startswith(f"{PACKAGE}.compose.")
    }


def task_class(name: str) -> type[luigi.Task]:
    classes = task_classes()
    if name not in classes:
        raise click.UsageError(f"There is no task {name!r}; there are {', '.join(classes)}.")
    return classes[name]


def make_task(name: str, given: dict[str, str | None]) -> luigi.Task:
    """The task with the parameters that were given; UsageError names all that are wrong."""
    cls = task_class(name)
    params = dict(cls.get_params())
    values: dict[str, Any] = {}
    takes = ", ".join(params) or "none"
    texts = {param: text for param, text in given.items() if text is not None}
    faults = [f"{name} has no parameter {p!r}; it has {takes}" for p in texts if p not in params]
    for param, declared in params.items():
        if param in texts:
            try:
                values[param] = declared.parse(texts[param])
            except Exception as error:
                kind = type(declared).__name__
                faults.append(f"{param} is {texts[param]!r}, which is no {kind}: {error}")
        elif not declared.has_task_value(name, param):
            faults.append(f"{name} needs --{param.replace('_', '-')}")
    if faults:
        raise click.UsageError("; ".join(faults))
    return cls(**values)


def force(graph: Iterable[tuple[luigi.Task, Any]], names: Sequence[str]) -> None:
    """Make the tasks of these names, and all that depend on them, run again.

    What they wrote stays complete for readers until its successor is committed.
    """
    classes = {task_class(name) for name in names}
    forced: set[luigi.Task] = set()
    for task, requires in graph:
        if type(task) in classes or forced.intersection(flat(requires)):
            if is_external(task):
                raise click.UsageError(f"{label(task)} is external data; only others can make it")
            forced.add(task)
            if targets := outputs(task):
                before = [_created(target) for target in targets]
                vars(task).update(forced=True, complete=partial(_is_new, targets, before))
    if strangers := {cls.__name__ for cls in classes - {type(task) for task in forced}}:
        raise click.UsageError(f"nothing here needs {', '.join(strangers)}; leave out --force")


def _is_new(targets: list[Any], before: list[Any]) -> bool:
    pairs = zip(targets, before, strict=True)
    return all(target.exists() and _created(target) != created for target, created in pairs)


def _created(target: Any) -> Any:
    """When it was written; None if it is not there."""
    if not target.exists():
        return None
    if created := measured(target).get("created"):
        return created
    raise click.UsageError(f"nobody can tell when {target} was written; remove it and run again")
