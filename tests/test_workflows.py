"""The generated CI: what it runs, and what it says on a pull request, step by step as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from baking import bake, clean_environ
from conftest import PACKAGE, Project

# What a runner has on its PATH: `gh`, which hands out what was uploaded, and pipenv.
GH = """\
#!/bin/sh
echo "$@" >> "$CALLS"
case "$2" in
  list) if test -d "$ARTIFACT"; then echo 4711; fi ;;
  download) test "$3" = 4711 && mkdir -p "$7" && cp -r "$ARTIFACT/." "$7" ;;
esac
"""
PIPENV = """\
#!/bin/sh
shift 2
exec "$PYTHON" -m "$PACKAGE" "$@"
"""


def job(project: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """A job of the workflow, read, and its lines."""
    text = (project / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    lines = text.partition(f"\n  {name}:")[2].splitlines()
    return yaml.safe_load(text)["jobs"][name], lines


def uploaded(project: Project, patterns: str, to: Path) -> list[str]:
    """What the step of the upload keeps, below what its patterns have in common."""
    found = [path for pattern in patterns.split() for path in project.path.glob(pattern)]
    kept = [path for path in found if path.is_file() and not path.name.startswith(".")]
    for path in kept:
        copy = to / path.relative_to(project.path / "data")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return sorted(str(path.relative_to(project.path / "data")) for path in kept)


@pytest.fixture
def pull_request(new_project: Project, tmp_path: Path) -> Any:
    """Runs the step of a pull request in a clone: what it prints, and the summary of the page."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, script in (("gh", GH), ("pipenv", PIPENV)):
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)

    def run(artifact: Path) -> tuple[str, str]:
        steps = job(new_project.path, "why")[0]["steps"]
        (script,) = (
            s["run"] for s in steps if s.get("if") == "github.event_name == 'pull_request'"
        )
        summary = tmp_path / "summary.md"
        environ = clean_environ(
            GITHUB_BASE_REF="main",
            GITHUB_STEP_SUMMARY=str(summary),
            ARTIFACT=str(artifact),
            CALLS=str(tmp_path / "calls"),
            PYTHON=sys.executable,
            PACKAGE=PACKAGE,
        )
        environ["PATH"] = f"{tools}{os.pathsep}{environ['PATH']}"
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=new_project.path,
            env=environ,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=120,
        )
        return done.stdout, summary.read_text(encoding="utf-8")

    return run


def test_a_pull_request_says_what_would_run_and_why(
    finished: Path, new_project: Project, pull_request: Any, tmp_path: Path
) -> None:
    steps = job(finished, "why")[0]["steps"]
    (upload,) = (step for step in steps if "upload-artifact" in step.get("uses", ""))
    names = uploaded(Project(finished), upload["with"]["path"], tmp_path / "artifact")
    assert [name.partition("-")[0] for name in names] == [
        "AirportScores",
        "CleanFlights",
        "ScoreReport",
        "ScoreReport",
    ]
    assert not any(name.endswith(".parquet") for name in names)
    new_project.edit("transforms.py", ">= min_flights", "> min_flights")
    printed, summary = pull_request(tmp_path / "artifact")
    cause = "because the code of transforms.score_airports changed"
    assert printed == summary
    assert printed.splitlines() == [
        f"- AirportScores runs {cause}",
        f"- ScoreReport runs {cause}, through AirportScores",
        "- 3 are complete",
    ]
    assert (tmp_path / "calls").read_text().splitlines() == [
        "run list -w ci -b main -e push -s success -L 1 --json databaseId -q .[].databaseId",
        "run download 4711 -n manifests -D data",
    ]


def test_a_pull_request_that_changes_no_output_says_so(
    finished: Path, new_project: Project, pull_request: Any, tmp_path: Path
) -> None:
    uploaded(Project(finished), "data/*/_SUCCESS data/*.*", tmp_path / "artifact")
    new_project.edit("transforms.py", "LATE = 15", "LATE = 15  # a quarter")
    assert pull_request(tmp_path / "artifact")[0] == "- 5 are complete\n"


def test_a_first_pull_request_has_nothing_to_compare_with(
    pull_request: Any, tmp_path: Path
) -> None:
    printed, summary = pull_request(tmp_path / "nothing")
    assert printed.startswith("no manifests of main yet\n- CleanFlights has never run\n")
    assert "manifests" not in summary


def test_the_workflow_is_short_and_runs_lint_and_tests(baked: Path) -> None:
    why, lines = job(baked, "why")
    assert len(lines) <= 25
    assert why["permissions"] == {"actions": "read", "contents": "read"}
    runs = [step.get("run") for step in job(baked, "test")[0]["steps"]]
    assert runs[-2:] == ["pipenv run lint", "pipenv run test"]


def test_gitlab_does_the_same(tmp_path: Path) -> None:
    text = (bake(tmp_path, ci="gitlab") / ".gitlab-ci.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)
    assert jobs["test"]["script"] == ["pipenv run lint", "pipenv run test"]
    assert jobs["manifests"]["script"] == "pipenv run start || test $? = 3"
    assert jobs["why"]["script"] == "pipenv run start why || test $? = 3"
    assert jobs["why"]["cache"] == jobs["manifests"]["cache"] | {"policy": "pull"}
    assert jobs["manifests"]["cache"]["paths"] == ["data/*/_SUCCESS", "data/*.*"]
