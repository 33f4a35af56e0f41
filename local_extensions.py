"""What the template adds to Jinja: quoting, the checks of the answers, and a guard for them."""

from __future__ import annotations

import json
import keyword
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template
from jinja2.ext import Extension

import local_pipeline
from local_pipeline import WINDOWS

HERE = Path(__file__).resolve().parent
MODULE = re.compile(r"(\w+)\.py")

# Import names of all that a generated project installs, also with its later options, and the names
# of what pip installs: it would take the project itself for that requirement.
DEPENDENCIES = """
    _cffi_backend _distutils_hack _pytest _yaml a1_coverage adlfs aiobotocore aiohappyeyeballs
    aiohttp aioitertools aiosignal ast_serialize attr attrs azure azure_core azure_datalake_store
    azure_identity azure_storage_blob backports boto3 botocore certifi cffi charset_normalizer
    click cloudpickle colorama coverage cryptography daemon dask dateutil decorator distlib
    distributed docutils dotenv execnet filelock frozenlist fsspec gcsfs google
    google_api_core google_auth google_auth_oauthlib google_cloud_core google_cloud_storage
    google_cloud_storage_control google_crc32c google_resumable_media googleapis_common_protos
    greenlet grpc grpc_google_iam_v1 grpc_status grpcio grpcio_status idna importlib_metadata
    iniconfig isodate jinja2 jmespath jwt lazy_importer librt locket lockfile luigi markdown_it
    markdown_it_py markupsafe mdurl msal msal_extensions msgpack multidict mypy
    mypy_extensions mypyc numpy oauthlib opentelemetry opentelemetry_api packaging pandas partd
    pathspec pip pipenv pkg_resources platformdirs pluggy propcache proto proto_plus protobuf
    psutil psycopg psycopg_binary py py4j pyarrow pyasn1 pyasn1_modules pycparser pygments pyjwt
    pyspark pytest pytest_cov pytest_socket python_daemon python_dateutil python_discovery
    python_dotenv pytz pyyaml requests requests_oauthlib rich ruff s3fs setuptools six
    sortedcontainers sqlalchemy tblib tenacity tlz toolz tornado typing_extensions tzdata urllib3
    virtualenv wheel wrapt yaml yarl zict zipp
"""
# What only some of Python 3.11 to 3.14 have, or have without saying so.
STANDARD = """
    __main__ aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt
    distutils imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sitecustomize smtpd
    sndhdr spwd sunau telnetlib test usercustomize uu xdrlib
"""
# The project's folders, what its .gitignore leaves out, and its test modules: pytest imports each
# by its bare name.
PROJECT = {"tests", "spec", "data", "compose", "build", "__pycache__"} | {
    module for path in HERE.glob("{{*}}/tests/**/*") for module in MODULE.findall(path.name)
}
TAKEN = {*DEPENDENCIES.split(), *STANDARD.split(), *sys.stdlib_module_names, *keyword.kwlist}
TAKEN |= PROJECT | WINDOWS


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
    return f"{name}_project" if name in TAKEN else name


def line(answer: str, text: str) -> Iterator[str]:
    if text.splitlines() not in ([], [text]):
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
        yield f"{answer} is {text!r}, which Python, a library or this project has; choose another"


def pipeline(answer: str, text: str) -> Iterator[str]:
    yield from line(answer, text)
    if text:
        yield from local_pipeline.problems(answer, text)


def coverage_fail_under(answer: str, text: str) -> Iterator[str]:
    if not re.fullmatch(r"0|[1-9][0-9]?|100", text, re.ASCII):
        yield f"{answer} is {text!r}; give a whole number from 0 to 100, without leading zeros"


CHECKS: dict[str, Callable[[str, str], Iterator[str]]] = {
    "project_name": project_name,
    "project_slug": project_slug,
    "package_name": package_name,
    "description": line,
    "author_name": line,
    "pipeline": pipeline,
    "coverage_fail_under": coverage_fail_under,
}


def check(text: Any, answer: str) -> str:
    """Nothing, or the end of the bake with one sentence: before a folder is made."""
    for problem in CHECKS[answer](answer, str(text)):
        shown = f"{problem}.".encode("utf-8", "backslashreplace").decode()
        raise SystemExit(shown.encode("ascii", "backslashreplace").decode())
    return ""


def own_sources() -> dict[str, tuple[str, set[str]]]:
    """The template's own code that cookiecutter renders without naming a file, and its turn.

    The turn of a default comes when the answers of which it speaks are there, and its own is not;
    a path's and a hook's (they have no name), when every answer is.
    """
    questions = json.loads((HERE / "cookiecutter.json").read_text(encoding="utf-8"))
    turns = {
        source: (name, set(re.findall(r"\bcookiecutter\.(\w+)", source)))
        for name, source in questions.items()
        if isinstance(source, str) and _has_tags(source)
    }
    answers = {name for name in questions if not name.startswith("_")}
    (template,) = HERE.glob("{{*}}")
    paths = [template.name]
    for folder, folders, files in os.walk(template):
        inside = os.path.relpath(folder, template)
        paths += [os.path.normpath(os.path.join(inside, name)) for name in (*folders, *files)]
    hooks = [path.read_text(encoding="utf-8") for path in HERE.glob("hooks/*.py")]
    return turns | {source: ("", answers) for source in (*paths, *hooks) if _has_tags(source)}


class Source:
    """In the place of a Jinja template: what it gives is settled when it is rendered."""

    def __init__(self, guard: Guard, source: str) -> None:
        self.guard, self.source = guard, source

    def render(self, **context: Any) -> str:
        return self.guard.rendered(self.source, context)


class Guard(Extension):
    """Keeps template code that somebody gives as an answer what it is: text.

    It spares Jinja all that holds no code, nearly every file and path: it would be slow at that.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        for module in (__name__, local_pipeline.__name__):
            sys.modules.pop(module, None)  # an update by cruft imports two versions in one process
        self.turns = own_sources()
        self.are_right = False
        self.trusted = ""
        self.from_string, self.from_file = environment.from_string, environment.get_template
        environment.from_string = partial(Source, self)
        environment.get_template = self.get_template
        environment.filters |= {
            "q": quoted,
            "md": markdown,
            "slug_from": slug_from,
            "package_from": package_from,
            "check": check,
            "graph": local_pipeline.graph,
            "mermaid": local_pipeline.mermaid,
            "raw_folders": local_pipeline.raw_folders,
        }
        environment.globals["fit"] = local_pipeline.fit

    def rendered(self, source: str, context: dict[str, Any]) -> str:
        """The source as it is, unless it is the template's own code and its turn has come."""
        folder, own = "", source
        if own not in self.turns:  # but cookiecutter puts the output folder before a folder
            folder, here, own = source.rpartition(f"{os.sep}.{os.sep}")
            folder += here
        answers = context["cookiecutter"]
        if own not in self.turns or not self.is_turn(own, answers):
            return source
        own = own.replace("{{cookiecutter.package_name}}", answers.get("package_name", ""))
        if not _has_tags(own):
            return folder + own
        self.trusted = own
        return folder + self.from_string(own).render(**context)

    def is_turn(self, own: str, answers: dict[str, Any]) -> bool:
        name, needs = self.turns[own]
        if name in answers or not needs <= answers.keys():
            return False
        if not name and not self.are_right:  # nobody has checked answers that are replayed
            self.are_right = not any(check(answers[name], name) for name in CHECKS)
        return True

    def get_template(self, name: str) -> Template | Source:
        source, *_ = self.environment.loader.get_source(self.environment, name)
        return self.from_file(name) if _has_tags(source) else Source(self, source)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The code of a file, or what `rendered` lets through; all else as an expression of it."""
        is_own = name is not None or source == self.trusted
        return source if is_own or not _has_tags(source) else f"{{{{ {source!r} }}}}"


def _has_tags(source: str) -> bool:
    return any(tag in source for tag in ("{{", "{%", "{#"))
