"""READ. A single file as a target, written atomically on any file system that fsspec knows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import luigi
from luigi.format import FileWrapper
from luigi.target import AtomicLocalFile

from .roots import is_url


class FileTarget(luigi.LocalTarget):
    """Luigi's LocalTarget, also for URLs; takes what LocalTarget takes.

    A reader sees the old file or the whole new one, never a part of it.
    """

    def __init__(
        self,
        path: str,
        format: Any = None,
        is_tmp: bool = False,
        storage_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(path, format=format, is_tmp=is_tmp)
        self.storage_options = storage_options or {}

    def _remote(self) -> Any:
        """The file system of a URL and the path on it; None for a local path."""
        return fsspec.url_to_fs(self.path, **self.storage_options) if is_url(self.path) else None

    def exists(self) -> bool:
        fs, path = self._remote() or (None, self.path)
        return bool(fs.exists(path)) if fs else Path(path).exists()

    def size(self) -> int:
        """Bytes."""
        fs, path = self._remote() or (None, self.path)
        return int(fs.size(path)) if fs else Path(path).stat().st_size

    def modified(self) -> datetime:
        """When it was last written."""
        fs, path = self._remote() or (fsspec.filesystem("file"), self.path)
        when: datetime = fs.modified(path)
        return when

    def remove(self) -> None:
        if remote := self._remote():
            remote[0].rm(remote[1])
        else:
            super().remove()

    def open(self, mode: str = "r") -> Any:
        if not (remote := self._remote()):
            return super().open(mode)
        fs, path = remote
        if "w" in mode:
            return self.format.pipe_writer(_Upload(fs, path))
        return self.format.pipe_reader(FileWrapper(fs.open(path, "rb")))

    @contextmanager
    def temporary_path(self) -> Iterator[str]:
        """A path to write to; what stands there moves to its place unless there was an error."""
        if not (remote := self._remote()):
            self.makedirs()
            folder = tempfile.mkdtemp(prefix=".", dir=os.path.dirname(self.path) or ".")
        else:
            folder = tempfile.mkdtemp()
        temporary = os.path.join(folder, Path(self.path).name)
        try:
            yield temporary
            if remote:
                remote[0].put_file(temporary, remote[1])
            else:
                os.replace(temporary, self.path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Upload(AtomicLocalFile):
    """A local temporary file that is uploaded when it is closed without an error."""

    def __init__(self, fs: Any, path: str) -> None:
        self.remote = fs
        super().__init__(path)

    def move_to_final_destination(self) -> None:
        self.remote.put_file(self.tmp_path, self.path)
