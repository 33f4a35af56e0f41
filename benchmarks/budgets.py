"""What a run of the benchmarks collects: the outcome of each budget, and tables."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from measure import IncomparableError, Runs, ratios, spread


@dataclass(frozen=True)
class Budget:
    """A bound of the design, for the median of what was measured."""

    key: str
    what: str
    limit: float
    unit: str
    beside: str = ""
    is_least: bool = False

    def __str__(self) -> str:
        number = f"{'≥' if self.is_least else '≤'} {self.limit:g} {self.unit}"
        return f"{number} {self.beside}".strip()

    def met(self, values: list[float]) -> bool:
        middle = statistics.median(values)
        return middle >= self.limit if self.is_least else middle <= self.limit


CSV = "CSV → clean → Parquet, {}"
SMALL, BIG = "3.4 million flights", "10 million rows"
BUDGETS = (
    Budget("bake", "bake with the defaults", 1.5, "×", "cookiecutter on a template with one file"),
    Budget("nothing", "`python -m PACKAGE`, everything complete", 2.5, "×", "`import luigi`"),
    Budget("small duckdb", CSV.format(SMALL), 0.75, "×", "DuckDB"),
    Budget("small polars", CSV.format(SMALL), 0.8, "×", "Polars"),
    Budget("small arrow", CSV.format(SMALL), 1.3, "×", "PyArrow alone"),
    Budget("big duckdb", CSV.format(BIG), 0.75, "×", "DuckDB"),
    Budget("big polars", CSV.format(BIG), 0.8, "×", "Polars"),
    Budget("big arrow", CSV.format(BIG), 1.3, "×", "PyArrow alone"),
    Budget("aggregation", "an aggregation stage over it", 1.05, "×", "the same in Dask by hand"),
    Budget("transaction", "what transactions and manifests add to a write", 5, "%"),
    Budget("memory", "peak memory, input of any size", 1.5, "GB"),
    Budget("flat", "peak memory, the largest input", 1.2, "×", "that of the next"),
    Budget("salts", "salts of 10,000 tasks", 1.5, "s"),
    Budget("ladder", "salts of a ladder of diamonds, 1,000 deep", 0.5, "s"),
    Budget("requests", "`status` on object storage", 2, "requests", "a task"),
    Budget("listings", "`status` on object storage", 0, "listings", "of parts"),
    Budget("workers", "a second worker on a busy stage", 1.6, "×", is_least=True),
    Budget("suite", "the template's whole quick suite", 10, "minutes"),
)


@dataclass
class Outcome:
    values: list[float] = field(default_factory=list)
    note: str = ""  # what else is to be known, or why there are no values


@dataclass
class Section:
    """A table of the results, with a sentence before and after it."""

    title: str
    text: str
    head: list[str]
    rows: list[list[str]]
    after: str = ""


@dataclass
class Bench:
    """A run: where it works, how thoroughly, and what it has found."""

    folder: Path
    project: Path
    quick: bool
    large: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    charts: list[tuple[str, Runs]] = field(default_factory=list)
    growth: list[dict[str, float]] = field(default_factory=list)  # figures of each size

    def rounds(self, full: int) -> int:
        return min(full, 2) if self.quick else full

    def found(self, key: str, values: list[float], note: str = "") -> None:
        self.outcomes[key] = Outcome(values, note)

    def absent(self, key: str, why: str) -> None:
        self.outcomes.setdefault(key, Outcome(note=why))

    def compared(self, key: str, runs: Runs, mine: str, other: str, note: str = "") -> None:
        """The ratio is the outcome, if there is one."""
        try:
            self.found(key, ratios(runs, mine, other), note)
        except IncomparableError as error:
            self.absent(key, str(error))

    def rows(self) -> list[list[str]]:
        """The table of all budgets, measured or not."""
        table = []
        for budget in BUDGETS:
            outcome = self.outcomes.get(budget.key, Outcome(note="not measured"))
            digits = 0 if budget.unit == "listings" else 1 if budget.unit in ("%", "minutes") else 2
            is_ratio = budget.unit in ("×", "s", "GB", "%")
            unit = budget.unit if is_ratio else ""
            measured = spread(outcome.values, digits, unit) if outcome.values else ""
            met = ("yes" if budget.met(outcome.values) else "**no**") if outcome.values else "–"
            table.append([budget.what, str(budget), measured, met, outcome.note])
        return table


def cores() -> int:
    return os.cpu_count() or 1
