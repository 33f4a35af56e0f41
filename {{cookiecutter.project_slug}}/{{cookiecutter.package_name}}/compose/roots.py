"""READ. Where data lies: `raw/...` under RAW_ROOT, other relative paths under DATA_ROOT."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

load: Callable[[], Any] = dict  # the package puts what gives `data_root` and `raw_root` here


def roots() -> Any:
    """The absolute folders or URLs that the environment names now."""
    return _roots(load, os.environ.get("DATA_ROOT"), os.environ.get("RAW_ROOT"))


@cache
def _roots(load: Callable[[], Any], data_root: str | None, raw_root: str | None) -> Any:
    return load()


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
