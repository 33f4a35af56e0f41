"""READ. Where each name of a module of the package is defined, found in its syntax tree."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import resolve_name
from typing import Any

_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, *_IMPORTS)
_TOOLKIT = __name__.rpartition(".")[0]


def is_own(module: str, of: str) -> bool:
    """Whether `module` belongs to the package of `of`, and neither to the toolkit nor to Luigi."""
    package = module.partition(".")[0]
    toolkit = f"{module}.".startswith(f"{_TOOLKIT}.")
    return package == of.partition(".")[0] and package != "luigi" and not toolkit


@cache
def definitions(module: str) -> dict[str, list[ast.stmt]]:
    """The statements at the top level of a module that define each of its names."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        source = ""
    names: dict[str, list[ast.stmt]] = {}
    ahead: list[Any] = [*ast.parse(source).body]
    effects, constants = [], set()
    for statement in ahead:  # which grows by what stands in its branches
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        if isinstance(statement, ast.If | ast.Try | ast.ExceptHandler):
            branches = (ast.stmt, ast.ExceptHandler)
            ahead += [n for n in ast.iter_child_nodes(statement) if isinstance(n, branches)]
            for branch in [*statement.body, *getattr(statement, "orelse", [])]:
                if isinstance(statement, ast.If) and not isinstance(branch, _IMPORTS):
                    for name in _bound(branch):
                        names.setdefault(name, []).append(ast.Expr(statement.test))
            continue
        bound = [*(_star(statement, module) or _bound(statement))]
        for name in bound:
            names.setdefault(name, []).append(statement)
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and bound:
            constants.update(bound)
        elif not isinstance(statement, _DEFINITIONS) or _registers(statement, module):
            effects.append(statement)
    for name in constants:  # which any of these may have changed
        names[name] += effects
    return names


def _registers(node: Any, module: str) -> bool:
    """Whether a definition stands under a decorator of the package, which may note it down."""
    decorators = [name for d in getattr(node, "decorator_list", ()) for name, *_ in used(d)]
    scope = vars(sys.modules.get(module, ast))
    return any(is_own(getattr(scope.get(n), "__module__", "") or "", module) for n in decorators)


def _star(node: ast.stmt, module: str) -> Iterable[str]:
    """What `from .module import *` brings from a module of the package."""
    star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    return definitions(whence) if star and is_own(whence := origin(node, module), module) else ()


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.MatchMapping):
        yield from filter(None, [getattr(node, "name", getattr(node, "rest", None))])
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def find(module: str, qualname: str) -> list[Any]:
    """The statements that define a name; it may stand in a function, as `f.<locals>.Task`."""
    first, *inner = qualname.replace(".<locals>", "").split(".")
    nodes: list[Any] = definitions(module).get(first, [])
    for name in inner:
        nodes = [n for outer in nodes for n in ast.walk(outer) if getattr(n, "name", None) == name]
    return nodes


def used(node: ast.AST) -> Iterator[list[str]]:
    """Every name in the tree with the attributes taken from it: `a.b.c` as [a, b, c]."""
    chain: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        chain.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield [inner.id, *chain]
    else:
        for child in ast.iter_child_nodes(inner):
            yield from used(child)


def origin(node: Any, module: str) -> str:
    package = sys.modules[module].__package__ or ""
    return resolve_name("." * node.level + (node.module or ""), package)
