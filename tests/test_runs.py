"""How a run ends: failures, retries, time limits, interruptions, and runs that share a luigid."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import luigi
import pytest
from baking import run
from conftest import Project
from o_brien_s_flights_b import cli
from o_brien_s_flights_b.compose import build, worker
from servers import HOST, free_port, wait_for

pytestmark = pytest.mark.allow_hosts([HOST])
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

TASKS = '''
"""EDIT. Tasks that note when they begin, and do what the environment says."""

import os
import time
from pathlib import Path
from typing import Any

import luigi
import pyarrow as pa

from .compose import CSVTarget, ExternalData, Requirement, RequirementList, Requires
from .compose import SaltedOutput, Stage, TargetOutput


def begin(task: luigi.Task) -> int:
    """Note that the task begins; how often it has begun before."""
    with open("begun.txt", "a") as file:
        file.write(f"{task.task_family}\\n")
    return open("begun.txt").read().split().count(task.task_family) - 1


class Step(luigi.Task):
    n: luigi.IntParameter = luigi.IntParameter()
    requires = Requires()
    output: Any = SaltedOutput()

    def run(self) -> None:
        begin(self)
        time.sleep(0.4)
        with self.output().open("w") as file:
            file.write("done")


class Chain(Step):
    steps = RequirementList(Step, n=lambda task: range(task.n))


class Flaky(luigi.Task):
    requires = Requires()
    step = Requirement(Step, n=0)
    output: Any = SaltedOutput()
    retry_count = int(os.environ.get("RETRIES", 0)) or None

    def run(self) -> None:
        if begin(self) < int(os.environ.get("FAILURES", 0)):
            time.sleep(float(os.environ.get("SECONDS", 0)))
            raise ValueError("not yet")
        with self.output().open("w") as file:
            file.write("done")


class Last(Step):
    n: luigi.IntParameter = luigi.IntParameter(default=9)
    flaky = Requirement(Flaky)


class Tidy(luigi.Task):
    requires = Requires()
    output: Any = SaltedOutput()

    def run(self) -> None:
        try:
            begin(self)
            time.sleep(60)
        finally:
            time.sleep(0.5)
            Path("tidy.txt").touch()


class Deaf(luigi.Task):
    requires = Requires()
    output: Any = SaltedOutput()
    worker_timeout = 1

    def run(self) -> None:
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass


class RawNumbers(ExternalData):
    schema = pa.schema([("n", pa.int64())])
    output: Any = TargetOutput("raw/numbers", target_class=CSVTarget, flag=None)


class Numbers(Stage):
    schema = RawNumbers.schema
    raw = Requirement(RawNumbers)

    def transform(self, raw: Any) -> Any:
        return raw


def wait(part: Any) -> Any:
    """Wait where that is asked for, with one of the parts."""
    if len(part) and part["n"].max() == 7:
        time.sleep(float(os.environ.get("SECONDS", 0)))
    return part


class Slow(Stage):
    schema = RawNumbers.schema
    numbers = Requirement(Numbers)
    worker_timeout = int(os.environ.get("LIMIT", 0)) or None

    def transform(self, numbers: Any) -> Any:
        begin(self)
        parts = numbers.repartition(npartitions=8)
        return parts.map_partitions(wait, meta=numbers._meta)


class Pipeline(luigi.WrapperTask):
    requires = Requires()
    slow = Requirement(Slow)
'''


@pytest.fixture
def small(new_project: Project) -> Project:
    """The project with the tasks above, and eight files of numbers."""
    (new_project.package / "tasks.py").write_text(TASKS, encoding="utf-8")
    folder = new_project.raw / "numbers"
    folder.mkdir()
    for n in range(8):
        (folder / f"{n}.csv").write_text(f"n\n{n}\n", encoding="utf-8")
    return new_project


def begun(project: Project) -> Counter[str]:
    path = project.path / "begun.txt"
    return Counter(path.read_text(encoding="utf-8").split() if path.exists() else [])


def until(happened: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(group: int) -> bool:
    """Whether any process of a group is left."""
    listed = run(["ps", "-A", "-o", "pgid=,stat="]).stdout.splitlines()
    return any(line.split()[0] == str(group) and "Z" not in line for line in listed)


def files_of(project: Project, family: str) -> list[str]:
    """The files in a task's dataset."""
    return [path.name for path in (project.path / "data").glob(f"{family}-*/*")]


@contextlib.contextmanager
def luigid(folder: Path, **settings: float) -> Iterator[str]:
    """The URL of a luigid on loopback, which ends with the block."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    lines = [f"{name}={value}" for name, value in settings.items()]
    (folder / "luigi.cfg").write_text("\n".join(["[scheduler]", *lines]), encoding="utf-8")
    command = [sys.executable, "-c", "from luigi.cmdline import luigid; luigid()"]
    command += ["--address", HOST, "--port", str(port), "--state-path", str(folder / "state")]
    with (
        (folder / "log.txt").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port, process, folder / "log.txt")
            yield f"http://{HOST}:{port}"
        finally:
            process.kill()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_failure_is_told_once_with_the_task_the_line_and_the_inputs(
    project: Project, workers: str
) -> None:
    project.edit("transforms.py", "LATE = 15", 'LATE = "soon"')
    done = project.run("--workers", workers)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert re.match(r"failed  CleanFlights: \w+: .* \(transforms.py, line \d+\)$", first)
    assert second == f"        from RawFlights: {Path('data/raw/flights')}"


def test_of_many_inputs_some_are_shown_and_no_password(capsys) -> None:
    class Input(luigi.ExternalTask):
        n = luigi.IntParameter()

        def output(self) -> Any:
            return luigi.LocalTarget(f"ftp://me:secret@host/{self.n}")

    class Many(luigi.Task):
        def requires(self) -> Any:
            return [Input(n=n) for n in range(10)]

    shown = [f"Input(n={n}): ftp://host/{n}" for n in range(5)]
    build._announce_failure(Many(), ValueError("no"))
    said = f"failed  Many: ValueError: no\n        from {', '.join(shown)} and 5 more\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_task_that_sets_retry_count_is_tried_again(small: Project, workers: str) -> None:
    began = time.monotonic()
    done = small.run("run", "Last", "--workers", workers, RETRIES="3", FAILURES="2")
    assert time.monotonic() - began < 30  # Luigi itself waits for 15 minutes
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("failed  Flaky: ValueError: not yet") == 2
    assert begun(small) == {"Step": 1, "Flaky": 3, "Last": 1}


def test_retries_end(small: Project) -> None:
    done = small.run("run", "Last", RETRIES="2", FAILURES="9")
    assert done.returncode == 1
    assert done.stderr.count("failed  Flaky: ValueError: not yet") == 2
    assert begun(small) == {"Step": 1, "Flaky": 2}


def test_a_task_that_sets_no_retry_count_fails_at_once(small: Project) -> None:
    began = time.monotonic()
    done = small.run("run", "Last", FAILURES="1")
    assert time.monotonic() - began < 4
    assert done.returncode == 1
    assert begun(small) == {"Step": 1, "Flaky": 1}


def test_a_failed_task_is_not_tried_again_while_others_run() -> None:
    scheduler = worker.Workers().create_local_scheduler()
    scheduler.add_task(worker="w", task_id="t", status="PENDING")
    assert scheduler.get_work(worker="w")["task_id"] == "t"
    scheduler.add_task(worker="w", task_id="t", status="FAILED")
    with pytest.MonkeyPatch.context() as patch:
        later = time.time() + 3000
        patch.setattr("luigi.scheduler.time.time", lambda: later)
        scheduler.add_task(worker="w", task_id="u", status="PENDING")
        assert [scheduler.get_work(worker="w")["task_id"] for _ in "ab"] == ["u", None]


def test_a_task_that_takes_too_long_is_stopped(small: Project) -> None:
    done = small.run(LIMIT="2", SECONDS="60")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "done    Numbers",
        "failed  Slow: timed out after 2 seconds and was terminated.",
        f"        from Numbers: {small.status()['Numbers']['path'][len(str(small.path)) + 1 :]}",
    ]
    assert small.ran() == {"Slow"}


@posix
def test_a_task_that_hears_nothing_is_stopped_too(small: Project) -> None:
    process = small.start("run", "Deaf")
    try:
        said = process.communicate(timeout=20)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert said == "failed  Deaf: timed out after 1 seconds and was terminated.\n"


def test_a_time_limit_does_no_harm_to_a_stage_after_one_that_used_dask(small: Project) -> None:
    done = small.run(LIMIT="20")
    assert done.returncode == 0, done.stderr


def interrupted(process: subprocess.Popen[str], how: str) -> tuple[str, float]:
    """Interrupt a run; what it says on standard error, and how long it takes to end."""
    began = time.monotonic()
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    said = process.communicate(timeout=30)[1]
    took = time.monotonic() - began
    assert process.returncode == 130, said
    until(lambda: not is_running(process.pid), 2)  # multiprocessing's own outlives it a little
    return said, took


@posix
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interruption_stops_in_order_and_says_what_is_complete(
    small: Project, how: str, workers: str
) -> None:
    process = small.start("--workers", workers, SECONDS="60")
    until(lambda: files_of(small, "Slow"))
    time.sleep(0.5)  # whatever does not wait is written by then
    said, took = interrupted(process, how)
    assert took < 3
    assert [line for line in said.splitlines() if line] == [
        "done    Numbers",
        "interrupted; complete: Numbers; not: Slow",
    ]
    assert files_of(small, "Slow") == []
    assert small.ran() == {"Slow"}


@posix
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_task_that_is_interrupted_may_clean_up_in_peace(small: Project, workers: str) -> None:
    process = small.start("run", "Tidy", "--workers", workers)
    until(lambda: begun(small)["Tidy"])
    assert interrupted(process, "Ctrl-C")[0] == "interrupted; complete: none; not: Tidy\n"
    assert (small.path / "tidy.txt").exists()


def test_a_run_may_be_started_in_any_thread(sample: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        assert pool.submit(cli.main, ["run", "CleanFlights"]).result() == 0


@pytest.fixture
def starting(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Gives the environment of a run that starts its processes by a method; one notes its birth."""

    def environ(method: str) -> dict[str, str]:
        text = f"""
import multiprocessing, sys
multiprocessing.set_start_method({method!r}, force=True)
if "spawn_main" in " ".join(sys.orig_argv):
    open("born.txt", "w").close()
"""
        (tmp_path / "sitecustomize.py").write_text(text, encoding="utf-8")
        return {"PYTHONPATH": str(tmp_path)}

    return environ


@pytest.mark.parametrize("method", sorted({*multiprocessing.get_all_start_methods()} - {"fork"}))
def test_no_process_needs_to_be_forked(small: Project, starting: Any, method: str) -> None:
    done = small.run("--workers", "2", **starting(method))
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["done    Numbers", "done    Slow"]


def test_two_runs_at_one_luigid_share_the_work_and_do_none_of_it_twice(
    small: Project, tmp_path: Path
) -> None:
    with luigid(tmp_path / "luigid") as url:
        command = ("run", "Chain", "--n", "6", "--workers", "1")
        runs = [small.start(*command, LUIGI_SCHEDULER_URL=url) for _ in "ab"]
        shown, said = zip(*(each.communicate(timeout=60) for each in runs), strict=True)
    assert [each.returncode for each in runs] == [0, 0], said
    assert all("\nChain(n=6): " in text for text in shown)
    assert begun(small) == {"Step": 6, "Chain": 1}
    did = [re.findall("^done    (.+)", text, re.MULTILINE) for text in said]
    assert all(did)
    assert sorted(did[0] + did[1]) == ["Chain(n=6)", *(f"Step(n={n})" for n in range(6))]


def test_a_task_that_fails_in_one_run_keeps_no_other_waiting(
    small: Project, tmp_path: Path
) -> None:
    environ = {"FAILURES": "9", "SECONDS": "1"}
    with luigid(tmp_path / "luigid") as url:
        runs = [small.start("run", "Last", LUIGI_SCHEDULER_URL=url, **environ) for _ in "ab"]
        said = [each.communicate(timeout=20)[1] for each in runs]
    assert [each.returncode for each in runs] == [1, 1]
    assert all(text.count("failed  Flaky: ValueError: not yet") == 1 for text in said), said
    assert "waits   another run makes " in "".join(said)


def test_retries_are_prompt_at_a_luigid_and_the_next_run_has_them_anew(
    small: Project, tmp_path: Path
) -> None:
    with luigid(tmp_path / "luigid") as url:
        environ = {"LUIGI_SCHEDULER_URL": url, "RETRIES": "2", "FAILURES": "3"}
        failed = small.run("run", "Last", **environ)
        assert failed.returncode == 1
        assert begun(small) == {"Step": 1, "Flaky": 2}
        assert small.run("run", "Last", **environ).returncode == 0
    assert begun(small) == {"Step": 1, "Flaky": 4, "Last": 1}


def test_raw_data_that_is_missing_keeps_no_run_waiting_at_a_luigid(
    small: Project, tmp_path: Path
) -> None:
    for path in (small.raw / "numbers").iterdir():
        path.unlink()
    with luigid(tmp_path / "luigid") as url:
        began = time.monotonic()
        assert small.run(LUIGI_SCHEDULER_URL=url).returncode == 3
        assert time.monotonic() - began < 4


@posix
def test_a_run_takes_over_at_once_what_an_interrupted_one_gives_back(
    small: Project, tmp_path: Path
) -> None:
    with luigid(tmp_path / "luigid") as url:
        first = small.start(LUIGI_SCHEDULER_URL=url, SECONDS="60")
        until(lambda: begun(small)["Slow"])
        second = small.start(LUIGI_SCHEDULER_URL=url)
        assert second.stderr
        assert second.stderr.readline() == "waits   another run makes Slow\n"
        interrupted(first, "SIGTERM")
        assert second.communicate(timeout=10)[1] == "done    Slow\n"
        assert second.returncode == 0


def test_a_run_takes_over_what_a_dead_one_left(small: Project, tmp_path: Path) -> None:
    with luigid(tmp_path / "luigid", worker_disconnect_delay=2) as url:
        first = small.start(LUIGI_SCHEDULER_URL=url, SECONDS="60")
        until(lambda: begun(small)["Slow"])
        second = small.start(LUIGI_SCHEDULER_URL=url)
        assert second.stderr
        assert second.stderr.readline() == "waits   another run makes Slow\n"
        first.kill()
        first.communicate()
        time.sleep(2.5)
        request = urllib.request.Request(f"{url}/api/prune", data=b"data=%7B%7D")
        urllib.request.urlopen(request).close()  # which luigid does every minute
        assert second.communicate(timeout=10)[1] == "done    Slow\n"
        assert second.returncode == 0


def test_a_luigid_that_is_not_there_is_told_in_a_sentence_without_its_password(
    small: Project,
) -> None:
    done = small.run(LUIGI_SCHEDULER_URL=f"http://me:secret@{HOST}:{free_port()}")
    assert done.returncode == 1
    said = rf"no luigid answers at http://{HOST}:\d+; start it, or empty LUIGI_SCHEDULER_URL\n"
    assert re.fullmatch(said, done.stderr)


@pytest.mark.slow
def test_a_luigid_that_says_nothing_is_given_up_soon(small: Project) -> None:
    with socket.create_server((HOST, 0)) as server:
        began = time.monotonic()
        done = small.run(LUIGI_SCHEDULER_URL=f"http://{HOST}:{server.getsockname()[1]}")
        assert time.monotonic() - began < 45
    assert done.stderr.startswith("no luigid answers at ")
