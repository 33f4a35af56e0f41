"""READ. Tasks on the command line: TASK, and the parameters of all tasks as options."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import click
import luigi

from .compose import ComposeError
from .compose.errors import sentence

PACKAGE = str(__package__)


class TaskCommand(click.Command):
    """A command that takes the parameters of all tasks as options too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        options: dict[str, click.Option] = {}
        for cls in task_classes().values():
            for name, param in cls.get_params():
                is_flag = isinstance(param, luigi.BoolParameter)  # its value may be left out
                value: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if is_flag else {}
                names = [f"--{name.replace('_', '-')}", f"param_{name}"]
                options.setdefault(name, click.Option(names, help=param.description, **value))
        own = super().get_params(ctx)  # which win over a parameter of the same name
        taken = {flag for option in own for flag in option.opts}
        return [*own, *(option for option in options.values() if not taken & {*option.opts})]


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
    faults = []
    for option, text in given.items():
        param = option.removeprefix("param_")
        if text is None:
            continue
        if param not in params:
            takes = ", ".join(params) or "none"
            faults.append(f"{name} has no parameter {param!r}; it has {takes}")
            continue
        try:
            values[param] = params[param].parse(text)
        except Exception as error:
            kind = type(params[param]).__name__
            faults.append(f"{param} is {text!r}, which is no {kind}: {error}")
    for param, declared in params.items():
        if given.get(f"param_{param}") is None and not declared.has_task_value(name, param):
            faults.append(f"{name} needs --{param.replace('_', '-')}")
    if faults:
        raise click.UsageError("; ".join(faults))
    return cls(**values)
