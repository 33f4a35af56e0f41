"""The course's five questions on salts, and that they cost no more than they must."""

from __future__ import annotations

import json
from enum import Enum

import luigi
import pytest
from o_brien_s_flights_b.compose import (
    ComposeError,
    CSVTarget,
    Requirement,
    RequirementList,
    Requires,
    SaltedOutput,
    Stage,
    TargetOutput,
    lineage,
    salt,
    salts,
)


def task(name: str = "Task", *bases: type, **attributes: object) -> type[luigi.Task]:
    return type(
        name, bases or (luigi.Task,), {"__version__": "1", "requires": Requires()} | attributes
    )


def test_a_salt_is_twelve_hexadecimal_digits_of_the_document() -> None:
    one = task(n=luigi.IntParameter(default=1))()
    (document,) = lineage(one).values()
    assert document == {"task": "Task", "version": "1", "params": {"n": "1"}, "requires": {}}
    assert len(salt(one)) == 12
    assert int(salt(one), 16) >= 0
    assert json.loads(json.dumps(document)) == document


def test_a_new_parameter_changes_the_salt_also_with_a_default() -> None:
    salted = [
        task()(),
        task(n=luigi.IntParameter(default=1))(),
        task(m=luigi.IntParameter(default=1))(),
        task(n=luigi.IntParameter(default=2))(),
    ]
    assert len({salt(each) for each in salted}) == 4


def test_each_task_is_digested_once_however_many_need_it(monkeypatch) -> None:
    bottom = task("Bottom", run=None)
    sides = [task(f"Side{n}", bottom=Requirement(bottom)) for n in range(5)]
    top = task("Top", **{f"side{n}": Requirement(side) for n, side in enumerate(sides)})
    digested: list[str] = []
    original = salts._document
    monkeypatch.setattr(
        salts, "_document", lambda t, r: digested.append(t.task_family) or original(t, r)
    )
    salt(top())
    salt(top())
    salt(bottom())
    assert sorted(digested) == ["Bottom", "Side0", "Side1", "Side2", "Side3", "Side4", "Top"]


def test_reordering_requirements_changes_nothing_and_renaming_one_does() -> None:
    a, b = Requirement(task("A")), Requirement(task("B"))
    assert salt(task(a=a, b=b)()) == salt(task(b=b, a=a)())
    assert salt(task(a=a, b=b)()) != salt(task(a=a, c=b)())
    assert salt(task(a=a, b=b)()) != salt(task(a=b, b=a)())


@pytest.mark.parametrize(
    ("parameter", "one", "same", "other"),
    [
        (luigi.FloatParameter(), 1, 1.0, 1.5),
        (luigi.Parameter(), "a", "a", "b"),
        (luigi.ListParameter(), [1, 2], (1, 2), [2, 1]),
        (luigi.EnumParameter(enum=Enum("E", "A B")), 1, 1, 2),
    ],
)
def test_a_parameters_own_parse_and_serialize_decide_what_is_equal(parameter, one, same, other):
    if isinstance(parameter, luigi.EnumParameter):
        one, same, other = (parameter._enum(value) for value in (one, same, other))
    cls = task(x=parameter)
    salted = []
    for value in (one, same, other):
        luigi.task_register.Register.clear_instance_cache()
        salts.forget()
        salted.append(salt(cls(x=value)))
    assert salted[0] == salted[1] != salted[2]


def test_a_value_that_its_parameter_cannot_read_back_is_refused_and_not_shown() -> None:
    with pytest.raises(ComposeError, match=r"^Task\.n is no IntParameter; give it another value$"):
        salt(task(n=luigi.IntParameter())(n="x"))


def test_a_hidden_parameter_counts_and_is_not_shown() -> None:
    hidden = luigi.parameter.ParameterVisibility.HIDDEN
    cls = task(password=luigi.Parameter(visibility=hidden))
    assert "hunter2" not in json.dumps(lineage(cls(password="hunter2")))
    assert salt(cls(password="hunter2")) != salt(cls(password="hunter3"))


def test_an_insignificant_parameter_may_choose_what_is_required() -> None:
    cls = task(
        n=luigi.IntParameter(significant=False),
        up=Requirement(task("Up", n=luigi.IntParameter())),
    )
    assert salt(cls(n=1)) != salt(cls(n=2))


def test_two_tasks_that_luigi_takes_for_one_are_refused() -> None:
    private = luigi.parameter.ParameterVisibility.PRIVATE
    up = task("Up", token=luigi.Parameter(visibility=private))
    both = task(ups=RequirementList(up, token=lambda t: ["a", "b"]))
    with pytest.raises(ComposeError, match="two tasks are both Up to Luigi; rename one of the two"):
        salt(both())
    other = task(a=Requirement(task("Twin")), b=Requirement(task("Twin")))
    with pytest.raises(ComposeError, match="two tasks are both Twin to Luigi"):
        salt(other())


def test_parameters_never_run_into_each_other() -> None:
    cls = task(a=luigi.Parameter(), b=luigi.Parameter())
    assert salt(cls(a="1,2", b="3")) != salt(cls(a="1", b="2,3"))
    assert salt(cls(a='1", "b": "2', b="")) != salt(cls(a="1", b="2"))


def test_a_task_valued_parameter_enters_by_family_and_version() -> None:
    cls = task(kind=luigi.TaskParameter())
    first, second = task("Flavour"), task("Flavour", __version__="2")
    other = task("Other")
    luigi.task_register.Register._reg.remove(second)
    assert salt(cls(kind=first)) != salt(cls(kind=other))
    document = lineage(cls(kind=first))[salt(cls(kind=first))]
    assert document["params"] == {"kind": 'Flavour "1"'}


def test_an_insignificant_parameter_changes_nothing() -> None:
    cls = task(n=luigi.IntParameter(default=1, significant=False))
    assert salt(cls(n=1)) == salt(cls(n=2)) == salt(task()())


def test_a_bumped_version_changes_everything_downstream_alone() -> None:
    def pipeline(version: str) -> luigi.Task:
        up = task("Up", __version__=version)
        return task("Down", up=Requirement(up), other=Requirement(task("Other")))()

    one, two = pipeline("1"), pipeline("2")
    assert salt(one) != salt(two)
    assert salt(one.other) == salt(two.other)


def test_lineage_is_the_flat_closure_that_explains_a_salt() -> None:
    bottom = task("Bottom")
    top = task(
        "Top",
        left=Requirement(bottom),
        many=RequirementList(task("Each", n=luigi.IntParameter()), n=lambda t: [1, 2]),
    )()
    closure = lineage(top)
    assert next(iter(closure)) == salt(top)
    assert sorted(d["task"] for d in closure.values()) == ["Bottom", "Each", "Each", "Top"]
    assert closure[salt(top)]["requires"] == {
        "left": salt(top.left),
        "many": [salt(each) for each in top.many],
    }


def test_a_task_with_its_own_requires_is_salted_by_position() -> None:
    class Plain(luigi.Task):
        __version__ = "1"

        def requires(self):
            return [task("A")(), task("B")()]

    assert list(lineage(Plain())[salt(Plain())]["requires"]) == ["0", "1"]


def test_a_ladder_of_diamonds_is_digested_without_recursion() -> None:
    calls = []

    class Rung(luigi.Task):
        __version__ = "1"
        n = luigi.IntParameter()
        side = luigi.IntParameter(default=0)

        def requires(self):
            calls.append(self)
            return [self.clone(n=self.n - 1, side=side) for side in (0, 1)] if self.n else []

    salt(Rung(n=1000))
    assert len(calls) == len(set(calls)) == 2001


def test_the_parameters_of_a_stage_are_looked_for_once_however_many_tasks(monkeypatch) -> None:
    asked = []
    find = luigi.Task.get_params.__func__
    counted = classmethod(lambda cls: [asked.append(cls), find(cls)][1])
    monkeypatch.setattr(luigi.Task, "get_params", counted)

    class Day(Stage):
        __version__ = "1"
        number: luigi.IntParameter = luigi.IntParameter()

    assert len({salt(Day(number=number)) for number in range(3)}) == 3
    assert asked == [Day]


def test_a_task_that_requires_itself_is_refused() -> None:
    class Loop(luigi.Task):
        __version__ = "1"
        n = luigi.IntParameter(default=0)

        def requires(self):
            return Loop(n=(self.n + 1) % 3)

    with pytest.raises(ComposeError, match=r"Loop\(n=0\) requires itself, through Loop\(n=2\)"):
        salt(Loop())


class Raw(luigi.ExternalTask):
    __version__ = "1"
    output = TargetOutput("raw/x", target_class=CSVTarget, flag=None)


class RawFile(luigi.ExternalTask):
    __version__ = "1"
    output = TargetOutput("raw/{task}", ext=".csv")


def files(cls: type[luigi.Task]) -> dict[str, str]:
    salts.forget()
    return lineage(cls())[salt(cls())]["files"]


def test_external_data_is_salted_by_the_content_of_its_files(data_root) -> None:
    folder = data_root / "raw" / "x"
    folder.mkdir(parents=True)
    assert files(Raw) == {}
    (folder / "a.csv").write_text("1")
    (folder / "ignored.txt").write_text("1")
    one = files(Raw)
    assert list(one) == ["a.csv"]
    (folder / "a.csv").write_text("2")
    assert files(Raw) != one
    (folder / "a.csv").write_text("1")
    (folder / "b.csv").write_text("1")
    both = files(Raw)
    assert both == {"a.csv": one["a.csv"], "b.csv": one["a.csv"]}


def test_an_external_file_is_salted_by_its_content_too(data_root) -> None:
    assert files(RawFile) == {}
    (data_root / "raw").mkdir(parents=True)
    (data_root / "raw" / "RawFile.csv").write_text("1")
    assert list(files(RawFile)) == ["RawFile.csv"]


def test_files_of_one_name_in_several_folders_count_apart(data_root) -> None:
    class Two(luigi.ExternalTask):
        __version__ = "1"

        def output(self):
            return [luigi.LocalTarget(data_root / folder / "x.csv") for folder in "ab"]

    for folder in "ab":
        (data_root / folder).mkdir(parents=True)
        (data_root / folder / "x.csv").write_text(folder)
    assert list(files(Two)) == ["0/x.csv", "1/x.csv"]


def test_an_external_folder_counts_by_the_files_in_it(data_root) -> None:
    class Folder(luigi.ExternalTask):
        __version__ = "1"

        def output(self):
            return luigi.LocalTarget(data_root / "folder")

    (data_root / "folder" / "deep").mkdir(parents=True)
    (data_root / "folder" / "deep" / "x.csv").write_text("x")
    assert list(files(Folder)) == ["folder/deep/x.csv"]


def test_an_external_file_on_object_storage_counts_by_its_checksum(monkeypatch) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/file-bucket/RawFile.csv", b"1")
    monkeypatch.setenv("RAW_ROOT", "memory://file-bucket")
    assert list(files(RawFile)) == ["RawFile.csv"]


def test_a_salted_external_output_does_not_digest_itself() -> None:
    base = task("Base", run=None, output=SaltedOutput())
    cls = task("Model", base)
    assert lineage(cls())[salt(cls())]["files"] == {}


def test_a_digest_is_remembered_by_size_and_time(data_root, monkeypatch) -> None:
    import os

    from o_brien_s_flights_b.compose import commit

    folder = data_root / "raw" / "x"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("1")
    os.utime(folder / "a.csv", ns=(10**18 + 1, 10**18 + 1))
    one = files(Raw)
    assert json.loads((data_root / ".fingerprints.json").read_text())[str(folder / "a.csv")] == [
        1,
        10**18 + 1,
        one["a.csv"],
    ]
    monkeypatch.setattr(commit.hashlib, "file_digest", None)
    assert files(Raw) == one


def test_a_file_that_just_changed_is_not_remembered(data_root) -> None:
    import os
    import time

    folder = data_root / "raw" / "x"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("1")
    soon = time.time_ns() + 10**9
    os.utime(folder / "a.csv", ns=(soon, soon))
    files(Raw)
    assert not (data_root / ".fingerprints.json").exists()


def test_a_damaged_memory_of_digests_is_made_anew(data_root) -> None:
    folder = data_root / "raw" / "x"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("1")
    for damaged in ("{", "1", '["x"]'):
        (data_root / ".fingerprints.json").write_text(damaged)
        assert list(files(Raw)) == ["a.csv"]


def test_files_on_object_storage_count_by_their_own_checksums(monkeypatch) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe_file("/raw-bucket/x/a.csv", b"1")
    monkeypatch.setenv("RAW_ROOT", "memory://raw-bucket")
    one = files(Raw)
    assert list(one) == ["a.csv"]
