"""The whole pipeline on the raw data at hand. A smoke test: it does not count as coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.cli import main
from {{ cookiecutter.package_name }}.settings import PROJECT

pytestmark = pytest.mark.no_cover


def files(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_the_pipeline_runs_and_a_second_run_changes_nothing(sample, capsys):
    assert main([]) == 0
    assert " rows in " in capsys.readouterr().out
    written = files(sample.parent)
    assert main([]) == 0
    assert files(sample.parent) == written
    assert main(["status", "--check"]) == 0


def test_the_readme_shows_the_graph(capsys):
    assert main(["graph", "--format", "mermaid", "--plain"]) == 0
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out in readme, "graph --format mermaid --plain prints the diagram"
