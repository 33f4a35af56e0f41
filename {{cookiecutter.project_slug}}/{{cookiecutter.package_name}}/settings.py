"""EDIT. The environment as settings: each variable, its default and what is wrong with a value."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
from dotenv import load_dotenv
from fsspec import config

_HERE = Path(__file__).resolve().parents[1]
PROJECT = _HERE if (_HERE / "pyproject.toml").exists() else Path.cwd()


class SettingsError(Exception):
    """Wrong values in the environment, all of them, each with its cure."""


@dataclass(frozen=True)
class Settings:
    """Where data lies and how tasks run; `.env.example` says what each variable means."""

    data_root: str
    raw_root: str
    luigi_scheduler_url: str
    log_level: str


def load() -> Settings:
    """Read the environment, after `.env`, which overrides nothing. Raises SettingsError."""
    try:
        load_dotenv(PROJECT / ".env")  # into the process's environment, for storage to find
    except UnicodeDecodeError as error:
        raise SettingsError(f"{PROJECT / '.env'} is not UTF-8: {error}; save it as such") from None
    config.set_conf_env(config.conf)  # FSSPEC_... of .env, too
    faults: list[str] = []

    def read(name: str, default: str, fault: Callable[[str], str | None]) -> str:
        value = os.environ.get(name, default)
        try:
            found = fault(value)
        except (RuntimeError, ValueError):  # whose text may hold a password
            found = "is neither a folder nor a URL; mend it"
        if found:
            faults.append(f"{name} {found}")
        return value

    data_root = read("DATA_ROOT", "data", _folder)
    raw_root = read("RAW_ROOT", f"{data_root}/raw", _folder)
    luigi_scheduler_url = read("LUIGI_SCHEDULER_URL", "", _http)
    read("DASK_SCHEDULER_ADDRESS", "", _dask)  # which is used where Dask computes
    log_level = read("LOG_LEVEL", "WARNING", _level)
    if faults:
        raise SettingsError("; ".join(faults))
    return Settings(_absolute(data_root), _absolute(raw_root), luigi_scheduler_url, log_level)


def _absolute(root: str) -> str:
    """A URL as it is; a relative folder in the project, whatever the working directory."""
    scheme, separator, path = root.partition("://")
    if separator and scheme not in ("file", "local"):
        return f"{scheme}://{re.sub('/+', '/', path).rstrip('/')}"
    return os.path.abspath(PROJECT / Path(path if separator else root).expanduser())


def _folder(value: str) -> str | None:
    if not value.strip():
        return "is empty; name a folder or a URL, or remove the variable"
    if "://" in value:
        if urlsplit(value).password:
            return "holds a password; give it in a variable of its own"
        try:
            fsspec.get_filesystem_class(urlsplit(value).scheme)
        except (ImportError, ValueError) as error:
            return f"is {value!r}, which cannot be opened: {error}"
    elif Path(_absolute(value)).is_file():
        return f"is {value!r}, a file; name a folder"
    return None


def _http(value: str) -> str | None:
    right = value.startswith(("http://", "https://")) and urlsplit(value).hostname
    wrong = "is not the address of a luigid; give http://HOST:PORT or nothing"
    return wrong if value and not right else None


def _dask(value: str) -> str | None:
    right = re.fullmatch(r"(tcp|tls)://[^/@\s]+:\d{1,5}", value)
    wrong = "is not the address of a scheduler; give tcp://HOST:PORT or nothing"
    return wrong if value and not right else None


def _level(value: str) -> str | None:
    levels = logging.getLevelNamesMapping()
    return None if value in levels else f"is {value!r}; give one of {', '.join(levels)}"
