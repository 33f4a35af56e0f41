"""One project is baked for the whole session, with an awkward name; each test has its own roots."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import luigi
import pytest
from baking import TEMPLATE, bake, clean_environ, run
from cookiecutter.main import cookiecutter

NAME = "O'Brien's \"ƒlights\" <b>😀"
PACKAGE = "o_brien_s_flights_b"
DESCRIPTION = 'It\'s a "test": {{ 7*7 }} & <b> \\ # 😀'


def pytest_configure(config: pytest.Config) -> None:
    if "BAKED_PROJECT" not in os.environ:  # workers take the one of the process that starts them
        folder = tempfile.mkdtemp()
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        project = bake(Path(folder), project_name=NAME, description=DESCRIPTION, author_name=NAME)
        os.environ["BAKED_PROJECT"] = str(project)
    sys.path.insert(0, os.environ["BAKED_PROJECT"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "network" not in item.keywords)  # the longest first: it waits most


def mypy_cache() -> str:
    """A folder for mypy's cache, which every project of this worker shares."""
    return f"{os.environ['BAKED_PROJECT']}-mypy-{os.environ.get('PYTEST_XDIST_WORKER', '')}"


def bake_here(out: Path, **answers: str) -> Path:
    """The project that these answers give, without a process: for what only its files show."""
    config = out / "rc.yaml"
    out.mkdir(parents=True, exist_ok=True)
    folders = {name: str(out / name) for name in ("cookiecutters_dir", "replay_dir")}
    config.write_text(json.dumps(folders), encoding="utf-8")  # JSON is YAML
    given = {"no_input": True, "extra_context": answers, "config_file": str(config)}
    return Path(cookiecutter(str(TEMPLATE), output_dir=str(out / "baked"), **given))


@pytest.fixture(scope="session")
def baked() -> Path:
    """The baked project: read it, copy it, change nothing in it."""
    return Path(os.environ["BAKED_PROJECT"])


@pytest.fixture(autouse=True)
def data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data root; the raw root lies in it, and nothing of another test is remembered."""
    from o_brien_s_flights_b.compose import salts

    root = tmp_path / "data"
    for name in ("RAW_ROOT", "LUIGI_SCHEDULER_URL", "DASK_SCHEDULER_ADDRESS", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_ROOT", str(root))
    luigi.task_register.Register.clear_instance_cache()
    salts.forget()
    return root


@pytest.fixture
def sample(baked: Path, data_root: Path) -> Path:
    """The sample of raw data in the raw root."""
    return shutil.copytree(baked / "data" / "raw", data_root / "raw")


class Project:
    """A copy of the baked project that a test may change, used from outside as a user does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.package = path / PACKAGE
        self.raw = path / "data" / "raw"

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", PACKAGE, *arguments]
        return run(command, cwd=self.path, env=clean_environ(**environ))

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", PACKAGE, *arguments]
        options: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
        options |= {"cwd": self.path, "env": clean_environ(**environ), "start_new_session": True}
        return subprocess.Popen(command, **options)

    def ran(self, *arguments: str) -> set[str]:
        """The families of the tasks that a run runs."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"^done    (\w+)", done.stderr, re.MULTILINE))

    def status(self) -> dict[str, dict[str, Any]]:
        return {row["task"]: row for row in json.loads(self.run("status", "--json").stdout)}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.package / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file under the data root, with the time it was written and its inode."""
        paths = [path for path in (self.path / "data").rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


@pytest.fixture(scope="session")
def finished(baked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the baked project in which the pipeline has run once."""
    project = Project(shutil.copytree(baked, tmp_path_factory.mktemp("finished") / "project"))
    assert project.ran() == {"CleanFlights", "AirportScores", "ScoreReport"}
    return project.path


@pytest.fixture
def new_project(baked: Path, tmp_path: Path) -> Project:
    """The project as baked."""
    return Project(shutil.copytree(baked, tmp_path / "project"))


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Project:
    """The project after its first run."""
    return Project(shutil.copytree(finished, tmp_path / "project"))


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a Dask frame of a schema from a few rows, cut into so many partitions.

    Each is written as a part of its own, however small.
    """
    from o_brien_s_flights_b.compose import compaction, frames

    monkeypatch.setattr(compaction, "BLOCK_SIZE", 0)

    def make(schema: Any, rows: list[dict[str, Any]], partitions: int = 1) -> Any:
        import dask.dataframe as dd
        import pyarrow as pa

        whole = pa.Table.from_pylist(rows, schema=schema).to_pandas(types_mapper=frames.dtype)
        cuts = [len(rows) * cut // partitions for cut in range(partitions + 1)]
        parts = [whole.iloc[a:b] for a, b in pairwise(cuts)]
        return dd.from_map(lambda part: part, parts, meta=frames.empty_frame(schema))

    return make
