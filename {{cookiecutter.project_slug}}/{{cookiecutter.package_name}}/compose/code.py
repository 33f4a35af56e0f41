"""READ. Which pieces of the package's own source a piece of it uses, found in syntax trees."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec, resolve_name
from symtable import SymbolTable, symtable
from types import ModuleType
from typing import Any

_TOOLKIT = __name__.rpartition(".")[0]
Name = tuple[str, str]  # a module's name and a name that it defines


def is_own(module: str, of: str) -> bool:
    """Whether `module` belongs to the package of `of`, and neither to the toolkit nor to Luigi."""
    package = module.partition(".")[0]
    toolkit = f"{module}.".startswith(f"{_TOOLKIT}.")
    return package == of.partition(".")[0] and package != "luigi" and not toolkit


@cache
def _definitions(module: str) -> dict[str, list[ast.stmt]]:
    """The statements at the top level of a module that define each of its names."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        source = ""
    names: dict[str, list[ast.stmt]] = {}
    ahead: list[Any] = [*ast.parse(source).body]
    for statement in ahead:  # which grows by what stands in its branches
        if isinstance(statement, ast.If | ast.Try | ast.ExceptHandler):
            branches = (ast.stmt, ast.ExceptHandler)
            ahead += [n for n in ast.iter_child_nodes(statement) if isinstance(n, branches)]
            continue
        for name in _star(statement, module) or _bound(statement):
            names.setdefault(name, []).append(statement)
    return names


def _star(node: ast.stmt, module: str) -> Iterable[str]:
    """What `from .module import *` brings from a module of the package."""
    star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    return _definitions(origin) if star and is_own(origin := _origin(node, module), module) else ()


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def find(module: str, qualname: str) -> list[Any]:
    """The statements that define a name; it may stand in a function, as `f.<locals>.Task`."""
    first, *inner = qualname.replace(".<locals>", "").split(".")
    nodes: list[Any] = _definitions(module).get(first, [])
    for name in inner:
        nodes = [n for outer in nodes for n in ast.walk(outer) if getattr(n, "name", None) == name]
    return nodes


def reached(module: str, qualname: str) -> Iterator[Name]:
    """The package's own names that the definition of a name uses."""
    for node in find(module, qualname):
        scope = dict(vars(sys.modules[module]))
        known = set() if isinstance(node, ast.Import | ast.ImportFrom) else _global_names(node)
        for statement in ast.walk(node):
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    local, origin = alias.asname or alias.name, _origin(statement, module)
                    if not is_own(origin, module):
                        continue
                    if local == "*":
                        yield origin, qualname
                    elif submodule := _module(f"{origin}.{alias.name}"):
                        scope[local] = submodule
                        known.add(local)
                    elif statement is not node or local == qualname:
                        yield origin, alias.name
        for name, *attributes in _used(node):
            if name in known:
                yield from _resolved(scope, module, name, attributes)


def _resolved(scope: Any, module: str, name: str, attributes: list[str]) -> Iterator[Name]:
    """Follow `package.module.name` to the module that defines the name."""
    value = scope.get(name)
    while isinstance(value, ModuleType) and is_own(value.__name__, module):
        if not attributes:  # the module itself is handed on: all of it counts
            yield from ((value.__name__, each) for each in _definitions(value.__name__))
            return
        module, name, *attributes = value.__name__, *attributes
        value = getattr(value, name, None)
    yield module, name


def _used(node: ast.AST) -> Iterator[list[str]]:
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
            yield from _used(child)


def _global_names(node: ast.stmt) -> set[str]:
    """The names that a statement takes from its module: not its own locals."""

    def names(table: SymbolTable) -> set[str]:
        top = table.get_type() == "module"
        found = {s.get_name() for s in table.get_symbols() if top or s.is_global()}
        return found.union(*map(names, table.get_children()))

    return names(symtable(ast.unparse(node), "<task>", "exec"))


def _origin(node: Any, module: str) -> str:
    package = sys.modules[module].__package__ or ""
    return resolve_name("." * node.level + (node.module or ""), package)


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name) if find_spec(name) else None
    except ModuleNotFoundError:  # its parent is no package
        return None
