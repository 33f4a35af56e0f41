"""READ. The graph as a picture: a tree for the terminal, Mermaid, or DOT.

`states` says of each task whether it is complete; without it the picture shows none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import luigi

from .graph import flat, is_external, names

if TYPE_CHECKING:
    from rich.tree import Tree

_Graph = list[tuple[luigi.Task, dict[str, Any]]]
_States = dict[luigi.Task, str]
_COLOURS = {"complete": "green", "to run": "magenta", "missing": "red"}
_DEEP = 8  # levels of a tree; the rest goes on below


def trees(graph: _Graph, states: _States) -> Iterator[Tree]:
    """The graph seen from its end. What is needed twice is drawn once and referred to."""
    from rich.text import Text
    from rich.tree import Tree

    requires, texts = dict(graph), names(task for task, _ in graph)
    drawn: set[luigi.Task] = set()
    roots = [graph[-1][0]]
    for root in roots:  # which grows by what goes on below
        top = Tree("", hide_root=True)
        ahead = [] if root in drawn else [(root, top, 0)]
        while ahead:
            task, parent, depth = ahead.pop()
            above = flat(requires[task])
            is_below = above and depth == _DEEP and task not in drawn
            refers = " (above)" if task in drawn else " (below)" if is_below else ""
            state = states.get(task, "")
            mark = ("  ", (state, _COLOURS[state])) if state else ()
            node = parent.add(Text.assemble(texts[task], refers, *mark))
            if is_below:
                roots.append(task)
            elif task not in drawn:
                drawn.add(task)
                ahead += [(each, node, depth + 1) for each in reversed(above)]
        yield top


def mermaid(graph: _Graph, states: _States) -> Iterator[str]:
    """The lines of a flowchart for Mermaid, which Git hosts draw."""
    yield "graph TD"
    named, above = names(task for task, _ in graph), dict(graph)
    ids = _ids(named)
    for task, name in named.items():
        text = f"{name}: {states[task]}" if states else name
        if text == ids[task] and above[task]:
            continue  # its arrows say all
        quoted = re.sub(r"[^\w .,:=()/+-]", lambda match: f"#{ord(match[0])};", text)
        begin, end = ("[(", ")]") if is_external(task) else ("[", "]")
        mark = f":::{states[task].replace(' ', '')}" if states else ""
        yield f'    {ids[task]}{begin}"{quoted}"{end}{mark}'
    for task, requires in graph:
        if sources := [ids[each] for each in flat(requires)]:
            arrow = "-.->" if isinstance(task, luigi.WrapperTask) else "-->"
            yield f"    {' & '.join(sources)} {arrow} {ids[task]}"
    for state, colour in _COLOURS.items() if states else ():
        yield f"    classDef {state.replace(' ', '')} stroke:{colour},stroke-width:2px"


def dot(graph: _Graph, states: _States) -> Iterator[str]:
    """The lines of a directed graph for Graphviz."""
    yield "digraph {"
    named = names(task for task, _ in graph)
    ids = _ids(named)
    for task, name in named.items():
        text = f"{name}: {states[task]}" if states else name
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        shape = "cylinder" if is_external(task) else "box"
        colour = f", color={_COLOURS[states[task]]}" if states else ""
        yield f'    "{ids[task]}" [label="{quoted}", shape={shape}{colour}]'
    for task, requires in graph:
        style = " [style=dotted]" if isinstance(task, luigi.WrapperTask) else ""
        for each in flat(requires):
            yield f'    "{ids[each]}" -> "{ids[task]}"{style}'
    yield "}"


def _ids(named: dict[luigi.Task, str]) -> dict[luigi.Task, str]:
    """The family where it is a plain name that no other task has, else one with a number."""
    return {
        task: name
        if re.fullmatch("[A-Z][A-Za-z0-9]*", name)
        else f"{re.sub('[^A-Za-z0-9]', '_', task.get_task_family())}_{number}"
        for number, (task, name) in enumerate(named.items())
    }
