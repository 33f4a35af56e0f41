"""READ. A single file as a target, written atomically on any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import luigi
from luigi.format import FileWrapper
from luigi.target import AtomicLocalFile

from .roots import filesystem, is_url


class FileTarget(luigi.LocalTarget):
    """Luigi's LocalTarget, also for URLs; takes what LocalTarget takes.

    A reader sees the old file or the whole new one, never a part of it.
    """

    def __init__(self, path: str, storage_options: Any = None, **kwargs: Any) -> None:
        super().__init__(path, **kwargs)
        self.storage_options = storage_options or {}

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(filesystem(self.path, self.storage_options), method)(self.path, *arguments)

    def exists(self) -> bool:
        return bool(self._call("exists"))

    def remove(self) -> None:
        self._call("rm_file")

    def size(self) -> int:
        """Bytes."""
        return int(self._call("size"))

    def modified(self) -> datetime:
        """When it was last written."""
        when: datetime = self._call("modified")
        return when

    def open(self, mode: str = "r") -> Any:
        if "w" in mode:
            return self.format.pipe_writer(_Atomic(self))
        return self.format.pipe_reader(FileWrapper(self._call("open", "rb")))

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """A path to write to; what stands there moves to its place unless there was an error."""
        path = self.begin()
        try:
            yield path
            self.finish(path)
        finally:
            Path(path).unlink(missing_ok=True)

    def begin(self) -> str:
        """A temporary local path: beside the file if that is local."""
        if is_url(self.path):
            return str(Path(tempfile.gettempdir(), uuid.uuid4().hex))
        self.makedirs()
        return f"{self.path}-{uuid.uuid4().hex}"

    def finish(self, path: str) -> None:
        """Put what stands at the temporary path into its place, in one step."""
        if is_url(self.path):
            filesystem(self.path, self.storage_options).put_file(path, self.path)
        else:
            os.replace(path, self.path)


class _Atomic(AtomicLocalFile):
    """A temporary file that is put into its place when it is closed without an error."""

    def __init__(self, target: FileTarget) -> None:
        self.target = target
        super().__init__(target.path)

    def generate_tmp_path(self, path: str) -> str:
        return self.target.begin()

    def move_to_final_destination(self) -> None:
        self.target.finish(self.tmp_path)
