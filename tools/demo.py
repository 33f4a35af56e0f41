"""Bake the template with its default answers, install and run the project as its README says."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from baking import bake, clean_environ


def main() -> int:
    project = bake(Path(tempfile.mkdtemp(prefix="cookiecutter-luigi-dask-")))
    environ = clean_environ(PIPENV_VENV_IN_PROJECT="1", PIPENV_VERBOSITY="-1", PIPENV_QUIET="1")
    environ["PIPENV_DEFAULT_PYTHON_VERSION"] = sys.executable
    for command in ("install --dev", "run start", "run python -m flight_scores status"):
        print(f"\n$ pipenv {command}", flush=True)
        if status := subprocess.call(
            [sys.executable, "-m", "pipenv", *command.split()], cwd=project, env=environ
        ):
            return status
    (report,) = project.glob("data/ScoreReport-*.html")
    print(f"\nThe project  {project}\nIts report   {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
