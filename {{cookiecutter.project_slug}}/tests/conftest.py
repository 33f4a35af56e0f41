"""Every test has roots of its own, and none reaches the network (see pyproject.toml)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import pyarrow as pa
import pytest

from {{ cookiecutter.package_name }}.compose import frames, stub

Frame = Callable[..., dd.DataFrame]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the specifications of what is still marked `@todo` to fail, all of them."""
    left, transforms = stub.stubs(), sys.modules.get("{{ cookiecutter.package_name }}.transforms")
    for item in items:
        for name in [str(arg) for mark in item.iter_markers("stub") for arg in mark.args]:
            if transforms and not hasattr(transforms, name):
                item.warn(pytest.PytestCollectionWarning(f"there is no transform {name}"))
            if name in left:
                why = f"{name} is a stub; a test that it passes says nothing of it"
                wrong = (AssertionError, KeyError)
                item.add_marker(pytest.mark.xfail(reason=why, raises=wrong, strict=True))


@pytest.fixture(autouse=True)
def raw_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty raw root; the data root lies beside it."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("RAW_ROOT", str(tmp_path / "raw"))
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "")
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
        if unknown := {name for row in rows for name in row}.difference(schema.names):
            raise ValueError(f"the schema has no column {', '.join(sorted(unknown))}")
        table = pa.Table.from_pylist(list(rows), schema=schema)
        for field in schema:
            if table[field.name].null_count and not field.nullable:
                raise ValueError(f"the schema wants a {field.name} in every row")
        whole = table.to_pandas(types_mapper=frames.dtype)
        cuts = [len(rows) * cut // partitions for cut in range(partitions + 1)]
        parts = [whole.iloc[start:stop] for start, stop in pairwise(cuts)]
        return dd.from_map(lambda part: part, parts, meta=frames.empty_frame(schema))

    return make
