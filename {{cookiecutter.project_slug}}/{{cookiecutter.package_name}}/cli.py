"""READ. The commands of `python -m PACKAGE`. A failure is one sentence."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from math import isfinite
from typing import Any

import click
import luigi

from . import settings
from .compose import ComposeError
from .compose.build import (
    DONE,
    FAILED,
    INTERRUPTED,
    MISSING,
    MISUSED,
    build,
    force,
    quiet_luigi,
    sentence,
)
from .compose.describe import absence, describe, describe_all, report_path, results
from .compose.graph import is_external, label, outputs, walk
from .compose.stub import stubs

PACKAGE = str(__package__)


class DefaultsToRun(click.Group):
    """`python -m PACKAGE --parameter value` means `run Pipeline --parameter value`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


class TaskCommand(click.Command):
    """A command that takes the parameters of all tasks as options too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        options: dict[str, click.Option] = {}
        for task_class in _task_classes().values():
            for name, param in task_class.get_params():
                is_flag = isinstance(param, luigi.BoolParameter)  # its value may be left out
                value: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if is_flag else {}
                names = [f"--{name.replace('_', '-')}", f"param_{name}"]
                options.setdefault(name, click.Option(names, help=param.description, **value))
        own = super().get_params(ctx)  # which win over a parameter of the same name
        taken = {flag for option in own for flag in option.opts}
        return [*own, *(option for option in options.values() if not taken & {*option.opts})]


@click.group(cls=DefaultsToRun)
def cli() -> None:
    """Run the pipeline (what happens without a command), or ask what is complete."""


@cli.command(cls=TaskCommand)
@click.argument("task", default="Pipeline")
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--workers", type=click.IntRange(1), default=1, help="How many tasks run at once.")
@click.option("--force", "again", metavar="TASK", multiple=True, help="Run it and what needs it.")
@click.option("--rows", type=click.IntRange(0), default=10, help="Rows of a result to show.")
@click.option("--json", "as_json", is_flag=True, help="The results as a list of objects.")
def run(
    task: str,
    dry_run: bool,
    workers: int,
    again: tuple[str, ...],
    rows: int,
    as_json: bool,
    **given: str | None,
) -> int:
    """Build TASK (Pipeline unless it is named) and all that it needs."""
    if as_json and dry_run:
        raise click.UsageError("--dry-run has no results; leave out --json")
    began = time.monotonic()
    graph = list(walk(_make_task(task, given)))
    _force(graph, again)
    work = [t for t, _ in graph if not isinstance(t, luigi.WrapperTask)]
    todo = [t for t in work if not t.complete()]
    absent = [t for t in todo if is_external(t)]
    tasks = [t for t in todo if not is_external(t)]
    status = MISSING if absent else DONE
    if tasks and not dry_run:
        status = build([graph[-1][0], *tasks], workers, settings.load().luigi_scheduler_url)
    for each in absent:
        _warn(absence(each))
    if dry_run:
        for each in tasks:
            click.echo(f"would run  {label(each)}")
        return status
    ran = sum(t.complete() for t in tasks)
    counts = f"{ran} ran, {len(work) - len(todo)} were complete"
    left = f", {len(todo) - ran} did not run" if len(todo) > ran else ""
    click.echo(f"{counts}{left}; {time.monotonic() - began:.1f} s{_stubs_left()}", err=as_json)
    found = [(each, _result(each, rows)) for each in results(graph)]
    if as_json:
        click.echo(_json([about for _, about in found]))
        return status
    for each, about in found:
        if about["complete"]:
            click.echo(f"\n{label(each)}: {_shown(about)}")
    for each, _ in graph:
        if (path := report_path(each)) and each.complete():
            click.echo(f"\n{label(each)}: {_near(path)}")
    return status


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, one for each task.")
@click.option("--check", is_flag=True, help="Exit status 1 when something is not complete.")
def status(as_json: bool, check: bool) -> int:
    """Show every task: complete or not, how much it wrote, how old that is, and its salt."""
    known = describe_all(walk(_make_task("Pipeline", {})))
    if as_json:
        click.echo(_json([*known.values()]))
    else:
        rows = [
            (
                label(task),
                "complete" if about["complete"] else "missing" if is_external(task) else "to run",
                "" if about["rows"] is None else f"{about['rows']:,}",
                "" if about["bytes"] is None else f"{about['bytes'] / 1000:,.0f} kB",
                "" if about["created"] is None else _age(about["created"]),
                about["salt"],
            )
            for task, about in known.items()
        ]
        click.echo(_table(("task", "state", "rows", "size", "age", "salt"), rows) + _stubs_left())
    return FAILED if check and not all(about["complete"] for about in known.values()) else DONE


@cli.command(cls=TaskCommand)
@click.argument("task", default="Pipeline")
def verify(task: str, **given: str | None) -> int:
    """Compare the datasets of TASK, and of all that it needs, with their manifests."""
    from .compose.verify import damage, datasets

    tasks = [each for each, _ in walk(_make_task(task, given))]
    with click.progressbar(datasets(tasks), label="verify", file=sys.stderr) as complete:
        faults = [damage(target, manifest) for target, manifest in complete]
    click.echo("\n".join(filter(None, faults)), err=True, nl=any(faults))
    damaged = sum(map(bool, faults))
    click.echo(f"{len(faults)} datasets, {damaged or 'none'} damaged")
    return FAILED if damaged else DONE


@cli.command(cls=TaskCommand)
@click.argument("task", default="")
@click.option("--yes", is_flag=True, help="Delete what is shown.")
@click.option("--older-than", "days", type=click.IntRange(0, 36500), help="Days; 7 unless given.")
def clean(task: str, yes: bool, days: int | None, **given: str | None) -> int:
    """Show old outputs and dead attempts; with TASK, what that task wrote, whatever its age."""
    from .compose.clean import of_task, old

    root = _make_task(task or "Pipeline", given)
    if task and is_external(root):
        raise click.UsageError(f"{task} is external data, which is never deleted")
    if task and days is not None:
        raise click.UsageError("with a task, its age does not count; leave out --older-than")
    tasks = [each for each, _ in walk(root)]
    if absent := [absence(each) for each in tasks if is_external(each) and not each.complete()]:
        absent.append("so nobody can tell what is old; nothing deleted")
        return _warn("\n".join(absent), MISSING)
    useless = of_task(root) if task else old(tasks, 7 if days is None else days)
    for each in useless:
        age, kb = _age(each.when.isoformat()), each.bytes / 1000
        click.echo(f"{each.what:12}  {age:>8}  {kb:>9,.0f} kB  {_near(each.path)}")
        if yes:
            each.remove()
    left = "" if yes or not useless else "; --yes deletes"
    click.echo(f"{len(useless)} {'deleted' if yes else 'to delete'}{left}")
    return DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process unless it is given); the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in any script, on any terminal
    try:
        logging.basicConfig(level=settings.load().log_level, format="%(name)s: %(message)s")
        if logging.root.level < logging.INFO:
            for name in ("botocore", "aiobotocore", "urllib3"):  # whose DEBUG shows credentials
                logging.getLogger(name).setLevel(logging.INFO)
        quiet_luigi()
        return int(cli.main(arguments, f"python -m {PACKAGE}", standalone_mode=False) or DONE)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except settings.SettingsError as error:
        return _warn(str(error), MISUSED)
    except (click.Abort, KeyboardInterrupt):
        return _warn("interrupted; what was complete still is", INTERRUPTED)
    except Exception as error:
        logging.getLogger(__name__).debug("The traceback:", exc_info=True)
        return _warn(sentence(error), FAILED)


def _task_classes() -> dict[str, type[luigi.Task]]:
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


def _task_class(name: str) -> type[luigi.Task]:
    classes = _task_classes()
    if name not in classes:
        raise click.UsageError(f"There is no task {name!r}; there are {', '.join(classes)}.")
    return classes[name]


def _force(graph: list[tuple[luigi.Task, Any]], names: Sequence[str]) -> None:
    classes = {_task_class(name) for name in names}
    if strangers := classes - {type(task) for task, _ in graph}:
        needless = ", ".join(cls.__name__ for cls in strangers)
        raise click.UsageError(f"{label(graph[-1][0])} does not need {needless}")
    try:
        force(graph, classes)
    except ComposeError as error:
        raise click.UsageError(str(error)) from error


def _make_task(name: str, given: dict[str, str | None]) -> luigi.Task:
    """The task with the parameters that were given; UsageError names all that are wrong."""
    task_class = _task_class(name)
    params = dict(task_class.get_params())
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
    return task_class(**values)


def _stubs_left() -> str:
    """A line about the transforms that are still to be written, if any."""
    left = stubs()
    text = f"{len(left)} {'stub is' if len(left) == 1 else 'stubs are'} left: {', '.join(left)}"
    return f"\n{textwrap.fill(text, 80)}" if left else ""


def _result(task: luigi.Task, rows: int) -> dict[str, Any]:
    """What is known of a dataset, and its first rows as read back from its files."""
    about = describe(task) | {"columns": None, "data": None}
    if about["complete"]:
        head = outputs(task)[0].head(rows)
        about |= {"columns": head.column_names, "data": head.to_pylist()}
    return about


def _shown(result: dict[str, Any]) -> str:
    data = result["data"]
    count = result["rows"] or len(data)  # another program says nothing of its rows
    part = f"the first {len(data)} of " if count > len(data) else ""
    table = _table(result["columns"], [tuple(row.values()) for row in data])
    return f"{part}{count:,} rows in {_near(result['path'])}\n{table}"


def _json(tasks: list[dict[str, Any]]) -> str:
    shown = [{name: about[name] for name in about if name != "created"} for about in tasks]
    return json.dumps(_finite(shown), indent=1, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    """The value with null for each number that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]], width: int = 80) -> str:
    """Columns of text, numbers to the right; the widest column is cut to fit the width."""
    columns = [[_cell(value) for value in column] for column in zip(header, *rows, strict=True)]
    right = [all(re.match(r"-?[\d.,]*( \w+)?$", text) for text in column[1:]) for column in columns]
    sizes = [max(map(len, column)) for column in columns]
    widest = sizes.index(max(sizes))
    sizes[widest] = max(8, sizes[widest] - max(0, sum(sizes) + 2 * len(sizes) - 2 - width))
    for column, size, number in zip(columns, sizes, right, strict=True):
        column[:] = [(text[:size].rjust if number else text[:size].ljust)(size) for text in column]
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _cell(value: Any) -> str:
    text = f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text)  # nothing that a terminal would obey


def _age(created: str) -> str:
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    return f"{age.days} d" if age.days else str(age).partition(".")[0]


def _near(path: str) -> str:
    """A path below the working directory as one would type it."""
    here = f"{os.getcwd()}{os.sep}"
    return path.removeprefix(here)


def _warn(message: str, status: int = DONE) -> int:
    click.echo(message, err=True)
    return status
