"""What bounds the memory of a stage: few threads, small partitions, and sorts on disk."""

from __future__ import annotations

import os
from typing import Any

import dask
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from o_brien_s_flights_b.compose import memory


def test_a_sort_by_time_is_right_and_leaves_nothing_on_disk(tmp_path, monkeypatch, frame) -> None:
    schema = pa.schema([("at", pa.timestamp("us", "UTC")), ("n", pa.int64())])
    times = np.random.default_rng(1).permutation(1000) * 1_000_000
    rows = [{"at": int(time) if time else None, "n": int(time)} for time in times]
    shuffled = frame(schema, rows, 7)
    with dask.config.set({"temporary-directory": str(tmp_path)}), memory.bounded():
        assert len(list(tmp_path.iterdir())) == 1
        (inside,) = tmp_path.iterdir()
        parts = shuffled.sort_values(["at", "n"]).to_delayed()
        found = pd.concat(dask.compute(*parts))
        assert list(inside.iterdir())  # what it put aside
    assert found["n"].tolist() == [n * 1_000_000 for n in [*range(1, 1000), 0]]
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_configured_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    from dask import config, threaded

    def seen() -> list[Any]:
        with memory.bounded():
            return [config.get(name) for name in ("num_workers", "scheduler")]

    assert seen() == [min(os.cpu_count() or 1, memory.THREADS), threaded.get]
    with config.set(num_workers=64, scheduler="sync"):
        assert seen() == [64, "sync"]
