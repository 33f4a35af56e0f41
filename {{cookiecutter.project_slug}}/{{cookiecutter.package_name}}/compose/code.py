"""READ. Which code of the package a definition uses, found in the syntax trees of its modules."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec, resolve_name
from symtable import SymbolTable, symtable
from typing import Any

Name = tuple[str, str]  # a module's name and a name that it defines
_Imports = list[tuple[str, str]]  # each name that an import binds, and the path of what it is
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_TOOLKIT = __name__.rpartition(".")[0]


def is_own(path: str, of: str) -> bool:
    """Whether a module or name belongs to the package of `of`, not to the toolkit or to Luigi."""
    package = of.partition(".")[0]
    toolkit = f"{path}.".startswith(f"{_TOOLKIT}.")
    return path.partition(".")[0] == package != "luigi" and not toolkit


@cache
def parsed(module: str) -> tuple[dict[str, list[ast.stmt]], _Imports]:
    """The statements of a module that define each of its names, and all its imports."""
    try:
        tree = ast.parse(inspect.getsource(import_module(module)))
    except (OSError, TypeError):  # it has no source
        return {}, []
    imports = _imports(tree, module)
    foreign = {name for name, path in imports if not is_own(path, module)}
    names: dict[str, list[ast.stmt]] = {}
    effects: list[ast.stmt] = []
    constants: set[str] = set()
    for statement in _statements(tree):
        bound = [each.get_name() for each in _table(statement).get_symbols() if each.is_assigned()]
        for name in bound:
            names.setdefault(name, []).append(statement)
        if isinstance(statement, _DEFINITIONS):
            decorators = [name for each in statement.decorator_list for name, *_ in _used(each)]
            if not foreign.issuperset(decorators):  # one of ours, which may note it down
                effects.append(statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and bound:
            constants.update(bound)
        else:
            effects.append(statement)
    for name in constants:  # which any of these may have changed
        names[name] += effects
    return names, imports


def find(module: str, qualname: str) -> list[Any]:
    """The statements that define a name; it may stand in a function, as `f.<locals>.Task`."""
    first, *inner = qualname.replace(".<locals>", "").split(".")
    nodes: list[Any] = parsed(module)[0].get(first, [])
    for name in inner:
        nodes = [n for outer in nodes for n in ast.walk(outer) if getattr(n, "name", None) == name]
    return nodes


def reached(module: str, qualname: str) -> Iterator[Name]:
    """The package's own names that the definition of a name uses."""
    for node in find(module, qualname):
        known = _global_names(_table(node)).union(name for name, _ in _imports(node, module))
        for chain in _used(node):
            if chain[0] in known:
                yield from _followed(module, chain)


def _followed(module: str, chain: list[str]) -> Iterator[Name]:
    """Follow `name.name` in a module through packages and imports to all that may define it."""
    places = [(module, chain)]
    for module, chain in places:  # which grows
        names, imports = parsed(module)
        if not chain:  # the module itself is handed on: all of it counts
            yield from ((module, name) for name in names)
            continue
        first, *rest = chain
        yield module, first
        if _is_module(f"{module}.{first}"):
            places.append((f"{module}.{first}", rest))
        for name, path in imports:
            if name in (first, "*") and is_own(path, module):
                source, _, last = path.replace("*", first).rpartition(".")
                place = (source, [last, *rest]) if source else (last, rest)
                places += [place] if place not in places and _is_module(place[0]) else []


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Those at the top level but for imports; an `if` or `try` that holds some is taken apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If | ast.Try):
            is_apart = any(isinstance(each, _IMPORTS) for each in ast.walk(node))
        else:
            is_apart = isinstance(node, ast.ExceptHandler)
        if is_apart:
            yield from _statements(node)
        elif isinstance(node, ast.stmt) and not isinstance(node, _IMPORTS):
            yield node


def _imports(tree: ast.AST, module: str) -> _Imports:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                name = each.asname or each.name.partition(".")[0]
                found.append((name, each.name if each.asname else name))
        elif isinstance(node, ast.ImportFrom):
            package = import_module(module).__package__
            source = resolve_name("." * node.level + (node.module or ""), package)
            found += [(each.asname or each.name, f"{source}.{each.name}") for each in node.names]
    return found


def _is_module(path: str) -> bool:
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:  # what should hold it is no package
        return False


def _used(node: ast.AST) -> Iterator[list[str]]:
    """Every name in the tree with the attributes taken from it: `a.b.c` as [a, b, c]."""
    chain = ast.unparse(node).split(".") if isinstance(node, ast.Name | ast.Attribute) else [""]
    if all(map(str.isidentifier, chain)):
        yield chain
    else:
        for child in ast.iter_child_nodes(node):
            yield from _used(child)


def _table(node: ast.AST) -> SymbolTable:
    return symtable(ast.unparse(node), "<task>", "exec")


def _global_names(table: SymbolTable) -> set[str]:
    """The names that a statement takes from its module: not its own locals."""
    outer = table.get_type() in ("module", "class")  # whose own names may hide global ones
    found = {each.get_name() for each in table.get_symbols() if outer or each.is_global()}
    return found.union(*map(_global_names, table.get_children()))
