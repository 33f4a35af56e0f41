"""READ. The graph as a picture, line by line: a tree for the terminal, Mermaid, or DOT.

`states` says of each task whether it is complete; without it the picture shows none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
import luigi

from .graph import flat, is_external, names

_Graph = list[tuple[luigi.Task, dict[str, Any]]]
_States = dict[luigi.Task, str]
_COLOURS = {"complete": "green", "to run": "magenta", "missing": "red"}
_DEEP = 8  # levels of a tree; the rest goes on below


def text(graph: _Graph, states: _States) -> Iterator[str]:
    """The graph seen from its end. What is needed twice is drawn once and referred to."""
    requires, named = dict(graph), names(task for task, _ in graph)
    drawn: set[luigi.Task] = set()
    roots = [graph[-1][0]]
    for root in roots:  # which grows by what goes on below
        ahead = [] if root in drawn else [(root, "", "")]
        while ahead:
            task, before, indent = ahead.pop()
            above = flat(requires[task])
            is_below = above and len(indent) == 4 * _DEEP and task not in drawn
            refers = " (above)" if task in drawn else " (below)" if is_below else ""
            state = states.get(task)
            mark = f"  {click.style(state, fg=_COLOURS[state])}" if state else ""
            yield f"{before}{named[task]}{refers}{mark}"
            if is_below:
                roots.append(task)
            elif task not in drawn:
                drawn.add(task)
                for each in reversed(above):
                    is_last = each is above[-1]
                    branch, on = ("└── ", "    ") if is_last else ("├── ", "│   ")
                    ahead.append((each, indent + branch, indent + on))


def mermaid(graph: _Graph, states: _States) -> Iterator[str]:
    """A flowchart for Mermaid, which Git hosts draw."""
    yield "graph TD"
    above, ids, texts = dict(graph), _ids(graph), _texts(graph, states)
    for task, text in texts.items():
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
    """A directed graph for Graphviz."""
    yield "digraph {"
    ids = _ids(graph)
    for task, text in _texts(graph, states).items():
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        shape = "cylinder" if is_external(task) else "box"
        colour = f", color={_COLOURS[states[task]]}" if states else ""
        yield f'    "{ids[task]}" [label="{quoted}", shape={shape}{colour}]'
    for task, requires in graph:
        style = " [style=dotted]" if isinstance(task, luigi.WrapperTask) else ""
        for each in flat(requires):
            yield f'    "{ids[each]}" -> "{ids[task]}"{style}'
    yield "}"


def _texts(graph: _Graph, states: _States) -> dict[luigi.Task, str]:
    named = names(task for task, _ in graph)
    return {task: f"{n}: {states[task]}" if states else n for task, n in named.items()}


def _ids(graph: _Graph) -> dict[luigi.Task, str]:
    """The family where it is a plain name that no other task has, else one with a number."""
    named = names(task for task, _ in graph)
    is_plain = re.compile("[A-Z][A-Za-z0-9]*").fullmatch
    return {t: n if is_plain(n) else f"task{i}" for i, (t, n) in enumerate(named.items())}
