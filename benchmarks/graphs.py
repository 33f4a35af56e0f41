"""Salts and commands on graphs of many tasks, beside a salt as the course's slides have it."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from budgets import Bench, Section
from measure import Run, child, fault, in_turns, ratios, spread

Told = dict[str, Any]
REFERENCE_DEPTH = 12  # of the ladder: its time doubles with each level


def make(shape: str, count: int) -> Any:
    """The task at the end of a graph: `wide` and `chain` of so many stages, `ladder` so deep.

    A rung of the ladder is a diamond: one task that requires two, which require the rung below.
    """
    import luigi
    import pyarrow as pa
    from flight_scores import tasks
    from flight_scores.compose import RequirementList, Requires, Stage

    class One(Stage):
        __version__ = "1"
        schema = pa.schema([("a", pa.int64())])
        number = luigi.IntParameter()
        side = luigi.Parameter(default="")

        def requires(self) -> Any:
            if shape == "chain" and self.number:
                return {"before": One(number=self.number - 1)}
            if shape == "ladder" and self.side:
                return {"below": One(number=self.number - 1)}
            if shape == "ladder" and self.number:
                return {side: One(number=self.number, side=side) for side in ("left", "right")}
            return {}

    class Pipeline(luigi.WrapperTask):
        __version__ = "1"
        requires = Requires()
        ones = RequirementList(One, number=lambda task: range(count))

    for cls in (One, Pipeline):
        cls.__module__ = tasks.__name__
        setattr(tasks, cls.__name__, cls)
    return One(number=count) if shape == "ladder" else Pipeline()


def reference(task: Any) -> str:
    """A salt by recursion, without a memo: a task is digested anew for each that requires it."""
    import luigi.task

    above = [reference(each) for each in luigi.task.flatten(task.requires())]
    params = [f"{name}={value!r}" for name, value in sorted(task.param_kwargs.items())]
    text = ",".join([task.get_task_family(), task.__version__, *params, *above])
    return sha256(text.encode()).hexdigest()


def salts(shape: str, count: int, ours: bool, data: str) -> Callable[[], None]:
    os.environ["DATA_ROOT"] = data
    root = make(shape, count)
    from flight_scores.compose import salt

    return lambda: (salt if ours else reference)(root) and None


def questions(shape: str, count: int, data: str) -> Callable[[], Told]:
    """The seconds of commands in a process that has all imported; all is complete, then changed."""
    os.environ["DATA_ROOT"] = data
    pipeline = make(shape, count)
    import luigi
    from flight_scores import cli, tasks
    from flight_scores.compose import commit, lineage, salts

    one: Any = tasks.One  # type: ignore[attr-defined]
    numbers = [one(number=number) for number in range(count)]
    for number in numbers:
        target = number.output()
        target.fs.makedirs(target.path)
        created = datetime.now(UTC).isoformat()
        head = {"rows": 1, "bytes": 1, "created": created}  # as a writer orders them
        about = head | {"parts": [], "lineage": lineage(number)}
        commit.commit(target.fs, target.at("_SUCCESS"), about, False)
    assert pipeline.complete()

    def seconds(*arguments: str) -> float:
        salts.forget()
        luigi.task_register.Register.clear_instance_cache()
        with contextlib.redirect_stdout(io.StringIO()):
            began = time.perf_counter()
            status = cli.main(arguments)
            took = time.perf_counter() - began
        assert status == 0, arguments
        return took

    def work() -> Told:
        complete = {name: seconds(name) for name in ("graph", "status", "why")}
        one.__version__ = "2"
        return complete | {"why, all changed": seconds("why")}

    return work


def measure(bench: Bench) -> None:
    few = bench.quick
    cases = {
        "salts": ("wide", 10_000),
        "": ("chain", 1000 if few else 3000),
        "ladder": ("ladder", 1000),
    }
    rows = []
    for key, (shape, count) in cases.items():
        runs = [_salts(bench, shape, count, True) for _ in range(1 if few else 5)]
        if why := fault(runs):
            rows.append([f"{shape}, {count:,}", f"failed: {why}", ""])
            bench.absent(key, why)
            continue
        seconds = [run.seconds for run in runs]
        rows.append([f"{shape}, {count:,}", spread(seconds, 2, "s"), ""])
        if key:
            bench.found(key, seconds, f"{shape}, libraries imported")
    for shape, count in {"wide": 1000 if few else 10_000, "ladder": REFERENCE_DEPTH}.items():
        both = in_turns(
            ["ours", "reference"],
            1 if few else 3,
            lambda name, shape=shape, count=count: _salts(bench, shape, count, name == "ours"),
        )
        for each in both.values():
            for run in each:
                run.made = "a salt"  # two digests of the same graph, which differ by design
        took = {name: [run.seconds for run in each] for name, each in both.items()}
        ratio = spread(ratios(both, "ours", "reference"), 3, "×")
        times = spread(took["reference"], 3, "s")
        rows.append([f"the reference: {shape}, {count:,}", times, ratio])
        if shape == "wide" and "salts" in bench.outcomes:
            bench.outcomes["salts"].note += f"; {ratio} the course's reference"
    text = (
        "The salt of the last task in a process of its own. `wide`: one task requires all others; "
        "`ladder`: a diamond on a diamond, three tasks a level. The reference follows the course: "
        "it recurses without a memo, and its time doubles with each level of the ladder, so it is "
        f"asked for {REFERENCE_DEPTH} levels."
    )
    head = ["graph", "seconds, median (range)", "ours is"]
    bench.sections.append(Section("Salts", text, head, rows))
    _questions(bench)


def _questions(bench: Bench) -> None:
    rows = []
    for shape, count in {
        "wide": 300 if bench.quick else 2000,
        "chain": 100 if bench.quick else 500,
    }.items():
        data = bench.folder / f"questions-{shape}"
        run = child("graphs:questions", bench.project, shape=shape, count=count, data=str(data))
        told = [f"failed: {run.fault}"] if run.fault else [f"{s:.2f} s" for s in run.told.values()]
        rows.append([f"{shape}, {count:,}", *told, *[""] * (4 - len(told))])
    head = ["tasks", "`graph`", "`status`", "`why`", "`why`, all changed"]
    text = "Commands on complete datasets, in a process with all imported; measured once."
    bench.sections.append(Section("Questions to a big graph", text, head, rows))


def _salts(bench: Bench, shape: str, count: int, ours: bool) -> Run:
    data = str(bench.folder / "salts")
    where = {"shape": shape, "count": count, "ours": ours, "data": data}
    return child("graphs:salts", bench.project, **where)
