"""A real Dask scheduler and workers, as processes on loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from baking import clean_environ
from servers import HOST, free_port, wait_for


class Cluster:
    """Its workers have one thread each and import what lies in `code`; `log` has its output."""

    def __init__(self, code: Path, log: Path) -> None:
        self.code, self.log = code, log
        self.workers: list[subprocess.Popen[bytes]] = []
        self.started = 0
        self._open()

    def _open(self) -> None:
        port = free_port()
        self.address = f"tcp://{HOST}:{port}"
        self.scheduler = self._start("scheduler", "--port", str(port), code=self.code)
        wait_for(port, self.scheduler, self.log)

    def add_worker(self, code: Path | None = None, **environ: str) -> None:
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.log.parent))
        worker = self._start("worker", self.address, *options, code=code or self.code, **environ)
        self.workers.append(worker)
        self.started += 1

    def heal(self, workers: int) -> None:
        """Have a scheduler and so many workers again, after some were killed."""
        if self.scheduler.poll() is not None:
            self.close()
            self._open()
        self.workers = [each for each in self.workers if each.poll() is None]
        for _ in range(workers - len(self.workers)):
            self.add_worker()
        deadline = time.monotonic() + 60
        while self.log.read_text(encoding="utf-8").count("Registered to:") < self.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, *arguments: str, code: Path, **environ: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--host", HOST, "--no-dashboard"]
        environ = clean_environ(PYTHONPATH=str(code), **environ)
        with self.log.open("ab") as file:
            return subprocess.Popen(
                command, cwd=self.log.parent, env=environ, stdout=file, stderr=file
            )


@contextlib.contextmanager
def cluster(code: Path, folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """A cluster that runs the project in `code`."""
    started = Cluster(code, folder / "cluster.log")
    try:
        started.heal(workers)
        yield started
    finally:
        started.close()
