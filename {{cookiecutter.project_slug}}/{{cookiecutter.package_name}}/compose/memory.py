"""READ. Where Dask computes, and what keeps that small on this machine, however large data is.

Dask holds some partitions for each thread, so that there are few threads and partitions are not
joined. What cannot be streamed, such as a sort or a join, it shuffles by way of the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import cluster

THREADS = 8  # at most: a partition and its copies take about 0.1 GB
BUFFERED = 5 * 10**7  # bytes of a shuffle in memory, where Dask itself has 1 GB


@contextmanager
def bounded() -> Iterator[None]:
    """Within it Dask computes so. What the user configured, such as DASK_NUM_WORKERS, stands."""
    from dask import config
    from dask.system import CPU_COUNT

    # Asked by their names, Dask would first look for a cluster, and import what that takes.
    scheduler = cluster.compute if cluster.address() else config.get("scheduler", None) or compute
    usual = "p2p" if cluster.address() else "disk"  # which only processes here could share
    method = config.get("dataframe.shuffle.method", None) or usual
    threads = config.get("num_workers", None) or min(CPU_COUNT, THREADS)
    within = config.get("temporary-directory", None)
    chosen = {"scheduler": scheduler, "dataframe.shuffle.method": method, "num_workers": threads}
    with (
        tempfile.TemporaryDirectory(".dask", dir=within, ignore_cleanup_errors=True) as folder,
        config.set(chosen | {"temporary-directory": folder}),
    ):
        yield


def mend() -> None:
    """Have Dask, in this process, shuffle and sort with the functions below, and read by part.

    It would join parts of which few columns are read, whatever they hold, and lose the rows of
    those of which none is.
    """
    import pandas as pd
    from dask.dataframe.dask_expr import _quantiles, _shuffle
    from dask.dataframe.dask_expr.io import parquet
    from dask.dataframe.dispatch import hash_object_dispatch, partd_encode_dispatch

    partd_encode_dispatch.register(pd.DataFrame, lambda frame: _aside)
    hash_object_dispatch.register((pd.DataFrame, pd.Series), _hashes)
    if step := getattr(_shuffle, "_SetPartitionsPreSetIndex", None):
        step.operation = staticmethod(_places)
    _quantiles.__dict__["percentiles_summary"] = _summary
    readers: tuple[Any, ...] = (parquet.ReadParquetFSSpec, parquet.ReadParquetPyarrowFS)
    for reader in readers:
        reader._tune_up = _as_it_is


def compute(graph: Any, keys: Any, **options: Any) -> Any:
    """What Dask calls: its threads, which take back from disk only what is needed next."""
    from dask import threaded
    from dask._task_spec import convert_legacy_graph

    graph = graph if isinstance(graph, Mapping) else graph.__dask_graph__()
    return threaded.get(_in_turn(dict(convert_legacy_graph(graph))), keys, **options)


def _in_turn(tasks: dict[Any, Any]) -> dict[Any, Any]:
    """Have all that a join needs on disk before a piece of any side comes back.

    The level of a task is the number of shuffles before it, one after the other. Its turn is the
    least level of what it is needed for, and no piece comes back before the shuffles of turns
    before its own are done; Dask itself would take back a whole side and then read the other.
    """
    from dask._task_spec import DataNode, List, Task, TaskRef
    from dask.core import reverse_dict, toposort
    from dask.dataframe.shuffle import barrier, collect, maybe_buffered_partd

    functions = {key: getattr(task, "func", None) for key, task in tasks.items()}
    barriers = [key for key, function in functions.items() if function is barrier]
    if len(barriers) < 2:
        return tasks
    for key, function in functions.items():
        if isinstance(function, maybe_buffered_partd):  # a folder; Dask would begin one side later
            tasks[key] = DataNode(key, function())
    needs = {key: task.dependencies for key, task in tasks.items()}
    level: dict[Any, int] = {}
    turn: dict[Any, int] = {}
    sequence = toposort(tasks, dependencies=needs)
    for key in sequence:
        level[key] = max((level[need] for need in needs[key]), default=0) + (key in barriers)
    needed_for = reverse_dict(needs)
    for key in reversed(sequence):
        turn[key] = min((turn[each] for each in needed_for[key]), default=level[key])
        if key in barriers:
            turn[key] = level[key] - 1
    for key in (key for key, function in functions.items() if function is collect):
        before = [TaskRef(each) for each in barriers if turn[each] < turn[key]]
        tasks[key] = Task(key, collect, *tasks[key].args[:-1], List(*before))
    return tasks


def _as_it_is(reader: Any, parent: Any) -> None:
    """What Dask asks for something better than a reader."""


def _aside(buffer: Any) -> Any:
    """Where Dask's threads put the pieces of a shuffle."""
    from partd import PandasBlocks  # type: ignore[import-untyped]

    buffer.available_memory = BUFFERED
    return PandasBlocks(buffer)


def _places(values: Any, divisions: Any, *options: Any) -> Any:
    """As Dask does it, which cannot compare Arrow's times with pandas's own."""
    import pyarrow as pa
    from dask.dataframe.shuffle import set_partitions_pre

    if values.dtype.kind in "mM":
        values = pa.array(values).to_pandas()  # astype goes through Python's objects
    return set_partitions_pre(values, divisions, *options)


def _summary(values: Any, *options: Any) -> Any:
    """As Dask does it, which cannot compare nulls."""
    from dask.dataframe.partitionquantiles import percentiles_summary

    return percentiles_summary(values.dropna(), *options)


def _hashes(rows: Any, *options: Any, **named: Any) -> Any:
    """As Dask has them, but Arrow's booleans the same whether there are nulls among them."""
    from dask.dataframe.backends import hash_object_pandas

    frame = rows.to_frame() if rows.ndim == 1 else rows.copy(deep=False)
    for number, kind in enumerate(frame.dtypes):
        if kind == "bool[pyarrow]":
            values = frame.iloc[:, number].to_numpy("float64", na_value=float("nan"))
            frame.isetitem(number, values)
    hashed = frame.iloc[:, 0] if rows.ndim == 1 else frame
    return hash_object_pandas(hashed, *options, **named)
