"""READ. How a run that is interrupted stops: Ctrl-C reaches every process of it, SIGTERM only one.

A process of a task hears SIGINT once, and removes what it has begun; SIGTERM ends it at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Process
from typing import Any

SECONDS = 5


def in_main_thread() -> bool:
    """Whether this is the one thread that may say what signals do."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def signals(signum: signal.Signals, handler: Any) -> Iterator[None]:
    """Have a signal do something else meanwhile."""
    if not in_main_thread():
        yield
        return
    before = signal.signal(signum, handler)
    try:
        yield
    finally:
        signal.signal(signum, before or signal.SIG_DFL)


@contextmanager
def later() -> Iterator[None]:
    """Hear Ctrl-C afterwards; a process that starts meanwhile, when it is ready for it."""
    heard: list[int] = []
    with signals(signal.SIGINT, lambda signum, frame: heard.append(signum)):
        _block(True)
        try:
            yield
        finally:
            _block(False)
    if heard:
        raise KeyboardInterrupt


def as_a_task(status: int) -> None:
    """What signals do in the process of a task; ends it if one is waiting."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _interrupt_once)
    try:
        _block(False)
    except KeyboardInterrupt:
        os._exit(status)


def stop(processes: list[Process]) -> None:
    """Have these processes clean up and end; those that take too long are killed."""
    deadline = time.monotonic() + SECONDS
    try:
        while (alive := [p for p in processes if p.is_alive()]) and time.monotonic() < deadline:
            for process in alive:
                if os.name == "posix" and process.pid:  # elsewhere Ctrl-C has reached it already
                    os.kill(process.pid, signal.SIGINT)  # again, since it may have just begun
            alive[0].join(0.1)
    finally:
        for process in processes:
            process.kill()


def _block(block: bool) -> None:
    if sys.platform != "win32":  # where a new process takes over nothing of this
        how = signal.SIG_BLOCK if block else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, {signal.SIGINT})


def _interrupt_once(signum: int, frame: Any) -> None:
    signal.signal(signum, signal.SIG_IGN)
    raise KeyboardInterrupt
