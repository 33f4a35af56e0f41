"""READ. A single file as a target, written atomically on any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
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

    @property
    def fs(self) -> Any:  # type: ignore[override]
        return filesystem(self.path, self.storage_options)

    def remove(self) -> None:
        self.fs.rm_file(self.path)

    def open(self, mode: str = "r") -> Any:
        if "w" in mode:
            return self.format.pipe_writer(_Atomic(self))
        return self.format.pipe_reader(FileWrapper(self.fs.open(self.path, "rb")))

    @contextlib.contextmanager
    def temporary_path(self) -> Iterator[str]:
        """A local path to write to; what stands there is put into its place without an error."""
        name = uuid.uuid4().hex
        if is_url(self.path):
            path, finish = os.path.join(tempfile.gettempdir(), name), self.fs.put_file
        else:
            self.makedirs()
            path, finish = f"{self.path}-{name}", os.replace
        try:
            yield path
            finish(path, self.path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)


class _Atomic(AtomicLocalFile):
    """A file at a temporary path, until it is closed."""

    def __init__(self, target: FileTarget) -> None:
        self.place = target.temporary_path()
        super().__init__(target.path)

    def generate_tmp_path(self, path: str) -> str:
        return self.place.__enter__()

    def move_to_final_destination(self) -> None:
        self.place.__exit__(None, None, None)
