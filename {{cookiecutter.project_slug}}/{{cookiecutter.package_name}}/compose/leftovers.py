"""READ. What attempts that died have left beside a dataset."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from .commit import Manifest, discard


def sweep(fs: Any, folder: str, flag: str, manifest: Manifest | None, attempt: str) -> None:
    """Remove what this attempt wrote in vain; once it is committed, what others left a day ago.

    What storage does not let us list or remove waits for `clean`.
    """
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with contextlib.suppress(Exception):
        for path, when in leftovers(fs, folder, flag, manifest).items():
            if f"-{attempt}" in path or (manifest and when < yesterday):
                discard(fs, [path])


def leftovers(fs: Any, folder: str, flag: str, manifest: Manifest | None) -> dict[str, datetime]:
    """The paths of the parts that no manifest names, and when their attempt wrote its last one."""
    named = {part["name"] for part in (manifest or {}).get("parts", [])}
    begin = rf"(part-[\d-]+-|{re.escape(flag)}\.)"
    ours = re.compile(begin + r"([0-9a-f]{12})([0-9a-f]{8})?(\.\w+)?")
    attempts: dict[str, str] = {}
    latest: dict[str, datetime] = {}
    for info in fs.ls(folder, detail=True):
        name = info["name"].rpartition("/")[2]
        if (match := ours.fullmatch(name)) and name not in named:
            attempts[f"{folder}/{name}"] = attempt = match[2]
            latest[attempt] = max(modified(info), latest.get(attempt, modified(info)))
    return {path: latest[attempt] for path, attempt in attempts.items()}


def modified(info: dict[str, Any]) -> datetime:
    """When a file was last written, as each file system says it."""
    names = ("LastModified", "last_modified", "mtime", "updated", "created")
    when = next(info[name] for name in names if info.get(name))
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return datetime.fromtimestamp(when, UTC) if isinstance(when, int | float) else when
