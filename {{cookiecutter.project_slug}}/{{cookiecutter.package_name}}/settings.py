"""EDIT. The environment as settings: each variable, its default and what is wrong with a value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import fsspec
from dotenv import load_dotenv
from fsspec import config

_HERE = Path(__file__).resolve().parents[1]
PROJECT = _HERE if (_HERE / "pyproject.toml").exists() else Path.cwd()

_FORMS = {  # of what is used elsewhere, and the cure for any other value
    "DASK_NUM_WORKERS": ("[1-9][0-9]*", "give a number of threads or nothing"),
    "DASK_SCHEDULER_ADDRESS": (r"(tcp|tls)://[^/@\s]+:\d{1,5}", "give tcp://HOST:PORT or nothing"),
    "LUIGI_SCHEDULER_URL": (r"https?://[^/\s]\S*", "give http://HOST:PORT or nothing"),
    "LOG_LEVEL": ("DEBUG|INFO|WARNING|ERROR|CRITICAL", "give DEBUG, INFO, WARNING or ERROR"),
}


class SettingsError(click.UsageError):
    """Wrong values in the environment, all of them, each with its cure."""


@dataclass(frozen=True)
class Settings:
    """Where data lies; `.env.example` says what each variable means."""

    data_root: str
    raw_root: str


def load() -> Settings:
    """Read the environment, after `.env`, which overrides nothing. Raises SettingsError."""
    try:
        load_dotenv(PROJECT / ".env")  # into the process's environment, for storage to find
    except UnicodeDecodeError as error:
        raise SettingsError(f"{PROJECT / '.env'} is not UTF-8: {error}; save it as such") from None
    config.set_conf_env(config.conf)  # FSSPEC_... of .env, too
    data_root = os.environ.get("DATA_ROOT", "data")
    raw_root = os.environ.get("RAW_ROOT", f"{data_root}/raw")
    faults = {"DATA_ROOT": _fault(data_root), "RAW_ROOT": _fault(raw_root)}
    for name, (form, cure) in _FORMS.items():
        if not re.fullmatch(f"({form})?", os.environ.get(name, "")):
            faults[name] = f"is malformed; {cure}"
    if wrong := [f"{name} {fault}" for name, fault in faults.items() if fault]:
        raise SettingsError("; ".join(wrong))
    return Settings(_absolute(data_root), _absolute(raw_root))


def _absolute(root: str) -> str:
    """A URL as it is; a relative folder in the project, whatever the working directory."""
    path = re.sub("^(file|local)://", "", root)
    scheme, is_url, rest = path.partition("://")
    if is_url:
        return f"{scheme}://{re.sub('/+', '/', rest).rstrip('/')}"
    return os.path.abspath(PROJECT / os.path.expanduser(path))


def _fault(value: str) -> str | None:
    if not value.strip():
        return "is empty; name a folder or a URL, or remove the variable"
    if re.match("(s3a?|gc?s|az|abfss?):(?!//[^/])|(file|local|memory):(?!//)", value):
        return "is no whole URL; give s3://BUCKET/FOLDER or file:///FOLDER"
    if "://" in value:
        try:
            if urlsplit(value).password:
                return "holds a password; give it in a variable of its own"
        except ValueError:  # whose text may hold it
            return "is malformed; name a folder or a URL"
        try:
            fsspec.get_filesystem_class(urlsplit(value).scheme)
        except (ImportError, ValueError) as error:
            return f"is {value!r}, which cannot be opened: {error}"
    elif Path(_absolute(value)).is_file():
        return f"is {value!r}, a file; name a folder"
    return None
