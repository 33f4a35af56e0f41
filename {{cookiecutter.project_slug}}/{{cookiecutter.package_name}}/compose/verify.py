"""READ. Whether datasets are still what their manifests say: each part, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import luigi

from . import commit
from .commit import Manifest
from .errors import DataError
from .graph import outputs
from .targets import BaseDaskTarget


def datasets(tasks: Iterable[luigi.Task]) -> list[tuple[BaseDaskTarget, Manifest | str]]:
    """The complete datasets of these tasks, each with its manifest or what is wrong with that."""
    targets = [target for task in tasks for target in outputs(task)]
    read = [(t, _manifest(t)) for t in targets if isinstance(t, BaseDaskTarget)]
    return [(target, manifest) for target, manifest in read if manifest]


def damage(target: BaseDaskTarget, manifest: Manifest | str) -> str | None:
    """A sentence that names the parts at fault and the cure; None where all is as written."""
    if isinstance(manifest, str):
        return manifest
    sizes = target.sizes()
    faults = commit.damaged(manifest["parts"], sizes)
    whole = [part for part in manifest["parts"] if sizes.get(part["name"]) == part["bytes"]]
    with ThreadPoolExecutor() as pool:
        faults += filter(None, pool.map(partial(_altered, target), whole))
    if faults and (standing := _manifest(target)) != manifest:  # it was replaced meanwhile
        return damage(target, standing) if standing else None
    return commit.damage(target.path, faults, manifest) if faults else None


def _manifest(target: BaseDaskTarget) -> Manifest | str | None:
    """The manifest, or what is wrong with it."""
    try:
        return target.manifest()
    except DataError as error:
        return str(error)


def _altered(target: BaseDaskTarget, part: dict[str, Any]) -> str | None:
    with target.fs.open(target.at(part["name"]), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == part["sha256"] else f"{part['name']} is altered"
