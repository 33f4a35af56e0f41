"""READ. Folders of partitions as targets: `read_dask` and `write_dask`, complete or not there."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
import luigi

from . import commit, conform
from .errors import DataError
from .roots import is_url

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa


Encoder = Callable[["pd.DataFrame", str], bytes]


class BaseDaskTarget(luigi.Target):
    """A folder of partitions, complete when its flag is there (without a flag: when a file is).

    `glob` says which files are partitions. Schema, salt, lineage and replace come from the output.
    """

    declarations: ClassVar[tuple[str, ...]] = ("schema",)
    suffix = ""

    def __init__(
        self,
        path: str,
        glob: str | None = None,
        flag: str | None = "_SUCCESS",
        storage_options: dict[str, Any] | None = None,
        *,
        schema: pa.Schema | None = None,
        salt: str | None = None,
        lineage: Callable[[], dict[str, Any]] = dict,
        replace: bool = True,
    ) -> None:
        self.path = str(path)
        self.glob = glob or f"*{self.suffix}"
        self.flag = flag
        self.storage_options = storage_options or {}
        self.schema, self.salt, self.lineage, self.replace = schema, salt, lineage, replace

    def __str__(self) -> str:
        return self.path

    @property
    def fs(self) -> Any:
        return fsspec.url_to_fs(self.path, **self.storage_options)[0]

    def exists(self) -> Any:
        """Whether the dataset is complete; one request where it has a flag."""
        if self.flag:
            return bool(self.fs.exists(self._at(self.flag)))
        return bool(self.files())

    def files(self) -> list[str]:
        """The partitions' paths or URLs: those of the manifest, else those that fit the glob."""
        try:
            manifest = self.manifest()
        except FileNotFoundError:
            manifest = None
        if manifest:
            return [self._at(part["name"]) for part in manifest["parts"]]
        return self._found()

    def manifest(self) -> commit.Manifest | None:
        """What was committed; None where another program wrote the folder.

        Raises FileNotFoundError where the dataset is not complete.
        """
        return commit.read_manifest(self.fs, self._at(self.flag)) if self.flag else None

    def read_dask(
        self,
        columns: list[str] | None = None,
        filters: Any = None,
        check_complete: bool = True,
        **options: Any,
    ) -> dd.DataFrame:
        """The dataset as a Dask frame: Arrow-backed with a schema, else as Dask reads it.

        Raises FileNotFoundError where it is not complete, unless `check_complete` is False.
        """
        if check_complete and not self.exists():
            raise FileNotFoundError(f"{self.path} is not complete; run the task that writes it")
        return self._read(columns, filters, options)

    def write_dask(
        self, frame: dd.DataFrame, compression: str | None = "zstd", **options: Any
    ) -> None:
        """Write and commit the frame; see `commit`. Nothing is left of an attempt that fails.

        Raises DataError before any data is read if the frame does not fit the schema.
        """
        from dask.base import compute
        from dask.delayed import delayed

        if not hasattr(frame, "to_delayed"):
            kind = type(frame)
            package = kind.__module__.partition(".")[0]
            raise DataError(f"a Dask frame is needed, not {kind.__name__} of {package}")
        if not self.flag:
            raise TypeError(f"{self.path} has no flag, so nothing could tell when it is complete")
        if self.schema is not None:
            conform.check_meta(frame._meta, self.schema)
        commit.refuse_unless_local(self.path)
        if not self.replace and self.exists():
            return
        self.fs.makedirs(self.path, exist_ok=True)
        attempt = commit.new_attempt()
        names = [f"part-{i:05d}-{attempt}{self.suffix}" for i in range(frame.npartitions)]
        encode = self._encoder(frame, compression, options)
        committed = False
        try:
            parts = compute(
                *[
                    delayed(_write_part)(part, self.fs, self._at(name), encode)
                    for part, name in zip(frame.to_delayed(), names, strict=True)
                ]
            )
            manifest = self._describe(list(parts), frame)
            old = self._named_now() if self.replace else []
            committed = commit.commit(self.fs, self._at(self.flag), manifest, self.replace)
        finally:
            if not committed:
                commit.discard(self.fs, [self._at(name) for name in names])
        if committed:
            commit.discard(self.fs, old)
            commit.sweep(self.fs, self.path, str(self.flag), manifest)

    def _describe(self, parts: list[dict[str, Any]], frame: dd.DataFrame) -> commit.Manifest:
        schema = self.schema or conform.schema_of(frame)
        return {
            "parts": parts,
            "rows": sum(part["rows"] for part in parts),
            "bytes": sum(part["bytes"] for part in parts),
            "schema": {f.name: f"{f.type}{'' if f.nullable else ' not null'}" for f in schema},
            "lineage": self.lineage(),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("dask", "luigi", "pandas", "pyarrow")},
        }

    def _at(self, name: str | None) -> str:
        return f"{self.path.rstrip('/')}/{name}"

    def _found(self) -> list[str]:
        """The files in the folder that fit the glob, in the order of their names."""
        found = [f for f in self.fs.glob(self._at(self.glob)) if not _is_hidden(f)]
        return sorted(self.fs.unstrip_protocol(f) if is_url(self.path) else f for f in found)

    def _named_now(self) -> list[str]:
        """The parts that the manifest to be replaced names."""
        try:
            manifest = self.manifest() or {"parts": []}
        except (FileNotFoundError, DataError):
            return []
        return [self._at(part["name"]) for part in manifest["parts"]]

    def _read(self, columns: list[str] | None, filters: Any, options: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _encoder(self, frame: dd.DataFrame, compression: str | None, options: Any) -> Encoder:
        raise NotImplementedError


def _write_part(part: pd.DataFrame, fs: Any, path: str, encode: Encoder) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    data = encode(part, name)
    fs.pipe_file(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return {"name": name, "rows": len(part), "bytes": len(data), "sha256": digest}


def _is_hidden(path: str) -> bool:
    return path.rpartition("/")[2].startswith((".", "_"))
