"""Set up the development environment and run a script of the Pipfile: python3 dev.py test.

Needs Python 3.11 to 3.13 and its standard library. Everything goes into .dev/, so that neither
an externally managed Python nor another virtual environment matters; delete it to begin anew.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE / ".dev" / f"python{sys.version_info.major}.{sys.version_info.minor}"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
FOREIGN = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")


def main() -> int:
    scripts = tomllib.loads((HERE / "Pipfile").read_text(encoding="utf-8"))["scripts"]
    if len(sys.argv) < 2 or sys.argv[1] not in scripts:
        print(f"Usage: python3 dev.py SCRIPT, one of: {', '.join(scripts)}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("ensurepip") is None:
        print("This Python lacks ensurepip; install its venv package first.", file=sys.stderr)
        return 2
    environ = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environ = {name: value for name, value in environ.items() if not name.startswith("PIPENV_")}
    environ |= {
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")]),
        "PIPENV_DEFAULT_PYTHON_VERSION": sys.executable,
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_VERBOSITY": "-1",
        "WORKON_HOME": str(HOME / "environments"),
    }
    python = str(BIN / "python")
    ready = HOME / "ready"  # there when pipenv is; an interrupted set-up begins again
    steps = [
        [python, "-m", "pipenv", "sync", "--dev"],
        [python, "-m", "pipenv", "run", *sys.argv[1:]],
    ]
    if not ready.exists():
        venv.create(HOME, with_pip=True, clear=True)
        steps.insert(0, [python, "-m", "pip", "install", "--quiet", "pipenv"])
    for step in steps:
        if status := subprocess.call(step, cwd=HERE, env=environ):
            return status
        ready.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
