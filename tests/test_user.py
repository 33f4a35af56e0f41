"""What a user types after the bake, with real installs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from baking import clean_environ, run
from conftest import Project


@pytest.mark.network
def test_a_user_installs_runs_tests_and_lints_the_project(
    new_project: Project, tmp_path: Path
) -> None:
    environ = clean_environ(PIPENV_VENV_IN_PROJECT="1", PIPENV_IGNORE_VIRTUALENVS="1")
    environ["PIPENV_DEFAULT_PYTHON_VERSION"] = sys.executable

    def pipenv(*arguments: str) -> str:
        done = run([sys.executable, "-m", "pipenv", *arguments], cwd=new_project.path, env=environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pipenv("install", "--dev")
    assert "PHL   Philadelphia Intl" in pipenv("run", "start")
    assert "Required test coverage of 90.0% reached. Total coverage: 100.00%" in pipenv(
        "run", "test"
    )
    assert "Success: no issues found" in pipenv("run", "lint")
    (new_project.path / "Pipfile.lock").read_text(encoding="utf-8")
    new_project.edit("transforms.py", "LATE = 15", "LATE  =  15")
    done = run([sys.executable, "-m", "pipenv", "run", "lint"], cwd=new_project.path, env=environ)
    assert done.returncode == 1
