"""What the questions accept and refuse; and that no answer is ever run as template code."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from types import ModuleType

import pytest
from baking import TEMPLATE, bake, clean_environ, cookiecutter, run
from conftest import bake_here
from jinja2 import Environment
from markdown_it import MarkdownIt
from packaging.requirements import Requirement

REFUSED = [  # the answer, its value, what the sentence says
    ("project_name", "", "is empty"),
    ("project_name", " \t ", "is empty"),
    ("project_name", "x" * 81, "has 81 characters; use at most 80"),
    ("project_name", "two\nlines", "has more than one line"),
    ("project_name", "two\u2028lines", "has more than one line"),
    ("project_name", "a\x07bell", "holds a control character"),
    ("project_name", "half a pair: \udcff", "holds a control character"),
    ("project_slug", "", "is ''"),
    ("project_slug", "../x", "is '../x'"),
    ("project_slug", "..", "is '..'"),
    ("project_slug", "/x/y", "is '/x/y'"),
    ("project_slug", "C:\\x", "is 'C:"),
    ("project_slug", "a/b", "is 'a/b'"),
    ("project_slug", "-x", "begin with a letter or digit"),
    ("project_slug", ".x", "begin with a letter or digit"),
    ("project_slug", "a b", "is 'a b'"),
    ("project_slug", " x", "is ' x'"),
    ("project_slug", "größe", "use only letters (a to z, A to Z), digits"),
    ("project_slug", "x" * 81, "has 81 characters; use at most 80"),
    ("project_slug", "con", "Windows"),
    ("project_slug", "NUL.txt", "Windows"),
    ("project_slug", "com1", "Windows"),
    ("project_slug", "x.", "Windows"),
    ("package_name", "", "is ''"),
    ("package_name", "Flights", "lower-case"),
    ("package_name", "2nd_try", "begin with a lower-case letter"),
    ("package_name", "flight-scores", "is 'flight-scores'"),
    ("package_name", "größe", "use only lower-case letters, digits and '_'"),
    ("package_name", "__", "is '__'"),
    ("package_name", "x" * 41, "has 41 characters; use at most 40"),
    ("package_name", "import", "this project has"),
    ("package_name", "json", "this project has"),
    ("package_name", "pandas", "this project has"),
    ("package_name", "luigi", "this project has"),
    ("package_name", "dask", "this project has"),
    ("package_name", "tests", "this project has"),
    ("package_name", "data", "this project has"),
    ("package_name", "compose", "this project has"),
    ("description", "two\nlines", "has more than one line"),
    ("description", "a\x1b[31mcolour", "holds a control character"),
    ("author_name", "two\r\nlines", "has more than one line"),
    ("author_name", "\udcff", "holds a control character"),
    ("pipeline", " ", "lacks the name of a task at [here]"),
    ("pipeline", "A > > B", "lacks the name of a task at [here]: A > [here] > B;"),
    ("pipeline", "A > B;", "lacks the name of a task at [here]: A > B; [here];"),
    ("pipeline", "A > B, > C", "lacks the name of a task at [here]: A > B, [here] > C;"),
    ("pipeline", "A B > C", "lacks '>', ',' or ';' at [here]: A [here] B > C;"),
    ("pipeline", "A -> B", "lacks '>', ',' or ';' at [here]: A [here] -> B;"),
    ("pipeline", "A > B; C", "leads nowhere at [here]: A > B; C [here];"),
    ("pipeline", "A > B > A", "goes round in a circle: A > B > A"),
    ("pipeline", "A > A", "goes round in a circle: A > A"),
    ("pipeline", "A > B; B > C", "begins a chain with B, which makes it external data"),
    ("pipeline", "raw > clean_it", "names 'raw', 'clean_it', not in CapWords"),
    ("pipeline", "Größe > B", "names 'Größe', not in CapWords"),
    ("pipeline", "A > B\"'{{x}}", "not in CapWords"),
    ("pipeline", "A > Stage", "names 'Stage', which Python or the toolkit has"),
    ("pipeline", "A > Output, Class, L, Sum", "names 'Output', 'Class', 'L', 'Sum', which"),
    ("pipeline", "RawCSV > RawCsv", "which are 'raw_csv' alike"),
    ("pipeline", "Con > B", "names 'Con', which Windows cannot have as a folder"),
    ("pipeline", f"A > {'B' * 41}", "use at most 40 characters for a task"),
    ("pipeline", " > ".join(f"T{n}" for n in range(51)), "has 51 tasks; use at most 50"),
    ("pipeline", "A >\nB", "has more than one line"),
    ("coverage_fail_under", "", "is ''"),
    ("coverage_fail_under", "007", "without leading zeros"),
    ("coverage_fail_under", "101", "from 0 to 100"),
    ("coverage_fail_under", "-1", "from 0 to 100"),
    ("coverage_fail_under", "ninety", "a whole number"),
    ("coverage_fail_under", "9.5", "a whole number"),
    ("coverage_fail_under", "90 ", "is '90 '"),
    ("coverage_fail_under", "٣", "a whole number"),
]
ONE_EACH = {answer: (value, words) for answer, value, words in REFUSED}
NAMES = [
    "Flight Scores",
    "Πτήσεις",
    "航班",
    "رحلات جوية",
    "🛫🛬",
    "2nd try",
    "class",
    "import",
    "data",
    "Build",
    "Con",
    "luigi",
    "Python dateutil",
    "json",
    "cgi",
    "Test",
    "Test Pipeline",
    "x" * 80,
    "航" * 80,
    "...",
    "_",
    "{{ 7*7 }}",
]
TAKEN = [  # by what
    "_pandas",  # pip, which leaves the underscore out
    "test",  # Python's own tests
    "sitecustomize",  # Python, which imports it at every start
    "__main__",
    "conftest",  # pytest, which imports the modules in tests/ by their bare names
    "test_pipeline",
    "build",  # git, which ignores it
    "__pycache__",
    "python_dateutil",  # pip, to which the project is called like its package
]
MKDIR = "lipsum.__globals__.os.mkdir('PWNED')"
CODE = [  # none of it is longer than a project_name may be
    "{{ 7*7 }}",
    f"{{{{ {MKDIR} }}}}",
    f"{{% set x = {MKDIR} %}}",
    f"{{%- if {MKDIR} %}}{{% endif -%}}",
    f"{{# #}}{{{{ {MKDIR} }}}}",
    f"{{{{ {MKDIR} }}}}/./{{{{cookiecutter.package_name}}}}",  # like a path of the template
    "x/./{{cookiecutter.package_name}}",
    "{{cookiecutter.package_name}}",
    "{{cookiecutter.project_slug}}",
    "{{ cookiecutter.project_slug | package_from }}",
    "{{ cookiecutter.description | check('description') }}",
]
TEXTS = {"project_name": CODE[1], "description": CODE[2], "author_name": CODE[5]}


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The template's local_extensions, imported anew."""
    monkeypatch.syspath_prepend(TEMPLATE)
    monkeypatch.delitem(sys.modules, "local_extensions", raising=False)
    return importlib.import_module("local_extensions")


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com"]
    done = run(["git", *identity, *arguments], cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a git repository of its own, for cruft."""
    folder = tmp_path_factory.mktemp("cruft") / "template"
    listed = run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=TEMPLATE).stdout
    for name in filter(None, listed.split("\0")):
        if (TEMPLATE / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((TEMPLATE / name).read_bytes())
    git(folder, "init", "-q")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "All of it")


def cruft(home: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = clean_environ(HOME=str(home), USERPROFILE=str(home))
    return run([sys.executable, "-m", "cruft", *arguments], cwd=cwd, env=environ)


def create(repository: Path, out: Path, **answers: str) -> subprocess.CompletedProcess[str]:
    """Run `cruft create` without questions; the finished process."""
    out.mkdir()
    options = ["--no-input", "--output-dir", str(out), "--extra-context", json.dumps(answers)]
    return cruft(repository.parent, "create", str(repository), *options, cwd=out)


def assert_refused(done: subprocess.CompletedProcess[str], answer: str, words: str) -> None:
    assert done.returncode == 1
    assert_sentence(done.stderr, answer, words)


def assert_sentence(said: str, answer: str, words: str) -> None:
    assert re.fullmatch(rf"{answer} [ -~]+\.\n", said), said  # which any terminal can show
    assert words.encode("ascii", "backslashreplace").decode() in said


def shown(project: Path) -> tuple[str, str, str]:
    """The name in the README's heading; the description and the author in pyproject.toml."""
    tokens = MarkdownIt("commonmark").parse((project / "README.md").read_text("utf-8"))
    texts = [token.children or [] for token in tokens if token.type == "inline"]
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    name = "".join(child.content for child in texts[0])
    return name, metadata["description"], metadata["authors"][0]["name"]


@pytest.mark.parametrize(
    ("answer", "value", "words"), [*REFUSED, ("description", "a\0b", "control character")]
)
def test_a_wrong_answer_is_refused_in_one_sentence(
    extensions: ModuleType, answer: str, value: str, words: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        extensions.check(value, answer)
    assert_sentence(f"{refused.value.code}\n", answer, words)


@pytest.mark.parametrize("answer", ONE_EACH)
def test_a_wrong_answer_ends_a_bake_and_leaves_nothing(tmp_path: Path, answer: str) -> None:
    value, words = ONE_EACH[answer]
    assert_refused(cookiecutter(tmp_path, **{answer: value}), answer, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ONE_EACH)
def test_a_wrong_answer_ends_a_bake_under_cruft_and_leaves_nothing(
    tmp_path: Path, repository: Path, answer: str
) -> None:
    value, words = ONE_EACH[answer]
    assert_refused(create(repository, tmp_path / "out", **{answer: value}), answer, words)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_a_wrong_answer_ends_a_bake_without_hooks(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path, "--accept-hooks", "no", project_slug="../x")
    assert_refused(done, "project_slug", "is '../x'")
    assert list(tmp_path.iterdir()) == []


def test_a_slug_cannot_leave_the_output_folder(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path / "out", project_slug=str(tmp_path / "elsewhere"))
    assert_refused(done, "project_slug", "elsewhere")
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"]


def test_an_answer_that_replaces_a_check_is_checked_still(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path, project_slug="../x", __check_project_slug="")
    assert_refused(done, "project_slug", "is '../x'")
    assert list(tmp_path.rglob("x")) == []


def test_answers_that_are_replayed_are_checked(tmp_path: Path) -> None:
    answers = {"project_name": "X", "project_slug": "../x", "package_name": "x"}
    answers |= {"description": "", "author_name": "", "pipeline": "", "coverage_fail_under": "90"}
    answers |= {"storage": "local"}
    answers |= {"ci": "none", "open_source_license": "none"}
    (tmp_path / "answers.json").write_text(json.dumps({"cookiecutter": answers}))
    home = clean_environ(HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    command = [sys.executable, "-m", "cookiecutter", "--replay-file", "answers.json"]
    done = run([*command, "-o", "out", str(TEMPLATE)], cwd=tmp_path, env=home)
    assert_refused(done, "project_slug", "is '../x'")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("answer", ["ci", "open_source_license"])
def test_a_wrong_choice_leaves_nothing_on_disk(tmp_path: Path, answer: str) -> None:
    assert cookiecutter(tmp_path, **{answer: "travis"}).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_a_repository_name_with_capitals_and_digits_is_accepted(tmp_path: Path) -> None:
    project = bake_here(tmp_path, project_slug="2026sp-pset-5-JuLie")
    assert project.name == "2026sp-pset-5-JuLie"
    assert (project / "p2026sp_pset_5_julie" / "tasks.py").is_file()


@pytest.mark.parametrize("percentage", [0, 1, 99, 100])
def test_a_coverage_from_0_to_100_is_accepted(tmp_path: Path, percentage: int) -> None:
    project = bake_here(tmp_path, coverage_fail_under=str(percentage))
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["coverage"]["report"]["fail_under"] == percentage


@pytest.mark.parametrize("name", NAMES)
def test_what_is_derived_from_a_name_is_accepted(extensions: ModuleType, name: str) -> None:
    slug = extensions.slug_from(name)
    package = extensions.package_from(slug)
    assert list(extensions.project_slug("project_slug", slug)) == []
    assert list(extensions.package_name("package_name", package)) == []


@pytest.mark.parametrize("name", TAKEN)
def test_a_package_that_would_not_work_is_refused(extensions: ModuleType, name: str) -> None:
    (problem,) = extensions.package_name("package_name", name)
    assert problem.endswith("which Python, a library or this project has; choose another")


def test_a_slug_that_is_taken_as_a_package_gives_another_package(extensions: ModuleType) -> None:
    packages = {extensions.package_from(slug) for slug in extensions.TAKEN}
    assert packages.isdisjoint(extensions.TAKEN)


@pytest.mark.parametrize(
    ("name", "folder", "package"),
    [
        ("航班", "hang-ban", "hang_ban"),
        ("🛫🛬", "pipeline", "pipeline"),
        ("Con", "con-pipeline", "con_pipeline"),
        ("Test", "test", "test_project"),
    ],
)
def test_a_name_in_any_script_gives_a_folder_and_a_package(
    tmp_path: Path, name: str, folder: str, package: str
) -> None:
    project = bake_here(tmp_path, project_name=name)
    assert project.name == folder
    assert (project / package / "tasks.py").is_file()


@pytest.mark.parametrize("code", CODE)
def test_template_code_in_an_answer_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {"project_name": code, "description": code, "author_name": code}
    project = bake(tmp_path, project_slug="x", **answers)
    assert shown(project) == (code, code, code)
    assert [*tmp_path.rglob("PWNED"), *TEMPLATE.rglob("PWNED")] == []


def test_template_code_is_text_however_jinja_comes_by_it(extensions: ModuleType) -> None:
    environment = Environment(extensions=[extensions.Guard])
    code = environment.compile("{{ 7*7 }}")
    assert environment.template_class.from_code(environment, code, {}).render() == "{{ 7*7 }}"


@pytest.mark.parametrize("answer", ["project_slug", "package_name", "coverage_fail_under"])
@pytest.mark.parametrize("code", [CODE[1], CODE[2]])
def test_template_code_is_refused_where_no_text_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(cookiecutter(tmp_path, **{answer: code}), answer, "PWNED")
    assert list(tmp_path.iterdir()) == []


def test_template_code_in_a_users_own_defaults_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {name: str(tmp_path / name) for name in ("cookiecutters_dir", "replay_dir")}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(folders | {"default_context": TEXTS}))  # JSON is YAML
    project = bake(tmp_path, "--config-file", str(config), project_slug="x")
    assert shown(project) == tuple(TEXTS.values())
    assert list(tmp_path.rglob("PWNED")) == []


def test_template_code_in_the_output_folders_name_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = bake(tmp_path / CODE[1])
    assert (project / "flight_scores" / "tasks.py").is_file()
    assert list(tmp_path.rglob("PWNED")) == []


@pytest.fixture
def baked_by_cruft(tmp_path: Path, repository: Path) -> tuple[Path, Path]:
    """A template that can be changed, and a project that was made from it, with code as texts."""
    template = tmp_path / "template"
    git(tmp_path, "clone", "-q", str(repository), str(template))
    done = create(template, tmp_path / "out", project_slug="x", **TEXTS)
    assert done.returncode == 0, done.stderr
    git(tmp_path / "out" / "x", "init", "-q")
    commit(tmp_path / "out" / "x")
    return template, tmp_path / "out" / "x"


def update(template: Path, project: Path, readme_ends: str) -> str:
    """The project's README after an update to a template whose README ends so."""
    (readme,) = template.glob("{{*}}/README.md")
    readme.write_text(readme.read_text("utf-8") + readme_ends, "utf-8", newline="\n")
    commit(template)
    done = cruft(template.parent, "update", "-y", cwd=project)
    assert done.returncode == 0, done.stderr
    return (project / "README.md").read_text("utf-8")


def test_template_code_in_an_answer_is_text_under_cruft(
    tmp_path: Path, baked_by_cruft: tuple[Path, Path]
) -> None:
    template, project = baked_by_cruft
    assert shown(project) == tuple(TEXTS.values())
    assert update(template, project, "\nNew.\n").endswith("\nNew.\n")
    assert shown(project) == tuple(TEXTS.values())
    kept = json.loads((project / ".cruft.json").read_text("utf-8"))["context"]["cookiecutter"]
    assert {name: kept[name] for name in TEXTS} == TEXTS
    assert list(tmp_path.rglob("PWNED")) == []


def test_an_update_uses_the_filters_of_the_new_version(baked_by_cruft: tuple[Path, Path]) -> None:
    template, project = baked_by_cruft
    extensions = template / "local_extensions.py"
    code = extensions.read_text("utf-8").replace('"q": quoted,', '"q": quoted, "loud": str.upper,')
    extensions.write_text(code, "utf-8", newline="\n")
    assert update(template, project, "\n{{ 'new' | loud }}\n").endswith("\nNEW\n")


def installed(requirements: list[str]) -> set[str]:
    """The distributions of these requirements and of theirs, as far as they are installed."""
    found: set[str] = set()
    ahead = [Requirement(text) for text in requirements]
    seen: set[str] = set()
    while ahead:
        requirement = ahead.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        found.add(normalized(requirement.name))
        extras = requirement.extras or {""}
        try:
            lines = requires(requirement.name) or []
        except PackageNotFoundError:
            continue
        for needed in map(Requirement, lines):
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                ahead.append(needed)
    return found


def normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "_", distribution.lower())


def test_no_package_is_named_like_something_that_the_project_installs(
    tmp_path: Path, extensions: ModuleType
) -> None:
    project = bake_here(tmp_path)
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    pipfile = tomllib.loads((project / "Pipfile").read_text("utf-8"))
    names = installed([*metadata["dependencies"], *pipfile["dev-packages"]])
    assert {"luigi", "numpy", "python_dateutil", "pluggy"} <= names
    imports = {
        name
        for name, distributions in packages_distributions().items()
        if name.isidentifier() and not name.startswith("_") and "__" not in name
        if not names.isdisjoint(map(normalized, distributions))
    }
    assert {"dateutil", "dask", "pytest"} <= imports
    assert (names | {name.lower() for name in imports}) - extensions.TAKEN == set()


def test_every_version_of_python_refuses_the_same_package_names(
    extensions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset())
    bare = importlib.reload(extensions)
    assert {"asyncore", "cgi", "compression", "distutils", "imp", "telnetlib"} <= bare.TAKEN
