"""READ. The commands of `python -m PACKAGE`. A failure is one sentence."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import luigi

from . import settings
from .arguments import PACKAGE, TaskCommand, force, make_task
from .compose import BaseDaskTarget, FileTarget, Stage
from .compose.build import INTERRUPTED, build, log
from .compose.describe import absences, completeness, describe, results
from .compose.errors import sentence
from .compose.graph import flat, is_external, label, outputs, walk
from .compose.roots import near
from .compose.stub import stubs
from .compose.tables import printable, some, table

DONE, FAILED, MISSING = 0, 1, 3  # exit statuses; 2 is click's, for wrong usage


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
@click.option("--dry-run", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--workers", type=click.IntRange(1), default=1, help="How many tasks run at once.")
@click.option("--force", "again", metavar="TASK", multiple=True, help="Run it and what needs it.")
@click.option("--rows", type=click.IntRange(0), default=10, help="Rows of a result to show.")
@click.option("--json", "as_json", is_flag=True, help="The results as a list of objects.")
def run(
    root: luigi.Task, dry_run: bool, workers: int, again: tuple[str, ...], rows: int, as_json: bool
) -> int:
    """Build TASK (Pipeline unless it is named) and all that it needs."""
    began = time.monotonic()
    graph = list(walk(root))
    force(graph, again)
    work = [t for t, _ in graph if not isinstance(t, luigi.WrapperTask)]
    todo = [t for t in work if not t.complete()]
    tasks = [t for t in todo if not is_external(t)]
    missing = absences(todo)
    for line in missing:
        click.echo(line, err=True)
    status = MISSING if missing else DONE
    if dry_run:
        would = [f"would run  {label(each)}" for each in tasks] or ["nothing would run"]
        click.echo("\n".join(would))
        return status
    if tasks:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a task prints is no result
                status = status if build([root, *tasks], workers) else FAILED
        except KeyboardInterrupt:
            done = [label(each) for each in tasks if each.complete()] or ["none"]
            lost = [label(each) for each in tasks if label(each) not in done] or ["none"]
            return _fault(f"interrupted; complete: {some(done)}; not: {some(lost)}", INTERRUPTED)
    left = [t for t in tasks if not t.complete()]
    if failed := [t for t in left if all(each.complete() for each in flat(t.requires()))]:
        status = FAILED
    seconds = time.monotonic() - began
    click.echo(f"{_summary(work, todo, failed)}; {seconds:.1f} s{_stubs_left()}", err=as_json)
    found = {each: _result(each, rows) for each in results(graph)}
    if as_json:
        click.echo(_json([*found.values()]))
        return status
    for each, about in found.items():
        if about["complete"]:
            click.echo(f"\n{label(each)}: {_shown(about)}")
    for each, _ in graph:
        target = each.output()
        if isinstance(target, FileTarget) and not is_external(each) and each.complete():
            click.echo(f"\n{label(each)}: {near(target.path)}")
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
    return FAILED if check and not all(done.values()) else DONE


@cli.command(cls=TaskCommand)
@click.option("--format", "kind", type=click.Choice(["text", "mermaid", "dot"]), default="text")
@click.option("--plain", is_flag=True, help="Leave out what is complete.")
def graph(root: luigi.Task, kind: str, plain: bool) -> int:
    """Draw TASK (Pipeline unless it is named) and all that it needs."""
    from .compose import draw

    whole = list(walk(root))
    states = {} if plain else {t: _state(t, done) for t, done in completeness(whole).items()}
    for line in getattr(draw, kind)(whole, states):
        click.echo(line)
    return DONE


@cli.command(cls=TaskCommand)
def why(root: luigi.Task) -> int:
    """Say why TASK would run; for Pipeline, each task that would."""
    from .compose.why import why

    above = [each for each, _ in walk(root) if not isinstance(each, luigi.WrapperTask)]
    absent = [each for each in above if is_external(each) and not each.complete()]
    asked = above if isinstance(root, luigi.WrapperTask) else list(dict.fromkeys([*absent, root]))
    others = [root]
    with contextlib.suppress(click.UsageError):  # where Pipeline itself needs a parameter
        others = [each for each, _ in walk(make_task("Pipeline", {}))]
    reasons = list(why(asked, others))
    for reason in reasons:
        click.echo(printable(reason))
    if count := len(asked) - len(reasons):
        name = asked[0].get_task_family() if len(asked) == 1 else count
        click.echo(f"{name} {'is' if count == 1 else 'are'} complete")
    return MISSING if absent else DONE


@cli.command(cls=TaskCommand)
def explain(root: luigi.Task) -> int:
    """Show what a stage reads of its inputs, and what Dask makes of its transform."""
    from .compose.explain import explain

    if not isinstance(root, Stage):
        raise click.UsageError(f"{root.get_task_family()} is no stage; name one")
    if missing := absences(flat(root.requires())):
        return _fault("\n".join(missing), MISSING)
    for line in explain(root):
        click.echo(printable(line))
    return DONE


@cli.command(cls=TaskCommand)
def verify(root: luigi.Task) -> int:
    """Compare the datasets of TASK, and of all that it needs, with their manifests."""
    from .compose.verify import damage

    targets = [target for each, _ in walk(root) for target in outputs(each)]
    datasets = [target for target in targets if isinstance(target, BaseDaskTarget)]
    with click.progressbar(datasets, label="verify", file=sys.stderr) as every:
        faults = [said for target in every if (said := damage(target)) is not None]
    click.echo("\n".join(filter(None, faults)), err=True, nl=any(faults))
    damaged = sum(map(bool, faults))
    click.echo(f"{len(faults)} datasets, {damaged or 'none'} damaged")
    return FAILED if damaged else DONE


@cli.command(cls=TaskCommand)
@click.option("--yes", is_flag=True, help="Delete what is shown.")
@click.option("--older-than", "days", type=click.IntRange(0, 36500), help="Days; 7 unless given.")
def clean(root: luigi.Task, yes: bool, days: int | None) -> int:
    """Show old outputs and dead attempts; with TASK, what that task wrote, whatever its age."""
    from .compose.clean import of_task, old

    whole = root.get_task_family() == "Pipeline"
    if not whole and days is not None:
        raise click.UsageError("with a task, its age does not count; leave out --older-than")
    tasks = [each for each, _ in walk(root)]
    if missing := absences(tasks):
        missing.append("so nobody can tell what is old; nothing deleted")
        return _fault("\n".join(missing), MISSING)
    useless = old(tasks, 7 if days is None else days) if whole else of_task(root)
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
    try:
        settings.load()
        log()
        return int(cli.main(arguments, f"python -m {PACKAGE}", standalone_mode=False) or DONE)
    except click.ClickException as error:
        if isinstance(error, click.UsageError):
            error.ctx = None  # else it would begin with the usage
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fault("interrupted; what was complete still is", INTERRUPTED)
    except Exception as error:
        logging.getLogger(__name__).debug("The traceback:", exc_info=True)
        return _fault(sentence(error), FAILED)


def _summary(work: list[luigi.Task], todo: list[luigi.Task], failed: list[luigi.Task]) -> str:
    """What became of the work, of which some was to do, and how many rows that wrote."""
    about = {task: describe(task, True) for task in todo if task.complete()}
    before = len(work) - len(todo)
    text = f"{len(about)} ran, {before} {'was' if before == 1 else 'were'} complete"
    if failed:
        text += f", {len(failed)} failed ({some([*map(label, failed)])})"
    if others := len(todo) - len(about) - len(failed):
        text += f", {others} did not run"
    for task, each in about.items():
        if reused := each.get("reused"):
            text += f"; {label(task)} reused {reused} of {len(outputs(task)[0].files())} parts"
    rows = sum(each["rows"] or 0 for each in about.values())
    return f"{text}; {rows:,} rows" if rows else text


def _state(task: luigi.Task, complete: bool) -> str:
    return "complete" if complete else "missing" if is_external(task) else "to run"


def _stubs_left() -> str:
    """A line about the transforms that are still to be written, if any."""
    left = stubs()
    text = f"{len(left)} {'stub is' if len(left) == 1 else 'stubs are'} left: {', '.join(left)}"
    return f"\n{click.wrap_text(text, 80)}" if left else ""


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
    finite = json.loads(json.dumps(shown, default=str), parse_constant=lambda number: None)
    return json.dumps(finite, indent=1)


def _age(created: str) -> str:
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    return f"{age.days} d" if age.days else str(age).partition(".")[0]


def _fault(message: str, status: int) -> int:
    click.echo(message, err=True)
    return status
