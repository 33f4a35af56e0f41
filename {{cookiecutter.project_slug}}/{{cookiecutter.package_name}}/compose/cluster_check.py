"""READ. Whether a Dask cluster can compute for this process, and goes on to.

The scheduler, which unpacks the graph, and each worker, also one that joins late, must have the
code and libraries of this process. Each worker must see the same data root: by a file in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import commit, memory
from .cluster import address
from .errors import ComposeError
from .progress import say
from .roots import filesystem, roots

SILENCE = 7  # seconds; a graph of 32,000 parts kept a scheduler busy for less than three
PATIENCE = 60  # seconds until the first worker comes, and until one has imported this package
RETURN = 10  # seconds until one comes back, when all were lost
_PACKAGE = Path(__file__).resolve().parents[1]


async def watch(client: Any) -> AsyncIterator[None]:
    """A look at the cluster, time after time. Raises ComposeError where a run cannot go on."""
    root, raw = roots().data_root, roots().raw_root
    fs, mark = filesystem(root), f"{root}/.cluster"
    commit.prepare(fs, root)
    commit.commit(fs, mark, {"id": uuid.uuid4().hex}, replace=False)
    _compare("the scheduler", await _answer(client.run_on_scheduler(look), PATIENCE), look())
    known, alone = set[str](), 0
    while True:
        found = {*await _answer(client.nthreads(), SILENCE)}
        if new := [*found - known]:
            asked = client.run(look, (mark, raw), workers=new, on_error="return")
            told = await _answer(asked, PATIENCE, f"one of the workers {', '.join(new)}")
            for worker, there in told.items():
                if not isinstance(there, OSError):  # of one that has just died
                    _compare(f"the worker {worker}", there, look((mark, raw)))
                    known.add(worker)
        alone = 0 if found else alone + 1  # looks, of which there are two a second
        if alone == 4:
            say(f"waits   no worker is at {address()}")
        if known and alone > 2 * RETURN:
            raise killed(len(known))
        if alone > 2 * PATIENCE:
            fault = f"no worker is at {address()} for {PATIENCE} seconds"
            raise ComposeError(f"{fault}; start one: dask worker {address()}")
        yield


async def _answer(asked: Awaitable[Any], seconds: int, who: str = "") -> Any:
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except ImportError as error:
        return error
    except (OSError, AttributeError) as error:  # AttributeError: the client has just given up
        who = who or f"the Dask scheduler at {address()}"
        raise ComposeError(f"{who} is lost; run again") from error


def killed(number: int) -> ComposeError:
    """What to raise when so many workers have died."""
    cause = "its own code may end them, by an exit, a crash or too much memory"
    cure = f"look at their logs, mend it, and start them again: dask worker {address()}"
    return ComposeError(f"{number} of its workers died; {cause}: {cure}")


def look(paths: Sequence[str] = ()) -> dict[str, str]:
    """The versions of the code and libraries here, and what is seen of these files or folders."""
    memory.mend()  # it is the scheduler that makes tasks of a sort
    found = {**_versions()}
    for path in paths:
        try:
            fs = filesystem(path)
            found[path] = "a folder" if fs.isdir(path) else str(fs.cat_file(path))
        except Exception as error:
            found[path] = f"{type(error).__name__}: {error}"
    return found


@cache  # so that they are of the code that runs, not of an edit since then
def _versions() -> dict[str, str]:
    code = b"".join(path.read_bytes() for path in sorted(_PACKAGE.rglob("*.py")))
    found = {f"the code of {_PACKAGE.name}": hashlib.sha256(code).hexdigest()[:12]}
    found["Python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    return found | {name: version(name) for name in ("dask", "distributed", "pandas", "pyarrow")}


def _compare(who: str, there: Any, here: dict[str, str]) -> None:
    if isinstance(there, Exception):
        cure = "install this project there, or put its folder on PYTHONPATH, and restart it"
        raise ComposeError(f"{who} cannot import {_PACKAGE.name} ({there}); {cure}")
    for what, value in here.items():
        if there.get(what) != value:
            fault = f"has {what} {there.get(what)}, and this run {value}"
            cure = "install the same there, and restart it"
            if "/" in what or "\\" in what:
                fault = f"does not see {what} ({there.get(what)})"
                cure = "share it with them, or set DATA_ROOT to storage that all reach"
            raise ComposeError(f"{who} {fault}; {cure}")
