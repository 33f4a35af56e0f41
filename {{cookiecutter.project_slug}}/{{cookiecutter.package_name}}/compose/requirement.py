"""READ. What a task requires, declared as attributes: `raw = Requirement(RawFlights)`."""

from __future__ import annotations

import inspect
from functools import cache, partial
from types import FunctionType
from typing import Any, Generic, Self, TypeVar, cast, overload

import luigi

from .errors import ComposeError

T = TypeVar("T", bound=luigi.Task)


class _Declaration(Generic[T]):
    """A required task class and its parameters; whatever is not given is cloned from the owner."""

    def __init__(self, task_class: type[T], **params: Any) -> None:
        if not isinstance(task_class, type(luigi.Task)):
            raise ComposeError(f"a requirement is a task class, not {task_class!r}; name the class")
        self.task_class = task_class
        self.params = params

    def __set_name__(self, owner: type[luigi.Task], name: str) -> None:
        """Refuse what `clone`, which copies attributes by name, would ignore or mistake."""
        bases = [vars(base).items() for base in owner.__mro__]
        own = {n for items in bases for n, value in items if isinstance(value, luigi.Parameter)}
        taken = [(owner, param) for param in sorted(own)]
        for each in (getattr(owner, name) for name in _declared(owner)):
            params = [param for param, _ in each.task_class.get_params()]
            taken += [(each.task_class, param) for param in params if param not in each.params]
        unknown = sorted(self.params.keys() - dict(self.task_class.get_params()))
        faults = [f"{self.task_class.__name__} has no parameter {n!r}; rename it" for n in unknown]
        if hasattr(luigi.Task, name):
            faults.append(f"{name!r} is an attribute of luigi.Task; choose another name")
        for cls, param in taken:
            if param == name:
                faults.append(f"{name!r} is a parameter of {cls.__name__} too; rename one of them")
            if hasattr(luigi.Task, param):
                fault = f"the parameter {param!r} of {cls.__name__} is an attribute of luigi.Task"
                faults.append(f"{fault}; rename it")
        if faults:
            raise ComposeError(f"{owner.__name__}.{name} is refused: {'; '.join(faults)}")

    def required(self, task: luigi.Task, **params: Any) -> T:
        return cast(T, task.clone(self.task_class, **self.params | params))


class Requirement(_Declaration[T]):
    """On a class: itself. On a task: the required task, `task.clone(task_class, **params)`.

    A parameter given as a plain function is called with the task. Raises ComposeError when the
    class is created if a parameter is unknown, if a name collides with a parameter, or a parameter
    with an attribute of luigi.Task.
    """

    @overload
    def __get__(self, task: None, owner: type) -> Self: ...
    @overload
    def __get__(self, task: luigi.Task, owner: type) -> T: ...
    def __get__(self, task: luigi.Task | None, owner: type) -> Self | T:
        if task is None:
            return self
        given = self.params.items()
        return self.required(task, **{n: f(task) for n, f in given if isinstance(f, FunctionType)})


class RequirementList(_Declaration[T]):
    """The same task over many values: the one parameter given as a plain function returns them.

    On a class: itself. On a task: the list of required tasks, in the order of the values.
    """

    def __init__(self, task_class: type[T], **params: Any) -> None:
        super().__init__(task_class, **params)
        functions = [name for name, value in params.items() if isinstance(value, FunctionType)]
        if len(functions) != 1:
            fault = f"RequirementList({task_class.__name__}) takes one parameter as a function"
            raise ComposeError(f"{fault} that returns its values, not {len(functions)}")
        self.varied = functions[0]

    @overload
    def __get__(self, task: None, owner: type) -> Self: ...
    @overload
    def __get__(self, task: luigi.Task, owner: type) -> list[T]: ...
    def __get__(self, task: luigi.Task | None, owner: type) -> Self | list[T]:
        if task is None:
            return self
        values = self.params[self.varied](task)
        return [self.required(task, **{self.varied: value}) for value in values]


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
