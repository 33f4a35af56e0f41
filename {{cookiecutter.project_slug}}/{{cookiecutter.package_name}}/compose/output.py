"""READ. Where a task writes, declared as an attribute: `output = SaltedOutput(ext=".html")`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import luigi

from . import roots, salts
from .errors import ComposeError
from .files import FileTarget
from .graph import is_external, label
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
        self.target_class, self.target_kwargs = target_class, target_kwargs
        self.is_dataset = BaseDaskTarget in getattr(target_class, "__mro__", ())
        self.is_salted = "{salt}" in file_pattern
        if ext is None:
            ext = "" if self.is_dataset or re.search(r"(\.\w+|/)$", file_pattern) else ".txt"
        self.pattern = file_pattern if file_pattern.endswith(ext) else file_pattern + ext

    def __get__(self, task: luigi.Task | None, owner: type) -> Any:
        return self if task is None else partial(self, task)

    def __call__(self, task: luigi.Task) -> Any:
        made = self.is_dataset and not is_external(task)
        salt = salts.salt(task) if self.is_salted or made else None
        kwargs = dict(self.target_kwargs)
        if self.is_dataset:
            kwargs["salt"] = salt
            kwargs["lineage"] = partial(salts.settled_lineage, task)
            kwargs["replace"] = not self.is_salted or getattr(task, "forced", False)
            for name in self.target_class.declarations:  # type: ignore[attr-defined]
                if hasattr(task, name):
                    kwargs.setdefault(name, getattr(task, name))
        return self.target_class(self.path(task, salt), **kwargs)

    def path(self, task: luigi.Task, salt: str | None) -> str:
        """Where the task writes under this salt."""
        known = {"{task}": task.get_task_family(), "{salt}": str(salt)}
        known["{task.__class__.__name__}"] = type(task).__name__
        for name, param in task.get_params():
            known["{task." + name + "}"] = param.serialize(task.param_kwargs[name])
        path = self.pattern
        for field, text in known.items():
            path = path.replace(field, _quoted(text))
        if "{" in path:
            raise ComposeError(f"{label(task)} writes to {path}; it may name {', '.join(known)}")
        return roots.resolve(self.pattern, path)


class LocalTargetOutput(TargetOutput):
    """A text file named after its task."""


class SaltedOutput(TargetOutput):
    """An output that moves whenever the task's code, parameters or inputs change."""

    def __init__(self, file_pattern: str = "{task}-{salt}", *args: Any, **kwargs: Any) -> None:
        super().__init__(file_pattern, *args, **kwargs)


def _quoted(value: str) -> str:
    """A value as one piece of a file name, like no other's."""
    text = quote(value, safe="") or "%"  # which quote() never gives alone
    return text.replace(".", "%2E") if text.endswith(".") else text
