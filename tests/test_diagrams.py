"""The diagrams are what their own programs read: Mermaid's parser, and Graphviz."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import luigi
import pytest
from baking import run
from o_brien_s_flights_b import tasks
from o_brien_s_flights_b.compose import (
    LocalTargetOutput,
    Requirement,
    RequirementList,
    Requires,
    draw,
)
from o_brien_s_flights_b.compose.graph import walk
from test_report import chromium

__all__ = ["chromium"]
pytestmark = pytest.mark.slow

TEXTS = ['<script>alert(1)</script> "&\\', "`**x**`", "1. é 日本 🛫", "a]b)c}d;%%", "end", "#35;"]
RENDERED = """async text => {
    const {svg} = await mermaid.render("drawn", text)
    const page = new DOMParser().parseFromString(svg, "text/html")
    return [...page.querySelectorAll(".nodeLabel")].map(each => each.textContent)
}"""


class Hostile(luigi.Task):
    __version__ = "1"
    text: luigi.Parameter = luigi.Parameter()
    output = LocalTargetOutput("{task}-{task.text}.txt")


class end(luigi.Task):  # noqa: N801
    __version__ = "1"
    output = LocalTargetOutput()


class Everything(luigi.WrapperTask):
    __version__ = "1"
    requires = Requires()
    hostile = RequirementList(Hostile, text=lambda task: TEXTS)
    keyword = Requirement(end)


def drawn(kind: str) -> list[tuple[list[str], str]]:
    """Diagrams of several graphs, with what is to be read in their boxes."""
    found = []
    for root in (tasks.Pipeline(), Everything(), end()):
        graph = [*walk(root)]
        every = [task for task, _ in graph]
        states = {t: ["complete", "to run", "missing"][n % 3] for n, t in enumerate(every)}
        for shown in ({}, states):
            labels = [*draw._texts(graph, shown).values()]
            found.append((labels, "\n".join(getattr(draw, kind)(graph, shown))))
    return found


@pytest.mark.network
def test_mermaid_draws_what_is_meant(chromium: Any, tmp_path: Path) -> None:
    npm = shutil.which("npm") or pytest.fail("Mermaid is installed with npm; install Node.js")
    done = run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "mermaid"], cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    script = tmp_path / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
    page = chromium.new_page()
    page.on("dialog", lambda dialog: pytest.fail("a diagram ran a script"))
    page.add_script_tag(path=str(script))
    assert page.evaluate("mermaid.parse('graph TD\\n a -->', {suppressErrors: true})") is False
    for labels, text in drawn("mermaid"):
        assert page.evaluate(f"mermaid.parse({json.dumps(text)})")["diagramType"] == "flowchart-v2"
        assert sorted(page.evaluate(RENDERED, text)) == sorted(labels)


def test_graphviz_draws_what_is_meant() -> None:
    dot = shutil.which("dot") or pytest.fail("Graphviz reads the DOT; install its `dot`")
    assert subprocess.run([dot], input=b"digraph {", capture_output=True).returncode == 1
    for labels, text in drawn("dot"):
        done = subprocess.run([dot, "-Tjson"], input=text.encode(), capture_output=True, check=True)
        read = json.loads(done.stdout)
        assert done.stderr == b""
        shown = [each["label"].replace("\\\\", "\\") for each in read["objects"]]
        assert sorted(shown) == sorted(labels)
