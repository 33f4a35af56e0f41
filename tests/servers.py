"""A real S3 server on loopback, and a proxy before it that counts requests and loses answers."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
FAULTS = ("reset", "lost", "500", "503", "stall", "cut")
ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>Try again.</Message></Error>"
# tasks.py of a project with a hundred small stages.
MANY = """
import luigi
import pyarrow as pa

from .compose import CSVTarget, ExternalData, Requirement, RequirementList, Requires, Stage
from .compose import TargetOutput


class RawNumbers(ExternalData):
    schema = pa.schema([("n", pa.int64())])
    output = TargetOutput("raw/numbers", target_class=CSVTarget, flag=None)


class Number(Stage):
    n = luigi.IntParameter()
    schema = RawNumbers.schema
    raw = Requirement(RawNumbers)

    def transform(self, raw):
        return raw


class Pipeline(luigi.WrapperTask):
    requires = Requires()
    raw = Requirement(RawNumbers)
    numbers = RequirementList(Number, n=lambda self: range(100))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """The URL of a server of S3 that forgets everything when it ends; its output goes to `log`."""
    port = free_port()
    main = "import sys; from moto.server import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", main, "-H", HOST, "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            wait_for(port, process, log)
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: int = 60) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not answer: {log.read_text(encoding='utf-8')}")


class Proxy(ThreadingHTTPServer):
    """Forwards to `upstream`, counts each request as (method, path), and injects faults.

    `share` of the requests, chosen by `seed`, meet one of FAULTS: the connection is reset before or
    (lost) after the request is forwarded, 500 or 503 is answered instead, all waits for a moment,
    or the body of the answer is cut short. `rule` may choose a fault by method and path. With
    `lose_commits`, what creates only if absent is forwarded and its answer is never given.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__((HOST, 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://{HOST}:{self.server_address[1]}"
        self.counts: Counter[tuple[str, str]] = Counter()
        self.faults: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.create_only = threading.Lock()  # S3 makes them one at a time; moto may not
        self.share, self.random = 0.0, random.Random()
        self.alarm: tuple[int, str, Callable[[], None]] | None = None
        self.rule: Callable[[str, str], str | None] = lambda method, path: None
        self.lose_commits = False

    def inject(self, share: float, seed: int = 0) -> None:
        self.share, self.random = share, random.Random(seed)

    def at_request(self, number: int, prefix: str, call: Callable[[], None]) -> None:
        """Call at about the time of the request of this number, of those below a path."""
        self.alarm = number, prefix, call

    def fault_for(self, method: str, path: str) -> str | None:
        """Count a request; the fault that it meets, if any."""
        with self.lock:
            self.counts[method, path] += 1
            if self.alarm and path.startswith(self.alarm[1]):
                left, prefix, call = self.alarm
                self.alarm = (left - 1, prefix, call) if left > 1 else None
                if not self.alarm:
                    threading.Timer(self.random.uniform(0, 0.02), call).start()
            met = self.random.random() < self.share
            fault = self.random.choice(FAULTS) if met else self.rule(method, path)
            self.faults[fault or "none"] += 1
            return fault

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # a farewell first would make a reset an orderly end

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed cut their connections; nobody needs to read of it."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def forward(self) -> None:
        body = self._body()
        method, path = self.command, unquote(urlsplit(self.path).path)
        fault = self.server.fault_for(method, path)
        creates = self.headers.get("If-None-Match") == "*"
        if fault == "reset":
            return self._reset()
        if fault in ("500", "503"):
            code = "InternalError" if fault == "500" else "ServiceUnavailable"
            return self._answer(int(fault), {}, ERROR.format(code).encode())
        if fault == "stall":
            time.sleep(0.3)
        with self.server.create_only if creates else contextlib.nullcontext():
            status, headers, data = self._upstream(method, body)
        if fault == "lost" or (creates and self.server.lose_commits):
            return self._reset()
        return self._answer(status, headers, data, cut=fault == "cut")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _upstream(self, method: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        dropped = ("connection", "expect", "transfer-encoding", "content-length")
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        with contextlib.closing(connection):
            if body or method in ("PUT", "POST"):
                headers["Content-Length"] = str(len(body))
            connection.request(method, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _answer(self, status: int, headers: dict[str, str], data: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        if self.command != "HEAD" or status >= 500:
            headers["Content-Length"] = str(len(data))
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        """End the connection as a crashed server does."""
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True


@contextlib.contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    with Proxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
