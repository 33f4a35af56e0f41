"""The project on S3, over HTTP: as it should be, and with everything that can go wrong there."""

from __future__ import annotations

import getpass
import hashlib
import io
import json
import os
import random
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from conftest import Project
from o_brien_s_flights_b import cli, tasks
from o_brien_s_flights_b.compose import (
    CSVTarget,
    DataError,
    ParquetTarget,
    fingerprints,
    parquet_writer,
    salts,
)
from servers import HOST, MANY, Proxy, proxy_to, s3_server

pytestmark = pytest.mark.allow_hosts([HOST])

SECRET = "s3cr3t/of+the/tests"
STAGES = {"CleanFlights", "AirportScores"}
SCHEMA = pa.schema([("n", pa.int64())])
Rows = list[dict[str, Any]]


def rounds(slow: int) -> Any:
    """The first round belongs to the quick suite, the others to the slow one."""
    others = [pytest.param(number, marks=pytest.mark.slow) for number in range(1, slow + 1)]
    return pytest.mark.parametrize("number", [0, *others])


class Store:
    """Two buckets of a test, as the test itself sees them: one for raw data, one for the rest."""

    def __init__(self, endpoint: str) -> None:
        name = uuid.uuid4().hex[:12]
        self.endpoint, self.data, self.raw = endpoint, f"data-{name}", f"raw-{name}"
        self.fs = s3fs.S3FileSystem(use_listings_cache=False)
        self.fs.mkdir(self.data)
        self.fs.mkdir(self.raw)

    def environ(self, root: str = "in", endpoint: str = "", **more: str) -> dict[str, str]:
        return credentials(endpoint or self.endpoint) | {
            "DATA_ROOT": f"s3://{self.data}/{root}",
            "RAW_ROOT": f"s3://{self.raw}/days",
            **more,
        }

    def names(self, folder: str) -> set[str]:
        return {path.rpartition("/")[2] for path in self.fs.find(folder)}

    def complete(self, root: str = "in") -> dict[str, list[str]]:
        """The complete folders of each family."""
        found: dict[str, list[str]] = {}
        for path in self.fs.find(f"{self.data}/{root}"):
            folder, _, name = path.rpartition("/")
            if name == "_SUCCESS":
                family = folder.rpartition("/")[2].partition("-")[0]
                found.setdefault(family, []).append(folder)
        return found

    def manifest(self, folder: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(self.fs.cat_file(f"{folder}/_SUCCESS"))
        return manifest

    def rows(self, folder: str) -> Rows:
        """What a reader finds that trusts the manifest alone."""
        parts = [f"{folder}/{part['name']}" for part in self.manifest(folder)["parts"]]
        return rows_of(self.fs.cat_file(part) for part in parts)

    def wrong(self, reference: dict[str, Rows], root: str = "in") -> list[str]:
        """The complete datasets whose rows are not those of the local run."""
        complete = self.complete(root).items()
        return [f for family, all in complete for f in all if self.rows(f) != reference[family]]


def credentials(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIATESTS",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def rows_of(parts: Any) -> Rows:
    return pa.concat_tables([pq.read_table(io.BytesIO(part)) for part in parts]).to_pylist()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def reference(finished: Path) -> dict[str, Rows]:
    """The rows of each stage after a run on this machine's disk."""
    found = {}
    for flag in (finished / "data").glob("*/_SUCCESS"):
        parts = json.loads(flag.read_text(encoding="utf-8"))["parts"]
        contents = [(flag.parent / part["name"]).read_bytes() for part in parts]
        found[flag.parent.name.partition("-")[0]] = rows_of(contents)
    assert {*found} == STAGES
    return found


@pytest.fixture
def empty(server: str, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two empty buckets, which this process uses too."""
    for name, value in credentials(server).items():
        monkeypatch.setenv(name, value)
    store = Store(server)
    for name in ("DATA_ROOT", "RAW_ROOT"):
        monkeypatch.setenv(name, store.environ()[name])
    return store


@pytest.fixture
def store(empty: Store, baked: Path) -> Store:
    """Two buckets with the sample in the one for raw data."""
    for path in (baked / "data" / "raw").rglob("*.csv"):
        empty.fs.put_file(str(path), f"{empty.raw}/days/{path.parent.name}/{path.name}")
    return empty


@pytest.fixture
def here(empty: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command in this process, which is quick; its exit status."""

    def command(*arguments: str, root: str = "in") -> int:
        monkeypatch.setenv("DATA_ROOT", empty.environ(root)["DATA_ROOT"])
        return cli.main(arguments)

    return command


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with proxy_to(server) as running:
        yield running


@pytest.fixture
def through(proxy: Proxy, empty: Store, monkeypatch: pytest.MonkeyPatch) -> ParquetTarget:
    """An empty target that is written through the proxy, without anything tried again."""
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    options = {"endpoint_url": proxy.url, "config_kwargs": {"retries": {"max_attempts": 0}}}
    path = f"s3://{empty.data}/in/set-0123456789ab"
    return ParquetTarget(path, schema=SCHEMA, replace=False, storage_options=options)


def numbers(count: int) -> Rows:
    return [{"n": n} for n in range(count)]


def test_the_example_runs_on_s3_as_on_a_disk(
    new_project: Project, store: Store, reference: dict[str, Rows], here: Any, capsys
) -> None:
    said = []

    def run(*arguments: str, **environ: str) -> str:
        done = new_project.run(*arguments, **store.environ(), **environ)
        said.append(done.stdout + done.stderr)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def objects() -> dict[str, Any]:
        return {n: i["LastModified"] for n, i in store.fs.find(store.data, detail=True).items()}

    assert "3 ran, 2 were complete" in run()
    assert {*store.complete()} == STAGES
    assert store.wrong(reference) == []
    (report,) = store.fs.glob(f"{store.data}/in/ScoreReport-*.html")
    assert b"<h1>Airport scores</h1>" in store.fs.cat_file(report)
    before = objects()
    assert "0 ran, 5 were complete" in run()
    assert objects() == before
    assert here("verify") == 0
    assert "2 datasets, none damaged" in capsys.readouterr().out

    new_project.edit("transforms.py", "(100 * scores", "(99 * scores")
    assert "2 ran, 3 were complete" in run()
    assert "2 deleted" in run("clean", "--older-than", "0", "--yes")
    rows = {row["task"]: row for row in json.loads(run("status", "--json", LOG_LEVEL="DEBUG"))}
    assert rows["CleanFlights"]["rows"] == len(reference["CleanFlights"])
    assert all(row["complete"] for row in rows.values())
    made = [rows[task]["path"] for task in (*STAGES, "ScoreReport")]
    made.append(f"{rows['ScoreReport']['path']}.lineage")
    assert {name.split("/")[2] for name in objects()} == {p.rpartition("/")[2] for p in made}

    texts = [*said, *(store.fs.cat_file(path).decode("latin-1") for path in objects())]
    files = [path for path in new_project.path.rglob("*") if path.is_file()]
    texts += [path.read_bytes().decode("latin-1") for path in files]
    assert not [text for text in texts if SECRET in text]
    for (folder,) in store.complete().values():
        manifest = json.dumps(store.manifest(folder))
        for name in (socket.gethostname(), getpass.getuser()):
            assert not re.search(rf"\b{re.escape(name)}\b", manifest)


def test_a_folder_on_s3_is_plain_parquet(store: Store, tmp_path: Path, capsys) -> None:
    import duckdb
    import pandas as pd
    from pyarrow import dataset

    assert cli.main(["run", "CleanFlights"]) == 0, capsys.readouterr().err
    ((folder,),) = store.complete().values()
    expected = ParquetTarget(f"s3://{folder}").read_dask().compute().reset_index(drop=True)
    assert len(expected) == 2659
    store.fs.get(f"{folder}/*.parquet", f"{tmp_path}/parts/")
    for read in (
        pd.read_parquet(f"s3://{folder}"),
        dataset.dataset(folder, filesystem=store.fs).to_table().to_pandas(),
        duckdb.sql(f"from read_parquet('{(tmp_path / 'parts').as_posix()}/*.parquet')").df(),
    ):
        read = read.astype(expected.dtypes.to_dict())
        pd.testing.assert_frame_equal(read.reset_index(drop=True), expected)


@rounds(slow=20)
def test_five_runs_that_are_killed_leave_nothing_that_is_wrong(
    new_project: Project, store: Store, proxy: Proxy, reference: Any, here: Any, number: int
) -> None:
    chance = random.Random(number)
    killed = 0
    for _ in range(5):
        process = new_project.start(**store.environ(endpoint=proxy.url))
        proxy.at_request(chance.randint(1, 40), f"/{store.data}/in", process.kill)
        process.communicate(timeout=120)
        proxy.alarm = None
        assert process.returncode != 1
        assert store.wrong(reference) == []
        killed += process.returncode != 0
    assert here() == 0
    assert {*store.complete()} == STAGES
    assert store.wrong(reference) == []
    print(f"{killed} of 5 runs were killed before their end")
    assert killed >= 2


@rounds(slow=20)
def test_eight_runs_at_once_and_a_clean_beside_them_end_well(
    new_project: Project, store: Store, proxy: Proxy, reference: Any, here: Any, number: int
) -> None:
    runs = [new_project.start(**store.environ(endpoint=proxy.url)) for _ in range(8)]
    cleans = 0
    while any(run.poll() is None for run in runs):
        assert here("clean", "--yes", "--older-than", "0") == 0
        cleans += 1
        time.sleep(0.1)
    said = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0] * 8, said
    assert len({out.partition("\n")[2] for out, _ in said}) == 1
    complete = store.complete()
    assert {family: len(all) for family, all in complete.items()} == dict.fromkeys(STAGES, 1)
    for (folder,) in complete.values():
        parts = {part["name"] for part in store.manifest(folder)["parts"]}
        assert store.names(folder) == parts | {"_SUCCESS"}
    assert store.wrong(reference) == []
    assert here("verify") == 0
    print(f"{cleans} cleans ran beside the eight")


@rounds(slow=10)
def test_faults_end_in_right_data_or_in_one_sentence(
    new_project: Project, store: Store, proxy: Proxy, reference: Any, here: Any, number: int
) -> None:
    ends = []
    for seed in range(5 * number, 5 * number + 5):
        root = f"root-{seed}"
        proxy.inject(0.05, seed)
        retries = {"AWS_MAX_ATTEMPTS": "1"} if seed % 3 else {}
        done = new_project.run(**store.environ(root, proxy.url, **retries))
        proxy.inject(0)
        ends.append(done.returncode)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        lines = [line for line in done.stderr.splitlines() if not line.startswith("done ")]
        assert (1 <= len(lines) <= 3) if done.returncode else not lines, done
        assert store.wrong(reference, root) == []
        assert here(root=root) == 0
        assert {*store.complete(root)} == STAGES
        assert store.wrong(reference, root) == []
    print(f"{ends.count(0)} of 5 runs ended well, {ends.count(1)} with a sentence")
    print(f"requests and the faults they met: {dict(proxy.faults)}")


def test_a_commit_whose_answer_is_lost_counts_once(
    new_project: Project, store: Store, proxy: Proxy, reference: dict[str, Rows], here: Any
) -> None:
    proxy.lose_commits = True
    done = new_project.run(**store.environ(endpoint=proxy.url, AWS_MAX_ATTEMPTS="1"))
    assert done.returncode == 0, done.stderr
    complete = store.complete()
    assert {*complete} == STAGES
    for (folder,) in complete.values():
        parts = {part["name"] for part in store.manifest(folder)["parts"]}
        assert store.names(folder) == parts | {"_SUCCESS"}
    assert store.wrong(reference) == []
    assert here("verify") == 0


@pytest.mark.parametrize("replace", [False, True])
def test_a_commit_of_which_nobody_can_tell_costs_no_part(
    through: ParquetTarget, proxy: Proxy, frame: Callable[..., Any], replace: bool
) -> None:
    """Its answer is lost, and so is that to the question of what stands there."""
    through.replace = replace
    proxy.rule = lambda method, path: (
        None if not path.endswith("/_SUCCESS") else "lost" if method == "PUT" else "503"
    )
    if not replace:
        through.exists = lambda: False  # type: ignore[method-assign]
    else:
        through.parts = list  # type: ignore[method-assign]
    with pytest.raises(OSError):
        through.write_dask(frame(SCHEMA, numbers(3), 3))
    vars(through).pop("exists", None)
    vars(through).pop("parts", None)
    proxy.rule = lambda method, path: None
    assert through.exists()
    assert through.read_dask().compute().to_dict("records") == numbers(3)


def test_a_commit_that_is_refused_leaves_the_dataset_to_be_written_again(
    through: ParquetTarget, proxy: Proxy, frame: Callable[..., Any]
) -> None:
    proxy.rule = lambda method, path: (
        "503" if method == "PUT" and path.endswith("/_SUCCESS") else None
    )
    with pytest.raises(DataError, match=r"could not be committed: .*; run again"):
        through.write_dask(frame(SCHEMA, numbers(3), 3))
    assert not through.exists()
    proxy.rule = lambda method, path: None
    through.write_dask(frame(SCHEMA, numbers(3), 2))
    assert through.read_dask().compute().to_dict("records") == numbers(3)


def test_a_committed_dataset_is_complete_though_storage_lists_nothing_then(
    through: ParquetTarget, proxy: Proxy, frame: Callable[..., Any]
) -> None:
    lists = f"/{through.path.split('/')[2]}"
    listed = []  # before the commit the parts are looked for, and must be found

    def second_listing_fails(method: str, path: str) -> str | None:
        listed.extend([path] if (method, path) == ("GET", lists) else [])
        return "503" if path == lists and len(listed) > 1 else None

    proxy.rule = second_listing_fails
    through.exists = lambda: False  # type: ignore[method-assign]
    through.write_dask(frame(SCHEMA, numbers(3), 3))
    del through.exists
    proxy.rule = lambda method, path: None
    assert through.read_dask().compute().to_dict("records") == numbers(3)


def test_storage_that_does_not_tell_what_is_complete_is_no_silent_failure(
    store: Store, here: Any, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    exists, asked = ParquetTarget.exists, []

    def second_fails(self: ParquetTarget) -> bool:
        asked.append(self.path)
        if len(asked) in (2, 3):  # which are Luigi's own questions
            raise OSError("Try again.")
        return bool(exists(self))

    monkeypatch.setattr(ParquetTarget, "exists", second_fails)
    assert here("run", "CleanFlights") == 1
    assert "failed  nobody could tell whether a task is complete" in capsys.readouterr().err
    assert here("run", "CleanFlights") == 0


def test_no_bucket_is_made_for_a_data_root_that_is_misspelt(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    wrong = f"typo-{store.data}"
    monkeypatch.setenv("DATA_ROOT", f"s3://{wrong}/in")
    assert cli.main(["run", "CleanFlights"]) == 1
    assert "bucket does not exist" in capsys.readouterr().err
    assert wrong not in store.fs.ls("")


def test_a_folder_that_was_listed_before_hides_no_change_of_raw_data(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    day = f"{store.raw}/days/flights/2013-01-02.csv"
    before = fingerprints.fingerprint(tasks.RawFlights())
    fsspec.filesystem("s3").ls(
        f"{store.raw}/days/flights"
    )  # as pandas and Dask do, and remember it
    store.fs.pipe_file(day, store.fs.cat_file(day) + b"\n")
    after = fingerprints.fingerprint(tasks.RawFlights())
    assert [name for name in before if before[name] != after[name]] == ["2013-01-02.csv"]


def test_a_file_on_s3_is_read_in_blocks_with_few_requests(proxy: Proxy, empty: Store) -> None:
    text = "n,s\n" + "".join(f"{n},number {n}\n" for n in range(200_000))
    empty.fs.pipe_file(f"{empty.raw}/rows/a.csv", text.encode())
    empty.fs.pipe_file(f"{empty.raw}/rows/b.csv", b"s,n\nx,200000\n")
    raw = CSVTarget(
        f"s3://{empty.raw}/rows",
        flag=None,
        schema=pa.schema([("n", pa.int64())]),
        storage_options={"endpoint_url": proxy.url},
    )
    frame = raw.read_dask(block_size=1_000_000)
    assert 4 <= frame.npartitions <= 5
    proxy.counts.clear()
    assert frame["n"].compute().tolist() == [*range(200_001)]
    assert proxy.counts.total() <= 4 * frame.npartitions + 2, proxy.counts


def test_an_unsalted_dataset_on_s3_is_replaced_as_a_whole(
    empty: Store, frame: Callable[..., Any]
) -> None:
    unsalted = ParquetTarget(f"s3://{empty.data}/set", schema=SCHEMA)
    unsalted.write_dask(frame(SCHEMA, numbers(5), 5))
    unsalted.write_dask(frame(SCHEMA, numbers(2), 1))
    assert unsalted.read_dask().compute().to_dict("records") == numbers(2)
    assert len(empty.names(f"{empty.data}/set")) == 2


def test_a_part_on_s3_that_stands_already_is_copied_by_the_server(
    store: Store, project: Project, proxy: Proxy
) -> None:
    begin = "class RawFlights(ExternalData):\n"
    project.edit("tasks.py", begin, f"{begin}    csv_options = {{'block_size': 60_000}}\n")
    environ = store.environ(endpoint=proxy.url)
    assert project.run("run", "CleanFlights", **environ).returncode == 0
    ((old,),) = store.complete().values()
    store.fs.rm_file(f"{store.raw}/days/flights/2013-01-03.csv")
    proxy.counts.clear()
    done = project.run("run", "CleanFlights", "--rows", "0", **environ)
    assert "; CleanFlights reused 4 of 4 parts; " in done.stdout
    old_parts = {path: proxy.counts["GET", f"/{path}"] for path in store.fs.find(old)}
    assert old_parts.pop(f"{old}/_SUCCESS") == 1
    assert {*old_parts.values()} == {0}
    (new,) = {*store.complete()["CleanFlights"]} - {old}
    for part in store.manifest(new)["parts"]:
        content = store.fs.cat_file(f"{new}/{part['name']}")
        assert hashlib.sha256(content).hexdigest() == part["sha256"]


@pytest.mark.parametrize("fault", ["503", "reset"])
def test_a_rewrite_on_s3_that_fails_keeps_what_stood(
    through: ParquetTarget, proxy: Proxy, empty: Store, frame: Callable[..., Any], fault: str
) -> None:
    through.replace = True
    through.write_dask(frame(SCHEMA, numbers(5), 3))
    folder = through.path.removeprefix("s3://")
    before = empty.manifest(folder)
    proxy.rule = lambda method, path: fault if method == "PUT" and "part-00003" in path else None
    with pytest.raises(Exception, match=r"endpoint|reduce|available|Try again"):
        through.write_dask(frame(SCHEMA, numbers(9), 5))
    assert empty.manifest(folder) == before
    assert empty.rows(folder) == numbers(5)
    proxy.rule = lambda method, path: None
    through.write_dask(frame(SCHEMA, numbers(2), 2))
    assert through.read_dask().compute().to_dict("records") == numbers(2)


def test_raw_data_that_changes_on_s3_meanwhile_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    day = f"{store.raw}/days/flights/2013-01-02.csv"
    describe = parquet_writer._describe

    def overtaken(*arguments: Any) -> Any:
        store.fs.pipe_file(day, store.fs.cat_file(day).replace(b",ORD,", b",MDW,", 1))
        return describe(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(parquet_writer, "_describe", overtaken)
        assert cli.main(["run", "CleanFlights"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "failed  CleanFlights: RawFlights changed while CleanFlights was computed: "
        "2013-01-02.csv; nothing committed; run again",
        f"        from RawFlights: s3://{store.raw}/days/flights",
    ]
    assert store.fs.find(f"{store.data}/in") == []
    salts.forget()  # as the next process does
    assert cli.main(["run", "CleanFlights"]) == 0
    ((folder,),) = store.complete().values()
    assert "MDW" in {row["dest"] for row in store.rows(folder)}


@pytest.mark.parametrize("damage", ["short", "altered", "missing"])
def test_a_damaged_part_on_s3_is_named_and_cured(
    store: Store, reference: dict[str, Rows], damage: str, capsys
) -> None:
    assert cli.main([]) == 0
    (folder,) = store.complete()["CleanFlights"]
    name = store.manifest(folder)["parts"][0]["name"]
    part = f"{folder}/{name}"
    content = bytearray(store.fs.cat_file(part))
    if damage == "short":
        store.fs.pipe_file(part, bytes(content[:-1]))
        said = f"{name} has {len(content) - 1} bytes instead of {len(content)}"
    elif damage == "altered":
        content[len(content) // 3] ^= 1
        store.fs.pipe_file(part, bytes(content))
        said = f"{name} is altered"
    else:
        store.fs.rm_file(part)
        said = f"{name} is missing"
    cure = "`clean CleanFlights --yes` removes it, then run again"
    sentence = f"s3://{folder} is damaged: {said}; {cure}"
    capsys.readouterr()
    assert cli.main(["verify"]) == 1
    assert sentence in capsys.readouterr().err
    if damage != "altered":  # which would cost every reader a pass over all bytes
        with pytest.raises(DataError, match=re.escape(sentence)):
            ParquetTarget(f"s3://{folder}").read_dask()
    assert cli.main(["clean", "CleanFlights", "--yes"]) == 0
    assert "CleanFlights" not in store.complete()
    assert cli.main([]) == 0
    assert store.wrong(reference) == []
    assert cli.main(["verify"]) == 0


def test_status_on_s3_costs_two_requests_a_task(
    new_project: Project, empty: Store, proxy: Proxy
) -> None:
    (new_project.package / "tasks.py").write_text(MANY, encoding="utf-8", newline="\n")
    empty.fs.pipe_file(f"{empty.raw}/days/numbers/a.csv", b"n\n1\n")
    environ = empty.environ(endpoint=proxy.url)
    done = new_project.run("run", "Number", "--n", "0", **environ)
    assert done.returncode == 0, done.stderr
    ((first,),) = empty.complete().values()
    manifest = empty.fs.cat_file(f"{first}/_SUCCESS")
    for complete in (False, True):
        proxy.counts.clear()
        done = new_project.run("status", "--json", **environ)
        requests = proxy.counts.total()
        rows = [row for row in json.loads(done.stdout) if row["task"] == "Number"]
        assert len(rows) == 100
        assert [row["complete"] for row in rows[1:]] == [complete] * 99
        print(f"{requests} requests of `status` with {99 * complete + 1} of 100 stages complete")
        assert requests <= 2 * len(rows) + 20, proxy.counts.most_common(20)
        empty.fs.pipe({f"{row['path']}/_SUCCESS": manifest for row in rows})
