"""READ. What Dask will do for a stage, asked before it does it: no data is read."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from . import frames
from .graph import flat, label, names
from .stage import Stage

_WIDTH = 80  # columns of a terminal


def explain(stage: Stage) -> Iterator[str]:
    """What the stage writes, what it reads of each input, and Dask's own optimized expression.

    Raises FileNotFoundError where an input is not there yet.
    """
    inputs = names(flat(stage.requires()))
    read = stage.frames()
    frame = stage.transform(**read)
    frames.check_dask(frame)
    optimized = frame.expr.simplify()  # one step further, and Dask would read data to sort it
    readers = {
        _whole(leaf): inputs[task]
        for name, required in stage.requires().items()
        for task, each in zip(flat(required), _listed(read[name]), strict=True)
        if hasattr(each, "expr")
        for leaf in _leaves(each.expr)
    }
    yield f"{label(stage)} writes {_partitions(frame.expr)}"
    for leaf in (each for each in _leaves(optimized) if "columns" in each._parameters):
        yield f"reads {readers.get(_whole(leaf), type(leaf).__name__)}: {_partitions(leaf)}"
        yield from _wrapped("columns", ", ".join(leaf.columns))
        for any_of in ("filters" in leaf._parameters and leaf.operand("filters")) or ():
            texts = sorted(f"{name} {operator} {value!r}" for name, operator, value in any_of)
            yield from _wrapped("filter", " and ".join(texts))
    yield "expression, the last step first"
    ahead, seen = [(optimized, 1)], set()
    while ahead:
        node, depth = ahead.pop()
        above = node.dependencies()
        text = node._tree_repr_lines(recursive=False)[0] if above else readers.get(_whole(node))
        line = re.sub(" at 0x[0-9a-f]+", "", f"{'  ' * depth}{text or type(node).__name__}")
        again = above and node._name in seen
        yield f"{line[: _WIDTH - 8]} (above)" if again else line[:_WIDTH]
        if not again:
            seen.add(node._name)
            ahead += [(each, depth + (len(above) > 1)) for each in reversed(above)]


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"  {head:9}", subsequent_indent=" " * 11)


def _listed(read: Any) -> list[Any]:
    return read if isinstance(read, list) else [read]


def _leaves(expr: Any) -> list[Any]:
    return [node for node in expr.walk() if not node.dependencies()]


def _whole(leaf: Any) -> str:
    """The name of a reader as it is before optimization chooses columns and rows."""
    chosen = {"columns": None, "filters": None, "_series": False}
    here = {name: value for name, value in chosen.items() if name in leaf._parameters}
    return str(leaf.substitute_parameters(here)._name)


def _partitions(expr: Any) -> str:
    sorts = [node for node in expr.walk() if type(node).__name__ in ("SetIndex", "SortValues")]
    if len(sorts) > 1 or any(node.frame.npartitions > 1 for node in sorts):
        return "as many partitions as its sort finds"  # asked, Dask would read the data
    return f"{expr.npartitions} partition{'s' if expr.npartitions > 1 else ''}"
