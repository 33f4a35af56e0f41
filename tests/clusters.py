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

TLS, WHO = "DASK_DISTRIBUTED__COMM__TLS__", ("SCHEDULER", "WORKER", "CLIENT")


class Cluster:
    """Its workers have one thread each and import what lies in `code`; `log` has its output.

    `environ` is that of its processes, which talk by `scheme`.
    """

    def __init__(self, code: Path, log: Path, scheme: str = "tcp", **environ: str) -> None:
        self.code, self.log, self.scheme, self.environ = code, log, scheme, environ
        self.workers: list[subprocess.Popen[bytes]] = []
        self.started = 0
        self._open(free_port())

    def _open(self, port: int) -> None:
        self.address = f"{self.scheme}://{HOST}:{port}"
        options = ("--port", str(port), "--protocol", self.scheme)
        self.scheduler = self._start("scheduler", *options, code=self.code)
        wait_for(port, self.scheduler, self.log)

    def add_worker(
        self, code: Path | None = None, nanny: str = "--no-nanny", **environ: str
    ) -> None:
        options = ("--nthreads", "1", nanny, "--local-directory", str(self.log.parent))
        worker = self._start("worker", self.address, *options, code=code or self.code, **environ)
        self.workers.append(worker)
        self.started += 1

    def heal(self, workers: int) -> None:
        """Have a scheduler and so many workers again, after some were killed."""
        if self.scheduler.poll() is not None:
            self.close()
            self._open(free_port())
        self.workers = [each for each in self.workers if each.poll() is None]
        for _ in range(workers - len(self.workers)):
            self.add_worker()
        deadline = time.monotonic() + 60
        while self.log.read_text(encoding="utf-8").count("Registered to:") < self.started:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def restart(self) -> None:
        """Have a new scheduler where the old one was."""
        self.scheduler.wait()
        self._open(int(self.address.rpartition(":")[2]))

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def _start(self, *arguments: str, code: Path, **environ: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--host", HOST, "--no-dashboard"]
        environ = clean_environ(PYTHONPATH=str(code), **self.environ, **environ)
        with self.log.open("ab") as file:
            return subprocess.Popen(
                command, cwd=self.log.parent, env=environ, stdout=file, stderr=file
            )


@contextlib.contextmanager
def cluster(code: Path, folder: Path, workers: int = 2, **more: str) -> Iterator[Cluster]:
    """A cluster that runs the project in `code`."""
    started = Cluster(code, folder / "cluster.log", **more)
    try:
        started.heal(workers)
        yield started
    finally:
        started.close()


def certificate(folder: Path, name: str) -> dict[str, str]:
    """What tells Dask to show a new certificate, and to trust whoever shows the same."""
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    kind = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    command = f"openssl {kind} -subj /CN={name} -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True)
    files = {f"{who}__{what}": path for who in WHO for what, path in (("CERT", cert), ("KEY", key))}
    return {f"{TLS}{name}": path for name, path in {"CA_FILE": cert, **files}.items()}
