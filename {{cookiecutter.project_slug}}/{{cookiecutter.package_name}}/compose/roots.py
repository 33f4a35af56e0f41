"""READ. Where data lies: `raw/...` under RAW_ROOT, other relative paths under DATA_ROOT."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

_load: list[Callable[[], Any]] = []


def use(load: Callable[[], Any]) -> None:
    """Ask `load` for `data_root` and `raw_root` from now on, once for each value of theirs."""
    _load[:] = [load]
    _roots.cache_clear()


def roots() -> Any:
    """The absolute folders or URLs that the environment names now."""
    return _roots(os.environ.get("DATA_ROOT"), os.environ.get("RAW_ROOT"))


@cache
def _roots(data_root: str | None, raw_root: str | None) -> Any:
    return _load[0]()


def filesystem(path: str, options: dict[str, Any] | None = None) -> Any:
    """The file system of a path. It remembers no listing, since others write too."""
    return fsspec.url_to_fs(path, **{"use_listings_cache": False} | (options or {}))[0]


def is_url(path: str) -> bool:
    return "://" in path


def near(path: str) -> str:
    """A path below the working directory as one would type it."""
    return path.removeprefix(f"{os.getcwd()}{os.sep}")


def resolve(pattern: str, path: str) -> str:
    """A path under the root that its pattern asks for: no value in the path decides."""
    if is_url(pattern) or Path(pattern).is_absolute():
        return path
    if pattern.startswith("raw/"):
        return f"{roots().raw_root}/{path.removeprefix('raw/')}"
    return f"{roots().data_root}/{path}"
