"""READ. A task's version: its own `__version__`, or a digest of the code that it reaches.

The digest covers the syntax tree, without comments, docstrings and formatting, of the class and of
the package's own functions, constants and schemas that it names, directly or through each other.
Other tasks are left out, since they enter through their own salts, and so is `compose`.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from importlib import metadata
from typing import Any

import luigi

from .code import Name, find, is_own, reached
from .errors import ComposeError


@cache
def version(cls: type[luigi.Task]) -> str | dict[str, str]:
    """The pinned `__version__`, or `{"module.name": digest}` of each piece of code reached.

    Raises ComposeError where the source cannot be had.
    """
    if "__version__" in vars(cls):
        return str(vars(cls)["__version__"])
    module = cls.__module__
    own = [(b.__module__, b.__qualname__) for b in cls.__mro__ if is_own(b.__module__, module)]
    digests: dict[str, str] = {}
    seen: set[Name] = set()
    ahead = list(own)
    while ahead:
        if (name := ahead.pop()) in seen or (_is_task(*name) and name not in own):
            continue
        seen.add(name)
        if code := find(*name):
            tree = repr(_canonical(code)).encode()
            label = f"{name[0].partition('.')[2]}.{name[1]}".lstrip(".")
            digests[label] = hashlib.sha256(tree).hexdigest()[:16]
        ahead += reached(*name)
    if own and not digests:
        raise ComposeError(
            f"the source of {cls.__qualname__} cannot be read, so nothing tells when it changes; "
            f"declare {cls.__qualname__}.__version__"
        )
    return dict(sorted(digests.items()))


@cache
def libraries() -> dict[str, str]:
    """The versions of what decides the bytes of a dataset, besides its code."""
    return {name: metadata.version(name) for name in ("dask", "luigi", "pandas", "pyarrow")}


def _is_task(module: str, name: str) -> bool:
    value = getattr(sys.modules.get(module), name, None)
    return isinstance(value, type) and issubclass(value, luigi.Task)


def _canonical(node: Any) -> Any:
    """A syntax tree as nested tuples, the same under every Python and for every formatting."""
    if isinstance(node, list):
        return [_canonical(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__} {node!r}"
    fields = {k: v for k, v in ast.iter_fields(node) if v not in (None, []) and k != "kind"}
    if isinstance(node, ast.JoinedStr):  # some Pythons add empty pieces
        fields["values"] = [piece for piece in node.values if getattr(piece, "value", None)]
    return type(node).__name__, [(name, _canonical(value)) for name, value in fields.items()]


def _is_docstring(node: Any) -> bool:
    """Whether it is a constant that stands alone, which does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
