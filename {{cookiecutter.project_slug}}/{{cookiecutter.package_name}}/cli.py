"""READ. The commands of `python -m PACKAGE`. A failure is one sentence."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import click
import luigi

from . import settings
from .arguments import PACKAGE, TaskCommand, make_task, task_class
from .compose import ComposeError, Stage
from .compose.build import (
    DONE,
    FAILED,
    INTERRUPTED,
    MISSING,
    MISUSED,
    build,
    quiet_luigi,
)
from .compose.describe import absence, completeness, describe, report_path, results
from .compose.errors import InterruptError, sentence
from .compose.force import force
from .compose.graph import flat, is_external, label, outputs, walk
from .compose.roots import near
from .compose.stub import stubs
from .compose.tables import printable, table


class DefaultsToRun(click.Group):
    """`python -m PACKAGE --parameter value` means `run Pipeline --parameter value`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


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
    graph = list(walk(make_task(task, given)))
    _force(graph, again)
    work = [t for t, _ in graph if not isinstance(t, luigi.WrapperTask)]
    todo = [t for t in work if not t.complete()]
    absent = [t for t in todo if is_external(t)]
    tasks = [t for t in todo if not is_external(t)]
    status = MISSING if absent else DONE
    if tasks and not dry_run:
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            status = build([graph[-1][0], *tasks], workers, settings.load().luigi_scheduler_url)
    for each in absent:
        _warn(absence(each))
    if dry_run:
        for each in tasks:
            click.echo(f"would run  {label(each)}")
        return status
    seconds = f"{time.monotonic() - began:.1f} s"
    click.echo(f"{_summary(work, todo)}; {seconds}{_stubs_left()}", err=as_json)
    found = [(each, _result(each, rows)) for each in results(graph)]
    if as_json:
        click.echo(_json([about for _, about in found]))
        return status
    for each, about in found:
        if about["complete"]:
            click.echo(f"\n{label(each)}: {_shown(about)}")
    for each, _ in graph:
        if (path := report_path(each)) and each.complete():
            click.echo(f"\n{label(each)}: {near(path)}")
    return status


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="A list of objects, one for each task.")
@click.option("--check", is_flag=True, help="Exit status 1 when something is not complete.")
def status(as_json: bool, check: bool) -> int:
    """Show every task: complete or not, how much it wrote, how old that is, and its salt."""
    done = completeness(walk(make_task("Pipeline", {})))
    known = {task: describe(task, is_done) for task, is_done in done.items()}
    if as_json:
        click.echo(_json([*known.values()]))
    else:
        rows = [
            (
                label(task),
                _state(task, about["complete"]),
                "" if about["rows"] is None else f"{about['rows']:,}",
                "" if about["bytes"] is None else f"{about['bytes'] / 1000:,.0f} kB",
                "" if about["created"] is None else _age(about["created"]),
                about["salt"],
            )
            for task, about in known.items()
        ]
        click.echo(table(("task", "state", "rows", "size", "age", "salt"), rows) + _stubs_left())
    return FAILED if check and not all(about["complete"] for about in known.values()) else DONE


@cli.command(cls=TaskCommand)
@click.argument("task", default="Pipeline")
@click.option("--format", "kind", type=click.Choice(["text", "mermaid", "dot"]), default="text")
@click.option("--plain", is_flag=True, help="Leave out what is complete.")
def graph(task: str, kind: str, plain: bool, **given: str | None) -> int:
    """Draw TASK (Pipeline unless it is named) and all that it needs."""
    from .compose import draw

    whole = list(walk(make_task(task, given)))
    states = {} if plain else {t: _state(t, done) for t, done in completeness(whole).items()}
    if kind != "text":
        click.echo("\n".join(getattr(draw, kind)(whole, states)))
        return DONE
    from rich.console import Console

    console = Console(highlight=False)
    for tree in draw.trees(whole, states):
        console.print(tree, soft_wrap=not console.is_terminal, no_wrap=True, overflow="ellipsis")
    return DONE


@cli.command(cls=TaskCommand)
@click.argument("task", default="Pipeline")
def why(task: str, **given: str | None) -> int:
    """Say why TASK would run; for Pipeline, each task that would."""
    from .compose.why import why

    root = make_task(task, given)
    above, others = [each for each, _ in walk(root)], [root]
    absent = [each for each in above if is_external(each) and not each.complete()]
    asked = list(dict.fromkeys([*absent, root]))
    if isinstance(root, luigi.WrapperTask):
        asked = [each for each in above if not isinstance(each, luigi.WrapperTask)]
    with contextlib.suppress(click.UsageError):  # where Pipeline itself needs a parameter
        others = [each for each, _ in walk(make_task("Pipeline", {}))]
    reasons = list(why(asked, others))
    for reason in reasons:
        click.echo(printable(reason))
    if len(reasons) < len(asked):
        count = len(asked) - len(reasons)
        click.echo(f"{task if len(asked) == 1 else count} {'is' if count == 1 else 'are'} complete")
    return MISSING if absent else DONE


@cli.command(cls=TaskCommand)
@click.argument("task")
def explain(task: str, **given: str | None) -> int:
    """Show what a stage reads of its inputs, and what Dask makes of its transform."""
    from .compose.explain import explain

    stage = make_task(task, given)
    if not isinstance(stage, Stage):
        raise click.UsageError(f"{task} is no stage, so Dask has no expression of it")
    external = [each for each in flat(stage.requires()) if is_external(each)]
    if absent := [absence(each) for each in external if not each.complete()]:
        return _warn("\n".join(absent), MISSING)
    for line in explain(stage):
        click.echo(printable(line))
    return DONE


@cli.command(cls=TaskCommand)
@click.argument("task", default="Pipeline")
def verify(task: str, **given: str | None) -> int:
    """Compare the datasets of TASK, and of all that it needs, with their manifests."""
    from .compose.verify import damage, datasets

    tasks = [each for each, _ in walk(make_task(task, given))]
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

    root = make_task(task or "Pipeline", given)
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
        click.echo(f"{each.what:12}  {age:>8}  {kb:>9,.0f} kB  {near(each.path)}")
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
    except InterruptError as interrupted:
        return _warn(str(interrupted), INTERRUPTED)
    except (click.Abort, KeyboardInterrupt):
        return _warn("interrupted; what was complete still is", INTERRUPTED)
    except Exception as error:
        logging.getLogger(__name__).debug("The traceback:", exc_info=True)
        return _warn(sentence(error), FAILED)


def _force(graph: list[tuple[luigi.Task, Any]], names: Sequence[str]) -> None:
    classes = {task_class(name) for name in names}
    if strangers := classes - {type(task) for task, _ in graph}:
        needless = ", ".join(cls.__name__ for cls in strangers)
        raise click.UsageError(f"{label(graph[-1][0])} does not need {needless}")
    try:
        force(graph, classes)
    except ComposeError as error:
        raise click.UsageError(str(error)) from error


def _summary(work: list[luigi.Task], todo: list[luigi.Task]) -> str:
    """What became of the work, of which some was to do, and how many rows that wrote."""
    ran = [t for t in todo if t.complete()]
    left = [t for t in todo if t not in ran and not is_external(t)]
    failed = [t for t in left if all(each.complete() for each in flat(t.requires()))]
    about = {task: describe(task, True) for task in ran}
    rows = sum(each["rows"] or 0 for each in about.values())
    text = f"{len(ran)} ran, {len(work) - len(todo)} were complete"
    if failed:
        text += f", {len(failed)} failed"
    if others := len(todo) - len(ran) - len(failed):
        text += f", {others} did not run"
    for task, each in about.items():
        if reused := each.get("reused"):
            text += f"; {label(task)} reused {reused} of {len(outputs(task)[0].files())} parts"
    return f"{text}; {rows:,} rows" if rows else text


def _state(task: luigi.Task, complete: bool) -> str:
    return "complete" if complete else "missing" if is_external(task) else "to run"


def _stubs_left() -> str:
    """A line about the transforms that are still to be written, if any."""
    left = stubs()
    text = f"{len(left)} {'stub is' if len(left) == 1 else 'stubs are'} left: {', '.join(left)}"
    return f"\n{textwrap.fill(text, 80)}" if left else ""


def _result(task: luigi.Task, rows: int) -> dict[str, Any]:
    """What is known of a dataset, and its first rows as read back from its files."""
    about = describe(task, task.complete()) | {"columns": None, "data": None}
    if about["complete"]:
        head = outputs(task)[0].head(rows)
        about |= {"columns": head.column_names, "data": head.to_pylist()}
    return about


def _shown(result: dict[str, Any]) -> str:
    data = result["data"]
    count = result["rows"] or len(data)  # another program says nothing of its rows
    part = f"{len(data)} of " if count > len(data) else ""
    shown = table(result["columns"], [tuple(row.values()) for row in data])
    return f"{part}{count:,} rows in {near(result['path'])}\n{shown}"


def _json(tasks: list[dict[str, Any]]) -> str:
    inner = {"created", "reused"}
    shown = [{name: about[name] for name in about if name not in inner} for about in tasks]
    return json.dumps(_finite(shown), indent=1, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    """The value with null for each number that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _age(created: str) -> str:
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    return f"{age.days} d" if age.days else str(age).partition(".")[0]


def _warn(message: str, status: int = DONE) -> int:
    click.echo(message, err=True)
    return status
