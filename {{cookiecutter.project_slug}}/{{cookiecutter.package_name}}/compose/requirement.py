"""READ. What a task requires, declared as attributes: `raw = Requirement(RawFlights)`."""

from __future__ import annotations

import inspect
from functools import cache, partial
from types import FunctionType
from typing import Any, Generic, Self, TypeVar, cast, overload

import luigi

from .errors import RequirementError

T = TypeVar("T", bound=luigi.Task)


class _Declaration(Generic[T]):
    """A required task class and its parameters; whatever is not given is cloned from the owner."""

    def __init__(self, task_class: type[T], **params: Any) -> None:
        self.task_class = task_class
        self.params = params

    def __set_name__(self, owner: type[luigi.Task], name: str) -> None:
        if faults := _collisions(owner, name, self):
            raise RequirementError(f"{owner.__name__}.{name} is refused: {'; '.join(faults)}")

    def required(self, task: luigi.Task, params: dict[str, Any]) -> T:
        return cast(T, task.clone(self.task_class, **params))

    def cloned(self) -> set[str]:
        """Names of the parameters that the required task takes over from the owner."""
        return {name for name, _ in self.task_class.get_params()} - set(self.params)


class Requirement(_Declaration[T]):
    """On a class: itself. On a task: the required task, `task.clone(task_class, **params)`.

    A parameter given as a plain function is called with the task. Raises RequirementError when
    the class is created if a name collides with a parameter, or a parameter with an attribute of
    luigi.Task.
    """

    @overload
    def __get__(self, task: None, owner: type) -> Self: ...
    @overload
    def __get__(self, task: luigi.Task, owner: type) -> T: ...
    def __get__(self, task: luigi.Task | None, owner: type) -> Self | T:
        if task is None:
            return self
        return self.required(task, {n: _value(value, task) for n, value in self.params.items()})


class RequirementList(_Declaration[T]):
    """The same task over many values: the one parameter given as a plain function returns them.

    On a class: itself. On a task: the list of required tasks, in the order of the values.
    """

    def __init__(self, task_class: type[T], **params: Any) -> None:
        super().__init__(task_class, **params)
        functions = [name for name, value in params.items() if isinstance(value, FunctionType)]
        if len(functions) != 1:
            raise RequirementError(
                f"RequirementList({task_class.__name__}) takes one parameter as a function that "
                f"returns its values, not {len(functions)}: {', '.join(functions) or 'none'}"
            )
        self.varied = functions[0]

    @overload
    def __get__(self, task: None, owner: type) -> Self: ...
    @overload
    def __get__(self, task: luigi.Task, owner: type) -> list[T]: ...
    def __get__(self, task: luigi.Task | None, owner: type) -> Self | list[T]:
        if task is None:
            return self
        values = self.params[self.varied](task)
        return [self.required(task, self.params | {self.varied: value}) for value in values]


class Requires:
    """Replaces `requires()`: returns `{name: task or list}` for every requirement on the class."""

    def __new__(cls) -> Any:
        """Typed as Any, so that checkers accept it in place of the method."""
        return super().__new__(cls)

    def __get__(self, task: luigi.Task | None, owner: type) -> Any:
        return self if task is None else partial(self, task)

    def __call__(self, task: luigi.Task) -> dict[str, Any]:
        return {name: getattr(task, name) for name in _declared(type(task))}


@cache
def _declared(cls: type) -> list[str]:
    """Names of the requirements of `cls`, inherited ones first; an overridden one is left out."""
    names = dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base))
    return [name for name in names if isinstance(inspect.getattr_static(cls, name), _Declaration)]


def _value(value: Any, task: luigi.Task) -> Any:
    return value(task) if isinstance(value, FunctionType) else value


def _collisions(owner: type[luigi.Task], name: str, new: _Declaration[Any]) -> list[str]:
    """What is wrong with `name = new` on `owner`: `clone` copies every attribute of one name."""
    attributes = {n: value for base in reversed(owner.__mro__) for n, value in vars(base).items()}
    declared = [v for v in attributes.values() if isinstance(v, _Declaration)]
    own = {n for b in owner.__mro__ for n, v in vars(b).items() if isinstance(v, luigi.Parameter)}
    faults = []
    if hasattr(luigi.Task, name):
        faults.append(f"{name!r} is an attribute of luigi.Task; choose another name")
    faults += [
        f"{name!r} is a parameter of {cls.__name__} too; rename one of them"
        for cls, params in [(owner, own), *((d.task_class, d.cloned()) for d in declared)]
        if name in params
    ]
    faults += [
        f"the parameter {param!r} of {cls.__name__} is an attribute of luigi.Task; rename it"
        for cls, params in [(owner, own), (new.task_class, new.cloned())]
        for param in sorted(params)
        if hasattr(luigi.Task, param)
    ]
    return faults
