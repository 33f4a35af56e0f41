"""What a bake puts on disk: every text exactly as it was given, the same bytes every time."""

from __future__ import annotations

import re
import tomllib
from functools import cache, partial
from pathlib import Path

import baking
import pytest
import yaml
from baking import TEMPLATE, bake, cookiecutter, run
from conftest import bake_here
from markdown_it import MarkdownIt

TEXTS = [
    "plain",
    'it\'s "quoted"',
    '"""',
    "'''",
    "\\. ends in a backslash\\",
    "a\\nb \\u0041 \\x41 \\N{DIGIT ONE}",
    "tab\there",
    "a  b",
    " leading and trailing ",
    " \t ",
    "🛫 to 🛬, 👩‍🚀",
    "رحلات, טיסות \u202eabc\u202c, 航班",
    "e\u0301 \u0323",
    "{{ 7*7 }}",
    "{% raw %}",
    "{% endraw %} {# #} }} %}",
    "${HOME} $HOME $(id) $x^2$",
    "%s %(x)s %HOME%",
    "#",
    "# heading #",
    "]]>",
    "- item",
    "* * *",
    "---",
    "===",
    "1. item",
    "2) item",
    "1.0",
    "> quote",
    "null",
    "yes",
    "<script>alert(1)</script> <!-- -->",
    "<http://example.com> http://example.com",
    "&amp; &#65; &",
    "`code`",
    "``` ~~~",
    "*bold* _em_ __strong__ ~~x~~",
    "[a](b) ![a](b) [a]: b [^1]",
    "| a | b |",
    "[section]; a = b, c",
    "\x7f",
    "\x80\x9f",
    "\xa0no\xa0break\xa0",
    "\ufeffmark\ufeff",
]
LICENSES = {
    "MIT": "MIT License",
    "BSD-3-Clause": "BSD 3-Clause License",
    "Apache-2.0": "Apache License",
}
CI_FILES = {"github": {".github/workflows/ci.yml"}, "gitlab": {".gitlab-ci.yml"}, "none": set()}
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
Tree = dict[str, tuple[int, bytes | None]]


def tree(folder: Path) -> Tree:
    """Each path in the folder with its mode and, if it is a file, its content."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


def raw_paths() -> list[str]:
    """The paths of the template itself, as git has them."""
    listed = run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=TEMPLATE).stdout
    return [name for name in listed.split("\0") if name]


def metadata(project: Path) -> dict[str, object]:
    values: dict[str, object] = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    return values["project"]


@cache  # nearly every module is the same for all answers
def compiled(module: str) -> object:
    return compile(module, "a module", "exec")


def opening(readme: Path) -> list[str]:
    """The first heading and the first paragraph that a reader of the README sees."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = reader.parse(readme.read_text("utf-8"))
    assert [token.type for token in tokens[:4:3]] == ["heading_open", "paragraph_open"]
    parts = [token.children or [] for token in (tokens[1], tokens[4])]
    assert {part.type for each in parts for part in each} == {"text"}  # no markup
    return ["".join(part.content for part in each) for each in parts]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_survives_exactly(tmp_path: Path, text: str) -> None:
    name = f"<{text}>" if not text.strip() else text
    answers = {"project_name": name, "description": text, "author_name": text}
    project = bake_here(tmp_path, project_slug="x", package_name="x", **answers)

    assert metadata(project)["description"] == text
    assert metadata(project)["authors"] == [{"name": text}]
    assert opening(project / "README.md") == [name, text]
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text("utf-8")
    assert tomllib.loads((project / "Pipfile").read_text("utf-8"))["scripts"]
    for path in project.rglob("*.py"):
        compiled(path.read_text("utf-8"))
    for path in project.rglob("*.yml"):
        assert yaml.safe_load(path.read_text("utf-8"))


def test_the_description_may_be_empty(tmp_path: Path) -> None:
    assert metadata(bake_here(tmp_path, description=""))["description"] == ""


def test_the_author_may_be_empty(tmp_path: Path) -> None:
    project = bake_here(tmp_path, author_name="")
    assert "authors" not in metadata(project)
    assert "Copyright (c) the authors\n" in (project / "LICENSE").read_text("utf-8")


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (bake(tmp_path / name, author_name="Grüße 🛫") for name in ("one", "two"))
    assert tree(one) == tree(two)


@pytest.mark.parametrize(("ci", "files"), CI_FILES.items())
def test_a_project_has_the_ci_that_was_chosen(tmp_path: Path, ci: str, files: set[str]) -> None:
    paths = tree(bake_here(tmp_path, ci=ci))
    assert {name for name in paths if name.endswith(".yml")} == files
    assert (".github" in paths) == (ci == "github")


@pytest.mark.parametrize("ci", CI_FILES)
def test_no_folder_is_empty(tmp_path: Path, ci: str) -> None:
    project = bake_here(tmp_path, ci=ci, open_source_license="none")
    assert [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


@pytest.mark.parametrize(("name", "first_line"), LICENSES.items())
def test_a_project_has_the_license_that_was_chosen(
    tmp_path: Path, name: str, first_line: str
) -> None:
    project = bake_here(tmp_path, open_source_license=name)
    assert (project / "LICENSE").read_text("utf-8").lstrip().startswith(f"{first_line}\n")
    assert metadata(project)["license"] == name


STORAGE = {"s3": ("s3fs", "s3://"), "gcs": ("gcsfs", "gs://"), "azure": ("adlfs", "abfs://")}


@pytest.mark.parametrize(("storage", "words"), STORAGE.items())
def test_a_project_is_ready_for_the_storage_that_was_chosen(
    tmp_path: Path, storage: str, words: tuple[str, str]
) -> None:
    project = bake_here(tmp_path, storage=storage)
    assert metadata(project)["optional-dependencies"] == {storage: [f"{words[0]}>=2024.12"]}
    pipfile = tomllib.loads((project / "Pipfile").read_text("utf-8"))
    assert pipfile["packages"]["flight_scores"]["extras"] == [storage]
    variables = (project / ".env.example").read_text("utf-8")
    assert f"# DATA_ROOT={words[1]}" in variables
    assert f"Set `DATA_ROOT={words[1]}" in (project / "README.md").read_text("utf-8")


def test_a_project_on_local_disks_speaks_of_no_other(tmp_path: Path) -> None:
    project = bake_here(tmp_path)
    assert "optional-dependencies" not in metadata(project)
    assert "extras" not in (project / "Pipfile").read_text("utf-8")
    for name in (".env.example", "README.md"):
        text = (project / name).read_text("utf-8")
        assert "://" not in re.sub(r"(http|tcp|tls)://(HOST|127\.0\.0\.1|`)", "", text)


def test_a_project_without_a_license_names_none(tmp_path: Path) -> None:
    project = bake_here(tmp_path, open_source_license="none")
    assert not (project / "LICENSE").exists()
    assert "license" not in metadata(project)


def test_a_bake_into_a_clone_keeps_what_is_not_the_templates(tmp_path: Path) -> None:
    clone = tmp_path / "baked" / "flight-scores"
    own = [clone / "NOTES.md", clone / ".github" / "workflows" / "own.yml"]
    own[1].parent.mkdir(parents=True)
    run(["git", "init", "-q"], cwd=clone)
    for path in [*own, clone / "README.md"]:
        path.write_text("on: push\n", "utf-8")
    before = tree(clone)

    bake(tmp_path, "-f", ci="none")

    after = tree(clone)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {"README.md"}
    assert "flight_scores/tasks.py" in after


def test_a_bake_that_skips_existing_files_keeps_every_byte(tmp_path: Path) -> None:
    project = bake(tmp_path)
    (project / "README.md").write_text("Mine.\n", "utf-8")
    with (project / "flight_scores" / "transforms.py").open("a", encoding="utf-8") as file:
        file.write("\r\n# Mine, and no end of line")
    before = tree(project)
    bake(tmp_path, "-f", "-s", project_name="Another", project_slug="flight-scores")
    assert {name: entry for name, entry in tree(project).items() if name in before} == before


def test_a_bake_works_without_hooks(tmp_path: Path) -> None:
    project = bake(tmp_path / "without", "--accept-hooks", "no")
    without, with_hooks = tree(project), tree(bake(tmp_path / "with"))
    assert {name: entry for name, entry in without.items() if entry[1] is not None} == {
        name: entry for name, entry in with_hooks.items() if entry[1] is not None
    }


def test_every_line_ends_in_a_line_feed(tmp_path: Path) -> None:
    files = {name: content for name, (_, content) in tree(bake_here(tmp_path)).items() if content}
    assert [name for name, content in files.items() if b"\r" in content] == []
    assert [name for name, content in files.items() if not content.endswith(b"\n")] == []


@pytest.mark.parametrize("of", ["template", "project"])
def test_windows_can_have_every_path(tmp_path: Path, of: str) -> None:
    longest = {"project_slug": "s" * 80, "package_name": "p" * 40}
    if of == "template":
        paths = raw_paths()
    else:
        bake_here(tmp_path, **longest)
        paths = list(tree(tmp_path / "baked"))
    parts = {part for path in paths for part in path.split("/")}
    assert [part for part in parts if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part)] == []
    assert [part for part in parts if RESERVED.fullmatch(part)] == []
    assert [path for path in paths if len(path) > 180] == []  # of 259, the rest is for the folder
    assert len({path.lower() for path in paths}) == len(paths)


def test_the_package_holds_no_template_code() -> None:
    modules = [name for name in raw_paths() if re.search(r"package_name}}/.*\.py", name)]
    modules = [name for name in modules if "{% if cookiecutter.pipeline %}" not in name]
    texts = {name: (TEMPLATE / name).read_text("utf-8") for name in modules}
    assert len(texts) > 5
    assert [name for name, text in texts.items() if re.search(r"{[{%#]", text)] == []


def test_a_bake_says_what_to_type_next(tmp_path: Path) -> None:
    said = cookiecutter(tmp_path, project_slug="2026sp-pset-5-JuLie").stdout.splitlines()
    commands = ["pipenv install --dev", "pipenv run start", "pipenv run test"]
    assert [line.strip() for line in said if line.startswith(" ")] == [
        "cd 2026sp-pset-5-JuLie",
        *commands,
    ]
    assert max(map(len, said)) <= 80


def test_a_bake_speaks_to_a_terminal_that_knows_ascii_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ascii_only = partial(baking.clean_environ, PYTHONIOENCODING="ascii")
    monkeypatch.setattr(baking, "clean_environ", ascii_only)
    done = cookiecutter(tmp_path, project_name="航班 🛫")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cd hang-ban\n" in done.stdout
