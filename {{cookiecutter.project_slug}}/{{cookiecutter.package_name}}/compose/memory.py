"""READ. What keeps a stage's memory small on this machine, however large its data is.

Dask holds some partitions for each thread, so that there are few threads and partitions are not
joined. A sort, which cannot be streamed, it puts aside on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THREADS = 8  # at most: a partition and its copies take about 0.1 GB
BUFFERED = 10**8  # bytes of a shuffle in memory, where Dask itself has 1 GB
TINY = "1MiB"  # of Parquet: smaller parts are read together


@contextmanager
def bounded() -> Iterator[None]:
    """Within it Dask computes so. What the user configured, such as DASK_NUM_WORKERS, stands."""
    import pandas as pd
    from dask import config, threaded
    from dask.dataframe.dask_expr import _shuffle
    from dask.dataframe.dispatch import partd_encode_dispatch
    from dask.system import CPU_COUNT

    parquet = {"parquet": {"minimum-partition-size": TINY}}
    config.update_defaults({"num_workers": min(CPU_COUNT, THREADS), "dataframe": parquet})
    partd_encode_dispatch.register(pd.DataFrame, lambda frame: _aside)
    if step := getattr(_shuffle, "_SetPartitionsPreSetIndex", None):
        step.operation = staticmethod(_places)
    # Asked by their names, Dask would first look for a cluster, and import what that takes.
    scheduler = config.get("scheduler", None) or threaded.get
    shuffle = config.get("dataframe.shuffle.method", None) or "disk"
    within = config.get("temporary-directory", None)
    chosen = {"scheduler": scheduler, "dataframe.shuffle.method": shuffle}
    with (
        tempfile.TemporaryDirectory(".dask", dir=within, ignore_cleanup_errors=True) as folder,
        config.set(chosen | {"temporary-directory": folder}),
    ):
        yield


def _aside(buffer: Any) -> Any:
    """Where Dask's threads put the pieces of a shuffle."""
    from partd import PandasBlocks  # type: ignore[import-untyped]

    buffer.available_memory = BUFFERED
    return PandasBlocks(buffer)


def _places(values: Any, divisions: Any, *options: Any) -> Any:
    """As Dask does it, which cannot compare Arrow's timestamps with pandas's own."""
    import pyarrow as pa
    from dask.dataframe.shuffle import set_partitions_pre

    if values.dtype.kind == "M":
        values = pa.array(values).to_pandas()  # astype goes through Python's objects
    return set_partitions_pre(values, divisions, *options)
