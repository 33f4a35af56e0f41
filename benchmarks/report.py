"""benchmarks/RESULTS.md and its chart: what this run measured, and nothing else."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from budgets import Bench, Section, cores
from measure import Run, Runs, fault

LIBRARIES = ("cookiecutter", "dask", "duckdb", "luigi", "pandas", "polars", "pyarrow")
STYLE = """text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.ours { fill: #0969da } .other { fill: #afb8c1 } .range { stroke: #57606a; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ours { fill: #4493f8 } .other { fill: #59636e } .range { stroke: #b1bac4 }
}"""
LEFT, WIDTH, ROW = 120, 480, 26
PRICE = 0.05  # dollars for an hour of a core, assumed


BEGIN, END = "<!-- scale -->\n", "<!-- end of scale -->\n"


def write(bench: Bench, path: Path) -> None:
    """Write the results to `path`, and the chart beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chart = path.with_name("results.svg")
    chart.write_text(svg(bench.charts), encoding="utf-8", newline="\n")
    path.write_text("\n".join(lines(bench, chart.name)) + "\n", encoding="utf-8", newline="\n")


def tell(bench: Bench, readme: Path) -> None:
    """Put what a terabyte would cost between the two marks of a README."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if len(bench.growth) > 1 and after:
        text = "\n".join(paper(bench.growth))
        readme.write_text(f"{before}{BEGIN}{text}\n{END}{after}", encoding="utf-8", newline="\n")


def lines(bench: Bench, chart: str) -> Iterator[str]:
    """RESULTS.md; the name of the chart is that of a file beside it."""
    yield "# Benchmarks"
    yield ""
    kind = (
        "`--quick`, on inputs smaller than the budgets ask for,"
        if bench.quick
        else "`python3 dev.py bench`"
    )
    yield (
        f"Made by {kind} on {datetime.now(UTC):%d %B %Y}. Ratios are taken within a round, "
        "contenders run in turns, each in a process of its own with its libraries imported and "
        "the same declared schema and columns. A ratio stands here only where both made the same "
        "rows and columns."
    )
    yield ""
    yield from (f"- {line}" for line in machine(bench.folder))
    budgets = Section(
        "Budgets", "", ["what", "budget", "median (range)", "met", "note"], bench.rows()
    )
    for section in (budgets, *bench.sections):
        yield from table(section)
        if section is budgets and bench.charts:
            yield f"\n![Seconds and peak memory of each contender]({chart})"
    if len(bench.growth) > 1:
        yield from ("", "## A terabyte, on paper", "", *paper(bench.growth))


def table(section: Section) -> Iterator[str]:
    yield from ("", f"## {section.title}", "")
    if section.text:
        yield from (section.text, "")
    for row in (section.head, ["---"] * len(section.head), *section.rows):
        cells = (" ".join(cell.replace("|", "\\|").split()) for cell in row)
        yield f"| {' | '.join(cells)} |"
    if section.after:
        yield from ("", section.after)


def machine(folder: Path) -> Iterator[str]:
    """Processor, memory, kernel, file system and versions; nothing that names the machine."""
    told = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (told.read_text() if told.exists() else "").splitlines()
        if line.startswith("model name")
    ]
    processor = models[0] if models else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    words = ["df", "-T", str(folder)]
    found = subprocess.run(words, capture_output=True, encoding="utf-8", check=False).stdout
    kind = found.splitlines()[1].split()[1] if found.count("\n") > 1 else "unknown"
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    yield f"{processor}, {cores()} cores, {memory:.0f} GB of memory; {system}, files on {kind}"
    versions = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    yield ", ".join(versions)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    yield f"load average at the end (1, 5, 15 minutes): {load}"


def paper(growth: list[dict[str, float]]) -> Iterator[str]:
    """What a terabyte of CSV would cost, from the figures of the largest input of this run."""
    before, last = growth[-2], growth[-1]
    yield "On paper, a terabyte of CSV on a cluster; nobody ran it, and it is a straight line from"
    yield f"the largest input that was ({last['rows']:,} rows, {last['CSV'] / 1e9:.1f} GB):"
    yield ""
    total = 0.0
    for name in ("CleanFlights", "AirportScores"):
        speed = last["CSV"] / last[name] / cores()
        hours = 1e12 / speed / 3600
        total += hours
        rate = f"{speed / 1e6:.1f} MB/s on a core"
        yield f"- `{name}`: 10^12 bytes / {rate} = {hours:.1f} core-hours."
    yield f"- {total:.1f} core-hours at ${PRICE:.2f}, an assumed price: ${total * PRICE:.2f}."
    rate = f"{64 * last['CSV'] / last['CleanFlights'] / cores() / 1e9:.1f} GB/s"
    yield f"- 64 cores: {total / 64 * 60:.0f} minutes, if storage gives {rate}."
    part = last["CSV"] / last["parts"]
    yield f"- A part for each {part / 1e6:.0f} MB of CSV: {1e12 / part:,.0f} parts."
    entry = (last["manifest"] - before["manifest"]) / max(1, last["parts"] - before["parts"])
    yield f"- {entry:.0f} bytes of manifest a part: {1e12 / part * entry / 1e6:.1f} MB in one file."


def svg(charts: list[tuple[str, Runs]]) -> str:
    """A bar for each contender that ran: its median, its range, its peak memory."""
    body, y = [], 0
    for title, runs in charts:
        ran = {name: each for name, each in runs.items() if not fault(each)}
        longest = max((run.seconds for each in ran.values() for run in each), default=1.0)
        y += 34
        body.append(f'<text class="title" x="8" y="{y - 10}">{escape(title)}, seconds</text>')
        for name, each in sorted(ran.items(), key=lambda item: _median(item[1])):
            body += _bar(name, each, y, WIDTH / longest)
            y += ROW
    full = LEFT + WIDTH + 190
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full} {y + 12}" '
        f'width="{full}" role="img" aria-label="Seconds and peak memory of each contender">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _median(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _bar(name: str, runs: list[Run], y: int, scale: float) -> Iterator[str]:
    median = _median(runs)
    least, most = (f([run.seconds for run in runs]) * scale + LEFT for f in (min, max))
    kind = "ours" if name == "CleanFlights" else "other"
    middle = y + ROW / 2
    label = f"{median:.2f} s, {max(run.mib for run in runs):,.0f} MiB"
    yield f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(name)}</text>'
    box = f'x="{LEFT}" y="{y + 3}" width="{median * scale:.1f}" height="20" rx="2"'
    yield f'<rect class="{kind}" {box}/>'
    yield f'<path class="range" d="M{least:.1f} {middle}H{most:.1f}"/>'
    yield f'<text x="{max(most, LEFT) + 8:.1f}" y="{middle + 4}">{label}</text>'
