"""READ. A task's salt: a digest of everything that decides its output, and of nothing else.

The salt digests a one-level JSON document, so that it can be read and compared:

    {"task": family, "version": ..., "params": {...}, "requires": {name: salt or [salt, ...]},
     "files": {name: digest}}

`version` is the class's own `__version__` or a digest of its code; `params` are the significant
ones; `files` belong to external data only. Each task is digested once in each process.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import luigi
from luigi.parameter import ParameterVisibility

from .code import parsed
from .errors import ComposeError, DataError
from .fingerprints import fingerprint
from .graph import flat, is_external, label, significant, walk
from .roots import roots
from .versions import version

Document = dict[str, Any]
_Key = tuple[type, str, str, str]
_salts: dict[_Key, str] = {}
documents: dict[str, Document] = {}  # all that was digested in this process, by salt


def salt(task: luigi.Task) -> str:
    """The salt of `task`, 12 hexadecimal digits. Raises ComposeError where code has no source."""
    for each, requires in walk(task, known=lambda each: _key(each) in _salts):
        document = _document(each, requires)
        text = json.dumps(document, sort_keys=True, ensure_ascii=False)
        _salts[_key(each)] = digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        documents[digest] = document
    return _salts[_key(task)]


def lineage(task: luigi.Task) -> dict[str, Document]:
    """`{salt: document}` of the task and of all that it was made from, the task's own first."""
    closure: dict[str, Document] = {}
    ahead = [salt(task)]
    while ahead:
        digest = ahead.pop()
        if digest not in closure:
            closure[digest] = documents[digest]
            ahead.extend(flat(closure[digest]["requires"]))
    return closure


def settled_lineage(task: luigi.Task) -> dict[str, Document]:
    """The lineage, once it is sure that the raw files are still those that were digested.

    Raises DataError naming the files that changed since.
    """
    closure = lineage(task)
    for required in flat(task.requires()):
        if is_external(required):
            before, now = closure[salt(required)]["files"], fingerprint(required)
            if changed := sorted({name for name, _ in before.items() ^ now.items()}):
                meanwhile = f"{label(required)} changed while {label(task)} was computed"
                raise DataError(f"{meanwhile}: {', '.join(changed)}; nothing committed; run again")
    return closure


def forget() -> None:
    """Digest every task anew: for a long-lived process in which raw files or code change."""
    for forgets in (_salts.clear, documents.clear, version.cache_clear, parsed.cache_clear):
        forgets()


def _document(task: luigi.Task, requires: dict[str, Any]) -> Document:
    document: Document = {
        "task": task.get_task_family(),
        "version": version(type(task)),
        "params": _params(task),
        "requires": {
            name: _salts[_key(value)]
            if isinstance(value, luigi.Task)
            else [_salts[_key(t)] for t in flat(value)]
            for name, value in requires.items()
        },
    }
    if is_external(task):
        document["files"] = fingerprint(task)
    return document


def _key(task: luigi.Task) -> _Key:
    where = roots()
    return type(task), repr(task.param_kwargs), where.data_root, where.raw_root


def _params(task: luigi.Task) -> dict[str, str]:
    """Each value's text as its parameter would read it back: 1 and 1.0 are one float."""
    texts = {}
    for name, param in significant(type(task)):
        value = task.param_kwargs[name]
        try:
            text = param.serialize(param.parse(param.serialize(value)))
        except Exception:  # which may show a secret
            fault = f"{task.get_task_family()}.{name} is no {type(param).__name__}"
            raise ComposeError(f"{fault}; give it another value") from None
        if isinstance(value, type) and issubclass(value, luigi.Task):
            text += f" {json.dumps(version(value), sort_keys=True)}"
        if param.visibility != ParameterVisibility.PUBLIC:  # a lineage is written into manifests
            text = hashlib.sha256(text.encode()).hexdigest()
        texts[name] = text
    return texts
