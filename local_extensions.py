"""What the template adds to Jinja: quoting, the checks of the answers, and a guard for them."""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

HERE = Path(__file__).resolve().parent

WINDOWS = {"aux", "con", "nul", "prn", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in "0123456789¹²³"
}
# Import names of all that a generated project installs, also with its later options.
DEPENDENCIES = set(
    """
    _pytest _yaml a1_coverage adlfs aiobotocore aiohttp ast_serialize attr attrs azure
    backports boto3 botocore click cloudpickle coverage daemon dask dateutil distributed docutils
    dotenv environs execnet fsspec gcsfs google iniconfig importlib_metadata jinja2 librt locket
    lockfile luigi markupsafe marshmallow msgpack mypy mypy_extensions mypyc numpy packaging pandas
    partd pathspec pip pipenv pkg_resources pluggy psutil psycopg py py4j pyarrow pygments pyspark
    pytest pytest_cov pytest_socket pytz requests rich ruff s3fs setuptools six sortedcontainers
    sqlalchemy tblib tenacity tlz toolz tornado typing_extensions tzdata urllib3 virtualenv wheel
    yaml zict zipp
    """.split()
)
STANDARD = set(sys.stdlib_module_names) | {"annotationlib", "compression", "distutils", "imp"}
TAKEN = DEPENDENCIES | STANDARD | WINDOWS | set(keyword.kwlist)
TAKEN |= {"tests", "data", "compose"}


def quoted(text: str) -> str:
    """A string literal that TOML, Python, YAML and JSON read alike."""
    literal = json.dumps(str(text), ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff]", lambda c: f"\\u{ord(c[0]):04x}", literal)


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a heading or at the beginning of a paragraph."""
    escaped = re.sub(r"([\\`*_\[\]<>&#!|~{}$^])", r"\\\1", str(text))
    escaped = re.sub(r"^(\s*\d*)([-+=.):])", r"\1\\\2", escaped)
    edges = re.compile(r"^\s+|\s+$")
    return edges.sub(lambda spaces: "".join(f"&#{ord(c)};" for c in spaces[0]), escaped)


def slug_from(name: str) -> str:
    """A project_slug that is always accepted, for any project_name."""
    from slugify import slugify

    slug = slugify(str(name), max_length=60, word_boundary=True) or "pipeline"
    return f"{slug}-pipeline" if slug.partition(".")[0] in WINDOWS else slug


def package_from(slug: str) -> str:
    """A package_name that is always accepted, for any project_slug."""
    name = re.sub(r"[^a-z0-9]+", "_", str(slug).lower()).strip("_")
    name = f"p{name}" if name[:1].isdigit() else name
    name = name[:31].strip("_") or "pipeline"
    return f"{name}_pipeline" if name in TAKEN else name


def line(answer: str, text: str) -> Iterator[str]:
    if len(text.splitlines()) > 1 or text.splitlines() not in ([], [text]):
        yield f"{answer} has more than one line; give one"
    elif re.search("[\x00-\x08\x0e-\x1f\ud800-\udfff]", text):
        yield f"{answer} holds a control character; leave it out"


def project_name(answer: str, text: str) -> Iterator[str]:
    yield from line(answer, text)
    if not text.strip():
        yield f"{answer} is empty; give the project a name"
    elif len(text) > 80:
        yield f"{answer} has {len(text)} characters; use at most 80"


def project_slug(answer: str, text: str) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        yield (
            f"{answer} is {text!r}; begin with a letter or digit and use only "
            f"letters (a to z, A to Z), digits, '.', '_' and '-'"
        )
    elif len(text) > 80:
        yield f"{answer} has {len(text)} characters; use at most 80"
    elif text.partition(".")[0].lower() in WINDOWS or text.endswith("."):
        yield f"{answer} is {text!r}, which Windows cannot have as a folder; choose another"


def package_name(answer: str, text: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", text) or not text.strip("_"):
        yield (
            f"{answer} is {text!r}; begin with a lower-case letter and use only "
            f"lower-case letters, digits and '_'"
        )
    elif len(text) > 40:
        yield f"{answer} has {len(text)} characters; use at most 40"
    elif {text, text.strip("_")} & TAKEN:
        yield f"{answer} is {text!r}, which Python, a library or a folder has already; choose another"


def coverage_fail_under(answer: str, text: str) -> Iterator[str]:
    if not re.fullmatch(r"0|[1-9][0-9]?|100", text, re.ASCII):
        yield f"{answer} is {text!r}; give a whole number from 0 to 100, without leading zeros"


CHECKS: dict[str, Callable[[str, str], Iterator[str]]] = {
    "project_name": project_name,
    "project_slug": project_slug,
    "package_name": package_name,
    "description": line,
    "author_name": line,
    "coverage_fail_under": coverage_fail_under,
}


def check(text: Any, answer: str) -> str:
    """Nothing, or the end of the bake with one sentence: before a folder is made."""
    for problem in CHECKS[answer](answer, str(text)):
        shown = f"{problem}.".encode("utf-8", "backslashreplace").decode()
        raise SystemExit(shown.encode("ascii", "backslashreplace").decode())
    return ""


def own_sources() -> set[str]:
    """The template's own texts and paths that cookiecutter renders without naming a file."""
    answers = json.loads((HERE / "cookiecutter.json").read_text(encoding="utf-8"))
    sources = {str(v) for value in answers.values() for v in _leaves(value)}
    for template in HERE.glob("{{*}}"):
        sources |= {template.name}
        sources |= {str(path.relative_to(template)) for path in template.rglob("*")}
    return sources | {path.read_text(encoding="utf-8") for path in HERE.glob("hooks/*.py")}


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    else:
        yield value


class Guard(Extension):
    """Keeps template code that somebody gives as an answer what it is: text."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.own = own_sources()
        environment.filters |= {
            "q": quoted,
            "md": markdown,
            "slug_from": slug_from,
            "package_from": package_from,
            "check": check,
        }

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source itself if it is the template's, else an expression that gives it as text."""
        if name is not None or source in self.own or not _has_tags(source):
            return source
        folder, here, path = source.rpartition(f"{os.sep}.{os.sep}")  # how a folder is rendered
        if here and path in self.own and not _has_tags(folder):
            return source
        return f"{{{{ {source!r} }}}}"


def _has_tags(source: str) -> bool:
    return any(tag in source for tag in ("{{", "{%", "{#"))
