"""Every test has roots of its own, and none reaches the network (see pyproject.toml)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pyarrow as pa
import pytest

from {{ cookiecutter.package_name }}.compose import conform

Frame = Callable[..., dd.DataFrame]


@pytest.fixture(autouse=True)
def raw_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty raw root; the data root lies beside it."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("RAW_ROOT", str(tmp_path / "raw"))
    monkeypatch.setenv("LUIGI_SCHEDULER_URL", "")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    return tmp_path / "raw"


@pytest.fixture
def sample(raw_root: Path) -> Path:
    """A raw root with the project's own raw data in it."""
    return shutil.copytree(Path(__file__).parents[1] / "data" / "raw", raw_root)


@pytest.fixture
def frame() -> Frame:
    """Makes a Dask frame of a schema from a few rows, cut into so many partitions."""

    def make(schema: pa.Schema, rows: Sequence[dict[str, Any]], partitions: int = 1) -> Any:
        table = pa.Table.from_pylist(list(rows), schema=schema)
        whole = table.to_pandas(types_mapper=conform.dtype)
        cuts = [len(rows) * cut // partitions for cut in range(partitions + 1)]
        parts = [whole.iloc[start:stop] for start, stop in pairwise(cuts)]
        return dd.from_map(lambda part: part, parts, meta=conform.empty_frame(schema))

    return make
