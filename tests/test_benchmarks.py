"""The benchmarks compare only what gave the same rows, and name every budget."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from baking import run

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import report  # noqa: E402
from budgets import BUDGETS, Bench, Section  # noqa: E402
from data import digest  # noqa: E402
from measure import IncomparableError, Run, comparison, in_turns, ratios  # noqa: E402
from run import perform  # noqa: E402
from stages import limit  # noqa: E402


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, tmp_path, quick=True, large=False)


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """The digest of a Parquet file with these columns."""

    def make(**columns: Any) -> str:
        pq.write_table(pa.table(columns), tmp_path / "part.parquet")
        return digest(f"{tmp_path}/*.parquet")

    return make


def test_a_digest_does_not_depend_on_the_order_of_rows_and_columns(made: Any) -> None:
    one = made(a=pa.array([1, 2], pa.int32()), b=["x", None])
    assert one == made(b=[None, "x"], a=pa.array([2, 1], pa.int64()))


@pytest.mark.parametrize(
    "columns",
    [
        {"a": [1, 2], "b": ["x", "y"]},
        {"a": [1, 2], "b": ["x", ""]},
        {"a": [2, 1], "b": ["x", None]},
        {"a": [1], "b": ["x"]},
        {"a": [1, 2, 2], "b": ["x", None, None]},
        {"a": [1, 2]},
        {"a": [1, 2], "b": ["x", None], "c": [1, 2]},
    ],
)
def test_a_digest_tells_other_data(made: Any, columns: dict[str, Any]) -> None:
    assert made(a=[1, 2], b=["x", None]) != made(**columns)


def test_there_is_no_ratio_of_contenders_that_made_different_data() -> None:
    runs = {"ours": [Run(1.0, made="one")], "other": [Run(2.0, made="another")]}
    with pytest.raises(IncomparableError, match="ours and other made different data"):
        ratios(runs, "ours", "other")
    assert list(comparison(runs, "ours"))[1][2] == "none: ours and other made different data"
    runs = {"ours": [Run(1.0, made="one")] * 2, "other": [Run(2.0, made="one"), Run(2.0, made="2")]}
    with pytest.raises(IncomparableError):
        ratios(runs, "ours", "other")


def test_a_ratio_is_taken_within_a_round() -> None:
    runs = {"ours": [Run(1.0), Run(4.0)], "other": [Run(2.0), Run(4.0)]}
    assert ratios(runs, "ours", "other") == [0.5, 1.0]


def test_a_missed_budget_says_what_arrow_alone_takes_of_it() -> None:
    arrow = [Run(2.0, made="same"), Run(3.0, made="same")]
    runs = {"PyArrow alone": arrow, "Polars": [Run(4.0, made="same"), Run(4.0, made="same")]}
    told = "; PyArrow alone, which reads and writes for us: 0.62 × (0.50 to 0.75)"
    assert limit(runs, "Polars") == told
    assert limit(runs, "PyArrow alone") == ""
    assert limit(runs | {"DuckDB": [Run(fault="no memory")]}, "DuckDB") == ""


def test_a_contender_that_fails_says_why_and_the_others_go_on(bench: Bench) -> None:
    def one(name: str) -> Run:
        return Run(fault="no memory") if name == "bad" else Run(2.0, 100, "same")

    runs = in_turns(["ours", "bad", "good"], 2, one)
    assert {name: len(each) for name, each in runs.items()} == {"ours": 2, "bad": 1, "good": 2}
    assert list(comparison(runs, "ours")) == [
        ["ours", "2.00 s (2.00 to 2.00)", "1", "100 MiB"],
        ["bad", "failed: no memory", "", ""],
        ["good", "2.00 s (2.00 to 2.00)", "1.00 × (1.00 to 1.00)", "100 MiB"],
    ]
    bench.compared("big duckdb", runs, "ours", "bad")
    assert bench.outcomes["big duckdb"].note == "bad failed: no memory"


def test_a_step_that_fails_says_so_in_its_budgets(bench: Bench) -> None:
    def step(bench: Bench) -> None:
        bench.found("salts", [1.0])
        raise OSError("the disk is full")

    perform(bench, step, ("salts", "ladder"))
    assert bench.outcomes["salts"].values == [1.0]
    assert bench.outcomes["ladder"].note == "failed: OSError: the disk is full"


def test_a_budget_is_met_by_the_median(bench: Bench) -> None:
    bench.found("big duckdb", [0.7, 0.74, 0.9])
    bench.found("workers", [1.5, 1.5, 1.7])
    rows = {(row[0], row[1]): row[2:4] for row in bench.rows()}
    duckdb = ["0.74 × (0.70 to 0.90)", "yes"]
    assert rows["CSV → clean → Parquet, 10 million rows", "≤ 0.75 × DuckDB"] == duckdb
    assert rows["a second worker on a busy stage", "≥ 1.6 ×"] == ["1.50 × (1.50 to 1.70)", "**no**"]


def test_the_results_name_every_budget_measured_or_not(bench: Bench, tmp_path: Path) -> None:
    bench.found("bake", [1.25])
    bench.sections.append(Section("A table", "", ["a", "b"], [["1 | 2", "3"]]))
    bench.charts.append(("1 < 2 rows", {"CleanFlights": [Run(1.0, 5)], "bad": [Run(fault="x")]}))
    report.write(bench, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    for budget in BUDGETS:
        assert f"| {budget.what} | {budget} |" in text
    assert "| 1.25 × | yes |" in text
    assert text.count("not measured") == len(BUDGETS) - 1
    assert "| 1 \\| 2 | 3 |" in text
    chart = (tmp_path / "results.svg").read_text(encoding="utf-8")
    assert "1 &lt; 2 rows" in chart
    assert "CleanFlights" in chart
    assert "bad" not in chart


def test_the_readme_takes_a_terabyte_on_paper(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    shutil.copy(FOLDER.parent / "README.md", readme)
    report.tell(bench, readme)  # nothing was measured, so nothing changes
    assert readme.read_bytes() == (FOLDER.parent / "README.md").read_bytes()
    monkeypatch.setattr(report, "cores", lambda: 2)
    small = {"rows": 10, "CSV": 9e8, "parts": 9, "manifest": 5000}
    large = {"rows": 100, "CSV": 9e9, "parts": 90, "manifest": 5000 + 81 * 300}
    seconds = {"CleanFlights": 45.0, "AirportScores": 9e9 / 8e8}
    bench.growth += [small | seconds, large | seconds]
    for _ in range(2):  # a second time replaces the first
        report.tell(bench, readme)
    text = readme.read_text(encoding="utf-8")
    assert text.count("- `CleanFlights`: 10^12 bytes / 100.0 MB/s on a core = 2.8 core-hours.") == 1
    assert text.count("- 3.5 core-hours at $0.05, an assumed price: $0.17.") == 1
    assert text.count("- 64 cores: 3 minutes, if storage gives 6.4 GB/s.") == 1
    assert text.count("- A part for each 100 MB of CSV: 10,000 parts.") == 1
    assert text.count("- 300 bytes of manifest a part: 3.0 MB in one file.") == 1


def test_the_command_explains_itself() -> None:
    done = run([sys.executable, str(FOLDER / "run.py"), "--help"])
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
