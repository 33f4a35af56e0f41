"""READ. Whether datasets are still what their manifests say: each part, byte for byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from . import commit
from .errors import DataError
from .targets import BaseDaskTarget


def damage(target: BaseDaskTarget) -> str | None:
    """A sentence that names the parts at fault and the cure, empty where all is as written.

    None where no manifest says what was written.
    """
    try:
        manifest = target.manifest()
    except DataError as error:
        return str(error)
    if not manifest:
        return None
    sizes = target.sizes()
    faults = commit.damaged(manifest["parts"], sizes)
    whole = [part for part in manifest["parts"] if sizes.get(part["name"]) == part["bytes"]]
    with ThreadPoolExecutor() as pool:
        faults += filter(None, pool.map(partial(_altered, target), whole))
    if faults and target.manifest() != manifest:  # it was replaced meanwhile
        return damage(target)
    return commit.damage(target.path, faults, manifest) if faults else ""


def _altered(target: BaseDaskTarget, part: dict[str, Any]) -> str | None:
    found = commit.digest(target.fs, target.at(part["name"]))
    return None if found == part["sha256"] else f"{part['name']} is altered"
