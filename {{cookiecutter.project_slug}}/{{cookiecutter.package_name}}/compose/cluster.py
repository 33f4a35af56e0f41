"""READ. A Dask cluster: where DASK_SCHEDULER_ADDRESS names one, it computes what tasks compute."""

from __future__ import annotations

import asyncio
import copyreg
import logging
import os
import socket
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.config import apply_config

from . import memory, progress
from .errors import ComposeError

CONNECT = 5  # seconds to reach the scheduler


def address() -> str:
    return os.environ.get("DASK_SCHEDULER_ADDRESS", "")


def reach() -> None:
    """Raise ComposeError where the environment names a scheduler and nothing answers there."""
    if address():
        at = urlsplit(address())
        try:
            with socket.create_connection((str(at.hostname), at.port or 0), CONNECT) as probe:
                if at.scheme == "tcp" and not probe.recv(1):  # a scheduler speaks first
                    raise ConnectionResetError("it hung up")
        except (OSError, ValueError) as error:  # ValueError: there is no such port
            raise _absent(error) from error


@contextmanager
def on_cluster() -> Iterator[None]:
    """Have Dask compute there; it is connected only while there is something to compute."""
    from dask import config

    if not address():
        with config.set(scheduler=config.get("scheduler", None) or memory.compute):
            yield
        return
    import distributed  # noqa: F401  # first, since its settings must outlive those below

    method = config.get("dataframe.shuffle.method", None) or "p2p"  # which needs no shared disk
    with config.set({"scheduler": compute, "dataframe.shuffle.method": method}):
        yield


def compute(graph: Any, keys: Any, **options: Any) -> Any:
    """What Dask calls instead of a scheduler of its own."""
    from .cluster_check import Watch

    with _connected() as client:
        watch = Watch(client)
        while not watch.has_workers():
            time.sleep(0.1)
        packed = client.get(graph, keys, sync=False, **options)
        if progress.draw:
            _follow(client, packed)
        gathering = client.gather(packed, asynchronous=True)
        answer = asyncio.run_coroutine_threadsafe(gathering, client.loop.asyncio_loop)
        while not wait([answer], 0.5).done:
            watch.has_workers()
        watch.has_workers()  # one that came last may have computed something
        return answer.result()


@contextmanager
def _connected() -> Iterator[Any]:
    """A client; when it is closed, the cluster drops what it has not yet computed for it."""
    from distributed import Client

    class Quiet(Client):
        def __del__(self) -> None:  # one that did not connect would wait here, and complain
            pass

    reach()
    if logging.root.level >= logging.WARNING:
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")  # of versions, see `cluster_check`
    hide_secrets()
    try:
        client: Any = Quiet(address(), timeout=CONNECT, set_as_default=False)
    except Exception as error:
        raise _absent(error) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=1)


def _absent(error: Exception) -> ComposeError:
    cure = "start it, or empty DASK_SCHEDULER_ADDRESS"
    return ComposeError(f"no Dask scheduler answers at {address()} ({error}); {cure}")


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
