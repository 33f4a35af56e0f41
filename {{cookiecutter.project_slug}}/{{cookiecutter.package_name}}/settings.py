"""EDIT. The environment as settings: each variable, its default and what is wrong with a value."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
from dotenv import load_dotenv
from environs import Env, EnvValidationError, ValidationError
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
    env = Env(eager=False)
    try:
        load_dotenv(PROJECT / ".env")  # into the process's environment, for storage to find
    except UnicodeDecodeError as error:
        raise SettingsError(f"{PROJECT / '.env'} is not UTF-8: {error}; save it as such") from None
    config.set_conf_env(config.conf)  # FSSPEC_... of .env, too
    data_root = env.str("DATA_ROOT", "data", validate=_folder)
    raw_root = env.str("RAW_ROOT", f"{data_root}/raw", validate=_folder)
    luigi_scheduler_url = env.str("LUIGI_SCHEDULER_URL", "", validate=_http)
    log_level = env.str("LOG_LEVEL", "WARNING", validate=_level)
    try:
        env.seal()
    except EnvValidationError as error:
        assert isinstance(error.error_messages, Mapping)
        faults = [f"{name} {text}" for name, all in error.error_messages.items() for text in all]
        raise SettingsError("; ".join(faults)) from None
    return Settings(_absolute(data_root), _absolute(raw_root), luigi_scheduler_url, log_level)


def _absolute(root: str) -> str:
    """A URL as it is; a relative folder in the project, whatever the working directory."""
    scheme, separator, path = root.partition("://")
    if separator and scheme not in ("file", "local"):
        return f"{scheme}://{re.sub('/+', '/', path).rstrip('/')}"
    return os.path.abspath(PROJECT / Path(path if separator else root).expanduser())


def _folder(value: str) -> None:
    if not value.strip():
        raise ValidationError("is empty; name a folder or a URL, or remove the variable")
    if "://" in value:
        if urlsplit(value).password:
            raise ValidationError("holds a password; give it in a variable of its own")
        try:
            fsspec.get_filesystem_class(urlsplit(value).scheme)
        except (ImportError, ValueError) as error:
            raise ValidationError(f"is {value!r}, which cannot be opened: {error}") from None
    elif Path(_absolute(value)).is_file():
        raise ValidationError(f"is {value!r}, a file; name a folder")


def _http(value: str) -> None:
    if value and not (value.startswith(("http://", "https://")) and urlsplit(value).hostname):
        raise ValidationError("is not the address of a luigid; give http://HOST:PORT or nothing")


def _level(value: str) -> None:
    if value not in (levels := logging.getLevelNamesMapping()):
        raise ValidationError(f"is {value!r}; give one of {', '.join(levels)}")
