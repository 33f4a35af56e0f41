"""READ. A Dask cluster: where DASK_SCHEDULER_ADDRESS names one, it computes what tasks compute."""

from __future__ import annotations

import asyncio
import copyreg
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import fsspec
from fsspec.config import apply_config

from . import progress
from .errors import ComposeError

CONNECT = 4  # seconds to reach the scheduler


def address() -> str:
    return os.environ.get("DASK_SCHEDULER_ADDRESS", "")


def reach() -> None:
    """Raise ComposeError where the environment names a cluster that cannot compute for us."""
    if address():
        compute({}, [])


def compute(graph: Any, keys: Any, **options: Any) -> Any:
    """What Dask calls instead of a scheduler of its own; it is connected only that long."""
    work = partial(asyncio.run, _compute(graph, keys, options))
    if asyncio._get_running_loop() is None:
        return work()
    with ThreadPoolExecutor(1) as thread:  # as in a notebook, where one loop runs already
        return thread.submit(work).result()


async def _compute(graph: Any, keys: Any, options: dict[str, Any]) -> Any:
    from distributed import KilledWorker

    from .cluster_check import killed, watch

    async with _connected() as client:
        looks = watch(client)
        await anext(looks)
        packed = client.get(graph, keys, sync=False, **options)
        if progress.draw:
            _follow(client, packed)
        answer = asyncio.ensure_future(client.gather(packed))
        while not answer.done():
            await asyncio.wait([answer], timeout=0.5)
            await anext(looks)  # a worker that came last may have computed something
        try:
            return answer.result()
        except KilledWorker as error:
            raise killed(error.allowed_failures + 1) from error


@asynccontextmanager
async def _connected() -> AsyncIterator[Any]:
    """A client; when it is closed, the cluster drops what it has not yet computed for it."""
    from distributed import Client, versions

    versions.get_versions()  # imports much, for which the scheduler is not to blame
    for name in ("asyncio", "distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    hide_secrets()
    client: Any = Client(address(), asynchronous=True, timeout=CONNECT, set_as_default=False)
    try:
        try:
            async with asyncio.timeout(CONNECT + 2):  # what is no scheduler may say nothing
                await client
        except Exception as error:
            fault = f"no Dask scheduler answers at {address()} ({str(error) or 'it is silent'})"
            cure = "start it, or mend DASK_SCHEDULER_ADDRESS and, for tls://, the certificates"
            raise ComposeError(f"{fault}; {cure}") from error
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            await client.close(1)


def hide_secrets() -> None:
    """Let no file system carry what this environment says; that of a worker says it there."""
    for cls in list(fsspec.registry.values()):
        copyreg.pickle(cls, _without_secrets)


def _without_secrets(fs: Any) -> Any:
    cls: Any = type(fs)
    ours = apply_config(cls, {})
    options = {n: v for n, v in fs.storage_options.items() if n not in ours or ours[n] != v}
    return partial(cls, *fs.storage_args, **options), ()


def _follow(client: Any, packed: Any) -> None:
    from distributed.client import futures_of
    from distributed.diagnostics.progressbar import ProgressBar

    class Bar(ProgressBar):
        def _draw_bar(self, remaining: int, all: int, **about: Any) -> None:
            for draw in progress.draw:
                draw(all - remaining, all)

    client.loop.add_callback(Bar(futures_of(packed), address(), "200ms").listen)
