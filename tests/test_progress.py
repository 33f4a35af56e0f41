"""What a terminal shows while a graph runs; piped output is in `test_cli`."""

from __future__ import annotations

import os
import re
import sys

import pytest
from baking import clean_environ
from conftest import PACKAGE, Project

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

SLOW = """\
    import time

    def wait(part):
        time.sleep(0.5)
        return part

    raw = raw.map_partitions(wait, meta=raw._meta)
    arrived = raw["""

NOTED = """\
class CleanFlights(Stage):
    note: luigi.Parameter = luigi.Parameter(default="[/red]")

    def on_success(self) -> None:
        import logging

        logging.getLogger(__name__).warning("noted")

"""


def on_a_terminal(project: Project, *arguments: str, **more: str) -> tuple[int, str]:
    """The exit status, and all that a terminal of 80 columns is sent."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(project.path)
        environ = clean_environ(TERM="xterm-256color", COLUMNS="80", **more)
        os.execve(sys.executable, [sys.executable, "-m", PACKAGE, *arguments], environ)
    sent = b""
    try:
        while piece := os.read(terminal, 65536):
            sent += piece
    except OSError:  # how a closed terminal ends on Linux
        pass
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), sent.decode()


def test_a_terminal_shows_the_graph_and_what_is_inside_the_running_stage(
    new_project: Project,
) -> None:
    new_project.edit("transforms.py", "    arrived = raw[", SLOW)
    new_project.edit("tasks.py", "class CleanFlights(Stage):\n", NOTED)
    raw = "class RawFlights(ExternalData):\n"
    new_project.edit("tasks.py", raw, f"{raw}    csv_options = {{'block_size': 60_000}}\n")
    status, sent = on_a_terminal(new_project)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent)
    assert status == 0
    assert re.search(r"tasks +━+ 0/3 ", text)
    steps = {
        int(step)
        for step in re.findall(r"CleanFlights\(note=\[/red\]\) +\S+ +(\d+)/\d{1,2} ", text)
    }
    assert len(steps) > 1  # it moves inside of the stage
    assert text.count("done    CleanFlights(note=[/red])\r\n") == 1
    assert " 3/3 " in text
    assert re.search(r"[\r\n]o_brien_s_flights_b\.tasks: noted\s", text)
    assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l")  # the cursor is back
    shown = text[text.rindex("3 ran, 2 were complete") :]
    assert "━" not in shown
    assert "ScoreReport(min_flights=10): data/ScoreReport-" in shown


def test_a_failure_on_a_terminal_leaves_its_sentence_and_the_cursor(new_project: Project) -> None:
    new_project.edit("transforms.py", "    arrived = raw[", "    arrived = raw[1 / 0][")
    status, sent = on_a_terminal(new_project)
    assert status == 1
    assert sent.count("failed  CleanFlights: ZeroDivisionError: division by zero") == 1
    assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l")


def test_tasks_in_processes_of_their_own_have_a_line_each(new_project: Project) -> None:
    status, sent = on_a_terminal(new_project, "run", "--workers", "2")
    assert status == 0
    assert sent.count("done    ") == 3
    assert "━" not in sent
