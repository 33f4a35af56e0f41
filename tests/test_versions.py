"""A task's version follows the code that it reaches, and nothing else."""

from __future__ import annotations

import itertools
from importlib import import_module
from textwrap import dedent
from typing import Any

import luigi
import pytest
from o_brien_s_flights_b.compose import ComposeError
from o_brien_s_flights_b.compose.versions import version

NUMBER = itertools.count()

TASKS = """
    import luigi
    from . import schemas, transforms
    from .helpers import rounded, unused

    LIMIT = 3

    class Base(luigi.Task):
        def shared(self):
            return 1

    class Upstream(luigi.Task):
        pass

    class Stage(Base):
        schema = schemas.CLEAN
        upstream = Upstream

        def run(self):
            return transforms.clean(rounded(LIMIT))
"""
FILES = {
    "tasks": TASKS,
    "schemas": "CLEAN = ['a']\nOTHER = ['b']\n",
    "transforms": """
        from .helpers import scale

        def clean(frame):
            '''Clean.'''
            return scale(frame)

        def other(frame):
            return frame
    """,
    "helpers": """
        FACTOR = 2

        def scale(x):
            return x * FACTOR

        def rounded(x):
            return round(x)

        def unused(x):
            return x
    """,
}


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """The version of a task of a package that is written anew for each call."""
    monkeypatch.syspath_prepend(tmp_path)

    def of(task: str = "Stage", **changed: tuple[str, str] | str) -> Any:
        package = f"package_{next(NUMBER)}"
        extra = {name: "" for name in changed if name not in FILES}
        for name, source in ({"__init__": ""} | FILES | extra).items():
            text = dedent(source)
            change = changed.get(name)
            if isinstance(change, tuple):
                assert text.count(change[0]) == 1
                text = text.replace(*change)
            elif change is not None:
                text = dedent(change)
            path = tmp_path / package / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return version(getattr(import_module(f"{package}.tasks"), task))

    return of


def test_a_version_names_each_piece_of_code_that_it_reaches(digests) -> None:
    assert list(digests()) == [
        "helpers.FACTOR",
        "helpers.rounded",
        "helpers.scale",
        "schemas.CLEAN",
        "tasks.Base",
        "tasks.LIMIT",
        "tasks.Stage",
        "transforms.clean",
    ]


def test_the_same_code_in_another_place_has_the_same_version(digests) -> None:
    assert digests() == digests()


@pytest.mark.parametrize(
    ("module", "old", "new", "piece"),
    [
        ("transforms", "scale(frame)", "scale(frame) + 1", "transforms.clean"),
        ("helpers", "FACTOR = 2", "FACTOR = 3", "helpers.FACTOR"),
        ("helpers", "x * FACTOR", "FACTOR + x", "helpers.scale"),
        ("schemas", "['a']", "['a', 'c']", "schemas.CLEAN"),
        ("tasks", "LIMIT = 3", "LIMIT = 4", "tasks.LIMIT"),
        ("tasks", "return 1", "return 2", "tasks.Base"),
        ("tasks", "rounded(LIMIT)", "rounded(2 * LIMIT)", "tasks.Stage"),
    ],
)
def test_an_edit_changes_the_digest_of_its_own_piece_alone(
    digests, module, old, new, piece
) -> None:
    before, after = digests(), digests(**{module: (old, new)})
    assert [name for name in after if before[name] != after[name]] == [piece]
    assert before.keys() == after.keys()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("transforms", "'''Clean.'''", "'''Clean it well.'''"),
        ("transforms", "return scale(frame)", "return scale(  # as Spark does\n        frame)"),
        ("transforms", "return frame", "return frame + 1"),
        ("schemas", "OTHER = ['b']", "OTHER = []"),
        ("helpers", "    return x\n", "    return -x\n"),
        ("helpers", "FACTOR = 2", "# two\n\nFACTOR = (2)"),
        ("helpers", "FACTOR = 2", "'Help.'\nFACTOR = 2"),
        ("tasks", "rounded, unused", "rounded"),
        (
            "tasks",
            "class Upstream(luigi.Task):\n    pass",
            "class Upstream(luigi.Task):\n    x = 1",
        ),
    ],
)
def test_what_is_not_reached_or_is_no_code_changes_nothing(digests, module, old, new) -> None:
    assert digests() == digests(**{module: (old, new)})


@pytest.mark.parametrize(
    "tasks",
    [
        "import luigi\nfrom .helpers import scale as s\nclass Stage(luigi.Task):\n    x = s",
        "import luigi\nfrom . import helpers as h\nclass Stage(luigi.Task):\n    x = h.scale",
        "import luigi\nimport {p}.helpers\nclass Stage(luigi.Task):\n    x = {p}.helpers.scale",
        "import luigi\nclass Stage(luigi.Task):\n    def run(self):\n"
        "        from .helpers import scale\n        return scale",
        "import luigi\nclass Stage(luigi.Task):\n    def run(self):\n"
        "        from . import helpers\n        return helpers.scale",
        "import luigi\ntry:\n    from .helpers import scale\nexcept ImportError:\n    scale = 0\n"
        "class Stage(luigi.Task):\n    x = scale",
        "import luigi\nfrom . import helpers\nclass Stage(luigi.Task):\n    x = vars(helpers)",
        "import luigi\nclass Stage(luigi.Task):\n    def run(self):\n"
        "        import {p}.helpers as h\n        return h.scale",
        "import luigi\nclass Stage(luigi.Task):\n    def run(self):\n"
        "        import {p}.helpers\n        return {p}.helpers.scale",
        "import luigi\nfrom .helpers import *\nclass Stage(luigi.Task):\n    x = scale",
        "import luigi\nif luigi:\n    from .helpers import scale\n"
        "class Stage(luigi.Task):\n    x = scale",
        "import luigi\nfrom .helpers import scale\nclass Stage(luigi.Task):\n"
        "    x = lambda self: [scale(y) for y in ()]",
    ],
)
def test_code_is_reached_however_it_is_imported(digests, tasks) -> None:
    source = tasks.replace("{p}", f"package_{next(NUMBER) + 1}")
    assert {"helpers.FACTOR", "helpers.scale"} <= digests(tasks=source).keys()


EFFECTS = """
    import os

    FLAG = True
    TABLE = {{}}
    NAMES = []

    def step(function):
        NAMES.append(function)
        return function

    @step
    def keep(x):
        return x  # {0}

    TABLE["k"] = {0}
    for number in (5, 6):
        TABLE[number] = number

    if FLAG:
        def chosen(x):
            return 1
    else:
        def chosen(x):
            return 2

    try:
        import not_installed
    except ImportError:
        def spare(x):
            return 3

    match {0}:
        case 1 | 2 as found:
            pass
"""


@pytest.mark.parametrize(
    ("used", "old", "new"),
    [
        ("TABLE", 'TABLE["k"] = 1', 'TABLE["k"] = 2'),
        ("TABLE", "TABLE[number] = number", "TABLE[number] = -number"),
        ("NAMES", "return x  #", "return -x  #"),
        ("chosen", "if FLAG:", "if not FLAG:"),
        ("chosen", "FLAG = True", "FLAG = False"),
        ("spare", "return 3", "return 4"),
        ("found", "match 1:", "match 2:"),
    ],
)
def test_what_a_module_does_to_a_name_counts_too(digests, used, old, new) -> None:
    tasks = f"import luigi\nfrom .effects import {used}\nclass Stage(luigi.Task):\n    x = {used}"
    before = digests(tasks=tasks, effects=EFFECTS.format(1))
    assert before != digests(tasks=tasks, effects=EFFECTS.format(1).replace(old, new))


def test_a_name_of_the_module_is_reached_from_a_class_that_reuses_it(digests) -> None:
    source = "import luigi\nlimit = 1\nclass Stage(luigi.Task):\n    limit = limit"
    assert list(digests(tasks=source)) == ["tasks.Stage", "tasks.limit"]


def test_a_local_name_reaches_nothing_of_the_module(digests) -> None:
    source = (
        "import luigi\nx = 1\nclass Stage(luigi.Task):\n    def run(self, x):\n        return x"
    )
    assert list(digests(tasks=source)) == ["tasks.Stage"]


def test_a_declared_version_pins_and_is_not_inherited(digests) -> None:
    pinned = ("class Base(luigi.Task):", "class Base(luigi.Task):\n    __version__ = 3")
    assert digests("Base", tasks=pinned) == "3"
    assert isinstance(digests("Stage", tasks=pinned), dict)


def test_a_version_is_the_same_under_every_python() -> None:
    class Task(luigi.Task):
        def run(self) -> str:
            return f"{self!r:>{20}} {1.5:.2f}" if True else ""

    assert version(Task) == {
        "test_a_version_is_the_same_under_every_python.<locals>.Task": "e6f3f2ba352fe00a",
    }


def test_a_package_may_take_a_function_from_its_module_of_the_same_name(digests) -> None:
    package = {
        "helpers": "",
        "helpers/__init__": "from .rounded import rounded\nunused = scale = 1",
    }
    one, two = (
        digests(**package, **{"helpers/rounded": f"def rounded(x):\n    return {number}"})
        for number in (1, 2)
    )
    assert {each for each in one if one[each] != two[each]} == {"helpers.rounded.rounded"}


def test_code_that_cannot_be_imported_is_not_passed_over(digests) -> None:
    source = """
        import luigi

        class Stage(luigi.Task):
            def run(self):
                from .heavy import f
                return f
    """
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_installed'"):
        digests(tasks=source, heavy="import not_installed\ndef f(): pass")


def test_a_class_of_luigi_itself_has_no_code_of_the_users() -> None:
    assert version(luigi.WrapperTask) == {}


def test_a_task_without_source_asks_for_a_version() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    exec("import luigi\nclass Lost(luigi.Task): pass", names)
    with pytest.raises(ComposeError, match=r"declare Lost.__version__"):
        version(names["Lost"])
