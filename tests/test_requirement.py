"""Requirements as attributes: what they give, how they are inherited and what is refused."""

from __future__ import annotations

import luigi
import pytest
from o_brien_s_flights_b.compose import ComposeError, Requirement, RequirementList, Requires


class Day(luigi.ExternalTask):
    day = luigi.IntParameter(default=1)
    name = luigi.Parameter(default="any")


class Week(luigi.Task):
    first = luigi.IntParameter(default=1)
    name = luigi.Parameter(default="mine")
    requires = Requires()
    opening = Requirement(Day, day=lambda task: task.first)
    fixed = Requirement(Day, day=7)
    days = RequirementList(Day, day=lambda task: range(task.first, task.first + 3))


class LongWeek(Week):
    fixed = None  # a requirement no longer
    extra = Requirement(Day, day=8, name="extra")


def test_a_requirement_is_itself_on_a_class_and_the_required_task_on_a_task() -> None:
    assert isinstance(Week.fixed, Requirement)
    assert isinstance(Week.days, RequirementList)
    assert Week().fixed == Day(day=7, name="mine")


def test_a_parameter_given_as_a_function_is_called_with_the_task() -> None:
    assert Week(first=3).opening == Day(day=3, name="mine")


def test_a_parameter_given_as_a_class_is_not_called() -> None:
    class Kind(luigi.ExternalTask):
        kind = luigi.Parameter()

    class User(luigi.Task):
        required = Requirement(Kind, kind=str)

    with pytest.warns(UserWarning, match="kind"):
        assert User().required.kind is str


def test_a_requirement_list_is_the_same_task_over_many_values_in_their_order() -> None:
    assert Week(first=2).days == [Day(day=n, name="mine") for n in (2, 3, 4)]


def test_requires_gives_a_dict_with_inherited_requirements_first_and_overridden_ones_left_out() -> (
    None
):
    assert list(LongWeek().requires()) == ["opening", "days", "extra"]
    assert LongWeek().requires()["extra"] == Day(day=8, name="extra")
    assert isinstance(LongWeek.requires, Requires)


def test_requires_is_a_dict_also_without_requirements() -> None:
    class Alone(luigi.Task):
        requires = Requires()

    assert Alone().requires() == {}


def refusal(make: object) -> str:
    """What is said when a class is created; Python 3.11 wraps what `__set_name__` raises."""
    with pytest.raises((ComposeError, RuntimeError)) as error:
        make()  # type: ignore[operator]
    cause = error.value.__cause__ or error.value
    assert isinstance(cause, ComposeError)
    return str(cause)


def test_a_name_that_is_a_parameter_of_the_required_task_is_refused() -> None:
    said = refusal(lambda: type("Bad", (luigi.Task,), {"day": Requirement(Day)}))
    assert said == ("Bad.day is refused: 'day' is a parameter of Day too; rename one of them")


def test_a_name_that_is_a_parameter_of_another_required_task_is_refused() -> None:
    names = {"other": Requirement(Day, day=1), "name": Requirement(Week)}
    assert "'name' is a parameter of Day too" in refusal(lambda: type("Bad", (luigi.Task,), names))


def test_a_name_that_is_a_parameter_of_a_base_class_is_refused() -> None:
    names = {"first": Requirement(Day)}
    assert "'first' is a parameter of Bad too" in refusal(lambda: type("Bad", (Week,), names))


def test_a_name_that_is_an_attribute_of_every_task_is_refused() -> None:
    said = refusal(lambda: type("Bad", (luigi.Task,), {"output": Requirement(Day)}))
    assert "'output' is an attribute of luigi.Task; choose another name" in said


@pytest.mark.parametrize("name", ["priority", "disabled", "resources"])
def test_a_parameter_named_like_an_attribute_of_every_task_is_refused(name: str) -> None:
    upstream = type("Upstream", (luigi.Task,), {name: luigi.IntParameter(default=1)})
    said = refusal(lambda: type("Bad", (luigi.Task,), {"up": Requirement(upstream)}))
    assert f"the parameter {name!r} of Upstream is an attribute of luigi.Task; rename it" in said
    own = {name: luigi.IntParameter(default=1), "up": Requirement(Day)}
    assert f"the parameter {name!r} of Bad" in refusal(lambda: type("Bad", (luigi.Task,), own))


def test_a_parameter_that_is_given_collides_with_nothing() -> None:
    good = type("Good", (luigi.Task,), {"day": Requirement(Day, day=5)})
    assert good().day == Day(day=5)


def test_a_parameter_that_the_required_task_does_not_have_is_refused() -> None:
    said = refusal(lambda: type("Bad", (luigi.Task,), {"up": Requirement(Day, dya=5)}))
    assert said == "Bad.up is refused: Day has no parameter 'dya'; rename it"


@pytest.mark.parametrize("wrong", ["Day", Day(day=1, name="a"), int])
@pytest.mark.parametrize("kind", [Requirement, RequirementList])
def test_what_is_no_task_class_is_refused(kind, wrong) -> None:
    with pytest.raises(ComposeError, match=r"is a task class, not .*; name the class"):
        kind(wrong, day=lambda task: [1])


@pytest.mark.parametrize("params", [{}, {"day": lambda t: [1], "name": lambda t: ["a"]}])
def test_a_requirement_list_over_no_or_several_parameters_is_refused(params) -> None:
    with pytest.raises(
        ComposeError, match=r"RequirementList\(Day\) takes one parameter as a function"
    ):
        RequirementList(Day, **params)
