"""What a user waits for: a bake, and a run with nothing to do, beside Kedro and gokart.

A project runs in an environment of its own that holds only what it needs: with jsonschema, which
the tests of the template need, `import luigi` takes twice as long.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path

from budgets import Bench, Section
from data import digest
from measure import Run, command, environ, fault, in_turns, spread
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
LEFT_OUT = shutil.ignore_patterns(".git", ".dev", "__pycache__", "benchmarks", "tests", ".*_cache")
ONE = '{"project_slug": "one"}'
CLEAN = "CleanFlights-*/*.parquet"


def lean(home: Path, project: Path) -> str:
    """The Python of a new environment that sees what the project requires, as installed here."""
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    ahead = [(text, "") for text in about["project"]["dependencies"]]
    seen = set()
    while ahead:
        requirement, extra = Requirement(ahead[0][0]), ahead.pop(0)[1]
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for each in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, each))
            found = distribution(name)
            ahead += [(text, each) for text in found.requires or []]
            for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
                if not (site / top).exists():
                    (site / top).symlink_to(Path(str(found.locate_file(top))))
    return str(home / "bin" / "python")


def bake(bench: Bench) -> None:
    """The default answers, beside a template that holds one file; bytecode is there for both."""
    folder = bench.folder / "bake"
    one = folder / "one"
    (one / "{{cookiecutter.project_slug}}").mkdir(parents=True)
    (one / "{{cookiecutter.project_slug}}" / "README.md").write_text(
        "{{cookiecutter.project_slug}}"
    )
    (one / "cookiecutter.json").write_text(ONE)
    whole = shutil.copytree(HERE.parent, folder / "template", ignore=LEFT_OUT)
    config = folder / "config.yaml"
    config.write_text(f"cookiecutters_dir: {folder}/dir\nreplay_dir: {folder}/replay\n")

    def run(name: str) -> Run:
        out = folder / "out"
        words = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", str(config)]
        done = command([*words, "-o", str(out), str(one if name == "one" else whole)])
        shutil.rmtree(out, ignore_errors=True)
        return done

    in_turns(["one", "ours"], 1, run)
    runs = in_turns(["one", "ours"], bench.rounds(9), run)
    bench.compared("bake", runs, "ours", "one")


def installed(bench: Bench, name: str, *packages: str) -> Path | str:
    """The programs of an environment with these packages; or why they cannot be installed."""
    home = bench.folder / name
    venv.create(home, with_pip=True, symlinks=True)
    words = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages]
    done = command(words)
    return done.fault or home / "bin"


def start(bench: Bench) -> None:
    """Import, and run with everything complete: ours, gokart's and Kedro's, on the same sample."""
    project = shutil.copytree(bench.project, bench.folder / "ours")
    python = lean(bench.folder / "lean", project)
    runs: dict[str, tuple[list[str], Path]] = {
        "`import luigi`": ([python, "-c", "import luigi"], project),
        "ours: import the tasks": ([python, "-c", "import flight_scores.tasks"], project),
        "ours: five tasks complete": ([python, "-m", "flight_scores"], project),
    }
    first = command([python, "-m", "flight_scores"], cwd=project)
    if first.fault:
        raise RuntimeError(first.fault)
    made = digest(f"{project}/data/{CLEAN}")
    said = []
    for name, prepare in {"gokart": gokart, "Kedro": kedro}.items():
        if bench.quick:
            said.append(f"{name} is left out of a quick run.")
            continue
        try:
            entries, folder = prepare(bench, project / "data" / "raw")
            last = list(entries)[-1]
            first = command(entries[last], cwd=folder)
            if first.fault or digest(f"{folder}/out/**/*.parquet") != made:
                said.append(f"{name} failed: {first.fault or 'it made different data'}.")
            else:
                runs |= {what: (words, folder) for what, words in entries.items()}
                said.append(f"{name} is {_version(bench, name.lower())}.")
        except Exception as error:
            said.append(f"{name} failed: {error}.")

    def run(name: str) -> Run:
        words, cwd = runs[name]
        return command(words, cwd=cwd, env=environ(KEDRO_DISABLE_TELEMETRY="1"))

    in_turns(runs, 1, run)
    found = in_turns(runs, bench.rounds(9), run)
    bench.compared("nothing", found, "ours: five tasks complete", "`import luigi`")
    rows = []
    for name, each in found.items():
        if why := fault(each):
            rows.append([name, f"failed: {why}", ""])
            continue
        pairs = zip(each, found["`import luigi`"], strict=True)
        luigi = [mine.seconds / other.seconds for mine, other in pairs]
        rows.append([name, spread([r.seconds for r in each], 3, "s"), spread(luigi, 2, "×")])
    text = (
        "Real seconds of a process. Ours and gokart's have all outputs complete; Kedro runs with "
        "`--only-missing-outputs`, and without it runs all again. Each cleans the same sample; "
        "ours scores the airports and writes the report as well."
    )
    head = ["process", "seconds, median (range)", "of `import luigi`"]
    bench.sections.append(Section("Start-up", text, head, rows, " ".join(said)))


def _version(bench: Bench, name: str) -> str:
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    return str(
        command([str(bench.folder / name / "bin" / "python"), "-c", ask]).told["out"]
    ).strip()


Entries = tuple[dict[str, list[str]], Path]


def gokart(bench: Bench, raw: Path) -> Entries:
    programs = installed(bench, "gokart", "gokart", "pandas", "pyarrow")
    if isinstance(programs, str):
        raise RuntimeError(f"it cannot be installed: {programs}")
    folder = bench.folder / "gokart-project"
    shutil.copytree(HERE / "gokart_project", folder)
    python = str(programs / "python")
    words = [python, "main.py", "CleanFlights", "--local-scheduler", "--source", str(raw)]
    return {
        "gokart: import": [python, "-c", "import gokart"],
        "gokart: one task complete": [*words, "--workspace-directory", "out"],
    }, folder


def kedro(bench: Bench, raw: Path) -> Entries:
    datasets = "kedro-datasets[pandas-csvdataset,pandas-parquetdataset]"
    programs = installed(bench, "kedro", "kedro", datasets)
    if isinstance(programs, str):
        raise RuntimeError(f"it cannot be installed: {programs}")
    folder = bench.folder / "kedro-project"
    shutil.copytree(HERE / "kedro_project", folder)
    shutil.copytree(raw / "flights", folder / "flights")
    again = [str(programs / "kedro"), "run"]
    return {
        "Kedro: import": [str(programs / "python"), "-c", "import kedro.framework.session"],
        "Kedro: all again": again,
        "Kedro: one node complete": [*again, "--only-missing-outputs"],
    }, folder
