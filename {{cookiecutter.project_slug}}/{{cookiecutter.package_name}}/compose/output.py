"""READ. Where a task writes, declared as an attribute: `output = SaltedOutput(ext=".html")`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from string import Formatter
from typing import Any
from urllib.parse import quote

import luigi

from . import roots, salts
from .files import FileTarget
from .graph import is_external
from .targets import BaseDaskTarget


class TargetOutput:
    """On a class: itself. On a task: a call that returns the target at `file_pattern`.

    The pattern knows `{task}` (the task's family), `{task.param}`, `{task.__class__.__name__}` and
    `{salt}`. Values are percent-quoted, so that none leaves its folder. A relative path lies under
    DATA_ROOT, `raw/...` under RAW_ROOT; an absolute path or a URL is taken as it is.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Typed as Any, so that checkers accept it in place of the method."""
        return super().__new__(cls)

    def __init__(
        self,
        file_pattern: str = "{task}",
        ext: str | None = None,
        target_class: Callable[..., Any] = FileTarget,
        **target_kwargs: Any,
    ) -> None:
        self.is_dataset = isinstance(target_class, type) and issubclass(
            target_class, BaseDaskTarget
        )
        if ext is None:
            ext = "" if self.is_dataset or re.search(r"\.\w+/?$", file_pattern) else ".txt"
        self.pattern = file_pattern if file_pattern.endswith(ext) else file_pattern + ext
        parts = Formatter().parse(self.pattern)
        self.fields = {str(field).partition(".")[0] for _, field, _, _ in parts}
        self.target_class = target_class
        self.target_kwargs = target_kwargs

    def __get__(self, task: luigi.Task | None, owner: type) -> Any:
        return self if task is None else partial(self, task)

    def __call__(self, task: luigi.Task) -> Any:
        salted = "salt" in self.fields
        made = self.is_dataset and not is_external(task)
        salt = salts.salt(task) if salted or made else None
        path = self.path(task, salt)
        kwargs = dict(self.target_kwargs)
        if self.is_dataset:
            kwargs["salt"] = salt
            kwargs["lineage"] = partial(salts.settled_lineage, task)
            kwargs["replace"] = not salted or getattr(task, "forced", False)
            for name in self.target_class.declarations:  # type: ignore[attr-defined]
                if hasattr(task, name):
                    kwargs.setdefault(name, getattr(task, name))
        return self.target_class(path, **kwargs)

    def path(self, task: luigi.Task, salt: str | None) -> str:
        """Where the task writes under this salt."""
        formatted = _PathFormatter().format(self.pattern, task=task, salt=salt)
        return roots.resolve(self.pattern, formatted)


class LocalTargetOutput(TargetOutput):
    """A text file named after its task."""

    def __init__(self, file_pattern: str = "{task}.txt", **kwargs: Any) -> None:
        super().__init__(file_pattern, **kwargs)


class SaltedOutput(TargetOutput):
    """An output that moves whenever the task's code, parameters or inputs change."""

    def __init__(self, file_pattern: str = "{task}-{salt}", **kwargs: Any) -> None:
        super().__init__(file_pattern, **kwargs)


class _PathFormatter(Formatter):
    """Formats a pattern so that each field is one quoted piece of a file name."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        value, first = super().get_field(field_name, args, kwargs)
        if isinstance(value, luigi.Task):
            value = value.get_task_family()
        elif isinstance(owner := kwargs.get(first), luigi.Task):
            param = dict(owner.get_params()).get(field_name.partition(".")[2])
            value = param.serialize(value) if param else value
        return value, first

    def format_field(self, value: Any, format_spec: str) -> str:
        text = quote(super().format_field(value, format_spec), safe="")
        if not text:
            return "%"  # quote() never gives a lone %, so that no other value has this name
        return text.replace(".", "%2E") if text.endswith(".") else text
