"""The project on a Dask cluster: as it should be, and with everything that can go wrong there."""

from __future__ import annotations

import asyncio
import copyreg
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import dask.dataframe as dd
import pandas as pd
import pytest
from baking import run
from clusters import Cluster, certificate, cluster
from conftest import PACKAGE, Project
from o_brien_s_flights_b.compose.memory import bounded, mend
from servers import HOST
from test_faults import assert_told, contents, right
from test_storage import SECRET, STAGES, Store, empty, reference, server, store

__all__ = ["empty", "reference", "right", "server", "store"]  # fixtures
pytestmark = pytest.mark.allow_hosts([HOST])
slow = pytest.mark.slow
with_sigstop = pytest.mark.skipif(os.name == "nt", reason="Windows cannot stop a process")
with_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes certificates")

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
        if order == "exit":
            raise SystemExit("that was all")
        if order == "crash":
            os._exit(1)
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
    assert "; start it, or mend DASK_SCHEDULER_ADDRESS" in line


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
    done = new_project.run(**root, **on(shared))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert " does not see memory://elsewhere/.cluster (FileNotFoundError: " in line
    assert "; share it with them, or set DATA_ROOT to storage that all reach" in line


def test_workers_with_other_code_are_told_before_anything_is_computed(
    busy: Project, shared: Cluster
) -> None:
    done = busy.run(**on(shared))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f" has the code of {PACKAGE} " in line
    assert "; install the same there, and restart it" in line
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
    process = busy.start(**on(its_cluster))

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
    process = busy.start(**on(its_cluster))
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
    process = project.start(**on(cluster))
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


@pytest.mark.parametrize(
    "how",
    [
        "dies",
        pytest.param("begins anew", marks=slow),
        pytest.param("falls silent", marks=[slow, with_sigstop]),
    ],
)
def test_a_scheduler_that_is_lost_in_a_stage_is_one_sentence_within_ten_seconds(
    busy: Project, its_cluster: Cluster, how: str
) -> None:
    process, began = in_a_stage(busy, its_cluster)
    if how == "falls silent":
        its_cluster.scheduler.send_signal(signal.SIGSTOP)
    else:
        its_cluster.scheduler.kill()
    if how == "begins anew":
        its_cluster.restart()
    stderr = process.communicate(timeout=60)[1]
    took = time.monotonic() - began
    its_cluster.close()
    print(f"{took:.1f} s")
    assert took < 10
    assert process.returncode == 1
    first, *rest = stderr.splitlines()
    lost = f"the Dask scheduler at {its_cluster.address} is lost; run again"
    assert first == f"failed  CleanFlights: {lost}"
    assert all(line.startswith("        from ") for line in rest)


@slow
@pytest.mark.parametrize("workers", ["2", "with a nanny"])
@pytest.mark.parametrize("how", ["exit", "crash"])
def test_code_that_ends_its_workers_is_told_with_its_stage(
    busy: Project, clusters: Cluster, how: str, workers: str
) -> None:
    clusters.close()
    clusters.heal(0 if workers == "with a nanny" else 2)
    if workers == "with a nanny":
        clusters.add_worker(nanny="--nanny")
    order(busy, how)
    began = time.monotonic()
    done = busy.run("run", "CleanFlights", **on(clusters))
    print(f"{time.monotonic() - began:.1f} s", done.stderr)
    died = {"2": 2, "with a nanny": 4}[workers]
    told = f"{died} of its workers died; its own code may end them, by an exit, a crash or "
    assert_told(done, told)
    assert len(done.stderr.splitlines()) < 4
    clusters.close()


@slow
def test_a_cluster_without_workers_is_waited_for_and_then_told(
    sample: Path, tmp_path: Path, baked: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from o_brien_s_flights_b import cli
    from o_brien_s_flights_b.compose import cluster_check

    monkeypatch.setattr(cluster_check, "PATIENCE", 3)
    with cluster(baked, tmp_path, workers=0) as started:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", started.address)
        assert cli.main([]) == 1
    said = capsys.readouterr().err
    waits = f"waits   no worker is at {started.address}\n"
    assert said.startswith(f"{waits}failed  CleanFlights: no worker is at {started.address} for 3 ")
    assert f" seconds; start one: dask worker {started.address}\n" in said


def test_a_cluster_computes_where_a_loop_runs_already_as_in_a_notebook(monkeypatch) -> None:
    from o_brien_s_flights_b.compose import cluster

    async def answer(graph: Any, keys: Any, options: Any) -> int:
        return 42

    async def cell() -> int:
        return cluster.compute({}, [])

    monkeypatch.setattr(cluster, "_compute", answer)
    assert asyncio.run(cell()) == cluster.compute({}, []) == 42


def test_a_sort_on_a_cluster_puts_nulls_last(shared: Cluster, data_root, monkeypatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", shared.address)
    keys = [None, "b", None, "a"] * 5
    whole = pd.DataFrame({"key": pd.array(keys, dtype="string[pyarrow]")})
    frame = dd.from_pandas(whole, npartitions=4, sort=False)
    mend()
    with bounded():
        found = frame.sort_values("key").reset_index(drop=True).compute()
    assert found["key"].fillna("z").tolist() == sorted(key or "z" for key in keys)


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
    writer = PartWriter("s3://bucket/out", {}, "1", SCHEMA, SCHEMA, None, {}, may_cut=False)
    graph = {**delayed(writer)(part, 0).dask}
    copyreg.dispatch_table.pop(type(reader.fs), None)
    assert b"s3cr3t" in pickle.dumps(graph)  # what fsspec does by itself
    cluster.hide_secrets()
    assert b"s3cr3t" not in pickle.dumps(graph)
    there = pickle.loads(pickle.dumps(reader.fs))
    assert there == reader.fs  # where the environment says the same
    assert there.storage_options["secret"] == "s3cr3t"


@slow
@with_sigstop
def test_a_worker_that_says_nothing_is_told(
    sample: Path, tmp_path: Path, baked: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from o_brien_s_flights_b import cli
    from o_brien_s_flights_b.compose import cluster_check

    monkeypatch.setattr(cluster_check, "PATIENCE", 3)
    with cluster(baked, tmp_path, workers=1) as started:
        started.workers[0].send_signal(signal.SIGSTOP)
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", started.address)
        began = time.monotonic()
        assert cli.main([]) == 1
        assert time.monotonic() - began < 30
    assert "one of the workers tcp://127.0.0.1:" in capsys.readouterr().err


@slow
def test_the_whole_example_on_s3_gives_what_it_gives_here_and_no_secret_travels(
    new_project: Project, tmp_path: Path, store: Store, reference: dict[str, Any]
) -> None:
    keys = store.environ() | {"FSSPEC_S3_KEY": "AKIATESTS", "FSSPEC_S3_SECRET": SECRET}
    with cluster(new_project.path, tmp_path, workers=0) as started:
        for _ in range(2):
            started.add_worker(**keys)
        started.heal(2)
        with recorded(started.address) as (address, sent):
            done = new_project.run(**keys, DASK_SCHEDULER_ADDRESS=address)
    assert done.returncode == 0, done.stderr
    assert "3 ran, 2 were complete" in done.stdout
    assert {*store.complete()} == STAGES
    assert store.wrong(reference) == []
    assert f"{store.raw}/days/flights/2013-01-01.csv".encode() in sent  # the graph
    said = [sent.decode("latin-1"), done.stdout, done.stderr, started.log.read_text("utf-8")]
    assert not [text for text in said if SECRET in text]


@slow
@with_openssl
def test_the_whole_example_runs_on_a_cluster_with_certificates(
    new_project: Project, tmp_path: Path, right: dict[str, list[Any]]
) -> None:
    keys = certificate(tmp_path, "ours")
    lines = [f"{name}={path}\n" for name, path in keys.items()]
    (new_project.path / ".env").write_text("".join(lines), encoding="utf-8")
    with cluster(new_project.path, tmp_path, scheme="tls", **keys) as started:
        done = new_project.run(**on(started))
    assert done.returncode == 0, done.stderr
    assert contents(new_project) == right


@slow
@pytest.mark.parametrize("whose", ["of another", "none"])
@with_openssl
def test_a_certificate_that_does_not_fit_is_one_sentence(
    new_project: Project, tmp_path: Path, whose: str
) -> None:
    ours = certificate(tmp_path, "ours")
    theirs = certificate(tmp_path, "theirs") if whose == "of another" else {}
    with cluster(new_project.path, tmp_path, 0, scheme="tls", **ours) as started:
        done = new_project.run(**theirs, **on(started))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"no Dask scheduler answers at {started.address} (")
    assert line.endswith(
        "; start it, or mend DASK_SCHEDULER_ADDRESS and, for tls://, the certificates"
    )
    assert "certificate" in line or "TLS" in line


@slow
@pytest.mark.network
def test_the_whole_example_runs_on_workers_that_have_its_wheel(
    new_project: Project, tmp_path: Path, right: dict[str, list[Any]]
) -> None:
    pip, there = [sys.executable, "-m", "pip"], tmp_path / "installed"
    assert not run([*pip, "wheel", "--no-deps", "."], cwd=new_project.path).returncode
    (wheel,) = new_project.path.glob("*.whl")
    install = [*pip, "install", "--no-deps", "--target", str(there), str(wheel)]
    assert not run(install).returncode
    with cluster(there, tmp_path) as started:
        done = new_project.run(**on(started))
    assert done.returncode == 0, done.stderr
    assert contents(new_project) == right


@contextmanager
def recorded(address: str) -> Iterator[tuple[str, bytearray]]:
    """Another address of a scheduler, and all that is said there."""
    sent = bytearray()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                sent.extend(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, int(address.rpartition(":")[2]))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(connect, HOST, 0), loop)
    port = server.result().sockets[0].getsockname()[1]
    try:
        yield f"tcp://{HOST}:{port}", sent
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
