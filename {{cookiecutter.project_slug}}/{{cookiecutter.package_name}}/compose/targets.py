"""READ. Folders of partitions as targets: complete, or not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from glob import escape
from typing import TYPE_CHECKING, Any, ClassVar

import luigi

from .commit import Manifest, damage, damaged, read_head, read_manifest
from .errors import DataError
from .memory import mend
from .roots import filesystem, is_url

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pyarrow as pa


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
        return filesystem(self.path, self.storage_options)

    def at(self, name: str | None) -> str:
        """The path of a file in the folder."""
        return f"{self.path.rstrip('/')}/{name}"

    def exists(self) -> Any:
        """Whether the dataset is complete; one request where it has a flag.

        One that is replaced when it changes is complete only for the salt that it was made with.
        """
        if self.replace and self.salt and self.flag:
            manifest = self.manifest()
            return manifest is not None and (not manifest or self.salt in manifest["lineage"])
        return bool(self.fs.exists(self.at(self.flag)) if self.flag else self.files())

    def name(self, path: str) -> str:
        """The name of a file in the folder."""
        folder, path = (self.fs._strip_protocol(each) for each in (self.path, path))
        return str(path.removeprefix(f"{folder}/"))

    def manifest(self, whole: bool = True) -> Manifest | None:
        """What was committed, or the head of it.

        None where nothing was, empty where another program wrote the folder.
        """
        read = read_manifest if whole else read_head
        return read(self.fs, self.at(self.flag)) if self.flag else {}

    def parts(self, check: bool = False) -> list[str] | None:
        """The paths of the parts that the manifest names; None where there is none.

        Raises DataError naming what is missing or short, if `check`; `verify` compares contents.
        """
        if not (manifest := self.manifest()):
            return None
        if check and (faults := damaged(manifest["parts"], self.sizes())):
            raise DataError(damage(self.path, faults, manifest))
        return [self.at(part["name"]) for part in manifest["parts"]]

    def sizes(self) -> dict[str, int]:
        """The bytes of each file in the folder, by its name; one request for a thousand files."""
        return {i["name"].rpartition("/")[2]: i["size"] for i in self.fs.ls(self.path, detail=True)}

    def files(self, check: bool = False) -> list[str]:
        """The partitions' paths or URLs: those of the manifest, else those that fit the glob.

        Where no glob is given and the folder holds only folders, as Spark's may, those in them.
        """
        if (parts := self.parts(check)) is not None:
            return parts
        is_own = self.glob == f"*{self.suffix}"
        return self._fitting(self.glob) or (self._fitting(f"**/{self.glob}") if is_own else [])

    def _fitting(self, glob: str) -> list[str]:
        found = self.fs.glob(f"{escape(self.path.rstrip('/'))}/{glob}")
        seen = [path for path in found if not re.search("(^|/)[._]", self.name(path))]
        return sorted(self.fs.unstrip_protocol(p) if is_url(self.path) else p for p in seen)

    def read_dask(
        self,
        columns: list[str] | None = None,
        filters: Any = None,
        check_complete: bool = True,
        **options: Any,
    ) -> dd.DataFrame:
        """The dataset as a Dask frame: Arrow-backed with a schema, else as Dask reads it.

        Raises FileNotFoundError where it is not complete, unless `check_complete` is False, and
        DataError where there is nothing to read.
        """
        if check_complete and not self.exists():
            raise FileNotFoundError(f"{self.path} is not complete; run the task that writes it")
        if not (files := self.files(check=check_complete)):
            raise DataError(f"{self.path} holds no file that fits {self.glob}")
        mend()
        return self._read(files, columns, filters, options)

    def sources(self) -> list[list[tuple[Any, ...]]] | None:
        """What each partition is read from, one tuple a piece: the name of its file, and where.

        None where Dask decides.
        """
        return None

    def _read(self, files: list[str], columns: Any, filters: Any, options: dict[str, Any]) -> Any:
        raise NotImplementedError
