"""READ. Whether a Dask cluster can compute for this process, and goes on to.

The scheduler, which unpacks the graph, and each worker, also one that joins late, must have the
code and libraries of this process. Each worker must see the same data root: by a file in it.
"""

from __future__ import annotations

import hashlib
import sys
import time
import uuid
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import commit
from .cluster import address
from .errors import ComposeError
from .progress import say
from .roots import filesystem, roots

SILENCE = 30  # seconds that the scheduler may take to answer, since it may be busy
PATIENCE = 60  # seconds without a worker
_PACKAGE = Path(__file__).resolve().parents[1]


class Watch:
    """A look at the cluster now and then, through a client of it."""

    def __init__(self, client: Any) -> None:
        root, raw = str(roots().data_root), str(roots().raw_root)
        fs, mark = filesystem(root), f"{root}/.cluster"
        commit.prepare(fs, root)
        if not fs.exists(mark):
            commit.commit(fs, mark, {"id": uuid.uuid4().hex}, replace=False)
        self.client, self.paths, self.known = client, (mark, raw), set[str]()
        self.since = 0.0  # when the last worker left
        try:
            found = client.run_on_scheduler(look, callback_timeout=SILENCE)
            _compare("the scheduler", found, look())
        except ImportError as error:
            _compare("the scheduler", error, look())
        except OSError as error:
            raise _lost() from error

    def has_workers(self) -> bool:
        """Whether there are some now. Raises ComposeError where the run cannot go on."""
        try:
            if self.client.status != "running":  # it would try for a while to connect again
                raise ConnectionResetError
            found = {*self.client.nthreads(callback_timeout=SILENCE)}
            if new := [*found - self.known]:
                told = self._ask(new)
                for worker, there in told.items():
                    _compare(f"the worker {worker}", there, look(self.paths))
        except (OSError, AttributeError) as error:  # AttributeError: it has just been closed
            raise _lost() from error
        self.known |= found
        if found:
            self.since = 0.0
        elif not self.since:
            self.since = time.monotonic()
            say(f"waits   no worker is at {address()}")
        elif time.monotonic() - self.since > PATIENCE:
            cure = f"start one: dask worker {address()}"
            raise ComposeError(f"no worker is at {address()} for {PATIENCE} seconds; {cure}")
        return bool(found)

    def _ask(self, workers: list[str]) -> dict[str, Any]:
        options: dict[str, Any] = {"on_error": "return", "callback_timeout": SILENCE}
        try:
            return dict(self.client.run(look, self.paths, workers=workers, **options))
        except TimeoutError as error:
            silent = f"for {SILENCE} seconds, one of these workers does not answer"
            raise ComposeError(f"{silent}: {', '.join(workers)}; end it and run again") from error


def look(paths: Sequence[str] = ()) -> dict[str, str]:
    """The versions of the code and libraries here, and what is seen of these files or folders."""
    found = {f"the code of {_PACKAGE.name}": _digest()}
    found["Python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    found |= {name: version(name) for name in ("dask", "distributed", "pandas", "pyarrow")}
    for path in paths:
        try:
            fs = filesystem(path)
            found[path] = "a folder" if fs.isdir(path) else str(fs.cat_file(path))
        except Exception as error:
            found[path] = f"{type(error).__name__}: {error}"
    return found


@cache  # so that it is of the code that runs, not of an edit since then
def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _lost() -> ComposeError:
    return ComposeError(f"the Dask scheduler at {address()} is lost; run again")


def _compare(who: str, there: Any, here: dict[str, str]) -> None:
    if isinstance(there, OSError):
        return  # it has just died
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
