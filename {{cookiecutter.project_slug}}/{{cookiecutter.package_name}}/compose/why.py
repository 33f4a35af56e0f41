"""READ. Why a task runs: what changed since its newest complete output, root causes first.

Two lineages are compared, today's and that which a manifest holds: manifests alone are enough to
answer, on any machine.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any

import luigi

from .describe import absence
from .graph import is_external, names, outputs
from .history import made
from .reuse import standing
from .salts import Document, documents, salt
from .tables import some

_Pair = tuple[str, str]  # the salts of a task, then and now
_Salted = Mapping[str, Document]
_Causes = dict[str, list[str]]  # with the families that each came through


def why(tasks: list[luigi.Task], others: list[luigi.Task]) -> Iterator[str]:
    """A sentence for each task that is not complete; the outputs of others may tell, too."""
    left = {task: name for task, name in names(tasks).items() if not task.complete()}
    past, old = made([*left, *others]) if left else ([], {})
    latest = {family: then for _, family, then in past}
    alike = {_same(old[then]): then for _, _, then in past if then in old}
    salted = ChainMap(documents, old)
    causes: dict[_Pair, _Causes] = {}
    for task, name in left.items():
        now = salt(task)
        if is_external(task):
            yield absence(task)
        elif now in old:
            yield f"{name} runs because its output is gone: {', '.join(map(str, outputs(task)))}"
        elif then := alike.get(_same(documents[now]), latest.get(task.get_task_family())):
            found = _find(causes, (then, now), salted) if then in old else {}
            texts = [
                f"{text}, through {' and '.join(families)}" if families else text
                for text, families in found.items()
            ]
            unknown = "something changed, and its last output does not tell what"
            yield f"{name} runs because {some(texts, '; ') or unknown}{standing(task)}"
        else:
            yield f"{name} has never run"


def _find(known: dict[_Pair, _Causes], asked: _Pair, salted: _Salted) -> _Causes:
    """The causes of a change, those that lie furthest up first."""
    ahead = [asked]
    while ahead:
        texts, above = _compared(ahead[-1], salted)
        if missing := [each for each in above if each not in known]:
            ahead += missing
            continue
        causes: _Causes = {}
        for each in above:
            family = salted[each[1]]["task"]
            for text, families in known[each].items():
                path = families if family in text else [*families, family]
                causes.setdefault(text, path)
        known[ahead.pop()] = causes | {text: [] for text in texts}
    return known[asked]


def _compared(pair: _Pair, salted: _Salted) -> tuple[list[str], list[_Pair]]:
    """What differs in the task itself, and the requirements to compare, then and now."""
    then, now = (salted[each] for each in pair)
    texts = [*_params(then, now), *_code(then, now)]
    texts += _changed(now["task"], then.get("files", {}), now.get("files", {}))
    pairs = []
    for name in {**then["requires"], **now["requires"]}:
        olds, news = (_by_task(salted, each["requires"].get(name, [])) for each in (then, now))
        pairs += [(olds[task], news[task]) for task in olds if task in news]
        texts += _changed(name, dict.fromkeys(olds), dict.fromkeys(news))
    return texts, [pair for pair in pairs if pair[0] != pair[1]]


def _same(document: Document) -> str:
    return json.dumps([document["task"], document["params"]])


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


def _by_task(salted: _Salted, salts: str | list[str]) -> dict[str, str]:
    """The salts by task, written with the parameters where there are several."""
    if isinstance(salts, str):
        return {salted[salts]["task"]: salts}
    texts = {}
    for each in salts:
        params = (f"{name}={value}" for name, value in salted[each]["params"].items())
        texts[f"{salted[each]['task']}({', '.join(params)})"] = each
    return texts


def _changed(name: str, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    changed = [
        f"{each} ({'new' if each not in was else 'modified' if each in now else 'removed'})"
        for each in sorted({**was, **now})
        if was.get(each, 0) != now.get(each, 0)  # None is a value
    ]
    if changed:
        yield f"{name} changed: {some(changed)}"
