"""READ. The errors that end a command with one sentence and no traceback."""

from __future__ import annotations

import re
import traceback
from pathlib import Path


class ComposeError(Exception):
    """Something that the user can cure: the message names the thing, the fault and the cure."""


class DataError(ComposeError):
    """Data that does not fit its schema, is damaged, is missing or has changed meanwhile."""


def sentence(error: object) -> str:
    """What went wrong; for an error that is not ours, with the user's line that raised it."""
    text = public(error)
    if not isinstance(error, BaseException):
        return re.sub(r"^Task \S+ ", "", text)  # Luigi's, and its own name of the task
    if isinstance(error, ComposeError | OSError):
        return text
    package = Path(__file__).parents[1].name  # which may lie elsewhere on a worker
    ours = ("__main__.py", "arguments.py", "cli.py")
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.parent.name == package and path.name not in ours:
            where = f" ({path.name}, line {frame.lineno})"
    return f"{type(error).__name__}: {text}{where}"


def public(said: object) -> str:
    """As text, without the password of an address."""
    return re.sub(r"//[^/@\s]+@", "//", str(said))
