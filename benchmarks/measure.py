"""Measure in processes of their own, in turns, and compare only what gave the same result.

As a program it is such a process: `python measure.py MODULE:FUNCTION JSON` calls the function with
these arguments, which imports and prepares; what it returns is called while the clock runs.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from baking import clean_environ

LIMIT = 1800  # seconds, after which a process has failed


class IncomparableError(Exception):
    """Two contenders of which one failed, or which made different data."""


@dataclass
class Run:
    """One run: its seconds and peak memory, what it made and told, or why it failed."""

    seconds: float = nan
    mib: float = 0.0
    made: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    fault: str = ""


Runs = dict[str, list[Run]]


def environ(**more: str) -> dict[str, str]:
    """A clean environment that keeps bytecode, as a user's does."""
    kept = clean_environ(DO_NOT_TRACK="1", **more)  # Kedro would send what was run
    del kept["PYTHONDONTWRITEBYTECODE"]
    return kept


def command(words: list[str], **options: Any) -> Run:
    """Run a program: the seconds from its start to its end."""
    options = {"env": environ(), "encoding": "utf-8", "timeout": LIMIT} | options
    began = time.perf_counter()
    try:
        done = subprocess.run(words, capture_output=True, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Run(fault=f"{type(error).__name__}: {error}")
    seconds = time.perf_counter() - began
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        return Run(fault=(said or [f"exit status {done.returncode}"])[-1][:300])
    return Run(seconds, told={"out": done.stdout})


def child(function: str, project: Path | None = None, **arguments: Any) -> Run:
    """Call MODULE:FUNCTION in a process of its own, which can import the baked project."""
    words = [sys.executable, __file__, function, json.dumps(arguments)]
    run = command(words, env=environ(PYTHONPATH=str(project or "")))
    return run if run.fault else Run(**json.loads(run.told["out"].splitlines()[-1]))


def in_turns(names: Iterable[str], rounds: int, run: Callable[[str], Run]) -> Runs:
    """Each once a round, forwards and backwards in turns; one that failed is not run again."""
    names = list(names)
    runs: Runs = {name: [] for name in names}
    for number in range(rounds):
        for name in reversed(names) if number % 2 else names:
            if not any(each.fault for each in runs[name]):
                runs[name].append(run(name))
    return runs


def fault(runs: list[Run]) -> str:
    return next((run.fault for run in runs if run.fault), "" if runs else "it did not run")


def ratios(runs: Runs, mine: str, other: str) -> list[float]:
    """The seconds of one by those of the other, in each round.

    Raises IncomparableError where one of them failed, or where they made different data.
    """
    for name in (mine, other):
        if why := fault(runs[name]):
            raise IncomparableError(f"{name} failed: {why}")
    made = {name: {run.made for run in runs[name]} for name in (mine, other)}
    if made[mine] != made[other] or len(made[mine]) != 1:
        raise IncomparableError(f"{mine} and {other} made different data")
    return [a.seconds / b.seconds for a, b in zip(runs[mine], runs[other], strict=True)]


def spread(values: list[float], digits: int = 2, unit: str = "") -> str:
    """Median and range: `1.42 s (1.38 to 1.51)`."""
    middle = f"{statistics.median(values):,.{digits}f}{unit and f' {unit}'}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def comparison(runs: Runs, mine: str) -> Iterator[list[str]]:
    """A row for each contender: seconds, the ratio of mine to it in the same round, peak memory."""
    for name, each in runs.items():
        if why := fault(each):
            yield [name, f"failed: {why}", "", ""]
            continue
        try:
            ratio = spread(ratios(runs, mine, name), unit="×")
        except IncomparableError as error:
            ratio = f"none: {error}"
        peak = max(run.mib for run in each)
        seconds = spread([run.seconds for run in each], unit="s")
        yield [name, seconds, "1" if name == mine else ratio, f"{peak:,.0f} MiB" if peak else ""]


def peak_mib() -> float:
    """The peak memory of this process alone; getrusage may count that of the one that forked it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(function: str, arguments: str) -> None:
    module, _, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    began = time.perf_counter()
    told = work()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "mib": peak_mib(), "told": told or {}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
