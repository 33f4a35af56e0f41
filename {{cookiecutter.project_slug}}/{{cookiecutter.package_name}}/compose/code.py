"""READ. Which names of the package the definition of a name uses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from symtable import SymbolTable, symtable
from types import ModuleType
from typing import Any

from .definitions import definitions, find, is_own, origin, used
from .errors import VersionError

Name = tuple[str, str]  # a module's name and a name that it defines


def reached(module: str, qualname: str) -> Iterator[Name]:
    """The package's own names that the definition of a name uses."""
    for node in find(module, qualname):
        scope = dict(vars(sys.modules[module]))
        known = set() if isinstance(node, ast.Import | ast.ImportFrom) else _global_names(node)
        for statement in ast.walk(node):
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    if is_own(alias.name, module) and (whole := _module(alias.name)):
                        top = alias.name.partition(".")[0]
                        scope[alias.asname or top] = whole if alias.asname else sys.modules[top]
                        known.add(alias.asname or top)
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    local, source = alias.asname or alias.name, origin(statement, module)
                    if not is_own(source, module):
                        continue
                    if local == "*":
                        yield source, qualname
                    elif submodule := _module(f"{source}.{alias.name}"):
                        scope[local] = submodule
                        known.add(local)
                    elif statement is not node or local == qualname:
                        yield source, alias.name
        for name, *attributes in used(node):
            if name in known:
                yield from _resolved(scope, module, name, attributes)


def _resolved(scope: Any, module: str, name: str, attributes: list[str]) -> Iterator[Name]:
    """Follow `package.module.name` to the module that defines the name."""
    value = scope.get(name)
    while isinstance(value, ModuleType) and is_own(value.__name__, module):
        if not attributes:  # the module itself is handed on: all of it counts
            yield from ((value.__name__, each) for each in definitions(value.__name__))
            return
        module, name, *attributes = value.__name__, *attributes
        value = getattr(value, name, None)
    yield module, name


def _global_names(node: ast.stmt) -> set[str]:
    """The names that a statement takes from its module: not its own locals."""

    def names(table: SymbolTable) -> set[str]:
        outer = table.get_type() in ("module", "class")  # whose own names may hide global ones
        found = {s.get_name() for s in table.get_symbols() if outer or s.is_global()}
        return found.union(*map(names, table.get_children()))

    return names(symtable(ast.unparse(node), "<task>", "exec"))


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name) if find_spec(name) else None
    except ModuleNotFoundError as error:
        if error.name == name:  # its parent is no package
            return None
        raise VersionError(f"{name} cannot be read: {error}; install it to know the code") from None
