"""READ. What `python -m` runs, followed by this package's name."""

import gc
import os
import signal
import sys
from multiprocessing import util
from pathlib import Path

if __name__ == "__main__":
    if not __package__:
        package = Path(__file__).resolve().parent
        print(f"In {package.parent}, run: python -m {package.name}", file=sys.stderr)
        sys.exit(2)

    from .cli import main

    for stream in (sys.stdout, sys.stderr):  # a name in any script, on any terminal
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends a run in order, as Ctrl-C
    gc.freeze()  # what was imported is no garbage: nobody need look there, least of all at exit
    status = main()
    if status == 130:  # at once: threads may still work on what was interrupted
        util._run_finalizers(0)  # type: ignore[attr-defined]  # semaphores, which are the system's
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
