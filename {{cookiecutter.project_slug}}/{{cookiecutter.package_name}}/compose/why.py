"""READ. Why a task runs: what changed since its newest complete output, root causes first.

Two lineages are compared, today's and that which a manifest holds: manifests alone are enough to
answer, on any machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import luigi

from .describe import absence
from .graph import is_external, names, outputs
from .history import made
from .reuse import standing
from .salts import Document, documents, salt

_Pair = tuple[str, str]  # the salts of a task, then and now
_SHOWN = 5  # causes, and files of one


def why(tasks: list[luigi.Task], others: list[luigi.Task]) -> Iterator[str]:
    """A sentence for each task that is not complete; the outputs of others may tell, too."""
    left = {task: name for task, name in names(tasks).items() if not task.complete()}
    past, old = made([*left, *others]) if left else ([], {})
    latest = {each.family: each.salt for each in past}
    alike = {_same(old[each.salt]): each.salt for each in past if each.salt in old}
    causes: dict[_Pair, dict[str, list[str]]] = {}
    for task, name in left.items():
        now = salt(task)
        new = documents()
        if is_external(task):
            yield absence(task)
        elif now in old:
            yield f"{name} runs because its output is gone: {', '.join(map(str, outputs(task)))}"
        elif then := alike.get(_same(new[now]), latest.get(task.get_task_family())):
            found = _find(causes, (then, now), old, new)
            texts = [_through(text, families) for text, families in found.items()]
            unknown = "something changed, and its last output does not tell what"
            yield f"{name} runs because {_some(texts, '; ') or unknown}{standing(task)}"
        else:
            yield f"{name} has never run"


def _find(
    known: dict[_Pair, dict[str, list[str]]],
    asked: _Pair,
    old: dict[str, Document],
    new: dict[str, Document],
) -> dict[str, list[str]]:
    """Each cause with the families that it came through; those that lie furthest up first."""
    ahead = [asked]
    while ahead:
        then, now = pair = ahead[-1]
        texts, above = _compared(then, now, old, new) if then in old else ([], [])
        if missing := [each for each in above if each not in known]:
            ahead += missing
            continue
        causes: dict[str, list[str]] = {}
        for each in above:
            family = new[each[1]]["task"]
            for text, families in known[each].items():
                is_named = re.search(rf"\b{re.escape(family)}\b", text)
                path = families if is_named else [*families, family]
                causes[text] = min(path, causes.get(text, path), key=len)
        known[pair] = causes | {text: [] for text in texts}
        ahead.pop()
    return known[asked]


def _compared(
    before: str, after: str, old: dict[str, Document], new: dict[str, Document]
) -> tuple[list[str], list[_Pair]]:
    """What differs in the task itself, and the requirements to compare, then and now."""
    then, now = old[before], new[after]
    texts = [*_params(then, now), *_code(then, now)]
    texts += _changed(now["task"], then.get("files", {}), now.get("files", {}))
    pairs = []
    for name in {**then["requires"], **now["requires"]}:
        olds = _by_task(old, then["requires"].get(name, []))
        news = _by_task(new, now["requires"].get(name, []))
        pairs += [(olds[task], news[task]) for task in olds if task in news]
        texts += _changed(name, dict.fromkeys(olds), dict.fromkeys(news))
    return texts, [(then, now) for then, now in pairs if then != now]


def _same(document: Document) -> str:
    return json.dumps([document["task"], document["params"]])


def _through(text: str, families: list[str]) -> str:
    return f"{text}, through {' and '.join(families)}" if families else text


def _some(texts: list[str], separator: str) -> str:
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return separator.join(texts[:_SHOWN] + more)


def _code(then: Document, today: Document) -> Iterator[str]:
    was, now = then["version"], today["version"]
    if isinstance(was, dict) and isinstance(now, dict):
        other = was.keys() ^ now.keys()  # what a changed function no longer uses, or uses now
        if changed := [each for each in now if was.get(each, now[each]) != now[each]] or [*other]:
            yield f"the code of {' and '.join(changed)} changed"
    elif was != now:
        was, now = ("not declared" if isinstance(each, dict) else each for each in (was, now))
        yield f"{today['task']}.__version__ is {now} (was {was})"


def _params(then: Document, today: Document) -> Iterator[str]:
    was, now = then["params"], today["params"]
    for name in {**was, **now}:
        if name not in was or name not in now:
            yield f"the parameter {name} is {'gone' if name in was else 'new'}"
        elif was[name] != now[name]:
            is_hidden = all(re.fullmatch("[0-9a-f]{64}", each[name]) for each in (was, now))
            yield f"{name} changed" if is_hidden else f"{name} is {now[name]} (was {was[name]})"


def _by_task(documents: dict[str, Document], salts: str | list[str]) -> dict[str, str]:
    """The salts by task, written with the parameters where there are several."""
    if isinstance(salts, str):
        return {documents[salts]["task"]: salts}
    texts = {}
    for each in salts:
        params = (f"{name}={value}" for name, value in documents[each]["params"].items())
        texts[f"{documents[each]['task']}({', '.join(params)})"] = each
    return texts


def _changed(name: str, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    changed = [
        f"{each} ({'new' if each not in was else 'modified' if each in now else 'removed'})"
        for each in sorted({**was, **now})
        if was.get(each, 0) != now.get(each, 0)  # None is a value
    ]
    if changed:
        yield f"{name} changed: {_some(changed, ', ')}"
