"""The project on a Dask cluster: as it should be, and with everything that can go wrong there."""

from __future__ import annotations

import copyreg
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from clusters import Cluster, cluster
from conftest import PACKAGE, Project
from servers import HOST
from test_faults import assert_told, contents, right, start

__all__ = ["right"]  # a fixture
pytestmark = pytest.mark.allow_hosts([HOST])
slow = pytest.mark.slow

# Counts each part of the flights, and does with it what the file `orders` says.
BUSY = """\
    import os
    import time
    from pathlib import Path

    home = Path(__file__).parents[1]

    def obey(part):
        if not len(part):
            return part
        with (home / "calls").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        order = (home / "orders").read_text()
        if order == "fail":
            raise ValueError("no such flight")
        time.sleep(float(order))
        return part

    raw = raw.map_partitions(obey, meta=raw._meta)
    arrived = raw["""
BLOCK = "BLOCK_SIZE = 32 * 2**20"


@pytest.fixture(scope="module")
def shared(baked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that run the project as it was baked."""
    with cluster(baked, tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def made_busy(baked: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(shutil.copytree(baked, tmp_path_factory.mktemp("busy") / "project"))
    project.edit("transforms.py", "    arrived = raw[", BUSY)
    project.edit("compose/csv_blocks.py", BLOCK, "BLOCK_SIZE = 2**15")
    return project


@pytest.fixture
def busy(made_busy: Project) -> Project:
    """A project that reads the flights in more than eight parts and has written nothing."""
    for path in made_busy.path.joinpath("data").glob("[A-Z.]*"):
        path.unlink() if path.is_file() else shutil.rmtree(path)
    made_busy.path.joinpath("calls").unlink(missing_ok=True)
    order(made_busy, "0")
    return made_busy


@pytest.fixture(scope="module")
def clusters(made_busy: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(made_busy.path, tmp_path_factory.mktemp("busy"), workers=0) as started:
        yield started


@pytest.fixture
def its_cluster(clusters: Cluster) -> Cluster:
    """Two workers that run the busy project."""
    clusters.heal(2)
    return clusters


def order(project: Project, what: str) -> None:
    (project.path / "orders").write_text(what, encoding="utf-8")


def calls(project: Project) -> list[str]:
    """The process of each part of the flights that was computed."""
    path = project.path / "calls"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def stopped(project: Project) -> bool:
    """Whether no part is begun for a while."""
    before = len(calls(project))
    time.sleep(1)
    return len(calls(project)) == before


def until(is_so: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def one(project: Project, task: str) -> Path:
    """The manifest of the one output of a task."""
    (path,) = project.path.joinpath("data").glob(f"{task}-*/_SUCCESS")
    return path


def rows(found: list[Any]) -> list[Any]:
    """As they are but for the last digits of a mean, which depend on the parts."""
    return [
        {n: round(v, 9) if isinstance(v, float) else v for n, v in row.items()} for row in found
    ]


def on(where: Cluster) -> dict[str, str]:
    return {"DASK_SCHEDULER_ADDRESS": where.address}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=slow)])
def test_the_whole_example_gives_on_a_cluster_what_it_gives_here(
    new_project: Project, shared: Cluster, right: dict[str, list[Any]], workers: str
) -> None:
    done = new_project.run("run", "--workers", workers, **on(shared))
    assert done.returncode == 0, done.stderr
    lines = [re.sub(r"\(.*", "", line) for line in done.stderr.splitlines()]
    assert lines == ["done    CleanFlights", "done    AirportScores", "done    ScoreReport"]
    assert contents(new_project) == right


def test_a_run_with_nothing_to_do_does_not_ask_for_the_cluster(project: Project) -> None:
    done = project.run(DASK_SCHEDULER_ADDRESS="tcp://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 ran, 5 were complete")


@pytest.mark.parametrize(
    "where",
    ["nobody", "another", *(pytest.param(o, marks=slow) for o in ("no scheduler", "no such host"))],
)
def test_a_cluster_that_cannot_be_reached_is_one_sentence_within_ten_seconds(
    new_project: Project, where: str
) -> None:
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        if where in ("no scheduler", "another"):
            deaf.listen()
        if where == "another":  # which speaks first, as that of mail does
            Thread(target=greet, args=(deaf,), daemon=True).start()
        host = "nowhere.invalid" if where == "no such host" else HOST
        address = f"tcp://{host}:{deaf.getsockname()[1]}"
        began = time.monotonic()
        done = new_project.run(DASK_SCHEDULER_ADDRESS=address)
        assert time.monotonic() - began < 10
    assert done.returncode == 1
    line, *rest = [line for line in done.stderr.splitlines() if not line.startswith("     ")]
    assert rest == []
    assert f"no Dask scheduler answers at {address} (" in line
    assert "; start it, or empty DASK_SCHEDULER_ADDRESS" in line


def greet(deaf: socket.socket) -> None:
    """Say something to each who comes, and nothing after that."""
    spoken = []
    with suppress(OSError):  # it is closed
        while True:
            spoken.append(deaf.accept()[0])
            spoken[-1].sendall(b"220 mail.example.com ESMTP\r\n")


def test_a_data_root_that_workers_do_not_see_is_told_before_anything_is_computed(
    sample: Path, new_project: Project, shared: Cluster
) -> None:
    root = {"DATA_ROOT": "memory://elsewhere", "RAW_ROOT": str(sample)}
    assert_told(new_project.run(**root, **on(shared)), " does not see memory://elsewhere/.cluster ")


def test_workers_with_other_code_are_told_before_anything_is_computed(
    busy: Project, shared: Cluster
) -> None:
    done = busy.run(**on(shared))
    assert_told(done, f"has the code of {PACKAGE} ")
    assert "; install the same there, and restart it" in done.stderr
    assert not calls(busy)


@slow
def test_a_fault_in_a_transform_is_the_same_sentence_as_here(
    busy: Project, its_cluster: Cluster
) -> None:
    order(busy, "fail")
    here, there = busy.run(), busy.run(**on(its_cluster))
    assert_told(there, "ValueError: no such flight (transforms.py, line ")
    assert there.stderr == here.stderr


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=slow) for n in range(1, 11))])
def test_a_worker_that_is_killed_in_a_stage_costs_time_and_no_row(
    busy: Project, its_cluster: Cluster, right: dict[str, list[Any]], number: int
) -> None:
    order(busy, "1")
    process = start(busy, **on(its_cluster))

    def at_second() -> list[subprocess.Popen[bytes]]:
        """The workers that have written a part and are at another."""
        return [w for w in its_cluster.workers if calls(busy).count(str(w.pid)) > 1]

    until(at_second)
    (victim, *_) = at_second()
    time.sleep(random.Random(number).uniform(0, 0.9))
    victim.kill()
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 0, stderr
    once = len(json.loads(one(busy, "CleanFlights").read_text(encoding="utf-8"))["parts"])
    assert len(calls(busy)) > once  # what it did not finish, or had written, is computed again
    assert "distributed" not in stderr
    found = sorted(contents(busy).values(), key=len)
    assert [rows(each) for each in found] == [rows(each) for _, each in sorted(right.items())]
    for success in (busy.path / "data").glob("*-*/_SUCCESS"):
        manifest = json.loads(success.read_text(encoding="utf-8"))
        written = {path.name for path in success.parent.glob("*.parquet")}
        assert written == {part["name"] for part in manifest["parts"]}  # which counts once


@slow
def test_a_worker_with_other_code_is_told_even_if_it_joins_late(
    busy: Project, its_cluster: Cluster, baked: Path
) -> None:
    order(busy, "3")
    process = start(busy, **on(its_cluster))
    until(lambda: calls(busy))
    its_cluster.add_worker(baked)  # without the package, one would drop out by itself
    stderr = process.communicate(timeout=60)[1]
    its_cluster.workers.pop().kill()
    done = subprocess.CompletedProcess([], process.returncode, stderr=stderr)
    assert_told(done, f"has the code of {PACKAGE} ")


@slow
def test_a_terminal_shows_what_is_inside_the_running_stage(
    busy: Project, its_cluster: Cluster
) -> None:
    from test_progress import on_a_terminal

    order(busy, "0.5")
    status, sent = on_a_terminal(busy, **on(its_cluster))
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent)
    assert len({*re.findall(r"CleanFlights +\S+ +(\d+)/\d+ ", text)}) > 3  # it moves


def in_a_stage(project: Project, cluster: Cluster) -> tuple[subprocess.Popen[str], float]:
    """A run whose stage is being computed on the cluster, and the time."""
    order(project, "1")
    process = start(project, **on(cluster))
    until(lambda: calls(project))
    return process, time.monotonic()


@slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no Ctrl-C to one process")
def test_ctrl_c_ends_the_run_and_what_the_cluster_does_for_it(
    busy: Project, its_cluster: Cluster
) -> None:
    process, began = in_a_stage(busy, its_cluster)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=30)[1]
    print(f"{time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 5
    assert process.returncode == 130, stderr
    assert stderr.startswith("interrupted; complete: ")
    until(lambda: stopped(busy), 5)
    assert len(calls(busy)) < 8
    assert not list((busy.path / "data").glob("*-*/_SUCCESS"))


def test_a_scheduler_that_is_lost_in_a_stage_is_one_sentence_within_ten_seconds(
    busy: Project, its_cluster: Cluster
) -> None:
    process, began = in_a_stage(busy, its_cluster)
    its_cluster.scheduler.kill()
    stderr = process.communicate(timeout=60)[1]
    print(f"{time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 10
    assert process.returncode == 1
    first, *rest = stderr.splitlines()
    lost = f"the Dask scheduler at {its_cluster.address} is lost; run again"
    assert first == f"failed  CleanFlights: {lost}"
    assert all(line.startswith("        from ") for line in rest)


@slow
def test_a_cluster_without_workers_is_waited_for_and_then_told(
    sample: Path, tmp_path: Path, baked: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from o_brien_s_flights_b import cli
    from o_brien_s_flights_b.compose import cluster_check

    monkeypatch.setattr(cluster_check, "PATIENCE", 0.5)
    with cluster(baked, tmp_path, workers=0) as started:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", started.address)
        assert cli.main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"waits   no worker is at {started.address}\n")
    assert f"start one: dask worker {started.address}\n" in said


def test_no_secret_is_in_the_graph_that_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.dataframe as dd
    import fsspec
    from dask.delayed import delayed
    from distributed.protocol import pickle
    from o_brien_s_flights_b.compose import CSVTarget, cluster, csv_blocks, csv_reader, frames
    from o_brien_s_flights_b.compose.part_writer import PartWriter
    from o_brien_s_flights_b.schemas import RAW_FLIGHTS as SCHEMA

    monkeypatch.setattr(fsspec.config, "conf", {"s3": {"secret": "s3cr3t", "anon": True}})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    reader = csv_reader.CSVReader(CSVTarget("s3://bucket/raw").fs, SCHEMA, (), "utf-8", 1, {})
    blocks = [[csv_blocks.Block("bucket/raw/1.csv", ())]]
    meta = frames.empty_frame(SCHEMA)
    (part,) = dd.from_map(csv_reader.read, blocks, meta=meta, reader=reader).to_delayed()
    writer = PartWriter("s3://bucket/out", {}, "1", SCHEMA, SCHEMA, None, {}, False)
    graph = {**delayed(writer)(part, 0).dask}
    copyreg.dispatch_table.pop(type(reader.fs), None)
    assert b"s3cr3t" in pickle.dumps(graph)  # what fsspec does by itself
    cluster.hide_secrets()
    assert b"s3cr3t" not in pickle.dumps(graph)
    there = pickle.loads(pickle.dumps(reader.fs))
    assert there == reader.fs  # where the environment says the same
    assert there.storage_options["secret"] == "s3cr3t"


@slow
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot stop a process")
@pytest.mark.parametrize("who", ["scheduler", "worker"])
def test_one_that_falls_silent_is_told_after_a_while(
    baked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, who: str
) -> None:
    from o_brien_s_flights_b import cli
    from o_brien_s_flights_b.compose import cluster_check

    monkeypatch.setattr(cluster_check, "SILENCE", 0.5)
    watch = cluster_check.Watch.__init__
    with cluster(baked, tmp_path, workers=1) as started:
        silent = started.scheduler if who == "scheduler" else started.workers[0]

        def stop_first(self: Any, client: Any) -> None:
            silent.send_signal(signal.SIGSTOP)
            watch(self, client)

        monkeypatch.setattr(cluster_check.Watch, "__init__", stop_first)
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", started.address)
        monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
        monkeypatch.setenv("RAW_ROOT", str(baked / "data" / "raw"))
        assert cli.main([]) == 1
    said = capsys.readouterr().err
    told = {
        "scheduler": f"the Dask scheduler at {started.address} is lost; run again",
        "worker": "for 0.5 seconds, one of these workers does not answer: tcp://127.0.0.1:",
    }
    assert said.startswith(f"failed  CleanFlights: {told[who]}")
